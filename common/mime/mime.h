/*
 * The structure of a message (RFC 2045, 2046): one pass over its bytes in pieces of any size, linear, no body byte is
 * kept. The result is a tree of parts that says where each header and body lies, in the file (where lines may end in
 * LF alone) and in octets as they are on the wire (where every line ends in CRLF).
 *
 * Any bytes are a message. Limits: MIME_DEPTH_MAX, MIME_PARTS_MAX, MIME_HEADER_MAX; what lies beyond them stays
 * unparsed within the part that it is in. A multipart without a part gets an empty text/plain one, and a message part
 * always has the one message in it, so that whoever writes a BODYSTRUCTURE never meets an empty list.
 */
#ifndef COMMON_MIME_H
#define COMMON_MIME_H

#include "common/base/buf.h"
#include "common/mime/mime_field.h"

#define MIME_DEPTH_MAX 50
#define MIME_PARTS_MAX 1000
#define MIME_HEADER_MAX (1024 * 1024) /* bytes of all headers that are looked at */
#define MIME_BOUNDARY_MAX 250	      /* RFC 2046 says 70, mail says more */
#define MIME_ARENA_BYTES (16 * 1024 * 1024) /* no message needs more of an arena */

enum mime_kind {
	MIME_LEAF,
	MIME_MULTIPART,
	MIME_MESSAGE, /* message/rfc822: its only child is the message in it */
};

struct mime_position {
	uint64_t offset; /* bytes of the file */
	uint64_t octets; /* on the wire */
	uint64_t lines;
};

struct mime_span {
	uint64_t offset; /* in the file */
	uint64_t bytes;	 /* in the file */
	uint64_t octets; /* on the wire */
	uint64_t lines;	 /* line ends in it */
};

struct mime_part {
	struct mime_part *parent;
	struct mime_part *next; /* the parent's next child */
	struct mime_part *first, *last;
	enum mime_kind kind;
	struct mime_span header; /* with the empty line behind it */
	struct mime_span body;	 /* without the line end that belongs to the boundary behind it */
	struct mime_type content_type;
	bool has_content_type; /* as written; else type, subtype are the default */
	struct mime_disposition disposition; /* .kind.n is 0 when absent */
	struct mime_language *languages;
	/* .p is NULL when absent */
	struct str id, description, encoding, md5, location;
	struct str header_text; /* of a message (the root, the child of MIME_MESSAGE): for its ENVELOPE */
	/* While it is being parsed: a span that is still open holds the position of its beginning. */
	struct str boundary;
	bool ended; /* its closing boundary was seen */
};

struct mime_parser {
	struct arena *arena;
	struct mime_part *root;
	struct mime_part *part; /* the innermost open one */
	bool in_header;
	bool failed; /* the arena is full */
	unsigned parts;
	unsigned depth;
	struct buf header; /* of `part` */
	size_t header_lines; /* bytes of its whole lines */
	size_t header_left;
	struct mime_position now, line_start, line_end; /* line_end: before the line end of the line before */
	char line[MIME_BOUNDARY_MAX + 8]; /* the beginning of the line */
	size_t line_n;
	bool line_cut;	/* what does not fit into `line` was not only blanks */
	char last_byte;
};

/* a: the tree is made there. */
void mime_init(struct mime_parser *p, struct arena *a);
void mime_feed(struct mime_parser *p, struct str bytes);
/* The root, or NULL when the arena was full. */
struct mime_part *mime_finish(struct mime_parser *p);
/* Frees what is not in the arena. */
void mime_clear(struct mime_parser *p);

/* The next field of a header: value with folding, without the last line end. False at the end of the header. */
bool mime_field_next(struct str *header, struct str *name, struct str *value);

bool mime_is_type(const struct mime_part *part, const char *type, const char *subtype);

#endif
