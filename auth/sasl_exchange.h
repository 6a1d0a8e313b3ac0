/*
 * The exchanges of the clients of one connection to the sasl socket, from AUTH to the answer: the mechanism's steps, what
 * checkers and the oauth process are asked on the way, and how long who was wrong must wait. A success is kept for a
 * moment, so that a privileged parent can ask about it.
 */
#ifndef AUTH_SASL_EXCHANGE_H
#define AUTH_SASL_EXCHANGE_H

#include "auth/front.h"
#include "auth/sasl_command.h"

#define SASL_COOKIE_BYTES 16

struct sasl_peer {
	struct peer peer;
	char cookie[SASL_COOKIE_BYTES * 2 + 1];
	uint64_t pid; /* as it says itself */
	bool has_version, has_pid;
	size_t nexchanges;
	LIST_HEAD(, sasl_exchange) exchanges;
};

/* NULL when there is none of that number. */
struct sasl_exchange *sasl_exchange_find(struct sasl_peer *peer, uint64_t id);
/* AUTH. False when its number is in use. What is to be said is appended to the peer's output, now or later. */
bool sasl_exchange_begin(struct sasl_peer *peer, const struct sasl_command *command);
/* CONT. Passed over when the exchange does not wait for one. */
void sasl_exchange_continue(struct sasl_exchange *exchange, const struct sasl_command *command);
/* CANCEL, or its end. */
void sasl_exchange_free(struct sasl_exchange *exchange);
/* The line of its account, once it was granted; else NULL. */
const char *sasl_exchange_account(const struct sasl_exchange *exchange);

/* For pool.h: the next password whose turn it is. */
struct pool_job *sasl_exchange_next_password(struct pool *pool);

#endif
