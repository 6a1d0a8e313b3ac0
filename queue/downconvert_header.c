#include "queue/downconvert_header.h"

static void
additions(const struct downconvert_header *h, struct buf *out)
{
	if (h->add_mime && !h->has_mime)
		buf_adds(out, "MIME-Version: 1.0\r\n");
	if (h->add_type)
		buf_adds(out, "Content-Type: text/plain; charset=unknown-8bit\r\n");
	if (h->encoding != NULL)
		buf_addf(out, "Content-Transfer-Encoding: %s\r\n", h->encoding);
}

static bool
is_empty_line(const struct downconvert_header *h)
{
	return h->name[h->name_n - 1] == '\n' && (h->name_n == 1 || (h->name_n == 2 && h->name[0] == '\r'));
}

/* A line that begins with a blank continues the field of the line before. */
static void
field_begins(struct downconvert_header *h)
{
	struct str line = {h->name, h->name_n};
	struct str name = str_trim(str_sub(line, 0, str_find(line, ':')));

	if (ascii_is_blank(h->name[0]))
		return;
	h->dropping = h->encoding != NULL && str_equal_nocase(name, STR("Content-Transfer-Encoding"));
	h->has_mime = h->has_mime || str_equal_nocase(name, STR("MIME-Version"));
}

/* The beginning of the line tells what it is. */
static void
line_begins(struct downconvert_header *h, struct buf *out)
{
	if (is_empty_line(h)) {
		additions(h, out);
		h->dropping = false;
		h->ended = true;
	} else {
		field_begins(h);
	}
	if (!h->dropping)
		buf_add(out, (struct str){h->name, h->name_n});
	h->passing = h->name[h->name_n - 1] != '\n';
	h->name_n = 0;
}

static bool
is_known(const struct downconvert_header *h)
{
	char c = h->name[h->name_n - 1];

	return c == ':' || c == '\n' || h->name_n == sizeof h->name || ascii_is_blank(h->name[0]);
}

/* Returns how much of the bytes was taken. */
static size_t
pass(struct downconvert_header *h, struct str bytes, struct buf *out)
{
	size_t n = str_find(bytes, '\n');

	if (n < bytes.n) {
		n++;
		h->passing = false;
	}
	if (!h->dropping)
		buf_add(out, str_sub(bytes, 0, n));
	return n;
}

void
downconvert_header_write(struct downconvert_header *h, struct str bytes, struct buf *out)
{
	while (bytes.n > 0) {
		if (h->passing || h->ended) {
			bytes = str_skip(bytes, pass(h, bytes, out));
			continue;
		}
		h->name[h->name_n++] = bytes.p[0];
		bytes = str_skip(bytes, 1);
		if (is_known(h))
			line_begins(h, out);
	}
}

void
downconvert_header_end(struct downconvert_header *h, struct buf *out)
{
	if (h->name_n > 0)
		line_begins(h, out);
}
