/*
 * How fast a session may go: answers to errors come later and later, a client that dribbles is ended, and so is one that
 * stays too long or guesses recipients. Clients in `networks` and programs of this host are left alone. Pure but for the
 * timer; times are ms of the loop.
 */
#ifndef SMTPD_SESSION_PACE_H
#define SMTPD_SESSION_PACE_H

#include "common/conf/conf.h"
#include "common/base/loop.h"
#include "common/smtp/smtp_server.h"

#define PACE_FREE_ERRORS 3 /* that are answered at once */
#define PACE_STEPS_MAX 20  /* the delay grows no further */
#define PACE_EARLIER_SHARE 50 /* so many errors of earlier sessions count as one of this */
#define PACE_EARLIER_MAX 10
#define PACE_WINDOW_MS 15000 /* over which the rate is looked at */
#define PACE_WINDOWS 2	     /* so many too slow ones in a row end it: a link that was down for a while is no dribble */

struct session_pace {
	bool exempt;
	uint64_t begun_ms;
	/* errors */
	size_t errors;	       /* of the session */
	size_t errors_counted; /* of smtp_counters.errors, which begins anew with each message */
	uint64_t earlier;      /* of earlier sessions, as they count here */
	struct loop_timer slow; /* set: an answer waits */
	/* rate */
	uint64_t window_ms; /* when the window began; 0: nothing is being received */
	uint64_t window_bytes;
	unsigned slow_windows; /* in a row */
	size_t left; /* bytes that were in the input buffer already */
};

enum session_pace_end {
	PACE_FINE,
	PACE_TOO_SLOW,
	PACE_TOO_LONG,
	PACE_GUESSES, /* recipients */
};

void session_pace_init(struct session_pace *pace, bool exempt, uint64_t now_ms);
/* Errors of the last hour from the same address. */
void session_pace_earlier(struct session_pace *pace, uint64_t errors);

/* By how much what is to be answered now must wait: 0 if there was no new error. */
uint64_t session_pace_delay(struct session_pace *pace, const struct smtp_counters *counters, uint64_t step_ms);

/*
 * After each turn of input. buffered: bytes of input that wait for more; receiving: a message is under way. Says too slow
 * when windows in a row are over in which less than `rate` bytes a second came. Time in which the client waited for us does
 * not count: session_pace_rest.
 */
enum session_pace_end session_pace_input(struct session_pace *pace, size_t came, size_t buffered, bool receiving,
    uint64_t rate, uint64_t now_ms);
void session_pace_rest(struct session_pace *pace);

/* Between commands: may the session go on? */
enum session_pace_end session_pace_check(const struct session_pace *pace, const struct smtp_counters *counters,
    const struct conf_smtpd *conf, uint64_t now_ms);

/* Its time is over. */
bool session_pace_is_over(const struct session_pace *pace, const struct conf_smtpd *conf, uint64_t now_ms);
/* In how many ms a session that waits is to be looked at again: at its limit, or after timeout_ms. */
uint64_t session_pace_wait(const struct session_pace *pace, const struct conf_smtpd *conf, uint64_t now_ms);

/* Of the session, for the report. */
unsigned session_pace_recipients(const struct smtp_counters *counters);

#endif
