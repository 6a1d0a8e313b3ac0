#include "queue/downconvert.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/mime/mime.h"
#include "common/mime/mime_encode.h"
#include "queue/downconvert_header.h"

/* A header, a body, and what is between parts for each of them, and the end. */
#define SEGMENTS_MAX (4 * MIME_PARTS_MAX + 4)
#define NO_PARENT UINT16_MAX

enum segment_kind {
	SEGMENT_HEADER,
	SEGMENT_BODY, /* of a leaf */
	SEGMENT_GAP,  /* boundaries, and the text around them that nobody reads */
};

struct segment {
	uint64_t end; /* where in the message it ends */
	uint16_t part;
	uint8_t kind;
	/* What was found in it. */
	bool has_high, has_nul, has_bare, has_long;
	bool has_odd_boundary; /* a line that looks like one, with 8-bit characters */
};

/* What is kept of a part. */
struct part {
	uint16_t parent;
	uint8_t depth; /* of the message itself: 1 */
	bool is_text, is_message_root, is_protected; /* signed or encrypted, or within that */
	bool is_fixed;	      /* it must not be encoded, by its type; or it is encoded, or nobody knows how */
	bool has_type;	      /* a Content-Type */
	bool says_more;	      /* 8bit or binary, which the target must not be told */
	bool is_changed;      /* it, or a part within */
	enum mime_encoding to; /* of a leaf: IDENTITY stays as it is */
};

struct downconvert {
	enum downconvert_target target;
	struct arena arena;
	struct mime_parser parser;
	bool is_too_complex, has_protected;
	struct part *parts;
	size_t nparts;
	struct segment *segments;
	size_t nsegments;

	/* A pass: */
	uint64_t at;
	size_t segment;
	size_t line; /* bytes of the line so far */
	unsigned hyphens; /* that it begins with, two at most */
	bool cr;     /* the last byte was a CR */
	struct mime_encoder encoder;
	struct downconvert_header header;
};

struct downconvert *
downconvert_new(enum downconvert_target target)
{
	struct downconvert *d = calloc(1, sizeof *d);

	if (d == NULL)
		fatal("out of memory for a conversion");
	d->target = target;
	arena_init(&d->arena, MIME_ARENA_BYTES);
	mime_init(&d->parser, &d->arena);
	return d;
}

void
downconvert_free(struct downconvert *d)
{
	if (d == NULL)
		return;
	mime_clear(&d->parser);
	arena_clear(&d->arena);
	free(d->parts);
	free(d->segments);
	free(d);
}

/* --- the first pass: structure ------------------------------------------------------------------------------------- */

void
downconvert_parse(struct downconvert *d, struct str bytes)
{
	mime_feed(&d->parser, bytes);
}

/* Nothing for one of no length. */
static void
segment_add(struct downconvert *d, enum segment_kind kind, uint64_t end, size_t part)
{
	if (end <= d->at || d->nsegments >= SEGMENTS_MAX)
		return;
	d->segments[d->nsegments++] = (struct segment){.end = end, .kind = (uint8_t)kind, .part = (uint16_t)part};
	d->at = end;
}

/* RFC 2046 5.2: of message only what RFC 6532 and 6533 made may be encoded. */
static bool
is_fixed_type(const struct mime_part *part)
{
	return str_equal_nocase(part->content_type.type, STR("message")) &&
	    !str_starts_nocase(part->content_type.subtype, STR("global"));
}

static bool
says_more(struct str encoding, enum downconvert_target target)
{
	return str_equal_nocase(encoding, STR("binary")) ||
	    (target == DOWNCONVERT_TO_7BIT && str_equal_nocase(encoding, STR("8bit")));
}

static bool
is_plain_encoding(struct str encoding)
{
	return encoding.p == NULL || str_equal_nocase(encoding, STR("7bit")) || str_equal_nocase(encoding, STR("8bit")) ||
	    str_equal_nocase(encoding, STR("binary"));
}

static bool
is_protecting(const struct mime_part *part)
{
	return mime_is_type(part, "multipart", "signed") || mime_is_type(part, "multipart", "encrypted");
}

static void
part_add(struct downconvert *d, const struct mime_part *from, uint16_t parent)
{
	struct part *part = &d->parts[d->nparts++];
	uint8_t depth = parent == NO_PARENT ? 1 : d->parts[parent].depth + 1;

	*part = (struct part){
	    .parent = parent,
	    .depth = depth,
	    .is_text = str_equal_nocase(from->content_type.type, STR("text")),
	    .is_message_root = from->parent == NULL || from->parent->kind == MIME_MESSAGE,
	    .is_protected = parent != NO_PARENT && (d->parts[parent].is_protected || is_protecting(from->parent)),
	    .is_fixed = is_fixed_type(from) || !is_plain_encoding(from->encoding),
	    .has_type = from->has_content_type,
	    .says_more = says_more(from->encoding, d->target),
	    .to = MIME_IDENTITY,
	};
	d->has_protected = d->has_protected || part->is_protected;
	d->is_too_complex = d->is_too_complex || depth >= MIME_DEPTH_MAX;
}

