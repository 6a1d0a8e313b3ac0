/*
 * One command off the wire: lines that end in CRLF, and the literals between them, put together as the bytes that came,
 * so that a command is parsed as a whole. The reader decides nothing: at each literal it stops and its owner says what is
 * to become of it. Pure.
 *
 *     taken = reader_feed(&r, bytes);           as long as it says READER_MORE and there are bytes
 *     READER_COMMAND    reader_command; then reader_next for the next one
 *     READER_LITERAL    r.literal_bytes are announced: reader_collect, _stream, _skip or reader_next (when the client
 *                       waits for leave to send: it then sends a new command instead)
 *     READER_STREAM     reader_chunk: a piece of a literal that is streamed
 *     READER_TOO_LONG   the command passed the limit; nothing more can be understood
 *     READER_MALFORMED  a CR or LF alone, or a NUL, in a line: the same
 */
#ifndef IMAPD_READER_H
#define IMAPD_READER_H

#include "common/base/buf.h"

enum reader_event {
	READER_MORE,
	READER_COMMAND,
	READER_LITERAL,
	READER_STREAM,
	READER_TOO_LONG,
	READER_MALFORMED,
};

enum reader_mode {
	READER_LINE,
	READER_COLLECTING,
	READER_STREAMING,
	READER_SKIPPING,
};

struct reader {
	struct buf command; /* lines with their CRLF, and collected literals */
	enum reader_event event;
	enum reader_mode mode;
	size_t line;		/* where in `command` the line begins that is being read */
	uint64_t literal_bytes; /* of the literal: announced, then how many are still to come */
	bool literal_waits;	/* the client waits for "+" (no LITERAL+, RFC 7888) */
	struct str chunk;	/* READER_STREAM: borrowed from what was fed */
};

/* max_bytes: of a command with its collected literals. */
void reader_init(struct reader *r, size_t max_bytes);
/* Wipes: commands hold passwords. */
void reader_clear(struct reader *r);

/* Returns how much was taken; stops at every event but MORE. Takes nothing while an event waits for its answer. */
size_t reader_feed(struct reader *r, struct str bytes);

/* The command without its last CRLF; borrowed until reader_next. */
struct str reader_command(const struct reader *r);
/* What has come of it, at any time: for its tag. At READER_LITERAL: up to and with the announcement, without CRLF. */
struct str reader_so_far(const struct reader *r);

/* After COMMAND, and after a LITERAL that is refused while the client waits. */
void reader_next(struct reader *r);
/* After LITERAL: it becomes part of the command ... */
void reader_collect(struct reader *r);
/* ... or comes as chunks, each to be answered by reader_go_on, and the command goes on behind it ... */
void reader_stream(struct reader *r);
void reader_go_on(struct reader *r);
/* ... or is passed over. Both leave the announcement without its bytes in the command. */
void reader_skip(struct reader *r);

#endif
