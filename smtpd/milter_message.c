#include "smtpd/milter_message.h"

#include <string.h>

#define LENGTH_BYTES 4
#define CODE_DIGITS 3

/* --- writing ---------------------------------------------------------------------------------------------------------- */

void
milter_number_add(struct buf *out, uint32_t value)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		buf_addc(out, (char)(value >> shift & 255));
}

void
milter_port_add(struct buf *out, uint16_t port)
{
	buf_addc(out, (char)(port >> 8));
	buf_addc(out, (char)(port & 255));
}

void
milter_string_add(struct buf *out, struct str s)
{
	struct str part;

	while (str_token(&s, '\0', &part))
		buf_add(out, part);
	buf_addc(out, '\0');
}

size_t
milter_packet_begin(struct buf *out, enum milter_command command)
{
	size_t begin = out->n;

	milter_number_add(out, 0);
	buf_addc(out, (char)command);
	return begin;
}

void
milter_packet_end(struct buf *out, size_t begin)
{
	size_t n;

	if (!buf_ok(out))
		return;
	n = out->n - begin - LENGTH_BYTES;
	for (size_t i = 0; i < LENGTH_BYTES; i++)
		out->p[begin + i] = (char)(n >> (24 - 8 * i) & 255);
}

/* --- reading ---------------------------------------------------------------------------------------------------------- */

bool
milter_number_take(struct str *body, uint32_t *value)
{
	if (body->n < LENGTH_BYTES)
		return false;
	*value = 0;
	for (size_t i = 0; i < LENGTH_BYTES; i++)
		*value = *value << 8 | (unsigned char)body->p[i];
	*body = str_skip(*body, LENGTH_BYTES);
	return true;
}

bool
milter_string_take(struct str *body, struct str *s)
{
	size_t n = str_find(*body, '\0');

	if (n == body->n)
		return false;
	*s = str_sub(*body, 0, n);
	*body = str_skip(*body, n + 1);
	return true;
}

enum parse
milter_packet_take(struct str *in, struct milter_packet *packet)
{
	struct str rest = *in;
	uint32_t n;

	if (!milter_number_take(&rest, &n))
		return PARSE_MORE;
	if (n == 0 || n > MILTER_PACKET_MAX)
		return PARSE_BAD;
	if (rest.n < n)
		return PARSE_MORE;
	packet->kind = rest.p[0];
	packet->body = str_sub(rest, 1, n - 1);
	*in = str_skip(rest, n);
	return PARSE_OK;
}

/* --- a reply in the filter's words ------------------------------------------------------------------------------------ */

/* An enhanced status code of the reply code's class, taken off *line with the blank behind it. */
static bool
status_take(struct str *line, unsigned code, char status[ENHANCED_STATUS_MAX + 1])
{
	size_t n = str_find(*line, ' ');
	struct str s = str_sub(*line, 0, n);

	if (!enhanced_status_is(s, code))
		return false;
	*line = str_skip(*line, n + 1);
	return str_copy(status, ENHANCED_STATUS_MAX + 1, s);
}

static bool
code_take(struct str *line, unsigned *code, bool *more)
{
	uint64_t value;

	if (!str_to_u64(str_sub(*line, 0, CODE_DIGITS), 599, &value) || value < 400)
		return false;
	*code = (unsigned)value;
	*more = line->n > CODE_DIGITS && line->p[CODE_DIGITS] == '-';
	if (line->n > CODE_DIGITS && !*more && line->p[CODE_DIGITS] != ' ')
		return false;
	*line = str_skip(*line, CODE_DIGITS + 1);
	return true;
}

/* libmilter writes "%%" for "%". */
static void
text_add(struct buf *text, struct str line)
{
	for (size_t i = 0; i < line.n; i++) {
		if (line.p[i] == '%' && i + 1 < line.n && line.p[i + 1] == '%')
			i++;
		buf_addc(text, line.p[i]);
	}
}

static bool
line_parse(struct str line, struct milter_words *words, bool first, bool *more)
{
	char status[ENHANCED_STATUS_MAX + 1] = "";
	unsigned code;

	line = str_trim(line);
	if (!code_take(&line, &code, more) || (!first && code != words->code))
		return false;
	if (!status_take(&line, code, status))
		(void)str_copy(status, sizeof status, code < 500 ? STR("4.7.1") : STR("5.7.1"));
	if (first) {
		words->code = code;
		memcpy(words->status, status, sizeof status);
	} else {
		buf_addc(&words->text, '\n');
	}
	text_add(&words->text, line);
	return true;
}

bool
milter_words_parse(struct str text, struct milter_words *words)
{
	bool more = true;
	struct str line;
	size_t lines = 0;

	buf_reset(&words->text);
	text = str_trim(text);
	while (str_token(&text, '\n', &line)) {
		if (!more || lines == MILTER_REPLY_LINES_MAX || !line_parse(line, words, lines == 0, &more))
			return false;
		lines++;
	}
	return lines > 0 && !more && buf_ok(&words->text);
}
