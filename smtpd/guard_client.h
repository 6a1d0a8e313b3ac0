/*
 * A worker's side of the guard. Each session that is to be counted has a link; its questions are answered by the guard
 * or, when the guard is dead or hangs, after a short deadline with yes: mail goes on. What comes together in one turn of
 * the loop is sent as one packet.
 */
#ifndef SMTPD_GUARD_CLIENT_H
#define SMTPD_GUARD_CLIENT_H

#include "common/base/tree.h"
#include "smtpd/guard_message.h"

struct guard_link;

RB_HEAD(guard_links, guard_link);

struct guard_client_side {
	struct loop *loop;
	struct channel channel;
	struct guard_links links;
	uint64_t sessions; /* numbers given so far */
	struct buf batch;
	struct loop_deferred flush;
	uint64_t questions_ms; /* how long an answer may take that needs no DNS */
	bool met;    /* it has said something */
	bool silent; /* it let a question lie, and nothing came since: nobody waits for it */
};

struct guard_link {
	struct guard_client_side *side; /* NULL: not open */
	RB_ENTRY(guard_link) link;
	uint64_t session, number;
	unsigned char address[16];
	unsigned char address_n;
	bool exempt;
	/* The question under way, or NULL. */
	void (*answered)(struct guard_link *link, const struct guard_answer *answer);
	struct loop_timer deadline;
};

/* fd: the pair to the guard; it is the side's from now on. */
void guard_client_start(struct guard_client_side *side, struct loop *loop, int fd);
/* This worker takes no new clients. */
void guard_client_drain(struct guard_client_side *side);
/* Sends what waits for the end of the turn; for the end of the process. */
void guard_client_flush(struct guard_client_side *side);

/* address: 4 or 16 bytes. exempt: of no limit but the login's. Says nothing to the guard yet. */
void guard_link_open(struct guard_client_side *side, struct guard_link *link, struct str address, bool exempt);
/* Asks; one question at a time. answered is called once, from the loop, unless the link is closed before; the answer
 * lives during the call. session, number and exempt flag of the question are set here. */
void guard_link_ask(struct guard_link *link, struct guard_question *question, uint64_t timeout_ms,
    void (*answered)(struct guard_link *, const struct guard_answer *));
/* The answer is not awaited any more. Harmless when there is no question. */
void guard_link_cancel(struct guard_link *link);
/* Says something that has no answer. */
void guard_link_tell(struct guard_link *link, struct guard_question *question);
/* The session is over, which the report says to the guard. Harmless when not open. */
void guard_link_close(struct guard_link *link, const struct guard_report *report);

#endif
