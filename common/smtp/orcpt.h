/*
 * Original recipients (RFC 3461 4.2) as they are read and written: type ";" address. As the queue keeps them the address is decoded; as
 * a parameter it is in xtext, and one of type utf-8 (RFC 6533 3) in UTF-8 or with \x{HEX} for what is not ASCII.
 */
#ifndef COMMON_ORCPT_H
#define COMMON_ORCPT_H

#include "common/base/buf.h"

#define ORCPT_MAX 500 /* bytes of the parameter's value, RFC 3461 4.2 */

/*
 * Appends the decoded form of a parameter's value; false when it is malformed. What is decoded holds no control
 * characters, and non-ASCII (valid UTF-8) only for the type utf-8.
 */
bool orcpt_decode(struct buf *out, struct str value);

/* As a parameter of RCPT: the address in xtext, that of type utf-8 with \x{HEX}, which needs no SMTPUTF8. Nothing is
 * appended, and false, when there is no type or no address. */
bool orcpt_add_parameter(struct buf *b, struct str orcpt);
/* As a field's value: readable; where the message is ASCII only (not utf8), characters beyond stand as \x{HEX}. */
void orcpt_add_field(struct buf *b, struct str orcpt, bool utf8);

#endif
