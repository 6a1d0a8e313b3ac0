/*
 * Next hops as jobs name them: a domain whose exchangers are to be found, a host or an address in brackets, or one of
 * our own sockets. Pure.
 */
#ifndef QUEUE_NEXT_HOP_H
#define QUEUE_NEXT_HOP_H

#include "common/net/network.h"
#include "queue/job.h"

enum next_hop_kind {
	NEXT_HOP_DOMAIN,  /* dua.test: ask for its exchangers */
	NEXT_HOP_HOST,	  /* [mx1.dua.test]: its addresses, no exchangers */
	NEXT_HOP_ADDRESS, /* [127.0.0.3], [IPv6:::1], [::1] */
	NEXT_HOP_SOCKET,  /* lmtp: in run_directory */
	NEXT_HOP_PATH,	  /* unix:/path: the connector's, as the route says */
};

struct next_hop {
	enum next_hop_kind kind;
	struct str name; /* domain, host, socket; the address as it was written. Borrowed. */
	uint16_t port;
	struct endpoint address; /* of ADDRESS */
};

/* default_port: for one that names none. False: malformed, nobody can be reached by that. */
bool next_hop_parse(struct str text, enum job_transport transport, uint16_t default_port, struct next_hop *next_hop);

/* "127.0.0.3" of an endpoint, without port and brackets; "local" for one that is not IP. Room: INET6_ADDRSTRLEN. */
void next_hop_address_text(const struct sockaddr *address, char *text, size_t size);

#endif
