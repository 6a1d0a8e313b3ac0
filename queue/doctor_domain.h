/*
 * Our own domains as others see them in DNS: does their mail come here (MX), may this host send for them (SPF, DMARC), and
 * can its delivery be secured (MTA-STS, TLSRPT)? Questions are asked in steps; between them doctor_net_wait.
 */
#ifndef QUEUE_DOCTOR_DOMAIN_H
#define QUEUE_DOCTOR_DOMAIN_H

#include "queue/doctor.h"
#include "queue/doctor_address.h"

/* The domains' own records; then the hosts that these name. */
#define DOCTOR_DOMAIN_STEPS 2

void doctor_domains_ask(const struct doctor *d, struct doctor_dns *dns, unsigned step);
void doctor_domains_report(struct doctor *d, struct doctor_dns *dns, const struct doctor_addresses *own);

/* The names under which this host is an exchanger of our domains, each once, at most max; borrowed from dns. */
size_t doctor_domains_exchangers(const struct doctor *d, struct doctor_dns *dns, const struct doctor_addresses *own,
    struct str *names, size_t max);

#endif
