/*
 * From a next hop to a server that is ready to take a message: its hosts in their order, their addresses, connections.
 *
 * Addresses are raced (RFC 8305 5): while one does not answer, the next of the host is connected to as well a moment later,
 * and after a while the next host's; the first connection that comes about goes on alone. Those that lost are not
 * forgotten: should the winner not be ready after all, it is their turn.
 */
#ifndef QUEUE_REMOTE_SEARCH_H
#define QUEUE_REMOTE_SEARCH_H

#include "queue/remote_connection.h"
#include "queue/remote_dane.h"
#include "queue/remote_own.h"
#include "queue/remote_route.h"

/* Connections that one search begins at most, and at a time. */
#define REMOTE_SEARCH_TRIES_MAX 20
#define REMOTE_SEARCH_AT_ONCE_MAX 3

/* What is looked for, and with what; borrowed until the search is over or stopped. */
struct remote_quest {
	struct remote_context *context;
	const struct remote_sources *sources;
	const struct remote_own *own;
	const struct next_hop *next_hop;
	struct arena *arena;
	struct str queue_id; /* for the log */
	bool lmtp;
	bool must_keep_tls;
	bool waives_tls; /* what the domain publishes is not for this message (RFC 8689 5) */
	bool is_report;	 /* of our own on TLS: nobody is told of its sessions */
	const struct conf_route *route; /* NULL: none */
	struct sasl_credentials *credentials; /* of it; NULL: none */
};

struct remote_candidate {
	struct endpoint to;
	struct str host;
	struct remote_identity identity;
	struct tls_policy policy;
};

struct remote_attempt {
	struct remote_connection *connection;
	struct remote_candidate candidate;
};

struct remote_search {
	/* One of them is called, once, and never from inside remote_search_start. The connection can begin a transaction; its
	 * owner is to be set. */
	void (*found)(struct remote_search *search, struct remote_connection *connection);
	void (*failed)(struct remote_search *search);

	/* Why no server is ready, as far as that is known. FAILED only while all of them said so for good. */
	enum job_status failure;
	char code[16];
	char words[JOB_REPLY_MAX];
	char relay[JOB_RELAY_MAX + 1];
	const char *policy; /* the word of what decided on TLS there; "" when it did not come to that */
	unsigned tried;
	bool unfit; /* a server talked to us, but cannot keep what the message needs */

	/* remote_search.c's own: */
	struct remote_quest quest;
	struct remote_owner owner;
	struct remote_route route;
	size_t host; /* of route.list: the one that is looked up, or was */
	/* For it, once its addresses are known. */
	struct tls_policy policy_now;
	struct remote_identity identity_now;
	struct remote_dane dane;
	bool looking_up;
	struct remote_addresses addresses;
	size_t address; /* of addresses.list, tried next */
	struct remote_candidate again[REMOTE_SEARCH_AT_ONCE_MAX + 1]; /* to be tried before; the last one first */
	size_t nagain;
	struct remote_attempt attempts[REMOTE_SEARCH_AT_ONCE_MAX];
	size_t nattempts;
	bool has_winner; /* attempts[0], which alone is left, is connected */
	struct loop_timer timer;
	struct connector_query dial; /* of a route's socket */
};

void remote_search_start(struct remote_search *search, const struct remote_quest *quest);
/* Nothing is called any more; connections that are under way are closed. Harmless when it is over or was not begun. */
void remote_search_stop(struct remote_search *search);
/* What the domain demands has a say in the policy. */
bool remote_search_asks_domain(const struct remote_search *search);
/* A reason that is known without a search. */
void remote_search_refuse(struct remote_search *search, enum job_status status, struct str code, struct str words);

#endif
