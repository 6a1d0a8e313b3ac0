/*
 * Internal dates are moments; the client sees them, and asks for their days, in the local time of this host.
 */
#ifndef IMAPD_ZONE_H
#define IMAPD_ZONE_H

#include "common/base/date.h"

struct date zone_local(int64_t seconds);

#endif
