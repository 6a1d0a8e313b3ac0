#include "common/base/line.h"

/* Every byte above CR is ordinary, so one comparison passes over almost all of them. */
static size_t
skip_ordinary(struct str in, size_t i, size_t end)
{
	while (i < end && (unsigned char)in.p[i] > '\r')
		i++;
	return i;
}

static enum line
stop(struct line_lexer *lexer, enum line why)
{
	lexer->scanned = 0;
	return why;
}

enum line
line_next(struct line_lexer *lexer, struct str in, size_t max_bytes, struct str *line)
{
	size_t end = in.n < max_bytes ? in.n : max_bytes, i;

	for (i = lexer->scanned; (i = skip_ordinary(in, i, end)) < end; i++) {
		if (in.p[i] == '\0')
			return stop(lexer, LINE_NUL);
		if (in.p[i] == '\n')
			return stop(lexer, LINE_BARE_LF);
		if (in.p[i] != '\r')
			continue;
		if (i + 1 == end)
			break;
		if (in.p[i + 1] != '\n')
			return stop(lexer, LINE_BARE_CR);
		*line = str_sub(in, 0, i);
		return stop(lexer, LINE_WHOLE);
	}
	lexer->scanned = i;
	return end == max_bytes ? stop(lexer, LINE_TOO_LONG) : LINE_MORE;
}

enum line
line_skip(struct line_lexer *lexer, struct str in, size_t *taken)
{
	struct str line;
	enum line what = line_next(lexer, in, SIZE_MAX, &line);

	*taken = 0;
	if (what == LINE_WHOLE)
		*taken = line_wire_bytes(line);
	if (what != LINE_MORE)
		return what;
	*taken = in.n > 0 && in.p[in.n - 1] == '\r' ? in.n - 1 : in.n;
	return stop(lexer, LINE_MORE);
}

const char *
line_name(enum line what)
{
	switch (what) {
	case LINE_WHOLE:
		return "a line";
	case LINE_MORE:
		return "part of a line";
	case LINE_TOO_LONG:
		return "line too long";
	case LINE_BARE_CR:
		return "bare <CR>";
	case LINE_BARE_LF:
		return "bare <LF>";
	case LINE_NUL:
		return "NUL";
	}
	return "";
}
