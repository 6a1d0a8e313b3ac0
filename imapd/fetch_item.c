#include "imapd/fetch_item.h"

#include "common/mime/mime.h"

struct collector {
	struct fetch_items *items;
	struct fetch_section **end;
	size_t n;
};

static struct fetch_section *
add_section(struct parse_text *t, struct collector *c)
{
	struct fetch_section *section;

	if (c->n == FETCH_SECTIONS_MAX) {
		(void)parse_fail(t, "Too many sections");
		return NULL;
	}
	section = arena_alloc(t->arena, sizeof *section);
	if (section == NULL) {
		(void)parse_fail(t, "Command too long");
		return NULL;
	}
	*c->end = section;
	c->end = &section->next;
	c->n++;
	return section;
}

/* ---- BODY[section]<partial> ------------------------------------------------------------------------------------ */

static size_t
count_levels(struct str s)
{
	size_t n = 1;

	for (size_t i = 0; i < s.n && (ascii_is_digit(s.p[i]) || s.p[i] == '.'); i++)
		n += s.p[i] == '.';
	return n;
}

/* 1*(nz-number "."): leaves the cursor at the text behind the last dot, or at the `]`. */
static bool
parse_part_numbers(struct parse_text *t, struct fetch_section *section)
{
	size_t levels = count_levels(t->rest);

	if (levels > 2 * MIME_DEPTH_MAX)
		return parse_fail(t, "Section too deep");
	section->numbers = arena_alloc(t->arena, levels * sizeof *section->numbers);
	if (section->numbers == NULL)
		return parse_fail(t, "Command too long");
	while (t->rest.n > 0 && ascii_is_digit(t->rest.p[0])) {
		if (!parse_nz_number(t, &section->numbers[section->depth++]))
			return false;
		if (parse_peek(t, ']'))
			return true;
		if (!parse_char(t, '.'))
			return false;
	}
	return !parse_peek(t, ']') || section->depth == 0 || parse_fail(t, "Invalid section");
}

/* "(" header-fld-name *(SP header-fld-name) ")" */
static bool
parse_field_names(struct parse_text *t, struct fetch_section *section)
{
	size_t max = 0;

	if (!parse_space(t) || !parse_char(t, '('))
		return false;
	for (size_t i = 0; i < t->rest.n && t->rest.p[i] != ']'; i++)
		max += t->rest.p[i] == ' ';
	section->fields = arena_alloc(t->arena, (max + 1) * sizeof *section->fields);
	if (section->fields == NULL)
		return parse_fail(t, "Command too long");
	do {
		if (section->nfields > max)
			return parse_fail(t, "Invalid header field name");
		if (!parse_astring(t, &section->fields[section->nfields++]))
			return false;
	} while (parse_skip(t, ' '));
	return parse_char(t, ')');
}

/* HEADER.FIELDS and the like end where no letter or dot follows. */
static bool
take_word(struct parse_text *t, const char *word)
{
	struct str wanted = str_from(word);
	struct str rest;

	if (!str_starts_nocase(t->rest, wanted))
		return false;
	rest = str_skip(t->rest, wanted.n);
	if (rest.n > 0 && (ascii_is_alnum(rest.p[0]) || rest.p[0] == '.'))
		return false;
	t->rest = rest;
	return true;
}

static bool
parse_section_text(struct parse_text *t, struct fetch_section *section)
{
	if (take_word(t, "HEADER.FIELDS.NOT")) {
		section->text = SECTION_HEADER_FIELDS_NOT;
		return parse_field_names(t, section);
	}
	if (take_word(t, "HEADER.FIELDS")) {
		section->text = SECTION_HEADER_FIELDS;
		return parse_field_names(t, section);
	}
	if (take_word(t, "HEADER"))
		section->text = SECTION_HEADER;
	else if (take_word(t, "TEXT"))
		section->text = SECTION_TEXT;
	else if (section->depth > 0 && take_word(t, "MIME"))
		section->text = SECTION_MIME;
	else
		return parse_fail(t, "Invalid section");
	return true;
}

