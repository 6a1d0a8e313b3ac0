/*
 * What the parts of queued share: one struct, made by queued_main.c, handed to each of them. Who does what:
 *
 *     intake    finds files (notices, directories, what is due) and loads them
 *     route     for each recipient: an alias? ours, or which site?
 *     dispatch  starts what the schedule says, takes results
 *     outcome   the end of a round: record, notify, defer, remove
 *     notice    has notifications written by the bounce process
 *     commands  the postmaster's: retry, hold, release, delete
 *     wake      goes through what is deferred for one site
 */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "common/base/commit.h"
#include "common/conf/conf.h"
#include "common/base/loop.h"
#include "common/base/siphash.h"
#include "common/net/socketmap.h"
#include "queue/message.h"
#include "queue/schedule.h"
#include "queue/share.h"
#include "queue/spool.h"

struct closer;
struct dispatch;
struct intake;
struct notices;
struct outcome;
struct routes;
struct site_keeper;
struct wake;

RB_HEAD(message_tree, message);

struct queue {
	struct loop *loop;
	const struct conf *conf;
	struct spool spool;
	struct schedule schedule;
	struct shares shares; /* of senders */
	struct commit *commit;
	struct closer *closer; /* of removed files */
	struct siphash_key hash_key;
	struct message_tree messages; /* all that are in memory */
	size_t nmessages;
	size_t nrecipients; /* theirs, aliases expanded */
	size_t nretries;    /* how many of the messages come from deferred/ */
	size_t nnotices;    /* and how many of the others are notifications */
	size_t nopen;	    /* descriptors that messages keep */
	bool stopping;	    /* nothing new is begun */

	struct intake *intake;
	struct routes *routes;
	struct dispatch *dispatch;
	struct outcome *outcome;
	struct notices *notices;
	struct wake *wake;
	struct site_keeper *site_keeper;
};

/* Milliseconds since 1970, by the clock of the wall. */
uint64_t queue_now_ms(void);
/* The same, of a time of the loop's clock. */
uint64_t queue_wall_ms(const struct queue *q, uint64_t loop_ms);
/* Of a clock that nobody sets, and that goes on while the machine sleeps. */
uint64_t queue_steady_ms(void);
struct message *queue_find(struct queue *q, const struct queue_id *id);
/* How many messages one site or sender may have in memory now. */
uint64_t queue_share(const struct queue *q);
/* In memory from now on; false when one of this ID is already. */
bool queue_insert(struct queue *q, struct message *m);
/* Frees it: it has no questions, jobs or commits under way. */
void queue_forget(struct message *m);

#endif
