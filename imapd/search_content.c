#include "imapd/search_content.h"

#include "common/base/date.h"
#include "common/mime/mime_word.h"

#define TEXT_MAX_BYTES (4 * MIME_HEADER_MAX) /* of a decoded field, or of a piece of a body */

/* ---- the keys -------------------------------------------------------------------------------------------------- */

static void
collect(struct search_key *key, void *context)
{
	struct search_content *c = context;

	if (key->kind >= SEARCH_SENT_BEFORE)
		c->keys[key->content] = key;
}

bool
search_content_init(struct search_content *c, struct arena *a, struct search *search)
{
	size_t n = search->content_keys;

	*c = (struct search_content){.search = search};
	buf_init(&c->text, TEXT_MAX_BYTES);
	buf_init(&c->folded, 2 * TEXT_MAX_BYTES);
	c->keys = arena_alloc(a, (n + 1) * sizeof(void *));
	c->matches = arena_alloc(a, (n + 1) * sizeof *c->matches);
	c->truths = arena_alloc(a, (n + 1) * sizeof *c->truths);
	if (c->keys == NULL || c->matches == NULL || c->truths == NULL)
		return false;
	search_walk(search->root, collect, c);
	for (size_t i = 0; i < n; i++)
		if (!match_init(&c->matches[i], a, c->keys[i]->text))
			return false;
	return true;
}

void
search_content_clear(struct search_content *c)
{
	search_content_part_end(c);
	buf_clear(&c->text);
	buf_clear(&c->folded);
}

void
search_content_begin(struct search_content *c)
{
	for (size_t i = 0; i < c->search->content_keys; i++) {
		c->truths[i] = SEARCH_UNKNOWN;
		match_forget(&c->matches[i]);
	}
}

/* ---- texts ----------------------------------------------------------------------------------------------------- */

static bool
is_asked(const struct search_content *c, size_t i, bool of_body)
{
	enum search_kind kind = c->keys[i]->kind;

	return c->truths[i] == SEARCH_UNKNOWN && (kind == SEARCH_TEXT || (of_body && kind == SEARCH_BODY));
}

/* The folded text goes to all keys that are about it. */
static void
look(struct search_content *c, bool of_body)
{
	for (size_t i = 0; i < c->search->content_keys; i++) {
		if (!is_asked(c, i, of_body))
			continue;
		match_feed(&c->matches[i], buf_str(&c->folded));
		if (c->matches[i].found)
			c->truths[i] = SEARCH_YES;
	}
	buf_reset(&c->folded);
}

static void
restart(struct search_content *c)
{
	for (size_t i = 0; i < c->search->content_keys; i++)
		match_restart(&c->matches[i]);
}

/* ---- header fields --------------------------------------------------------------------------------------------- */

static void
find_in_field(struct search_content *c, size_t i, struct str name)
{
	if (c->keys[i]->kind != SEARCH_HEADER || c->truths[i] != SEARCH_UNKNOWN ||
	    !str_equal_nocase(c->keys[i]->field, name))
		return;
	match_restart(&c->matches[i]);
	match_feed(&c->matches[i], buf_str(&c->folded));
	if (c->matches[i].found)
		c->truths[i] = SEARCH_YES;
}

static void
compare_date(struct search_content *c, size_t i, struct str value)
{
	const struct search_key *key = c->keys[i];
	struct date date;
	int64_t day;
	bool yes;

	if (key->kind < SEARCH_SENT_BEFORE || key->kind > SEARCH_SENT_SINCE || c->truths[i] != SEARCH_UNKNOWN ||
	    !date_parse_rfc5322(value, &date))
		return;
	day = date_day(date);
	yes = key->kind == SEARCH_SENT_BEFORE ? day < key->day : key->kind == SEARCH_SENT_ON ? day == key->day :
											       day >= key->day;
	c->truths[i] = yes ? SEARCH_YES : SEARCH_NO;
}

