#include "queue/queue_log.h"

#include <stdio.h>

#include "common/base/log.h"

void
queue_log_active(const char *id, const struct envelope *e)
{
	log_info("%s: from=<%.*s>, size=%llu, nrcpt=%llu (queue active)", id, STR_FMT(e->sender),
	    (unsigned long long)e->head.message_size, (unsigned long long)e->head.recipients);
}

void
queue_log_seconds(char *dst, size_t size, uint64_t ms)
{
	unsigned long long s = ms / 1000, hundredths = ms % 1000 / 10;

	if (s >= 10 || hundredths == 0)
		(void)snprintf(dst, size, "%llu", s);
	else if (s > 0 || hundredths % 10 == 0)
		(void)snprintf(dst, size, "%llu.%llu", s, hundredths / 10);
	else
		(void)snprintf(dst, size, "0.%02llu", hundredths);
}

static const char *
status_word(enum queue_state state)
{
	switch (state) {
	case QUEUE_DELIVERED:
		return "sent";
	case QUEUE_FAILED:
		return "bounced";
	case QUEUE_EXPANDED_STATE:
		return "expanded";
	case QUEUE_WAITING:
		break;
	}
	return "deferred";
}

/* a/b/c/d: before it was active, waiting for its turn, setting up the connection, the transaction. */
static void
delays(char *dst, size_t size, const struct queue_log_times *t)
{
	uint64_t started_ms = t->started_ms > 0 ? t->started_ms : t->now_ms;
	uint64_t parts_ms[4] = {t->active_ms > t->arrived_ms ? t->active_ms - t->arrived_ms : 0,
	    started_ms > t->active_ms ? started_ms - t->active_ms : 0, t->setup_ms, t->transfer_ms};
	char parts[4][24];

	for (size_t i = 0; i < 4; i++)
		queue_log_seconds(parts[i], sizeof parts[i], parts_ms[i]);
	(void)snprintf(dst, size, "%s/%s/%s/%s", parts[0], parts[1], parts[2], parts[3]);
}

/* " tls=TLSv1.3 cipher=X policy=dane" of "dane TLSv1.3 with X"; nothing where no policy was asked. Behind the words of the
 * reply, where tools that do not know it look no more. */
static void
security_text(struct str security, char *dst, size_t size)
{
	struct str protocol = security, policy, version;

	dst[0] = '\0';
	if (!str_word(&protocol, &policy))
		return;
	if (!str_word(&protocol, &version)) {
		(void)snprintf(dst, size, " tls=none policy=%.*s", STR_FMT(policy));
		return;
	}
	protocol = str_trim(protocol);
	if (str_starts(protocol, STR("with ")))
		protocol = str_skip(protocol, 5);
	(void)snprintf(dst, size, " tls=%.*s cipher=%.*s policy=%.*s", STR_FMT(version), STR_FMT(protocol), STR_FMT(policy));
}

void
queue_log_recipient(const char *id, const struct recipient *r, const struct queue_log_times *t)
{
	char delay[24], all[100], security[300];
	bool has_original = r->original.p != NULL && !str_equal(r->original, r->address);

	queue_log_seconds(delay, sizeof delay, t->now_ms > t->arrived_ms ? t->now_ms - t->arrived_ms : 0);
	delays(all, sizeof all, t);
	security_text(r->security, security, sizeof security);
	log_info("%s: to=<%.*s>,%s%.*s%s relay=%.*s, delay=%s, delays=%s, dsn=%.*s, status=%s (%.*s)%s", id,
	    STR_FMT(r->address), has_original ? " orig_to=<" : "", STR_FMT(has_original ? r->original : STR_NONE),
	    has_original ? ">," : "", STR_FMT(r->relay), delay, all, STR_FMT(r->code), status_word(r->state),
	    STR_FMT(r->reply), security);
}
