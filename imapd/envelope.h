/*
 * ENVELOPE (RFC 3501 7.4.2) from a message's header. Pure.
 */
#ifndef IMAPD_ENVELOPE_H
#define IMAPD_ENVELOPE_H

#include "common/base/buf.h"

#define ENVELOPE_ADDRESSES_MAX 5000 /* of one field; further ones are left out */

void envelope_write(struct buf *out, struct str header);

#endif
