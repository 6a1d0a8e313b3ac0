/*
 * What smtpd's workers and its guard say to each other: packets of common/base/msg.h that hold one question (or answer) after
 * the other, as many as came together in one turn of the loop. Also what `merpati clients` is told. Pure.
 */
#ifndef SMTPD_GUARD_MESSAGE_H
#define SMTPD_GUARD_MESSAGE_H

#include "common/base/msg.h"
#include "smtpd/guard_core.h"

enum guard_packet {
	GUARD_QUESTIONS = 1, /* worker to guard */
	GUARD_ANSWERS,	     /* guard to worker */
	GUARD_NEW,	     /* guard to worker: a new guard, who knows none of your sessions */
	GUARD_LIST,	     /* `merpati clients` to guard */
	GUARD_ROWS,	     /* guard to `merpati clients` */
	GUARD_END,	     /* of the rows */
};

enum guard_ask {
	GUARD_ASK_HELLO,      /* a new worker: what its predecessor had is over. No answer */
	GUARD_ASK_CONNECT,    /* first: the address's bytes */
	GUARD_ASK_CONNECTED,  /* the same, of a session that goes on under a new guard. No answer */
	GUARD_ASK_PASSED,     /* it waited for its greeting. No answer */
	GUARD_ASK_MESSAGE,    /* first: login; second: sender */
	GUARD_ASK_RECIPIENTS, /* the same */
	GUARD_ASK_RETURN,     /* the same; count: granted recipients that were not used. No answer */
	GUARD_ASK_GREY,	      /* first: sender; second: recipient */
	GUARD_ASK_GONE,	      /* the report. No answer */
	GUARD_ASK_DRAINING,   /* this worker takes no new clients. No answer */
};

#define GUARD_ASKS (GUARD_ASK_DRAINING + 1)

enum guard_flag {
	GUARD_WANTS_NAME = 1,
	GUARD_WANTS_LISTS = 2,
	GUARD_EXEMPT = 4,
};

#define GUARD_TEXT_MAX 1024

struct guard_question {
	enum guard_ask ask;
	uint64_t session; /* the worker's number of it */
	uint64_t number;  /* of the question, for its answer */
	uint64_t flags;
	uint64_t count;
	struct guard_report report;
	struct str first, second; /* at most GUARD_TEXT_MAX; borrowed from the packet */
};

struct guard_answer {
	uint64_t session, number;
	struct guard_judgement judgement;
	bool known;	 /* it need not wait for its greeting */
	uint64_t errors; /* from its address in the last hour */
	int64_t score;	 /* of the lists */
	struct str name; /* of the client, verified; empty: unknown */
	struct str lists; /* the domains that count against it, with blanks between */
};

void guard_question_add(struct buf *b, const struct guard_question *question);
/* The next of the packet; false at its end, and when it makes no sense (m->bad then). */
bool guard_question_take(struct msg *m, struct guard_question *question);
void guard_answer_add(struct buf *b, const struct guard_answer *answer);
bool guard_answer_take(struct msg *m, struct guard_answer *answer);

/* A line of `merpati clients`. */
struct guard_row {
	enum guard_kind kind;
	struct str bytes; /* of guard_key */
	bool known;	  /* an address that need not wait */
	uint64_t connections;
	uint64_t counts[GUARD_RATES];
	uint64_t used_ms;
};

void guard_row_add(struct buf *b, const struct guard_row *row);
bool guard_row_take(struct msg *m, struct guard_row *row);

#endif
