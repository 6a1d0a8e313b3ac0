/*
 * A queued message in memory: what the records of its file say, without its content. Pure: records come from
 * common/queue/queue_file.h, bytes to append go out into a buf.
 *
 * The history is the truth: a recipient is delivered, failed or expanded when a record says so. The state byte in the
 * file follows when that record is durable and everything that comes of it (a notification) has been done as well; a
 * byte that no record backs is damage.
 */
#ifndef QUEUE_ENVELOPE_H
#define QUEUE_ENVELOPE_H

#include "common/base/arena.h"
#include "common/queue/queue_file.h"
#include "common/base/siphash.h"

/* An address, a notification address; what a job can carry. */
#define ENVELOPE_ADDRESS_MAX 1024
#define ENVELOPE_NO_PARENT UINT32_MAX
/* How many aliases may stand behind one another. */
#define ENVELOPE_DEPTH_MAX 20

struct recipient {
	struct str address;	/* without <> */
	struct str original;	/* before aliases; .p NULL: the same */
	struct str orcpt;
	struct str notify;
	struct str return_path; /* .p NULL: the message's sender */
	uint64_t offset;	/* of its state byte; 0: not in the file yet */
	uint32_t parent;	/* index of the recipient whose alias it came from */
	uint32_t nchildren;	/* that it became */
	enum queue_state state; /* by the history and what happened since */
	enum queue_state settled; /* by its byte in the file */
	bool recorded;		/* the file's history knows `state` and the last attempt */
	bool told;		/* whoever wants to know of its state has been told, or will be by another */
	/* The last attempt; .code.p NULL: none. */
	uint64_t tried_ms;
	struct str code, relay, reply;
	struct str security; /* of queue_attempt; .p NULL: none */
};

struct envelope {
	struct arena arena;
	struct queue_head head;
	uint64_t end; /* where the next record of the history goes */
	bool cut;     /* the file is longer than that: cut it off before appending */
	uint64_t time_ms;
	struct str sender, client, login, about, ret, envid;
	bool has_envid;
	bool is_8bit, is_binary, is_smtputf8, requires_tls;
	uint64_t release_ms; /* 0: at once */
	struct queue_deliver_by by;
	bool has_priority;
	int priority;
	struct str hold; /* .p not NULL: a filter wants it put on hold, for this reason */
	struct recipient *recipients;
	size_t nrecipients, cap;
	size_t max_recipients;
	size_t written; /* of them are in the file */
	const struct queue_piece *pieces;
	size_t npieces;
	uint64_t deferrals;
	uint64_t due_ms; /* by the last deferral */
	uint64_t warned_ms;
	struct str reroute; /* by command, of queue/reroute.h: the route that it takes, or the host; .p NULL: none */
	uint64_t held_ms; /* 0: it never was on hold */
	size_t children;  /* while reading: in the history, not confirmed yet */
	/* The addresses, once an alias is expanded: a hash table of indices + 1, of a power of two of slots. */
	uint32_t *known;
	size_t known_slots, known_n;
	const struct siphash_key *key;
};

/* key: of the table of addresses; borrowed for the envelope's life. */
void envelope_init(struct envelope *e, size_t max_bytes, size_t max_recipients, const struct siphash_key *key);
void envelope_clear(struct envelope *e);
/* As after envelope_init, but for the memory, of which what most messages need is kept. */
void envelope_reset(struct envelope *e);

/* One record of the file, in order. False with *problem: damaged, or (NULL) a limit was met. */
bool envelope_add(struct envelope *e, const struct queue_record *record, const char **problem);
/* At the end of the file, with what queue_reader_finish said and the file's size. */
bool envelope_finish(struct envelope *e, const struct queue_reader *r, uint64_t good_end, uint64_t size,
    const char **problem);

/* Whom failures of this recipient are told: empty for nobody. */
struct str envelope_return_path(const struct envelope *e, const struct recipient *r);
/* How many are still waiting. */
size_t envelope_waiting(const struct envelope *e);
/* RFC 3461 NOTIFY: does this recipient's sender want to hear of it? word: "FAILURE", "DELAY", "SUCCESS". */
bool envelope_wants(const struct recipient *r, struct str word);
/* It went to another host by SMTP, rather than into a mailbox. */
bool envelope_is_relayed(const struct recipient *r);
/*
 * Does somebody want to hear that it went well: by NOTIFY=SUCCESS, or, of a relay, by DELIVERBY with a trace (RFC 2852)? An
 * alias that stands for one other says nothing: that one does.
 */
bool envelope_wants_success(const struct envelope *e, const struct recipient *r);
/* Must somebody be told of its state before that is settled? */
bool envelope_must_tell(const struct envelope *e, const struct recipient *r);

/* The outcome of an attempt; strings are copied (cut when long). False: the limit was met, the reply is lost. */
bool envelope_attempt(struct envelope *e, size_t index, const struct queue_attempt *attempt);

/*
 * The recipient is an alias for these addresses (separated by commas). Those that the message has already are left
 * out; one that is among the recipient's own ancestors, or itself, is meant literally. return_path as in struct
 * recipient. False: the message would get too many recipients, or too deep; nothing was changed.
 */
bool envelope_expand(struct envelope *e, size_t index, struct str addresses, struct str domain, struct str return_path);
/* Not to be expanded again: its address is one of its own ancestors'. */
bool envelope_is_literal(const struct envelope *e, size_t index);

/* The bytes to append for all that the file does not know yet. */
void envelope_history(struct envelope *e, struct buf *b);
/* They were written: at e->end. */
void envelope_written(struct envelope *e, const struct buf *b);
/*
 * They were not after all: where they began, and how many recipients the file had then. What was only deferred, and is lost
 * with them, is not written again.
 */
void envelope_unwritten(struct envelope *e, uint64_t end, size_t written);
/* Is there anything that a crash would make us do again? */
bool envelope_is_unrecorded(const struct envelope *e);

#endif
