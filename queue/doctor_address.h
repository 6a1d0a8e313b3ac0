/*
 * Sets of addresses: those of a host in DNS, and this host's own. Ports do not count.
 */
#ifndef QUEUE_DOCTOR_ADDRESS_H
#define QUEUE_DOCTOR_ADDRESS_H

#include "common/conf/conf.h"
#include "queue/doctor_net.h"
#include "queue/remote_own.h"

#define DOCTOR_ADDRESSES_MAX REMOTE_OWN_MAX

struct doctor_addresses {
	struct endpoint list[DOCTOR_ADDRESSES_MAX];
	size_t n;
};

/* Those at which this host takes mail; to be called before the process is locked in. */
void doctor_addresses_own(struct doctor_addresses *own, const struct conf *conf);
/* Questions for a host's addresses, and what came of them; more is added to what is in the set. */
void doctor_addresses_ask(struct doctor_dns *dns, struct str host);
void doctor_addresses_add(struct doctor_addresses *set, struct doctor_dns *dns, struct str host);

bool doctor_addresses_has(const struct doctor_addresses *set, const struct endpoint *endpoint);
/* They have one in common. */
bool doctor_addresses_meet(const struct doctor_addresses *a, const struct doctor_addresses *b);
/* The name under which DNS tells an address's name. */
bool doctor_address_reverse(char name[DNS_NAME_MAX + 1], const struct endpoint *endpoint);

#endif
