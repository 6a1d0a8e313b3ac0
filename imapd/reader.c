#include "imapd/reader.h"

#include <string.h>

#define KEPT_BYTES 4096 /* of memory between commands: idle connections are many */

void
reader_init(struct reader *r, size_t max_bytes)
{
	*r = (struct reader){0};
	buf_init(&r->command, max_bytes);
}

void
reader_clear(struct reader *r)
{
	buf_clear_secret(&r->command);
}

static struct str
current_line(const struct reader *r)
{
	return str_skip(buf_str(&r->command), r->line);
}

static bool
is_clean(struct str bytes)
{
	return str_find(bytes, '\0') == bytes.n;
}

/* "{" number ["+"] "}" at the end of the line: RFC 3501 9, RFC 7888. A number that is none of 32 bits is no literal,
 * and what comes instead is the parser's to refuse. */
static bool
find_announcement(struct reader *r, struct str line)
{
	size_t open = str_find_last(line, '{');
	struct str digits;
	uint64_t bytes;

	if (open == line.n || line.p[line.n - 1] != '}')
		return false;
	digits = str_sub(line, open + 1, line.n - open - 2);
	r->literal_waits = digits.n == 0 || digits.p[digits.n - 1] != '+';
	if (!r->literal_waits)
		digits.n--;
	if (digits.n > 10 || !str_to_u64(digits, UINT32_MAX, &bytes))
		return false;
	r->literal_bytes = bytes;
	return true;
}

/* The line in `command` is complete, with its LF. */
static enum reader_event
end_line(struct reader *r)
{
	struct str line = current_line(r);

	if (line.n < 2 || line.p[line.n - 2] != '\r')
		return READER_MALFORMED;
	line.n -= 2;
	if (str_find(line, '\r') < line.n || !is_clean(line))
		return READER_MALFORMED;
	return find_announcement(r, line) ? READER_LITERAL : READER_COMMAND;
}

static size_t
feed_line(struct reader *r, struct str bytes)
{
	size_t n = str_find(bytes, '\n');
	bool whole = n < bytes.n;

	if (whole)
		n++;
	buf_add(&r->command, str_sub(bytes, 0, n));
	if (!buf_ok(&r->command))
		r->event = READER_TOO_LONG;
	else if (whole)
		r->event = end_line(r);
	return n;
}

static void
end_literal(struct reader *r)
{
	r->mode = READER_LINE;
	r->line = r->command.n;
}

static size_t
feed_literal(struct reader *r, struct str bytes)
{
	size_t n = bytes.n < r->literal_bytes ? bytes.n : (size_t)r->literal_bytes;

	r->literal_bytes -= n;
	if (r->mode == READER_COLLECTING) {
		buf_add(&r->command, str_sub(bytes, 0, n));
		if (!buf_ok(&r->command))
			r->event = READER_TOO_LONG;
	} else if (r->mode == READER_STREAMING && n > 0) {
		r->chunk = str_sub(bytes, 0, n);
		r->event = READER_STREAM;
	}
	if (r->literal_bytes == 0)
		end_literal(r);
	return n;
}

size_t
reader_feed(struct reader *r, struct str bytes)
{
	size_t taken = 0;

	while (r->event == READER_MORE && taken < bytes.n) {
		struct str rest = str_skip(bytes, taken);

		taken += r->mode == READER_LINE ? feed_line(r, rest) : feed_literal(r, rest);
	}
	return taken;
}

struct str
reader_so_far(const struct reader *r)
{
	struct str s = buf_str(&r->command);

	if (s.n >= 2 && s.p[s.n - 1] == '\n' && s.p[s.n - 2] == '\r')
		s.n -= 2;
	return s;
}

struct str
reader_command(const struct reader *r)
{
	return str_sub(buf_str(&r->command), 0, r->command.n - 2);
}

void
reader_next(struct reader *r)
{
	if (r->command.cap > KEPT_BYTES)
		buf_clear_secret(&r->command);
	else if (r->command.n > 0)
		explicit_bzero(r->command.p, r->command.n);
	buf_reset(&r->command);
	r->event = READER_MORE;
	r->mode = READER_LINE;
	r->line = 0;
	r->literal_bytes = 0;
}

static void
begin_literal(struct reader *r, enum reader_mode mode)
{
	r->event = READER_MORE;
	r->mode = mode;
	if (r->literal_bytes == 0)
		end_literal(r);
}

void
reader_collect(struct reader *r)
{
	begin_literal(r, READER_COLLECTING);
}

void
reader_stream(struct reader *r)
{
	begin_literal(r, READER_STREAMING);
}

void
reader_go_on(struct reader *r)
{
	r->event = READER_MORE;
}

void
reader_skip(struct reader *r)
{
	begin_literal(r, READER_SKIPPING);
}
