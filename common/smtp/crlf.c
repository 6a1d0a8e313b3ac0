#include "common/smtp/crlf.h"

#include <string.h>

/* How many bytes from p on, of n, are before the first c. */
static size_t
span_before(const char *p, size_t n, char c)
{
	const char *found = memchr(p, c, n);

	return found ? (size_t)(found - p) : n;
}

/* One byte behind at least one CR that is held back. Writes at most 2 bytes. */
static size_t
after_cr(struct crlf *c, char byte, char *out)
{
	size_t n = 0;

	if (byte == '\r') {
		out[n++] = '\r';
		c->pending_cr = 2;
		return n;
	}
	if (byte != '\n' || c->pending_cr == 2)
		out[n++] = '\r';
	out[n++] = byte;
	c->pending_cr = 0;
	return n;
}

size_t
crlf_to_disk(struct crlf *c, struct str in, char *out, size_t room, size_t *written)
{
	size_t taken = 0, n = 0;

	while (taken < in.n && room - n >= 2) {
		size_t span;

		if (c->pending_cr > 0) {
			n += after_cr(c, in.p[taken++], out + n);
			continue;
		}
		span = in.n - taken;
		if (span > room - n)
			span = room - n;
		span = span_before(in.p + taken, span, '\r');
		memcpy(out + n, in.p + taken, span);
		n += span;
		taken += span;
		if (taken < in.n && in.p[taken] == '\r') {
			c->pending_cr = 1;
			taken++;
		}
	}
	*written = n;
	return taken;
}

size_t
crlf_to_disk_end(struct crlf *c, char *out)
{
	size_t n = c->pending_cr > 0;

	if (n > 0)
		out[0] = '\r';
	c->pending_cr = 0;
	return n;
}

size_t
crlf_to_wire(struct crlf *c, struct str in, char *out, size_t room, size_t *written)
{
	size_t taken = 0, n = 0;

	while (taken < in.n && room - n >= 2) {
		size_t span = in.n - taken;

		if (span > room - n)
			span = room - n;
		span = span_before(in.p + taken, span, '\n');
		if (span > 0) {
			memcpy(out + n, in.p + taken, span);
			n += span;
			taken += span;
			c->pending_cr = in.p[taken - 1] == '\r';
			continue;
		}
		if (c->pending_cr == 0)
			out[n++] = '\r';
		out[n++] = '\n';
		c->pending_cr = 0;
		taken++;
	}
	*written = n;
	return taken;
}

size_t
crlf_wire_extra(struct crlf *c, struct str in)
{
	size_t extra = 0;

	for (size_t i = span_before(in.p, in.n, '\n'); i < in.n; i += 1 + span_before(in.p + i + 1, in.n - i - 1, '\n'))
		extra += i > 0 ? in.p[i - 1] != '\r' : c->pending_cr == 0;
	if (in.n > 0)
		c->pending_cr = in.p[in.n - 1] == '\r';
	return extra;
}
