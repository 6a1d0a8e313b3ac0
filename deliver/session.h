/*
 * One LMTP connection: the stream, the protocol core, and the answers to its questions: whose mailbox a recipient is
 * (link.h), and whether a message was delivered there. It frees itself when the connection is over.
 */
#ifndef DELIVER_SESSION_H
#define DELIVER_SESSION_H

#include "common/smtp/smtp_server.h"
#include "common/net/stream.h"
#include "deliver/front.h"
#include "deliver/link.h"
#include "deliver/spool.h"

#define SESSION_RECIPIENTS_MAX 1000 /* of a message */

/* Where the letter for a recipient goes. */
struct session_target {
	struct smtp_recipient *recipient;
	struct link *link; /* held */
	bool sent;
};

struct session {
	struct front *front;
	TAILQ_ENTRY(session) link;
	struct stream stream;
	struct smtp_server smtp;
	struct smtp_counters counters;
	struct link_question question;
	struct session_target *targets;
	size_t ntargets, max_targets;
	struct spool spool;
	bool spooling;
	LIST_HEAD(, session_letter) letters; /* under way */
	bool running;			     /* inside of its steps */
	bool leaving;			     /* goodbye was said */
};

/* Takes the descriptor. */
void session_new(struct front *front, int fd);
/* Ends it as soon as no letter is under way. */
void session_stop(struct session *s);

#endif
