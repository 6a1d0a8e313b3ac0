/*
 * Lines and dots: in pieces they say the same as in one; the end of content is where a plain search finds CRLF.CRLF;
 * what the writer stuffed, the reader gives back without a bare CR or LF.
 */
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/smtp/dot.h"
#include "common/base/line.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static size_t
read_content(struct str in, size_t step, struct buf *content, unsigned *found, bool *ended)
{
	struct dot_reader reader = {0};
	size_t have = 0, at = 0;

	*ended = false;
	while (!*ended) {
		struct str piece;
		size_t taken = dot_read(&reader, str_sub(in, at, have - at), &piece, ended);

		if (taken > have - at)
			abort();
		buf_add(content, piece);
		at += taken;
		if (taken == 0 && have == in.n)
			break;
		if (taken == 0)
			have = in.n - have > step ? have + step : in.n;
	}
	*found = reader.found;
	return at;
}

static void
check_reader(struct str in)
{
	struct buf whole, pieces, wire;
	unsigned found_whole, found_pieces;
	bool ended_whole, ended_pieces;
	size_t end, at;

	buf_init(&whole, SIZE_MAX);
	buf_init(&pieces, SIZE_MAX);
	buf_init(&wire, SIZE_MAX);
	buf_adds(&wire, "\r\n");
	buf_add(&wire, in);
	at = read_content(in, in.n, &whole, &found_whole, &ended_whole);
	if (at != read_content(in, 1 + in.n % 7, &pieces, &found_pieces, &ended_pieces) || ended_whole != ended_pieces ||
	    found_whole != found_pieces || !str_equal(buf_str(&whole), buf_str(&pieces)))
		abort();
	end = str_search(buf_str(&wire), STR("\r\n.\r\n"));
	if (ended_whole != (end < wire.n) || (ended_whole && at != end + 3))
		abort();
	buf_clear(&whole);
	buf_clear(&pieces);
	buf_clear(&wire);
}

static void
check_writer(struct str in)
{
	struct dot_writer writer = {0};
	struct buf wire, content;
	char out[16], end[DOT_WRITE_END_MAX];
	unsigned found;
	bool ended;

	buf_init(&wire, SIZE_MAX);
	buf_init(&content, SIZE_MAX);
	for (size_t at = 0; at < in.n;) {
		size_t written, room = DOT_WRITE_ROOM_MIN + at % (sizeof out - DOT_WRITE_ROOM_MIN + 1);
		size_t taken = dot_write(&writer, str_skip(in, at), out, room, &written);

		if (taken == 0 || written > room)
			abort();
		buf_add(&wire, (struct str){out, written});
		at += taken;
	}
	buf_add(&wire, (struct str){end, dot_write_end(&writer, end)});
	if (read_content(buf_str(&wire), wire.n, &content, &found, &ended) != wire.n || !ended)
		abort();
	if (found & (DOT_BARE_CR | DOT_BARE_LF))
		abort();
	if (found == 0 && str_find(in, '\r') == in.n && str_find(in, '\n') == in.n && in.n > 0 && content.n != in.n + 2)
		abort();
	buf_clear(&wire);
	buf_clear(&content);
}

static void
check_lexer(struct str in, size_t max)
{
	struct line_lexer whole = {0}, pieces = {0};
	struct str line_whole = STR_NONE, line_pieces = STR_NONE;
	enum line a = line_next(&whole, in, max, &line_whole), b = LINE_MORE;

	for (size_t n = 0; b == LINE_MORE && n <= in.n; n++)
		b = line_next(&pieces, str_sub(in, 0, n), max, &line_pieces);
	if (a != b || !str_equal(line_whole, line_pieces))
		abort();
	if (a == LINE_WHOLE && line_wire_bytes(line_whole) > max)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str in = {(const char *)bytes, n};

	if (n > 4096)
		return 0;
	check_reader(in);
	check_writer(in);
	check_lexer(in, 2 + n % 64);
	return 0;
}
