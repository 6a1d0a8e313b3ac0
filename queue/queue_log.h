/*
 * The queue's log lines, in the shape that Postfix's tools parse.
 */
#ifndef QUEUE_QUEUE_LOG_H
#define QUEUE_QUEUE_LOG_H

#include "queue/envelope.h"

/* When what happened to a recipient: milliseconds since 1970, and how long the parts of the transaction took. */
struct queue_log_times {
	uint64_t arrived_ms;
	uint64_t active_ms;
	uint64_t started_ms; /* 0: no transaction was begun */
	uint64_t now_ms;
	uint64_t setup_ms;
	uint64_t transfer_ms;
};

/* "from=<>, size=, nrcpt= (queue active)" */
void queue_log_active(const char *id, const struct envelope *e);
/* "to=<>, orig_to=<>, relay=, delay=, delays=a/b/c/d, dsn=, status= (...) tls= cipher= policy=" of the recipient's last attempt. */
void queue_log_recipient(const char *id, const struct recipient *r, const struct queue_log_times *times);

/* Seconds with about two digits that count: "0.04", "1.3", "250"; for the delays. */
void queue_log_seconds(char *dst, size_t size, uint64_t ms);

#endif
