/*
 * What both sides' messages of SCRAM are made of (RFC 5802 7): attributes between commas, nonces. Pure.
 */
#ifndef COMMON_SCRAM_MESSAGE_H
#define COMMON_SCRAM_MESSAGE_H

#include "common/base/str.h"

#define SCRAM_MESSAGES_MAX 2048 /* bytes of all messages of an exchange */

/* Takes `key=value` off; false, and nothing is taken, when that key is not next, or has no value. */
bool scram_attribute(struct str *rest, char key, struct str *value);
/* 1 to max printable characters, no comma. */
bool scram_nonce_is_good(struct str nonce, size_t max);

#endif
