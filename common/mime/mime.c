#include "common/mime/mime.h"

#include <string.h>

bool
mime_is_type(const struct mime_part *part, const char *type, const char *subtype)
{
	return str_equal_nocase(part->content_type.type, str_from(type)) &&
	    str_equal_nocase(part->content_type.subtype, str_from(subtype));
}

/* The end of the field that begins the header: the line end that no blank follows. */
static size_t
field_length(struct str header)
{
	size_t n = 0;

	while (n < header.n) {
		n += str_find(str_skip(header, n), '\n');
		if (n == header.n)
			break;
		n++;
		if (n == header.n || !ascii_is_blank(header.p[n]))
			break;
	}
	return n;
}

bool
mime_field_next(struct str *header, struct str *name, struct str *value)
{
	while (header->n > 0) {
		struct str field = str_sub(*header, 0, field_length(*header));
		size_t colon = str_find(field, ':');

		*header = str_skip(*header, field.n);
		if (colon == field.n)
			continue;
		*name = str_trim(str_sub(field, 0, colon));
		*value = str_skip(field, colon + 1);
		while (value->n > 0 && (value->p[value->n - 1] == '\n' || value->p[value->n - 1] == '\r'))
			value->n--;
		if (name->n > 0)
			return true;
	}
	return false;
}

/* ---- spans ----------------------------------------------------------------------------------------------------- */

static void
span_open(struct mime_span *span, struct mime_position at)
{
	*span = (struct mime_span){at.offset, 0, at.octets, at.lines};
}

static void
span_close(struct mime_span *span, struct mime_position at)
{
	span->bytes = at.offset - span->offset;
	span->octets = at.octets - span->octets;
	span->lines = at.lines - span->lines;
}

/* Where a part ends whose boundary begins on this line: before the line end in front of it, which is the boundary's,
 * but not before its own beginning. */
static struct mime_position
end_before_line(const struct mime_parser *p)
{
	uint64_t begin = p->in_header ? p->part->header.offset : p->part->body.offset;

	return p->line_end.offset >= begin ? p->line_end : p->line_start;
}

/* ---- parts ----------------------------------------------------------------------------------------------------- */

static void
open_part(struct mime_parser *p, struct mime_part *parent, struct mime_position at)
{
	struct mime_part *part = arena_alloc(p->arena, sizeof *part);

	if (part == NULL) {
		p->failed = true;
		return;
	}
	part->parent = parent;
	if (parent == NULL)
		p->root = part;
	else if (parent->first == NULL)
		parent->first = part;
	else
		parent->last->next = part;
	if (parent != NULL)
		parent->last = part;
	span_open(&part->header, at);
	p->part = part;
	p->in_header = true;
	p->parts++;
	p->depth++;
	buf_reset(&p->header);
	p->header_lines = 0;
}

static void
set_once(struct str *place, struct str value)
{
	if (place->p == NULL)
		*place = value;
}

static void
read_field(struct mime_parser *p, struct str name, struct str value)
{
	struct mime_part *part = p->part;

	if (!str_starts_nocase(name, STR("content-")))
		return;
	name = str_skip(name, sizeof "content-" - 1);
	if (str_equal_nocase(name, STR("type")) && !part->has_content_type)
		part->has_content_type = mime_type_parse(p->arena, value, &part->content_type);
	else if (str_equal_nocase(name, STR("transfer-encoding")))
		set_once(&part->encoding, mime_token_parse(p->arena, value));
	else if (str_equal_nocase(name, STR("disposition")) && part->disposition.kind.n == 0)
		(void)mime_disposition_parse(p->arena, value, &part->disposition);
	else if (str_equal_nocase(name, STR("language")) && part->languages == NULL)
		part->languages = mime_languages_parse(p->arena, value);
	else if (str_equal_nocase(name, STR("id")))
		set_once(&part->id, mime_unfold(p->arena, value));
	else if (str_equal_nocase(name, STR("description")))
		set_once(&part->description, mime_unfold(p->arena, value));
	else if (str_equal_nocase(name, STR("md5")))
		set_once(&part->md5, mime_unfold(p->arena, value));
	else if (str_equal_nocase(name, STR("location")))
		set_once(&part->location, mime_unfold(p->arena, value));
}