static void
fold_field(struct search_content *c, struct str value)
{
	buf_reset(&c->text);
	buf_reset(&c->folded);
	mime_word_decode(value, &c->text);
	match_fold(&c->fold, buf_str(&c->text), &c->folded);
	match_fold_end(&c->fold, &c->folded);
}

/* The text of a header is its lines "Name: decoded value". */
static void
look_at_line(struct search_content *c, struct str name, struct str value, bool of_body)
{
	buf_reset(&c->folded);
	match_fold(&c->fold, name, &c->folded);
	buf_adds(&c->folded, ": ");
	look(c, of_body);
	fold_field(c, value);
	buf_addc(&c->folded, '\n');
	look(c, of_body);
}

void
search_content_header(struct search_content *c, struct str header)
{
	struct str name, value;

	restart(c);
	while (mime_field_next(&header, &name, &value)) {
		fold_field(c, value);
		for (size_t i = 0; i < c->search->content_keys; i++) {
			find_in_field(c, i, name);
			if (str_equal_nocase(name, STR("Date")))
				compare_date(c, i, value);
		}
		if (c->search->needs_body)
			look_at_line(c, name, value, false);
	}
	for (size_t i = 0; i < c->search->content_keys; i++)
		if (c->truths[i] == SEARCH_UNKNOWN && c->keys[i]->kind <= SEARCH_HEADER)
			c->truths[i] = SEARCH_NO;
}

/* ---- bodies ---------------------------------------------------------------------------------------------------- */

static void
look_at_inner_header(struct search_content *c, struct str header)
{
	struct str name, value;

	restart(c);
	while (mime_field_next(&header, &name, &value))
		look_at_line(c, name, value, true);
}

static void
open_charset(struct search_content *c, const struct mime_part *part)
{
	struct str charset;
	struct arena scratch;

	arena_init(&scratch, 65536);
	charset = mime_param_value(&scratch, part->content_type.params, STR("charset"), NULL);
	(void)mime_charset_open(&c->charset, charset);
	arena_clear(&scratch);
}

bool
search_content_part(struct search_content *c, const struct mime_part *part)
{
	if (part->parent != NULL && part->header_text.p != NULL)
		look_at_inner_header(c, part->header_text);
	restart(c);
	if (part->kind != MIME_LEAF || !str_equal_nocase(part->content_type.type, STR("text")))
		return false;
	mime_decoder_init(&c->decoder, mime_encoding_find(part->encoding));
	open_charset(c, part);
	c->in_part = true;
	return true;
}

static void
feed_decoded(struct search_content *c, struct str decoded)
{
	buf_reset(&c->text);
	buf_reset(&c->folded);
	mime_charset_convert(&c->charset, decoded, &c->text);
	match_fold(&c->fold, buf_str(&c->text), &c->folded);
	look(c, true);
}

void
search_content_feed(struct search_content *c, struct str bytes)
{
	char decoded[SEARCH_FEED_MAX + MIME_DECODE_SLACK];

	while (bytes.n > 0) {
		struct str piece = str_sub(bytes, 0, SEARCH_FEED_MAX);

		feed_decoded(c, (struct str){decoded, mime_decode(&c->decoder, piece, decoded)});
		bytes = str_skip(bytes, piece.n);
	}
}

void
search_content_part_end(struct search_content *c)
{
	char decoded[MIME_DECODE_SLACK];

	if (!c->in_part)
		return;
	feed_decoded(c, (struct str){decoded, mime_decode_end(&c->decoder, decoded)});
	buf_reset(&c->text);
	mime_charset_end(&c->charset, &c->text);
	match_fold_end(&c->fold, &c->folded);
	look(c, true);
	mime_charset_close(&c->charset);
	c->in_part = false;
}

void
search_content_end(struct search_content *c)
{
	for (size_t i = 0; i < c->search->content_keys; i++)
		if (c->truths[i] == SEARCH_UNKNOWN)
			c->truths[i] = SEARCH_NO;
}
