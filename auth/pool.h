/*
 * The front's side of the checkers: which of them is free, and what waits. Look-ups go before passwords, and one
 * checker takes no passwords, so that mail flows while somebody guesses.
 */
#ifndef AUTH_POOL_H
#define AUTH_POOL_H

#include "auth/check.h"
#include "common/base/loop.h"

#define POOL_CHECKERS_MAX 64
#define POOL_WAITING_MAX 10000 /* look-ups; further ones fail at once */

struct pool_slot;

struct pool_job {
	/* Called once, never from inside pool_ask; the answer lives during the call. The callback may free the job and
	 * ask again. */
	void (*answered)(struct pool_job *job, const struct check_answer *answer);
	struct pool *pool; /* NULL when not in a pool */
	struct pool_slot *slot;
	bool is_password, retried, failed;
	struct buf message; /* holds a secret */
	TAILQ_ENTRY(pool_job) link;
};

TAILQ_HEAD(pool_jobs, pool_job);

struct pool_slot {
	struct pool *pool;
	struct channel channel;
	bool busy, is_password;
	uint32_t id;	      /* of the request that it is busy with */
	uint64_t begun_ms;
	struct pool_job *job; /* NULL: cancelled meanwhile */
	struct loop_timer timer;
};

struct pool {
	struct loop *loop;
	/* A checker is free for a password: a job that pool_job_prepare has made, or NULL. Must not call back into the
	 * pool otherwise. */
	struct pool_job *(*next_password)(struct pool *pool);
	/* The checkers of this generation want to end. */
	void (*leaving)(struct pool *pool);
	/* One of them says what may be offered: a message for check_offers_read. */
	void (*offers)(struct pool *pool, struct msg *m);
	struct pool_slot slots[POOL_CHECKERS_MAX];
	size_t nslots, busy_passwords, nwaiting;
	uint32_t last_id;
	struct pool_jobs waiting, failed;
	struct loop_timer failing;
};

/* fds: the socket pairs to the checkers; the pool takes them. The callbacks are set before. */
void pool_open(struct pool *pool, struct loop *loop, const int *fds, size_t n);
/* Nothing more will be asked: the checkers may end. */
void pool_release(struct pool *pool);
void pool_job_prepare(struct pool_job *job, const struct check_request *request,
    void (*answered)(struct pool_job *, const struct check_answer *));
/* A look-up: prepares it and sends it or lets it wait. */
void pool_ask(struct pool *pool, struct pool_job *job, const struct check_request *request,
    void (*answered)(struct pool_job *, const struct check_answer *));
/* There is something for next_password to give. */
void pool_passwords_wait(struct pool *pool);
/* The callback will not come. Harmless when the job is in no pool. */
void pool_cancel(struct pool_job *job);

#endif
