#include "auth/pool.h"

#include <bsd/stdlib.h>
#include <string.h>

#include "common/base/log.h"

/* A checker that hangs is killed by its own timer; this is for the case that nothing comes after it either. */
#define ANSWER_TIMEOUT_MS ((CHECK_SECONDS_MAX + 5) * 1000)
#define RETRY_MS 5000 /* a checker that died within this time crashed; later it was killed because it hung */
#define MESSAGE_MAX_BYTES 4096

static void pool_run(struct pool *pool);

static void
job_forget(struct pool_job *job)
{
	job->pool = NULL;
	job->slot = NULL;
	buf_clear_secret(&job->message);
}

static void
job_dequeue(struct pool_job *job)
{
	TAILQ_REMOVE(job->failed ? &job->pool->failed : &job->pool->waiting, job, link);
	if (!job->failed)
		job->pool->nwaiting--;
}

static void
job_fail(struct pool_job *job, const char *why)
{
	struct check_answer answer = {.found = FOUND_TROUBLE, .value = str_from(why)};

	job_forget(job);
	job->answered(job, &answer);
}

static void
failing_expired(struct loop_timer *timer)
{
	struct pool *pool = container_of(timer, struct pool, failing);
	struct pool_job *job;

	while ((job = TAILQ_FIRST(&pool->failed)) != NULL) {
		job_dequeue(job);
		job_fail(job, "authd has too much to do");
	}
}

static void
job_fail_soon(struct pool_job *job)
{
	job->failed = true;
	TAILQ_INSERT_TAIL(&job->pool->failed, job, link);
	loop_timer_set(job->pool->loop, &job->pool->failing, 0, failing_expired);
}

/* --- checkers ------------------------------------------------------------------------------------------------------ */

/* Takes the job off the slot, which may or may not be free then. */
static struct pool_job *
slot_release(struct pool_slot *slot)
{
	struct pool_job *job = slot->job;

	slot->job = NULL;
	if (job != NULL)
		job->slot = NULL;
	return job;
}

static void
slot_free(struct pool_slot *slot)
{
	if (slot->busy && slot->is_password)
		slot->pool->busy_passwords--;
	slot->busy = false;
	loop_timer_cancel(&slot->timer);
}

/* The checker died over it: once more, in front of the others; but not a third time, lest it kill them all. What hung
 * would hang again. */
static void
job_retry(struct pool_job *job, bool hung)
{
	if (job->retried || hung) {
		job_fail(job, "a checker died over it");
		return;
	}
	job->retried = true;
	TAILQ_INSERT_HEAD(&job->pool->waiting, job, link);
	job->pool->nwaiting++;
}

static void
checker_began_anew(struct pool_slot *slot)
{
	struct pool_job *job = slot_release(slot);
	bool hung = loop_now_ms(slot->pool->loop) - slot->begun_ms >= RETRY_MS;

	if (slot->busy)
		log_warning("a checker %s", hung ? "hung and was killed" : "died while it was busy");
	slot_free(slot);
	if (job != NULL)
		job_retry(job, hung);
}

static void
slot_received(struct channel *channel, struct msg *m)
{
	struct pool_slot *slot = container_of(channel, struct pool_slot, channel);
	struct pool *pool = slot->pool;
	struct check_answer answer;
	struct pool_job *job;

	if (m->type == CHECK_HELLO)
		checker_began_anew(slot);
	else if (m->type == CHECK_LEAVING)
		pool->leaving(pool);
	else if (m->type == CHECK_OFFERS)
		pool->offers(pool, m);
	else if (!slot->busy || m->id != slot->id)
		return; /* to a request of this process's predecessor, or one that was given up */
	else {
		job = slot_release(slot);
		slot_free(slot);
		if (!check_answer_read(m, &answer))
			answer = (struct check_answer){.found = FOUND_TROUBLE, .value = STR("a malformed answer")};
		if (job != NULL) {
			job_forget(job);
			job->answered(job, &answer);
		}
	}
	pool_run(pool);
}

/* The parent holds both ends, so this is the end of the daemon. */
static void
slot_closed(struct channel *channel)
{
	struct pool_slot *slot = container_of(channel, struct pool_slot, channel);
	struct pool_job *job = slot_release(slot);

	slot_free(slot);
	slot->busy = true;
	slot->is_password = false;
	if (job != NULL)
		job_fail(job, "the checkers are gone");
}

