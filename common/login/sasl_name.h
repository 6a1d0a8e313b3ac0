/*
 * Names as GS2's messages have them (RFC 5802 5.1, RFC 5801 4): a comma is `=2C`, an equals sign `=3D`. Pure.
 */
#ifndef COMMON_SASL_NAME_H
#define COMMON_SASL_NAME_H

#include "common/login/account.h"

/* dst: ACCOUNT_NAME_MAX + 1 bytes. False when it is empty, too long, or has a NUL or another escape. */
bool sasl_name_read(char *dst, struct str s);

#endif
