/*
 * The postmaster's commands to queued, over the `queue` socket, as messages of common/base/msg.h with one answer each. Only
 * root and the queue's own user are heard. smtpd, which is not, has the `poke` socket: common/queue/poke.h.
 */
#ifndef QUEUE_CONTROL_H
#define QUEUE_CONTROL_H

#include "common/base/msg.h"

#define CONTROL_FIRST 64

enum control_message {
	CONTROL_REQUEST = CONTROL_FIRST,
	CONTROL_REPLY,
};

enum control_verb {
	CONTROL_RETRY,	 /* now, whatever the time; without ID: all that is deferred */
	CONTROL_HOLD,	 /* not to be tried until released */
	CONTROL_RELEASE, /* from hold */
	CONTROL_DELETE,	 /* without notification */
	CONTROL_WAKE,	 /* what waits for a site, now: .id is the target of queue/wake.h */
	CONTROL_BOUNCE,	 /* returned to its sender with .text as the reason, without a further try */
	CONTROL_REROUTE, /* tried now, and from now on by what .text says: queue/reroute.h */
	CONTROL_STATE,	 /* what queued is doing: the reply's text is of queue/control_report.h, as are those of: */
	CONTROL_SITES,	 /* the sites behind the one whose key is .id, as many as go into a packet */
	CONTROL_WHY,	 /* what a message waits for; .text: domains, with blanks between, whose sites are of interest */
	CONTROL_WHERE,	 /* the sites of the domains in .text, with blanks between; as many as go into a packet */
	CONTROL_VERBS,
};

enum control_status {
	CONTROL_DONE,
	CONTROL_NO_MESSAGE, /* there is none of that ID */
	CONTROL_NOT_SO,	    /* it is in a state for which the command makes no sense */
	CONTROL_FAILED,
	CONTROL_BUSY, /* too much is under way: ask again a little later */
	CONTROL_STATUSES,
};

struct control_request {
	enum control_verb verb;
	struct str id; /* empty: all */
	struct str time; /* of the directory of deferred/ in which it was seen; empty: not known */
	struct str text;
};

struct control_reply {
	enum control_status status;
	struct str text; /* for people */
};

void control_request_encode(struct buf *b, uint32_t id, const struct control_request *request);
bool control_request_decode(struct msg *m, struct control_request *request);
void control_reply_encode(struct buf *b, uint32_t id, const struct control_reply *reply);
bool control_reply_decode(struct msg *m, struct control_reply *reply);

#endif