/* The next in the order of the message. *parent: its parent's number, which is kept in step with the way through the tree. */
static const struct mime_part *
tree_next(const struct downconvert *d, const struct mime_part *part, uint16_t number, uint16_t *parent)
{
	if (part->first != NULL) {
		*parent = number;
		return part->first;
	}
	*parent = d->parts[number].parent;
	while (part != NULL && part->next == NULL) {
		part = part->parent;
		if (*parent != NO_PARENT)
			*parent = d->parts[*parent].parent;
	}
	return part != NULL ? part->next : NULL;
}

static void
tree_flatten(struct downconvert *d, const struct mime_part *root)
{
	uint16_t parent = NO_PARENT;

	d->at = 0;
	for (const struct mime_part *part = root; part != NULL;) {
		size_t number = d->nparts;

		part_add(d, part, parent);
		segment_add(d, SEGMENT_GAP, part->header.offset, 0);
		segment_add(d, SEGMENT_HEADER, part->header.offset + part->header.bytes, number);
		if (part->kind == MIME_LEAF)
			segment_add(d, SEGMENT_BODY, part->body.offset + part->body.bytes, number);
		part = tree_next(d, part, (uint16_t)number, &parent);
	}
	segment_add(d, SEGMENT_GAP, UINT64_MAX, 0);
}

void
downconvert_parse_end(struct downconvert *d)
{
	const struct mime_part *root = mime_finish(&d->parser);

	/* Beyond its limits the parser shows parts as what they are not. */
	d->is_too_complex = root == NULL || d->parser.parts >= MIME_PARTS_MAX || d->parser.header_left == 0;
	if (!d->is_too_complex) {
		d->parts = calloc(d->parser.parts + 1, sizeof *d->parts);
		d->segments = calloc(SEGMENTS_MAX, sizeof *d->segments);
		if (d->parts == NULL || d->segments == NULL)
			fatal("out of memory for a conversion");
		tree_flatten(d, root);
	}
	mime_clear(&d->parser);
	arena_clear(&d->arena);
	downconvert_begin(d);
}

/* --- the second pass: what is in it -------------------------------------------------------------------------------- */

static void
segment_look(struct downconvert *d, struct segment *segment, struct str bytes)
{
	for (size_t i = 0; i < bytes.n; i++) {
		char c = bytes.p[i];

		d->hyphens += d->line < 2 && c == '-' && d->hyphens == d->line;
		segment->has_high |= (unsigned char)c > 127;
		segment->has_odd_boundary |= (unsigned char)c > 127 && d->hyphens == 2;
		segment->has_nul |= c == '\0';
		segment->has_bare |= d->cr != (c == '\n');
		d->cr = c == '\r';
		d->line = c == '\n' ? 0 : d->line + 1;
		d->hyphens = c == '\n' ? 0 : d->hyphens;
		segment->has_long |= d->line > (size_t)DOWNCONVERT_LINE_MAX + (c == '\r');
	}
}

/* Takes what belongs to the present segment off the bytes; NULL when there are none. A segment is done when it is behind
 * d->at. */
static struct segment *
segment_take(struct downconvert *d, struct str *bytes, struct str *piece)
{
	struct segment *segment;
	uint64_t left;

	if (bytes->n == 0 || d->segment >= d->nsegments)
		return NULL;
	segment = &d->segments[d->segment];
	left = segment->end - d->at;
	*piece = str_sub(*bytes, 0, left < bytes->n ? (size_t)left : bytes->n);
	*bytes = str_skip(*bytes, piece->n);
	d->at += piece->n;
	return segment;
}

static bool
is_segment_done(const struct downconvert *d)
{
	return d->segment < d->nsegments && d->at == d->segments[d->segment].end;
}

void
downconvert_look(struct downconvert *d, struct str bytes)
{
	struct segment *segment;
	struct str piece;

	while ((segment = segment_take(d, &bytes, &piece)) != NULL) {
		segment_look(d, segment, piece);
		if (is_segment_done(d)) {
			segment->has_bare |= d->cr && segment->kind == SEGMENT_BODY;
			d->cr = d->cr && segment->kind != SEGMENT_BODY;
			d->segment++;
		}
	}
}

/* --- the decision -------------------------------------------------------------------------------------------------- */

static bool
must_change(const struct downconvert *d, const struct segment *s)
{
	return s->has_nul || s->has_bare || s->has_long || (s->has_high && d->target == DOWNCONVERT_TO_7BIT);
}

/* Its own header and those of the messages that it is in tell of it. */
static void
mark_changed(struct downconvert *d, uint16_t part)
{
	for (uint16_t at = part; at != NO_PARENT; at = d->parts[at].parent)
		d->parts[at].is_changed = true;
}

