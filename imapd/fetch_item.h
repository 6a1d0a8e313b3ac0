/*
 * What a FETCH asks for (RFC 3501 6.4.5): macros are spelled out, sections taken apart. Pure.
 */
#ifndef IMAPD_FETCH_ITEM_H
#define IMAPD_FETCH_ITEM_H

#include "imapd/parse.h"

#define FETCH_SECTIONS_MAX 200 /* in one command */

enum fetch_item {
	FETCH_UID = 1 << 0,
	FETCH_FLAGS = 1 << 1,
	FETCH_INTERNALDATE = 1 << 2,
	FETCH_SIZE = 1 << 3,
	FETCH_ENVELOPE = 1 << 4,
	FETCH_BODY = 1 << 5,
	FETCH_BODYSTRUCTURE = 1 << 6,
};

enum section_text {
	SECTION_ALL, /* of the message, or of the part */
	SECTION_HEADER,
	SECTION_HEADER_FIELDS,
	SECTION_HEADER_FIELDS_NOT,
	SECTION_TEXT,
	SECTION_MIME,
};

struct fetch_section {
	struct fetch_section *next;
	/* How it is named in the answer. */
	enum {
		FETCH_AS_BODY, /* BODY[...] */
		FETCH_AS_RFC822,
		FETCH_AS_RFC822_HEADER,
		FETCH_AS_RFC822_TEXT,
	} as;
	bool peek; /* does not set \Seen */
	uint32_t *numbers; /* of the part: 1.2.3 */
	size_t depth;
	enum section_text text;
	struct str *fields; /* names, for HEADER_FIELDS and HEADER_FIELDS_NOT */
	size_t nfields;
	bool partial;
	uint32_t start, count;
};

struct fetch_items {
	unsigned items; /* enum fetch_item */
	struct fetch_section *sections; /* in the order of the command */
};

bool fetch_items_parse(struct parse_text *t, struct fetch_items *items);
/* Does fetching them set \Seen? */
bool fetch_items_set_seen(const struct fetch_items *items);

#endif
