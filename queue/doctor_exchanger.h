/*
 * This host under the names by which it is an exchanger of our domains: has it a certificate for each, and do the TLSA records
 * (DANE, RFC 7672) that are published of it vouch for what it shows? Questions are asked when the domains' have been answered.
 */
#ifndef QUEUE_DOCTOR_EXCHANGER_H
#define QUEUE_DOCTOR_EXCHANGER_H

#include "queue/doctor_certificate.h"
#include "queue/doctor_domain.h"

/* Names that are looked at. */
#define DOCTOR_EXCHANGERS_MAX 1000

void doctor_exchangers_ask(const struct doctor *d, struct doctor_dns *dns, const struct doctor_addresses *own);
void doctor_exchangers_report(struct doctor *d, struct doctor_dns *dns, const struct doctor_addresses *own,
    const struct doctor_certificates *certificates, bool resolver_validates);

#endif
