/*
 * One question to one DNS server: over UDP from a fresh port with a random id, again over TCP when the answer does
 * not fit. Answers that are not to this question are passed over. What is retried where is the resolver's business.
 */
#ifndef COMMON_DNS_EXCHANGE_H
#define COMMON_DNS_EXCHANGE_H

#include "common/base/buf.h"
#include "common/dns/dns_message.h"
#include "common/base/loop.h"
#include "common/net/network.h"

struct dns_exchange {
	/* Called once, never from inside dns_exchange_start: FAILED (then answer->reason says why), ANSWER or ALIAS.
	 * The answer lives during the call, which may free the exchange or start it again. */
	void (*finished)(struct dns_exchange *exchange, enum dns_reply reply, const struct dns_answer *answer);
	struct loop *loop; /* NULL when nothing is under way */
	struct loop_io io;
	struct loop_timer timer;
	struct dns_question question;
	struct endpoint server;
	uint16_t id;
	unsigned flags; /* of dns_query_build */
	bool tcp;
	bool timed_out; /* the failure was that nothing came */
	const char *trouble; /* reported at the next turn */
	struct buf in;	/* over TCP: length and message, as far as they have come */
	unsigned char out[2 + DNS_QUERY_MAX]; /* length (for TCP) and query */
	size_t out_n;
	size_t sent;
};

/* The struct must be zero or finished before. flags: DNS_QUERY_EDNS is left out when the server does not know it. */
void dns_exchange_start(struct dns_exchange *exchange, struct loop *loop, const struct endpoint *server,
    const struct dns_question *question, unsigned flags, uint64_t timeout_ms,
    void (*finished)(struct dns_exchange *, enum dns_reply, const struct dns_answer *));
/* The callback will not come. Harmless when nothing is under way. */
void dns_exchange_stop(struct dns_exchange *exchange);

#endif
