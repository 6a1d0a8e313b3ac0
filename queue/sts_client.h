/*
 * A worker's side of the process `policy`: the MTA-STS policy of a domain, within a stated time, and for a minute from memory.
 * When `policy` does not answer, what it said before holds for as long as that policy does; without that there is none, and mail
 * goes on.
 */
#ifndef QUEUE_STS_CLIENT_H
#define QUEUE_STS_CLIENT_H

#include <bsd/sys/queue.h>

#include "common/base/tree.h"
#include "queue/policy_message.h"
#include "queue/sts_policy.h"

/* RFC 8461 3.3: the first mail to a domain waits for its policy, but not for ever. */
#define STS_WAIT_MS 40000
/* And so long where a policy is known already, or `policy` was silent before. */
#define STS_WAIT_KNOWN_MS 5000
#define STS_FRESH_MS 60000 /* an answer is not asked for again */
#define STS_ANSWERS_MAX 10000
#define STS_ANSWERS_BYTES_MAX (4 * 1024 * 1024)

struct sts_answer;
struct sts_query;

RB_HEAD(sts_answer_tree, sts_answer);
TAILQ_HEAD(sts_answer_list, sts_answer);
RB_HEAD(sts_query_tree, sts_query);

struct sts_client {
	/* sts_client.c's own: */
	struct loop *loop;
	struct channel channel;
	struct buf packet;
	struct sts_answer_tree answers;
	struct sts_answer_list ages; /* the oldest first */
	size_t n, bytes;
	struct sts_query_tree queries;
	uint32_t last_id;
	bool silent; /* it let a question lie, and nothing came since */
};

struct sts_query {
	/* Called once, never from inside sts_client_ask; text: the policy, empty if there is none; it lives during the call. */
	void (*answered)(struct sts_query *query, struct str text);
	struct sts_client *client; /* NULL: nothing is asked */
	RB_ENTRY(sts_query) link;
	uint32_t id;
	char domain[POLICY_DOMAIN_MAX + 1];
	struct loop_timer timer; /* the deadline; or it is known already */
	bool known;
};

/* fd: the pair to `policy`; it is the client's from now on. */
void sts_client_start(struct sts_client *client, struct loop *loop, int fd);
/* Closes the pair and forgets all; nothing may be asked then. */
void sts_client_clear(struct sts_client *client);

/* domain: ASCII. The query must be zero, or answered or cancelled before. */
void sts_client_ask(struct sts_client *client, struct sts_query *query, struct str domain,
    void (*answered)(struct sts_query *, struct str text));
/* The callback will not come. Harmless when nothing is asked. */
void sts_client_cancel(struct sts_query *query);

/* For the report of its domain. Dropped when `policy` does not read. */
void sts_client_tell(struct sts_client *client, const struct tlsrpt_outcome *outcome);

#endif
