#include "imapd/section.h"

#include "common/smtp/crlf.h"
#include "imapd/respond.h"

bool
section_is_of_header(const struct fetch_section *section)
{
	return section->depth == 0 && (section->text == SECTION_HEADER || section->text == SECTION_HEADER_FIELDS ||
	    section->text == SECTION_HEADER_FIELDS_NOT);
}

static const struct mime_part *
child(const struct mime_part *parent, uint32_t number)
{
	const struct mime_part *part = parent->first;

	while (part != NULL && --number > 0)
		part = part->next;
	return part;
}

/* A message that is no multipart has one part, number 1: itself. */
static const struct mime_part *
part_of_message(const struct mime_part *message, uint32_t number)
{
	if (message->kind == MIME_MULTIPART)
		return child(message, number);
	return number == 1 ? message : NULL;
}

static const struct mime_part *
find_part(const struct mime_part *root, const struct fetch_section *section)
{
	const struct mime_part *part = part_of_message(root, section->numbers[0]);

	for (size_t i = 1; i < section->depth && part != NULL; i++) {
		switch (part->kind) {
		case MIME_MULTIPART:
			part = child(part, section->numbers[i]);
			break;
		case MIME_MESSAGE:
			part = part_of_message(part->first, section->numbers[i]);
			break;
		case MIME_LEAF:
			part = NULL;
			break;
		}
	}
	return part;
}

static bool
is_wanted(const struct fetch_section *section, struct str name)
{
	for (size_t i = 0; i < section->nfields; i++)
		if (str_equal_nocase(section->fields[i], name))
			return section->text == SECTION_HEADER_FIELDS;
	return section->text == SECTION_HEADER_FIELDS_NOT;
}

static void
add_wire(struct buf *out, struct str lines)
{
	struct crlf crlf = {0};
	char piece[1024];

	while (lines.n > 0) {
		size_t written;

		lines = str_skip(lines, crlf_to_wire(&crlf, lines, piece, sizeof piece, &written));
		buf_add(out, (struct str){piece, written});
	}
}

/* Name and value point into the header, so that a field reaches from its name to where the rest begins. */
static void
choose_fields(const struct fetch_section *section, struct str header, struct buf *bytes)
{
	struct str name, value;

	while (mime_field_next(&header, &name, &value)) {
		struct str field = {name.p, (size_t)(value.p - name.p) + value.n};

		if (!is_wanted(section, name))
			continue;
		add_wire(bytes, field);
		buf_adds(bytes, "\r\n");
	}
	buf_adds(bytes, "\r\n");
}

static void
whole(const struct mime_part *message, struct mime_span *span)
{
	*span = message->header;
	span->bytes += message->body.bytes;
	span->octets += message->body.octets;
	span->lines += message->body.lines;
}

static enum section_found
find_in_message(const struct mime_part *message, const struct fetch_section *section, struct mime_span *span,
    struct buf *bytes)
{
	switch (section->text) {
	case SECTION_ALL:
		whole(message, span);
		return SECTION_SPAN;
	case SECTION_HEADER:
	case SECTION_MIME:
		*span = message->header;
		return SECTION_SPAN;
	case SECTION_TEXT:
		*span = message->body;
		return SECTION_SPAN;
	case SECTION_HEADER_FIELDS:
	case SECTION_HEADER_FIELDS_NOT:
		break;
	}
	choose_fields(section, message->header_text, bytes);
	return SECTION_BYTES;
}

enum section_found
section_find(const struct mime_part *root, const struct fetch_section *section, struct mime_span *span,
    struct buf *bytes)
{
	const struct mime_part *part;

	if (section->depth == 0)
		return find_in_message(root, section, span, bytes);
	part = find_part(root, section);
	if (part == NULL)
		return SECTION_MISSING;
	if (section->text == SECTION_ALL || section->text == SECTION_MIME) {
		*span = section->text == SECTION_ALL ? part->body : part->header;
		return SECTION_SPAN;
	}
	if (part->kind != MIME_MESSAGE)
		return SECTION_MISSING;
	return find_in_message(part->first, section, span, bytes);
}

/* ---- names ----------------------------------------------------------------------------------------------------- */

static void
write_field_names(struct buf *out, const struct fetch_section *section)
{
	buf_adds(out, " (");
	for (size_t i = 0; i < section->nfields; i++) {
		if (i > 0)
			buf_addc(out, ' ');
		respond_astring(out, section->fields[i]);
	}
	buf_addc(out, ')');
}

static const char *
text_name(enum section_text text)
{
	switch (text) {
	case SECTION_ALL:
		break;
	case SECTION_HEADER:
		return "HEADER";
	case SECTION_HEADER_FIELDS:
		return "HEADER.FIELDS";
	case SECTION_HEADER_FIELDS_NOT:
		return "HEADER.FIELDS.NOT";
	case SECTION_TEXT:
		return "TEXT";
	case SECTION_MIME:
		return "MIME";
	}
	return "";
}

static void
write_body_name(struct buf *out, const struct fetch_section *section)
{
	buf_adds(out, "BODY[");
	for (size_t i = 0; i < section->depth; i++)
		buf_addf(out, i == 0 ? "%u" : ".%u", (unsigned)section->numbers[i]);
	if (section->depth > 0 && section->text != SECTION_ALL)
		buf_addc(out, '.');
	buf_adds(out, text_name(section->text));
	if (section->text == SECTION_HEADER_FIELDS || section->text == SECTION_HEADER_FIELDS_NOT)
		write_field_names(out, section);
	buf_addc(out, ']');
	if (section->partial)
		buf_addf(out, "<%u>", (unsigned)section->start);
}

void
section_write_name(struct buf *out, const struct fetch_section *section)
{
	switch (section->as) {
	case FETCH_AS_BODY:
		write_body_name(out, section);
		break;
	case FETCH_AS_RFC822:
		buf_adds(out, "RFC822");
		break;
	case FETCH_AS_RFC822_HEADER:
		buf_adds(out, "RFC822.HEADER");
		break;
	case FETCH_AS_RFC822_TEXT:
		buf_adds(out, "RFC822.TEXT");
		break;
	}
}
