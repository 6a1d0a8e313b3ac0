/*
 * BODY and BODYSTRUCTURE (RFC 3501 7.4.2) from the structure of a message. Pure.
 */
#ifndef IMAPD_BODYSTRUCTURE_H
#define IMAPD_BODYSTRUCTURE_H

#include "common/mime/mime.h"

/* extended: BODYSTRUCTURE, with extension data. */
void bodystructure_write(struct buf *out, const struct mime_part *part, bool extended);

#endif