static bool
is_message_root(const struct mime_part *part)
{
	return part->parent == NULL || part->parent->kind == MIME_MESSAGE;
}

static void
read_header(struct mime_parser *p)
{
	struct str header = buf_str(&p->header), name, value;

	if (is_message_root(p->part))
		p->part->header_text = arena_copy(p->arena, header);
	while (mime_field_next(&header, &name, &value))
		read_field(p, name, value);
	if (p->arena->failed || !buf_ok(&p->header))
		p->failed = true;
}

/* RFC 2045 5.2, RFC 2046 5.1.5 */
static void
set_default_type(struct mime_part *part)
{
	bool digest = part->parent != NULL && mime_is_type(part->parent, "multipart", "digest");

	part->content_type.type = digest ? STR("message") : STR("text");
	part->content_type.subtype = digest ? STR("rfc822") : STR("plain");
	part->content_type.params = NULL;
}

static bool
set_boundary(struct mime_parser *p)
{
	struct str boundary = mime_param_value(p->arena, p->part->content_type.params, STR("boundary"), NULL);

	boundary = str_trim(boundary);
	if (boundary.n == 0 || boundary.n > MIME_BOUNDARY_MAX)
		return false;
	p->part->boundary = boundary;
	return true;
}

/* A multipart without a boundary is no multipart. A composite type that stays unparsed would mislead: it is shown as what
 * it then is. */
static void
classify(struct mime_parser *p)
{
	struct mime_part *part = p->part;

	if (!part->has_content_type)
		set_default_type(part);
	part->kind = MIME_LEAF;
	if (mime_is_type(part, "message", "rfc822"))
		part->kind = MIME_MESSAGE;
	else if (str_equal_nocase(part->content_type.type, STR("multipart")))
		part->kind = MIME_MULTIPART;
	if (part->kind == MIME_MULTIPART && !set_boundary(p)) {
		part->kind = MIME_LEAF;
		set_default_type(part);
	}
	if (part->kind != MIME_LEAF && (p->depth >= MIME_DEPTH_MAX || p->parts >= MIME_PARTS_MAX)) {
		part->kind = MIME_LEAF;
		part->content_type.type = STR("application");
		part->content_type.subtype = STR("octet-stream");
	}
}

/* The header ends at `end`, and there the body begins. */
static void
end_header(struct mime_parser *p, struct mime_position end)
{
	struct mime_part *part = p->part;

	span_close(&part->header, end);
	span_open(&part->body, end);
	p->in_header = false;
	read_header(p);
	classify(p);
	if (part->kind == MIME_MESSAGE)
		open_part(p, part, end);
}

static void add_empty_part(struct mime_parser *p, struct mime_part *parent, struct mime_position at);

/* Ends the innermost part, and its parents up to, not including, `outer`. */
static void
close_parts(struct mime_parser *p, const struct mime_part *outer, struct mime_position end)
{
	while (p->in_header && !p->failed)
		end_header(p, end);
	for (struct mime_part *part = p->part; part != outer && !p->failed; part = part->parent) {
		if (part->kind == MIME_MULTIPART && part->first == NULL)
			add_empty_part(p, part, end);
		span_close(&part->body, end);
		p->part = part->parent;
		p->depth--;
	}
	p->in_header = false;
}

/* The part that it opens is no multipart, so that this does not recurse further. */
static void
add_empty_part(struct mime_parser *p, struct mime_part *parent, struct mime_position at)
{
	open_part(p, parent, at);
	if (!p->failed)
		close_parts(p, parent, at);
}

/* ---- lines ----------------------------------------------------------------------------------------------------- */

enum boundary {
	BOUNDARY_NONE,
	BOUNDARY_NEXT,
	BOUNDARY_LAST,
};

/* The whole line must match, so that no boundary is taken for another that it begins with. */
static enum boundary
match_boundary(const struct mime_part *part, struct str line)
{
	if (part->kind != MIME_MULTIPART || part->ended || part->boundary.n == 0)
		return BOUNDARY_NONE;
	if (str_equal(line, part->boundary))
		return BOUNDARY_NEXT;
	if (line.n == part->boundary.n + 2 && str_starts(line, part->boundary) &&
	    str_equal(str_skip(line, part->boundary.n), STR("--")))
		return BOUNDARY_LAST;
	return BOUNDARY_NONE;
}

