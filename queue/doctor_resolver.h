/*
 * The DNS servers of the configuration: does each of them answer, does it validate (DNSSEC), and is it believed? DANE needs all
 * three.
 */
#ifndef QUEUE_DOCTOR_RESOLVER_H
#define QUEUE_DOCTOR_RESOLVER_H

#include "common/dns/resolver.h"
#include "queue/doctor.h"
#include "queue/doctor_net.h"

struct doctor_resolvers {
	struct resolver_servers servers;
	struct doctor_dns dns[DNS_SERVERS_MAX]; /* each asked for itself */
};

/* Those of the configuration, or of the system; to be called before the process is locked in. */
void doctor_resolvers_init(struct doctor_resolvers *resolvers, const struct conf *conf, struct doctor_net *net);
void doctor_resolvers_clear(struct doctor_resolvers *resolvers);
void doctor_resolvers_ask(const struct doctor *d, struct doctor_resolvers *resolvers);
/* Each of them, when they have been answered. */
bool doctor_resolvers_validate(const struct doctor *d, struct doctor_resolvers *resolvers);
void doctor_resolvers_report(struct doctor *d, struct doctor_resolvers *resolvers);

#endif
