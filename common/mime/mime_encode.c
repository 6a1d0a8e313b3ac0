#include "common/mime/mime_encode.h"

#include <string.h>

#include "common/base/base64.h"

/* RFC 2045 6.7 (5): a line with the "=" of its soft end. */
#define QP_LINE_MAX 76

/* --- quoted-printable ---------------------------------------------------------------------------------------------- */

static void
qp_room(struct mime_encoder *e, size_t n, struct buf *out)
{
	if (e->column + n <= QP_LINE_MAX - 1)
		return;
	buf_adds(out, "=\r\n");
	e->column = 0;
}

static void
qp_escape(struct mime_encoder *e, char c, struct buf *out)
{
	static const char digits[] = "0123456789ABCDEF";

	qp_room(e, 3, out);
	buf_addc(out, '=');
	buf_addc(out, digits[(unsigned char)c >> 4]);
	buf_addc(out, digits[(unsigned char)c & 15]);
	e->column += 3;
}

/* A line that a soft end began must not look like a boundary, so none begins with a hyphen. */
static void
qp_byte(struct mime_encoder *e, char c, struct buf *out)
{
	bool plain = ascii_is_print(c) && c != '=';

	if (plain)
		qp_room(e, 1, out);
	if (!plain || (c == '-' && e->column == 0)) {
		qp_escape(e, c, out);
		return;
	}
	buf_addc(out, c);
	e->column++;
}

/* Something follows it on its line, so that it may stand as it is. */
static void
qp_blank_inside(struct mime_encoder *e, struct buf *out)
{
	if (e->blank == '\0')
		return;
	qp_room(e, 1, out);
	buf_addc(out, e->blank);
	e->column++;
	e->blank = '\0';
}

static void
qp_blank_at_end(struct mime_encoder *e, struct buf *out)
{
	if (e->blank != '\0')
		qp_escape(e, e->blank, out);
	e->blank = '\0';
}

/* A CR that no LF follows. */
static void
qp_bare_cr(struct mime_encoder *e, struct buf *out)
{
	e->cr = false;
	qp_blank_inside(e, out);
	qp_escape(e, '\r', out);
}

static void
qp_line_end(struct mime_encoder *e, struct buf *out)
{
	e->cr = false;
	qp_blank_at_end(e, out);
	buf_adds(out, "\r\n");
	e->column = 0;
}

static void
qp_next(struct mime_encoder *e, char c, struct buf *out)
{
	if (e->cr && c == '\n') {
		qp_line_end(e, out);
		return;
	}
	if (e->cr)
		qp_bare_cr(e, out);
	if (c == '\r') {
		e->cr = true;
		return;
	}
	qp_blank_inside(e, out);
	if (c == ' ' || c == '\t')
		e->blank = c;
	else
		qp_byte(e, c, out);
}

static void
qp_end(struct mime_encoder *e, struct buf *out)
{
	if (e->cr)
		qp_bare_cr(e, out);
	qp_blank_at_end(e, out);
}

/* --- Base64 -------------------------------------------------------------------------------------------------------- */

static void
base64_row(struct mime_encoder *e, struct str row, struct buf *out)
{
	if (e->column > 0)
		buf_adds(out, "\r\n");
	base64_encode(out, row);
	e->column = 1;
}

static void
base64_add(struct mime_encoder *e, struct str in, struct buf *out)
{
	while (in.n > 0) {
		size_t n = MIME_ENCODE_ROW - e->held_n;
		struct str piece = str_sub(in, 0, n);

		memcpy(e->held + e->held_n, piece.p, piece.n);
		e->held_n += piece.n;
		in = str_skip(in, piece.n);
		if (e->held_n < MIME_ENCODE_ROW)
			return;
		base64_row(e, (struct str){e->held, e->held_n}, out);
		e->held_n = 0;
	}
}

static void
base64_end(struct mime_encoder *e, struct buf *out)
{
	if (e->held_n > 0)
		base64_row(e, (struct str){e->held, e->held_n}, out);
	e->held_n = 0;
}

/* --- both ---------------------------------------------------------------------------------------------------------- */

void
mime_encode(struct mime_encoder *e, struct str in, struct buf *out)
{
	switch (e->encoding) {
	case MIME_IDENTITY:
		buf_add(out, in);
		break;
	case MIME_QUOTED_PRINTABLE:
		for (size_t i = 0; i < in.n; i++)
			qp_next(e, in.p[i], out);
		break;
	case MIME_BASE64:
		base64_add(e, in, out);
		break;
	}
}

void
mime_encode_end(struct mime_encoder *e, struct buf *out)
{
	switch (e->encoding) {
	case MIME_IDENTITY:
		break;
	case MIME_QUOTED_PRINTABLE:
		qp_end(e, out);
		break;
	case MIME_BASE64:
		base64_end(e, out);
		break;
	}
}