static bool
parse_partial(struct parse_text *t, struct fetch_section *section)
{
	if (!parse_skip(t, '<'))
		return true;
	section->partial = true;
	return parse_number(t, &section->start) && parse_char(t, '.') && parse_nz_number(t, &section->count) &&
	    parse_char(t, '>');
}

/* After "BODY[" or "BODY.PEEK[". */
static bool
parse_section(struct parse_text *t, struct fetch_section *section)
{
	if (!parse_peek(t, ']')) {
		if (!parse_part_numbers(t, section))
			return false;
		if (!(section->depth > 0 && parse_peek(t, ']')) && !parse_section_text(t, section))
			return false;
	}
	return parse_char(t, ']') && parse_partial(t, section);
}

/* ---- items ----------------------------------------------------------------------------------------------------- */

static bool
parse_body(struct parse_text *t, struct collector *c, bool peek)
{
	struct fetch_section *section;

	if (!parse_skip(t, '[')) {
		if (peek)
			return parse_fail(t, "Invalid item");
		c->items->items |= FETCH_BODY;
		return true;
	}
	section = add_section(t, c);
	if (section == NULL)
		return false;
	section->peek = peek;
	return parse_section(t, section);
}

/* The old names are sections too (RFC 3501 6.4.5). */
static bool
add_rfc822(struct parse_text *t, struct collector *c, int as, enum section_text text)
{
	struct fetch_section *section = add_section(t, c);

	if (section == NULL)
		return false;
	section->as = (unsigned)as;
	section->text = text;
	section->peek = text == SECTION_HEADER;
	return true;
}

static bool
take_simple_item(struct parse_text *t, struct collector *c)
{
	static const struct {
		const char *name;
		unsigned items;
	} simple[] = {
	    {"UID", FETCH_UID},
	    {"FLAGS", FETCH_FLAGS},
	    {"INTERNALDATE", FETCH_INTERNALDATE},
	    {"RFC822.SIZE", FETCH_SIZE},
	    {"ENVELOPE", FETCH_ENVELOPE},
	    {"BODYSTRUCTURE", FETCH_BODYSTRUCTURE},
	};

	for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++) {
		if (take_word(t, simple[i].name)) {
			c->items->items |= simple[i].items;
			return true;
		}
	}
	return false;
}

static bool
parse_item(struct parse_text *t, struct collector *c)
{
	if (take_simple_item(t, c))
		return true;
	if (take_word(t, "BODY.PEEK"))
		return parse_body(t, c, true);
	if (take_word(t, "BODY"))
		return parse_body(t, c, false);
	if (take_word(t, "RFC822"))
		return add_rfc822(t, c, FETCH_AS_RFC822, SECTION_ALL);
	if (take_word(t, "RFC822.HEADER"))
		return add_rfc822(t, c, FETCH_AS_RFC822_HEADER, SECTION_HEADER);
	if (take_word(t, "RFC822.TEXT"))
		return add_rfc822(t, c, FETCH_AS_RFC822_TEXT, SECTION_TEXT);
	return parse_fail(t, "Unknown item");
}

/* Macros stand alone. */
static bool
take_macro(struct parse_text *t, struct fetch_items *items)
{
	static const unsigned fast = FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_SIZE;

	if (take_word(t, "FAST"))
		items->items = fast;
	else if (take_word(t, "ALL"))
		items->items = fast | FETCH_ENVELOPE;
	else if (take_word(t, "FULL"))
		items->items = fast | FETCH_ENVELOPE | FETCH_BODY;
	else
		return false;
	return true;
}

bool
fetch_items_parse(struct parse_text *t, struct fetch_items *items)
{
	struct collector c = {items, &items->sections, 0};

	*items = (struct fetch_items){0};
	if (take_macro(t, items))
		return true;
	if (!parse_skip(t, '('))
		return parse_item(t, &c);
	do {
		if (!parse_item(t, &c))
			return false;
	} while (parse_skip(t, ' '));
	return parse_char(t, ')');
}

bool
fetch_items_set_seen(const struct fetch_items *items)
{
	for (const struct fetch_section *section = items->sections; section != NULL; section = section->next)
		if (!section->peek)
			return true;
	return false;
}
