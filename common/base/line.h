/*
 * The one line lexer of the suite (immunity rule 1): only CRLF ends a line. A CR or LF on its own and a NUL are reported
 * where they stand; what to do then is the owner's decision, and never "go on as if it were a line end".
 *
 *     switch (line_next(&lexer, buf_str(in), LIMIT, &line)) {
 *     case LINE_WHOLE:  ... line ...; buf_consume(in, line_wire_bytes(line));
 *
 * The answer depends on the bytes alone, not on the pieces in which they came.
 */
#ifndef COMMON_LINE_H
#define COMMON_LINE_H

#include "common/base/str.h"

enum line {
	LINE_WHOLE,
	LINE_MORE,
	LINE_TOO_LONG, /* no CRLF within the first max bytes */
	LINE_BARE_CR,
	LINE_BARE_LF,
	LINE_NUL,
};

/* How far the line in hand has been looked at, so that a line that comes byte by byte costs no more than one that comes
 * whole. All zero at the beginning of a line. */
struct line_lexer {
	size_t scanned;
};

/*
 * in: all bytes from the beginning of the line on, at each call the same ones and perhaps more. max_bytes counts the CRLF.
 * WHOLE: *line is the line without its CRLF, borrowed from in; the lexer is ready for the next line.
 */
enum line line_next(struct line_lexer *lexer, struct str in, size_t max_bytes, struct str *line);
/*
 * After TOO_LONG, to be rid of the rest of the line: takes *taken bytes off the beginning of in. WHOLE: that was its
 * end; MORE: to be called with what follows the taken bytes (a CR may have been left).
 */
enum line line_skip(struct line_lexer *lexer, struct str in, size_t *taken);

static inline size_t
line_wire_bytes(struct str line)
{
	return line.n + 2;
}

/* "bare <CR>", "bare <LF>", "NUL": for replies and the log. */
const char *line_name(enum line what);

#endif
