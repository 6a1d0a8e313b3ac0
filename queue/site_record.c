#include "queue/site_record.h"

#include <stdio.h>

void
site_record_policy(struct site_record *record, struct str policy, struct str tls)
{
	if (policy.n == 0)
		return;
	/* the protocol is enough to see at a glance: its cipher is in the log */
	(void)snprintf(record->policy, sizeof record->policy, "%.*s%s%.*s", STR_FMT(policy), tls.n > 0 ? " " : "",
	    STR_FMT(str_sub(tls, 0, str_find(tls, ' '))));
}
