/*
 * Original recipients (RFC 3461 4.2) as they are read: type ";" address. As the queue keeps them the address is decoded; as
 * a parameter it is in xtext, and one of type utf-8 (RFC 6533 3) in UTF-8 or with \x{HEX} for what is not ASCII.
 */
#ifndef COMMON_ORCPT_H
#define COMMON_ORCPT_H

#include "common/buf.h"

#define ORCPT_MAX 500 /* bytes of the parameter's value, RFC 3461 4.2 */

/*
 * Appends the decoded form of a parameter's value; false when it is malformed. What is decoded holds no control
 * characters, and non-ASCII (valid UTF-8) only for the type utf-8.
 */
bool orcpt_decode(struct buf *out, struct str value);

#endif