/* Why not; NULL: it is decided how. */
static const char *
body_decide(struct downconvert *d, const struct segment *segment)
{
	struct part *part = &d->parts[segment->part];

	if (!must_change(d, segment))
		return NULL;
	if (part->is_protected)
		return "what would have to be converted is signed or encrypted";
	if (part->is_fixed)
		return "what would have to be converted is not encoded as it says, or must not be encoded";
	part->to = part->is_text && !segment->has_nul ? MIME_QUOTED_PRINTABLE : MIME_BASE64;
	mark_changed(d, segment->part);
	return NULL;
}

static const char *
segment_decide(struct downconvert *d, const struct segment *segment)
{
	switch ((enum segment_kind)segment->kind) {
	case SEGMENT_BODY:
		return body_decide(d, segment);
	case SEGMENT_HEADER:
		if (segment->has_high && d->target == DOWNCONVERT_TO_7BIT)
			return "the header has 8-bit characters";
		break;
	case SEGMENT_GAP:
		if (!segment->has_high || d->target != DOWNCONVERT_TO_7BIT)
			break;
		if (segment->has_odd_boundary)
			return "a line that looks like a boundary has 8-bit characters";
		if (d->has_protected)
			return "there are 8-bit characters around what is signed or encrypted";
		mark_changed(d, segment->part);
		break;
	}
	return NULL;
}

enum downconvert_need
downconvert_decide(struct downconvert *d, const char **why)
{
	*why = "its structure is too deep, or has too many parts";
	if (d->is_too_complex)
		return DOWNCONVERT_IMPOSSIBLE;
	for (size_t i = 0; i < d->nsegments; i++) {
		*why = segment_decide(d, &d->segments[i]);
		if (*why != NULL)
			return DOWNCONVERT_IMPOSSIBLE;
	}
	return d->nparts > 0 && d->parts[0].is_changed ? DOWNCONVERT_NEEDED : DOWNCONVERT_NOT_NEEDED;
}

/* --- the third pass: writing --------------------------------------------------------------------------------------- */

static const char *
encoding_name(const struct downconvert *d, const struct part *part)
{
	switch (part->to) {
	case MIME_QUOTED_PRINTABLE:
		return "quoted-printable";
	case MIME_BASE64:
		return "base64";
	case MIME_IDENTITY:
		break;
	}
	if (part->says_more && !part->is_protected)
		return d->target == DOWNCONVERT_TO_7BIT ? "7bit" : "8bit";
	return NULL;
}

static void
header_begin(struct downconvert *d, const struct part *part)
{
	bool is_message = part->is_message_root && part->is_changed;

	d->header = (struct downconvert_header){
	    .encoding = encoding_name(d, part),
	    .add_mime = is_message,
	    .add_type = is_message && !part->has_type && part->to != MIME_IDENTITY,
	};
}

static void
segment_begin(struct downconvert *d)
{
	const struct segment *segment = d->segment < d->nsegments ? &d->segments[d->segment] : NULL;

	if (segment == NULL)
		return;
	if (segment->kind == SEGMENT_HEADER)
		header_begin(d, &d->parts[segment->part]);
	else if (segment->kind == SEGMENT_BODY)
		d->encoder = (struct mime_encoder){.encoding = d->parts[segment->part].to};
}

void
downconvert_begin(struct downconvert *d)
{
	d->at = 0;
	d->segment = 0;
	d->line = 0;
	d->hyphens = 0;
	d->cr = false;
	segment_begin(d);
}

/* Nobody reads it, so that it need not be understood. */
static void
gap_write(const struct downconvert *d, struct str bytes, struct buf *out)
{
	size_t begin = out->n;

	buf_add(out, bytes);
	for (size_t i = begin; i < out->n && d->target == DOWNCONVERT_TO_7BIT; i++)
		if ((unsigned char)out->p[i] > 127)
			out->p[i] = '?';
}

static void
segment_write(struct downconvert *d, const struct segment *segment, struct str bytes, struct buf *out)
{
	switch ((enum segment_kind)segment->kind) {
	case SEGMENT_HEADER:
		downconvert_header_write(&d->header, bytes, out);
		break;
	case SEGMENT_BODY:
		mime_encode(&d->encoder, bytes, out);
		break;
	case SEGMENT_GAP:
		gap_write(d, bytes, out);
		break;
	}
}

static void
segment_end(struct downconvert *d, const struct segment *segment, struct buf *out)
{
	if (segment->kind == SEGMENT_HEADER)
		downconvert_header_end(&d->header, out);
	else if (segment->kind == SEGMENT_BODY)
		mime_encode_end(&d->encoder, out);
	d->segment++;
	segment_begin(d);
}

void
downconvert_write(struct downconvert *d, struct str bytes, struct buf *out)
{
	const struct segment *segment;
	struct str piece;

	while ((segment = segment_take(d, &bytes, &piece)) != NULL) {
		segment_write(d, segment, piece, out);
		if (is_segment_done(d))
			segment_end(d, segment, out);
	}
}

/* All segments but the last, which has no end of its own, ended with their last byte. */
void
downconvert_end(struct downconvert *d, struct buf *out)
{
	if (d->segment < d->nsegments && d->segments[d->segment].kind != SEGMENT_GAP)
		segment_end(d, &d->segments[d->segment], out);
}
