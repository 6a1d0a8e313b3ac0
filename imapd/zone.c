#include "imapd/zone.h"

#include <time.h>

struct date
zone_local(int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL)
		return (struct date){seconds, 0};
	return (struct date){seconds, (int)(tm.tm_gmtoff / 60)};
}