/* Its request is lost; the checker counts as busy until it says something. */
static void
slot_expired(struct loop_timer *timer)
{
	struct pool_slot *slot = container_of(timer, struct pool_slot, timer);
	struct pool_job *job = slot_release(slot);

	log_error("a checker does not answer");
	if (job != NULL)
		job_fail(job, "a checker does not answer");
}

static bool
slot_start(struct pool_slot *slot, struct pool_job *job)
{
	struct pool *pool = slot->pool;
	uint32_t id = ++pool->last_id;

	/* The id stands behind the type, in the host's order: see common/base/msg.h. */
	memcpy(job->message.p + sizeof(uint32_t), &id, sizeof id);
	if (!channel_send(&slot->channel, &job->message, -1))
		return false;
	slot->id = id;
	slot->begun_ms = loop_now_ms(pool->loop);
	slot->busy = true;
	slot->is_password = job->is_password;
	pool->busy_passwords += job->is_password;
	slot->job = job;
	job->slot = slot;
	loop_timer_set(pool->loop, &slot->timer, ANSWER_TIMEOUT_MS, slot_expired);
	return true;
}

/* --- jobs ---------------------------------------------------------------------------------------------------------- */

static struct pool_job *
job_next(struct pool *pool)
{
	struct pool_job *job = TAILQ_FIRST(&pool->waiting);

	if (job != NULL)
		job_dequeue(job);
	else if (pool->busy_passwords + 1 < pool->nslots)
		job = pool->next_password(pool);
	return job;
}

static struct pool_slot *
slot_idle(struct pool *pool)
{
	for (size_t i = 0; i < pool->nslots; i++)
		if (!pool->slots[i].busy)
			return &pool->slots[i];
	return NULL;
}

static void
pool_run(struct pool *pool)
{
	struct pool_slot *slot;
	struct pool_job *job;

	while ((slot = slot_idle(pool)) != NULL && (job = job_next(pool)) != NULL) {
		job->pool = pool;
		if (!buf_ok(&job->message) || !slot_start(slot, job))
			job_fail_soon(job);
	}
}

void
pool_job_prepare(struct pool_job *job, const struct check_request *request,
    void (*answered)(struct pool_job *, const struct check_answer *))
{
	memset(job, 0, sizeof *job);
	job->answered = answered;
	job->is_password = check_is_password(request->type);
	buf_init(&job->message, MESSAGE_MAX_BYTES);
	(void)buf_reserve(&job->message, MESSAGE_MAX_BYTES); /* so that it does not move and leave secrets behind */
	check_request_write(&job->message, 0, request);
}

void
pool_ask(struct pool *pool, struct pool_job *job, const struct check_request *request,
    void (*answered)(struct pool_job *, const struct check_answer *))
{
	pool_job_prepare(job, request, answered);
	job->pool = pool;
	if (pool->nwaiting >= POOL_WAITING_MAX) {
		job_fail_soon(job);
		return;
	}
	TAILQ_INSERT_TAIL(&pool->waiting, job, link);
	pool->nwaiting++;
	pool_run(pool);
}

void
pool_passwords_wait(struct pool *pool)
{
	pool_run(pool);
}

void
pool_cancel(struct pool_job *job)
{
	if (job->pool == NULL)
		return;
	if (job->slot != NULL)
		(void)slot_release(job->slot);
	else
		job_dequeue(job);
	job_forget(job);
}

void
pool_open(struct pool *pool, struct loop *loop, const int *fds, size_t n)
{
	pool->loop = loop;
	pool->last_id = arc4random();
	TAILQ_INIT(&pool->waiting);
	TAILQ_INIT(&pool->failed);
	for (size_t i = 0; i < n && i < POOL_CHECKERS_MAX; i++) {
		pool->slots[i].pool = pool;
		channel_open(&pool->slots[i].channel, loop, fds[i], slot_received, slot_closed);
		pool->nslots++;
	}
}

void
pool_release(struct pool *pool)
{
	struct buf b;

	buf_init(&b, MESSAGE_MAX_BYTES);
	msg_begin(&b, CHECK_GOODBYE, 0);
	for (size_t i = 0; i < pool->nslots; i++)
		(void)channel_send(&pool->slots[i].channel, &b, -1);
	buf_clear(&b);
}
