/*
 * DANE of a host: whether TLSA records that DNSSEC secures say which certificate it has, and which (RFC 7672 2.2).
 */
#ifndef QUEUE_REMOTE_DANE_H
#define QUEUE_REMOTE_DANE_H

#include "common/dns/dns.h"
#include "common/tls/tls_client.h"
#include "queue/tls_policy.h"

#define REMOTE_DANE_RECORDS_MAX 30 /* usable ones of a host; the rest is left out */

struct remote_dane {
	void (*found)(struct remote_dane *dane); /* never from inside remote_dane_start */
	enum tls_dane state;
	struct str base; /* USABLE, UNUSABLE: the TLSA base domain, by which the server goes from then on */
	const struct tls_dane_record *records; /* USABLE */
	size_t n;

	/* remote_dane.c's own: */
	struct dns *dns;
	struct arena *arena;
	uint16_t port;
	struct str bases[2]; /* to be asked about, the first one first */
	size_t nbases, asked;
	struct dns_query query;
};

/* What the addresses of the host came with. */
struct remote_dane_host {
	struct str name;     /* as an exchanger, or in the configuration */
	struct str expanded; /* what its CNAMEs lead to; the same without */
	bool is_secure;	     /* its addresses, aliases included */
	uint16_t port;
};

/* What is found lives in the arena. True: nothing had to be asked, and the state is known already. */
bool remote_dane_start(struct remote_dane *dane, struct dns *dns, const struct remote_dane_host *host,
    struct arena *arena, void (*found)(struct remote_dane *));
void remote_dane_stop(struct remote_dane *dane);

#endif