static bool
is_boundary_like(const struct mime_parser *p)
{
	return p->line_n > 2 && p->line[0] == '-' && p->line[1] == '-' && !p->line_cut;
}

/* Acts on a boundary of any open multipart, the innermost first. */
static bool
take_boundary(struct mime_parser *p)
{
	struct str line = str_trim((struct str){p->line + 2, p->line_n - 2});

	for (struct mime_part *part = p->part; part != NULL; part = part->parent) {
		enum boundary boundary = match_boundary(part, line);

		if (boundary == BOUNDARY_NONE)
			continue;
		if (p->in_header)
			buf_truncate(&p->header, p->header_lines);
		if (boundary == BOUNDARY_NEXT && p->parts >= MIME_PARTS_MAX)
			return false;
		close_parts(p, part, end_before_line(p));
		if (p->failed)
			return true;
		if (boundary == BOUNDARY_NEXT)
			open_part(p, part, p->now);
		else
			part->ended = true;
		return true;
	}
	return false;
}

static bool
is_empty_line(const struct mime_parser *p)
{
	return p->line_n == 0 || (p->line_n == 1 && p->line[0] == '\r');
}

/* p->now is behind the line end, or at the end of the message. */
static void
end_line(struct mime_parser *p)
{
	if (is_boundary_like(p) && take_boundary(p))
		;
	else if (p->in_header && is_empty_line(p))
		end_header(p, p->now);
	p->header_lines = p->header.n;
	p->line_n = 0;
	p->line_cut = false;
}

/* Keeps as much of the line as a boundary could need. */
static void
keep_line(struct mime_parser *p, struct str s)
{
	size_t room = sizeof p->line - p->line_n, n;

	if (p->line_n >= 2 && (p->line[0] != '-' || p->line[1] != '-'))
		return;
	if (p->line_n == 0 && s.n > 2 && (s.p[0] != '-' || s.p[1] != '-'))
		s.n = 2;
	n = s.n < room ? s.n : room;
	if (n > 0)
		memcpy(p->line + p->line_n, s.p, n);
	p->line_n += n;
	if (str_trim(str_skip(s, n)).n > 0)
		p->line_cut = true;
}

static void
keep_header(struct mime_parser *p, struct str s)
{
	if (s.n > p->header_left)
		s.n = p->header_left;
	buf_add(&p->header, s);
	p->header_left -= s.n;
}

static void
pass(struct mime_parser *p, struct str s)
{
	if (s.n == 0)
		return;
	if (p->in_header)
		keep_header(p, s);
	keep_line(p, s);
	p->now.offset += s.n;
	p->now.octets += s.n;
	p->last_byte = s.p[s.n - 1];
}

static void
pass_line_end(struct mime_parser *p)
{
	bool has_cr = p->last_byte == '\r' && p->now.offset > p->line_start.offset;
	struct mime_position content_end = p->now;

	if (has_cr) {
		content_end.offset--;
		content_end.octets--;
	}
	if (p->in_header)
		keep_header(p, STR("\n"));
	p->now.offset++;
	p->now.octets += has_cr ? 1 : 2;
	p->now.lines++;
	p->last_byte = '\n';
	end_line(p);
	p->line_end = content_end;
	p->line_start = p->now;
}

/* ---- the parser ------------------------------------------------------------------------------------------------ */

void
mime_init(struct mime_parser *p, struct arena *a)
{
	*p = (struct mime_parser){.arena = a, .header_left = MIME_HEADER_MAX};
	buf_init(&p->header, MIME_HEADER_MAX);
	open_part(p, NULL, p->now);
}

void
mime_feed(struct mime_parser *p, struct str bytes)
{
	while (bytes.n > 0 && !p->failed) {
		size_t n = str_find(bytes, '\n');

		pass(p, str_sub(bytes, 0, n));
		if (n == bytes.n)
			return;
		pass_line_end(p);
		bytes = str_skip(bytes, n + 1);
	}
}

struct mime_part *
mime_finish(struct mime_parser *p)
{
	if (!p->failed && p->line_n > 0)
		end_line(p);
	if (!p->failed)
		close_parts(p, NULL, p->now);
	return p->failed ? NULL : p->root;
}

void
mime_clear(struct mime_parser *p)
{
	buf_clear(&p->header);
}
