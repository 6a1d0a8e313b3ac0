/*
 * The protocol core of an IMAP session after login: what the client says, in which state it may say it, and the replies
 * to what is wrong with it. What a command does is the driver's. No descriptor, clock or log.
 *
 *     taken = imap_feed(&imap, bytes);
 *     switch (imap_next(&imap)) ...
 *         IMAP_MORE           feed on
 *         IMAP_COMMAND        imap.command is to be executed; imap_reply ends it
 *         IMAP_APPEND         the arguments of an APPEND are there, imap_append_bytes of message follow: imap_append_begin
 *                             or imap_append_refuse
 *         IMAP_APPEND_CHUNK   a piece of it: imap_append_chunk, then imap_append_go_on. At its end comes IMAP_COMMAND
 *         IMAP_APPEND_ABORT   it ends without a command: the client's mistake, which is already answered
 *         IMAP_IDLE_DONE      the client ends its IDLE: imap_reply
 *         IMAP_CLOSE          the last words are in `out`
 */
#ifndef IMAPD_IMAP_H
#define IMAPD_IMAP_H

#include "common/base/buf.h"
#include "imapd/command.h"
#include "imapd/reader.h"

#define IMAP_COMMAND_MAX_BYTES (1024 * 1024) /* with its literals, but without the message of an APPEND */
#define IMAP_ARENA_BYTES (16 * 1024 * 1024)  /* what the arguments of such a command need at most */
#define IMAP_LITERALS_MAX 1000		     /* in one command */
#define IMAP_ERRORS_MAX 50		     /* one after the other; then the session ends */

enum imap_state {
	IMAP_AUTHENTICATED,
	IMAP_SELECTED,
	IMAP_ENDED,
};

enum imap_need {
	IMAP_MORE,
	IMAP_COMMAND,
	IMAP_APPEND,
	IMAP_APPEND_CHUNK,
	IMAP_APPEND_ABORT,
	IMAP_IDLE_DONE,
	IMAP_CLOSE,
};

struct imap {
	struct buf *out;
	struct reader reader;
	struct arena arena; /* of the command */
	struct command command;
	enum imap_state state;
	enum {
		IMAP_BETWEEN,	/* commands */
		IMAP_RUNNING,	/* a command: the driver has it */
		IMAP_ANNOUNCED, /* an APPEND's message; the driver decides */
		IMAP_APPENDING,
		IMAP_IDLING,
	} phase;
	const char *refusal; /* of the command whose literal is being passed over: what follows the tag */
	unsigned literals; /* of the command */
	unsigned errors;
};

/* out: where replies are appended; the driver's. */
void imap_init(struct imap *imap, struct buf *out);
void imap_clear(struct imap *imap);

/* Takes nothing while the driver has a command or a chunk. */
size_t imap_feed(struct imap *imap, struct str bytes);
enum imap_need imap_next(struct imap *imap);

/* Ends the command: "TAG OK ...", with what follows the tag. The text is ours, not a peer's. */
void imap_reply(struct imap *imap, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for a text of any length: append it to out between the two. */
void imap_reply_begin(struct imap *imap);
void imap_reply_end(struct imap *imap);
/* SELECT and its opposite; only while a command runs. */
void imap_set_state(struct imap *imap, enum imap_state state);
/* IDLE was accepted: "+ idling". */
void imap_idle(struct imap *imap);
bool imap_is_idle(const struct imap *imap);

uint64_t imap_append_bytes(const struct imap *imap);
void imap_append_begin(struct imap *imap);
/* reply: as of imap_reply, a constant. */
void imap_append_refuse(struct imap *imap, const char *reply);
/* The chunk is borrowed from what was fed last, and must be taken before that moves. */
bool imap_has_chunk(const struct imap *imap);
struct str imap_append_chunk(const struct imap *imap);
void imap_append_go_on(struct imap *imap);

#endif
