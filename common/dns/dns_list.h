/*
 * DNS block and allow lists (RFC 5782) as a postmaster writes them:
 *
 *     DOMAIN[*WEIGHT][=A.B.C.D]        the two in any order; each of A to D a number or [N..N;N;...]
 *
 * An address that the list answers for adds the weight (1 if none is given; negative for lists of the good) to its score.
 * With a filter only answers that fit it count; without one any of 127.0.0.0/8 but 127.255.255.0/24, which is how
 * lists say that they do not serve the resolver that asks. Pure.
 */
#ifndef COMMON_DNS_LIST_H
#define COMMON_DNS_LIST_H

#include "common/dns/dns_message.h"
#include "common/base/err.h"

#define DNS_LISTS_MAX 32
#define DNS_LIST_WEIGHT_MAX 1000
#define DNS_LIST_DOMAIN_MAX 180 /* what an IPv6 address's nibbles leave of DNS_NAME_MAX */

struct dns_list {
	char domain[DNS_LIST_DOMAIN_MAX + 1]; /* lower case */
	int weight;
	bool has_filter;
	uint32_t filter[4][8]; /* of each of the answer's bytes: the set of its values */
};

bool dns_list_parse(struct str s, struct dns_list *list, struct err *err);
/* Does an answer with this address count? */
bool dns_list_counts(const struct dns_list *list, struct in_addr address);

/* A DNS name for an address of 4 or 16 bytes under a domain: 1.2.0.192.DOMAIN, or an IPv6 address's nibbles. False when
 * it would be too long. */
bool dns_list_name(char name[DNS_NAME_MAX + 1], struct str address, const char *domain);

#endif
