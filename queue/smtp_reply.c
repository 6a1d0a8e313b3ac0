#include "queue/smtp_reply.h"

#include "common/smtp/enhanced_status.h"

#define CODE_DIGITS 3

void
smtp_reply_init(struct smtp_reply *reply)
{
	*reply = (struct smtp_reply){.ended = true};
	buf_init(&reply->text, SMTP_REPLY_TEXT_MAX);
}

void
smtp_reply_clear(struct smtp_reply *reply)
{
	buf_clear(&reply->text);
}

static void
begin(struct smtp_reply *r)
{
	buf_reset(&r->text);
	r->code = 0;
	r->bytes = 0;
	r->line_bytes = 0;
	r->separator = 0;
	r->cr = false;
	r->ended = false;
}

/* What does not fit is left away; that is no failure. */
static void
keep(struct smtp_reply *r, char c)
{
	if (r->text.n == r->text.max)
		return;
	buf_addc(&r->text, ((unsigned char)c < 32 && c != '\n') || c == 127 ? '?' : c);
}

/* A byte of a line, CR and LF excepted. False when it cannot stand there. */
static bool
line_byte(struct smtp_reply *r, char c)
{
	if (r->line_bytes < CODE_DIGITS) {
		if (!ascii_is_digit(c) || (r->line_bytes == 0 && (c < '2' || c > '5')))
			return false;
		r->code = r->line_bytes == 0 ? (unsigned)(c - '0') : r->code * 10 + (unsigned)(c - '0');
	} else if (r->line_bytes == CODE_DIGITS) {
		if (c != ' ' && c != '-' && c != '\t')
			return false;
		r->separator = c;
	}
	keep(r, c);
	r->line_bytes++;
	return true;
}

/* At LF. MORE: a further line follows. */
static enum parse
line_end(struct smtp_reply *r)
{
	bool more = r->separator == '-';

	if (r->line_bytes < CODE_DIGITS)
		return PARSE_BAD;
	r->line_bytes = 0;
	r->separator = 0;
	r->cr = false;
	if (!more) {
		r->ended = true;
		return PARSE_OK;
	}
	keep(r, '\n');
	return PARSE_MORE;
}

static enum parse
take_byte(struct smtp_reply *r, char c)
{
	if (++r->bytes > SMTP_REPLY_BYTES_MAX)
		return PARSE_BAD;
	if (c == '\n')
		return line_end(r);
	/* A CR that is not followed by LF is a byte as any other. */
	if (r->cr && !line_byte(r, '\r'))
		return PARSE_BAD;
	r->cr = c == '\r';
	return r->cr || line_byte(r, c) ? PARSE_MORE : PARSE_BAD;
}

enum parse
smtp_reply_take(struct smtp_reply *r, struct str *input)
{
	if (r->ended)
		begin(r);
	while (input->n > 0) {
		enum parse result = take_byte(r, input->p[0]);

		*input = str_skip(*input, 1);
		if (result != PARSE_MORE)
			return result;
	}
	return PARSE_MORE;
}

bool
smtp_reply_is_begun(const struct smtp_reply *r)
{
	return r->bytes > 0 && !r->ended;
}

struct str
smtp_reply_words(const struct smtp_reply *r, struct arena *arena, size_t max)
{
	struct str words = str_sub(buf_str(&r->text), 0, max);
	char *p = arena_alloc(arena, words.n);

	if (p == NULL)
		return STR_NONE;
	for (size_t i = 0; i < words.n; i++)
		p[i] = words.p[i] == '\n' ? ' ' : words.p[i];
	return (struct str){p, words.n};
}

struct str
smtp_reply_enhanced(const struct smtp_reply *r)
{
	struct str rest = buf_str(&r->text), line, word;

	while (str_token(&rest, '\n', &line)) {
		line = str_skip(line, CODE_DIGITS + 1);
		if (str_word(&line, &word) && enhanced_status_is(word, r->code))
			return word;
	}
	return STR_NONE;
}
