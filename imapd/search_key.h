/*
 * What a SEARCH asks for (RFC 3501 6.4.4), as a tree. Pure.
 *
 * Keys that need the message's file are numbered, so that what was found out about a message can be noted beside the
 * tree; search_eval says "unknown" as long as what is not known yet matters.
 */
#ifndef IMAPD_SEARCH_KEY_H
#define IMAPD_SEARCH_KEY_H

#include "imapd/seqset.h"

#define SEARCH_DEPTH_MAX 200
#define SEARCH_KEYS_MAX 2000
#define SEARCH_CONTENT_KEYS_MAX 500

enum search_kind {
	SEARCH_AND, /* all of `first` and its siblings */
	SEARCH_OR,
	SEARCH_NOT,
	SEARCH_ALL,
	SEARCH_SEQUENCE,
	SEARCH_UIDS,
	SEARCH_FLAGS,	  /* all of `flags` are set */
	SEARCH_RECENT,
	SEARCH_KEYWORD,
	SEARCH_BEFORE,	  /* internal date */
	SEARCH_ON,
	SEARCH_SINCE,
	SEARCH_LARGER,
	SEARCH_SMALLER,
	/* From here on: of the file. */
	SEARCH_SENT_BEFORE,
	SEARCH_SENT_ON,
	SEARCH_SENT_SINCE,
	SEARCH_HEADER, /* `field` holds `text`; with an empty text: is there */
	SEARCH_BODY,
	SEARCH_TEXT,
};

struct search_key {
	struct search_key *next;  /* of the same parent */
	struct search_key *first; /* AND, OR (two), NOT (one) */
	enum search_kind kind;
	unsigned content; /* index, of keys that need the file */
	unsigned flags;	  /* enum maildir_flag */
	uint32_t number;  /* LARGER, SMALLER */
	int64_t day;	  /* days since 1970 */
	struct str field;
	struct str text; /* in the command's charset as parsed */
	struct seqset set;
};

struct search {
	struct str charset; /* .n is 0 when none was given */
	struct search_key *root;
	unsigned keys, content_keys;
	bool needs_date; /* a key wants the internal date */
	bool needs_body; /* a key wants more than the header */
};

bool search_parse(struct parse_text *t, struct search *search);

/* Calls visit for each key, parents first. */
void search_walk(struct search_key *key, void (*visit)(struct search_key *key, void *context), void *context);

enum search_truth {
	SEARCH_NO,
	SEARCH_YES,
	SEARCH_UNKNOWN,
};

/* What is known of one message. */
struct search_facts {
	uint32_t sequence, uid;
	unsigned flags;
	bool recent;
	uint64_t wire_size;
	bool has_day;
	int64_t day; /* of the internal date */
	const enum search_truth *content; /* by search_key.content */
	bool (*has_keyword)(const struct search_facts *facts, struct str keyword);
};

/* Sets must have been resolved. UNKNOWN only while a content key or the day is unknown and matters. */
enum search_truth search_eval(const struct search_key *key, const struct search_facts *facts);

#endif
