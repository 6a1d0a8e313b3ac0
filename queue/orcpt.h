/*
 * Original recipients (RFC 3461 4.2, RFC 6533 3): "type;address" as the queue file has it, the address decoded, and as the
 * other side gets it. Pure.
 */
#ifndef QUEUE_ORCPT_H
#define QUEUE_ORCPT_H

#include "common/buf.h"

/* As a parameter of RCPT: the address in xtext, that of type utf-8 in utf-8-addr-xtext, which needs no SMTPUTF8. Nothing is
 * appended, and false, when there is no type. */
bool orcpt_add_parameter(struct buf *b, struct str orcpt);
/* As a field's value: readable; where the message is ASCII only (not utf8), characters beyond stand as \x{HEX}. */
void orcpt_add_field(struct buf *b, struct str orcpt, bool utf8);

#endif
