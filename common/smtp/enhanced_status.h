/*
 * Enhanced status codes (RFC 3463 2): class.subject.detail, "5.7.1".
 */
#ifndef COMMON_ENHANCED_STATUS_H
#define COMMON_ENHANCED_STATUS_H

#include "common/base/str.h"

#define ENHANCED_STATUS_MAX 9 /* bytes: 5.999.999 */

/* All of s is such a code, of the class that goes with this reply code (2xx, 4xx, 5xx). */
bool enhanced_status_is(struct str s, unsigned reply_code);

#endif
