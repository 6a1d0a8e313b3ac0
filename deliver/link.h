/*
 * A front's links to writers: which writer an address belongs to, and letters on their way to it. The parent is asked
 * when that is not known; what it said is remembered for a while. Writers without work are let go after a while.
 */
#ifndef DELIVER_LINK_H
#define DELIVER_LINK_H

#include <bsd/sys/queue.h>

#include "common/daemon/daemon.h"
#include "common/base/tree.h"
#include "deliver/handoff.h"

#define LINKS_KNOWN_MAX 20000 /* addresses that are remembered */
#define LINKS_KNOWN_MS 60000  /* for so long */

struct link_known;
struct link_letter;
struct link_question;

TAILQ_HEAD(link_letters, link_letter);

/* One writer process. */
struct link {
	struct links *links;
	char *key; /* its account */
	struct channel channel;
	struct link_letters letters; /* sent, not yet answered */
	size_t holders;		     /* transactions that count on it */
	bool dead;		     /* its process is gone; the struct stays until the last holder lets go */
	struct loop_timer idle;
	RB_ENTRY(link) by_key;
	TAILQ_ENTRY(link) by_use; /* the least recently used first */
};

RB_HEAD(link_tree, link);
RB_HEAD(link_known_tree, link_known);
TAILQ_HEAD(link_list, link);
TAILQ_HEAD(link_known_list, link_known);
LIST_HEAD(link_questions, link_question);

struct links {
	struct daemon_self *self;
	uint64_t linger_ms;
	size_t max; /* writers */
	size_t n;
	struct link_tree tree;
	struct link_list list;
	struct link_known_tree known;
	struct link_known_list known_list; /* the oldest first */
	size_t nknown;
	struct link_questions questions;
	uint32_t last_id;
	struct buf message;
};

void links_init(struct links *links, struct daemon_self *self);
/* Ends all writers. Nothing may be held or under way any more. */
void links_clear(struct links *links);

/* --- whose mailbox? ------------------------------------------------------------------------------------------------------ */

struct link_question {
	/* found FOUND: link is held for the asker, who lets go of it with link_release. May be called from inside
	 * link_ask. */
	void (*answered)(struct link_question *question, enum handoff_found found, struct link *link);
	struct links *links; /* NULL: nothing is asked */
	uint32_t id;
	bool wants_writer;
	char address[HANDOFF_ADDRESS_MAX + 1];
	LIST_ENTRY(link_question) entry;
};

/* The question must not be under way. */
void link_ask(struct links *links, struct link_question *question, struct str address,
    void (*answered)(struct link_question *, enum handoff_found, struct link *));
/* Harmless when nothing is asked. */
void link_cancel(struct link_question *question);
void link_hold(struct link *link);
void link_release(struct link *link);
/* What the parent sends. */
void links_received(struct links *links, struct msg *m);

/* --- letters ------------------------------------------------------------------------------------------------------------- */

struct link_letter {
	/* Once, never from inside link_send. result has as many recipients as the letter; all in trouble when the writer
	 * died. */
	void (*answered)(struct link_letter *letter, const struct handoff_result *result);
	struct link *link; /* NULL: not under way */
	uint32_t id;
	size_t nrecipients;
	TAILQ_ENTRY(link_letter) entry;
};

/* fd: of the content, if letter->in_file. False: the writer is gone or takes nothing more; answered is not called. */
bool link_send(struct link *link, struct link_letter *out, const struct handoff_letter *letter, int fd,
    void (*answered)(struct link_letter *, const struct handoff_result *));

#endif
