/*
 * The MTA-STS policies (RFC 8461) that our own domains serve: can others fetch them, and do they name our exchangers?
 */
#ifndef QUEUE_DOCTOR_STS_H
#define QUEUE_DOCTOR_STS_H

#include "common/net/http_client.h"
#include "queue/doctor.h"
#include "queue/doctor_net.h"

/* Policies that are fetched, at once. */
#define DOCTOR_STS_MAX 100

struct doctor_sts_fetch;

struct doctor_sts {
	struct http_client http;
	struct doctor_net *net;
	struct doctor_sts_fetch *list;
	size_t n;
};

/* Reads `tls_authorities`: to be called before the process is locked in. net and dns outlive it. */
void doctor_sts_init(struct doctor_sts *sts, const struct doctor *d, struct doctor_net *net, struct doctor_dns *dns);
void doctor_sts_clear(struct doctor_sts *sts);
/* Of the domains that have a record, which has been answered. */
void doctor_sts_ask(struct doctor_sts *sts, const struct doctor *d, struct doctor_dns *dns);
void doctor_sts_report(struct doctor_sts *sts, struct doctor *d, struct doctor_dns *dns);

#endif
