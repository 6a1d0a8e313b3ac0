#include "common/smtp/dot.h"

#include <string.h>

/* Length of the ordinary bytes at the beginning of in from i on: all that is above CR needs no second look. */
static size_t
skip_ordinary(struct str in, size_t i)
{
	while (i < in.n && (unsigned char)in.p[i] > '\r')
		i++;
	return i;
}

/* At the beginning of a line, on its dot: takes the dot, or the whole end, or 0 when that cannot be told yet. */
static size_t
read_dot(struct dot_reader *reader, struct str in, bool *ended)
{
	if (in.n < 2 || (in.p[1] == '\r' && in.n < 3))
		return 0;
	if (in.p[1] == '\r' && in.p[2] == '\n') {
		*ended = true;
		return 3;
	}
	reader->inside = true;
	return 1;
}

/* in begins with what must not be in mail; takes that one byte. */
static size_t
read_bare(struct dot_reader *reader, struct str in, struct str *content)
{
	reader->found |= in.p[0] == '\r' ? DOT_BARE_CR : in.p[0] == '\n' ? DOT_BARE_LF : DOT_NUL;
	reader->inside = true;
	*content = str_sub(in, 0, 1);
	if (reader->normalise)
		*content = in.p[0] == '\0' ? STR_NONE : STR("\r\n");
	return 1;
}

static bool
is_bare(struct str in, size_t i)
{
	if (in.p[i] == '\r')
		return i + 1 < in.n && in.p[i + 1] != '\n';
	return in.p[i] == '\n' || in.p[i] == '\0';
}

/*
 * The longest run of good bytes at the beginning of in: whole lines and perhaps the beginning of one. It ends at the next
 * dot that begins a line, at a byte that must not be there, and at a CR of which nothing follows yet.
 */
static size_t
read_run(struct dot_reader *reader, struct str in)
{
	size_t i = 0;

	for (;;) {
		size_t begin = i;

		i = skip_ordinary(in, i);
		if (i > begin)
			reader->inside = true;
		if (i == in.n || is_bare(in, i) || (in.p[i] == '\r' && i + 1 == in.n))
			return i;
		if (in.p[i] != '\r') { /* TAB and other controls */
			reader->inside = true;
			i++;
			continue;
		}
		i += 2;
		reader->inside = false;
		if (i < in.n && in.p[i] == '.' && !reader->counted)
			return i;
	}
}

/* Behind a CR that the piece before ended with. */
static size_t
read_behind_cr(struct dot_reader *reader, struct str in, struct str *content)
{
	reader->cr = false;
	if (in.p[0] != '\n') {
		(void)read_bare(reader, STR("\r"), content);
		return 0;
	}
	reader->inside = false;
	*content = STR("\r\n");
	return 1;
}

static size_t
read_counted(struct dot_reader *reader, struct str in, struct str *content)
{
	size_t n;

	if (reader->cr)
		return read_behind_cr(reader, in, content);
	n = read_run(reader, in);
	*content = str_sub(in, 0, n);
	if (n > 0)
		return n;
	if (is_bare(in, 0))
		return read_bare(reader, in, content);
	reader->cr = true;
	return 1;
}

bool
dot_read_end(struct dot_reader *reader, struct str *content)
{
	if (!reader->cr)
		return false;
	reader->cr = false;
	(void)read_bare(reader, STR("\r"), content);
	return true;
}

size_t
dot_read(struct dot_reader *reader, struct str in, struct str *content, bool *ended)
{
	size_t n, dot = 0;

	*ended = false;
	*content = STR_NONE;
	if (in.n == 0)
		return 0;
	if (reader->counted)
		return read_counted(reader, in, content);
	if (!reader->inside && in.p[0] == '.') {
		dot = read_dot(reader, in, ended);
		if (dot == 0 || *ended)
			return dot;
		in = str_skip(in, dot);
	}
	n = read_run(reader, in);
	if (n == 0 && in.n > 0 && is_bare(in, 0))
		return dot + read_bare(reader, in, content);
	*content = str_sub(in, 0, n);
	return dot + n;
}

/* Writes a line end. */
static size_t
put_end(struct dot_writer *writer, char *out)
{
	writer->cr = writer->inside = false;
	memcpy(out, "\r\n", 2);
	return 2;
}

/* At the beginning of a line or on a byte that needs a second look: writes at most DOT_WRITE_ROOM_MIN bytes for it. */
static size_t
put_special(struct dot_writer *writer, char c, char *out)
{
	size_t n = 0;

	if (writer->cr) {
		n = put_end(writer, out);
		if (c == '\n')
			return n;
	}
	if (c == '\n')
		return n + put_end(writer, out + n);
	if (c == '\r') {
		writer->cr = true;
		return n;
	}
	if (c == '.' && !writer->inside && !writer->bare)
		out[n++] = '.';
	writer->inside = true;
	out[n++] = c;
	return n;
}

size_t
dot_write(struct dot_writer *writer, struct str in, char *out, size_t room, size_t *written)
{
	size_t i = 0, n = 0;

	while (i < in.n && room - n >= DOT_WRITE_ROOM_MIN) {
		size_t run = 0;

		if (writer->inside && !writer->cr)
			run = skip_ordinary(str_sub(in, i, room - n), 0);
		if (run == 0) {
			n += put_special(writer, in.p[i++], out + n);
			continue;
		}
		memcpy(out + n, in.p + i, run);
		i += run;
		n += run;
	}
	*written = n;
	return i;
}

size_t
dot_write_end(struct dot_writer *writer, char out[DOT_WRITE_END_MAX])
{
	size_t n = 0;

	if (writer->inside || writer->cr)
		n = put_end(writer, out);
	if (writer->bare)
		return n;
	memcpy(out + n, ".\r\n", 3);
	return n + 3;
}
