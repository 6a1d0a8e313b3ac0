/*
 * The DNS servers of the configuration: does each of them answer?
 */
#ifndef QUEUE_DOCTOR_RESOLVER_H
#define QUEUE_DOCTOR_RESOLVER_H

#include "queue/doctor.h"
#include "queue/doctor_net.h"

struct doctor_resolvers {
	struct endpoint servers[DNS_SERVERS_MAX];
	struct doctor_dns dns[DNS_SERVERS_MAX]; /* each asked for itself */
	size_t n;
};

/* Those of the configuration, or of the system; to be called before the process is locked in. */
void doctor_resolvers_init(struct doctor_resolvers *resolvers, const struct conf *conf, struct doctor_net *net);
void doctor_resolvers_clear(struct doctor_resolvers *resolvers);
void doctor_resolvers_ask(const struct doctor *d, struct doctor_resolvers *resolvers);
void doctor_resolvers_report(struct doctor *d, struct doctor_resolvers *resolvers);

#endif
