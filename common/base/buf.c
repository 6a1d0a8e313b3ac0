#include "common/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void
buf_clear(struct buf *b)
{
	free(b->p);
	buf_init(b, b->max);
}

void
buf_reset(struct buf *b)
{
	b->n = 0;
	b->failed = false;
}

void
buf_clear_secret(struct buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->cap);
	buf_clear(b);
}

bool
buf_ok(const struct buf *b)
{
	return !b->failed;
}

struct str
buf_str(const struct buf *b)
{
	return (struct str){b->p, b->n};
}

char *
buf_reserve(struct buf *b, size_t n)
{
	size_t want;
	char *p;

	if (b->failed || n > b->max - b->n) {
		b->failed = true;
		return NULL;
	}
	if (b->p != NULL && n <= b->cap - b->n)
		return b->p + b->n;
	want = b->cap < 64 ? 64 : b->cap;
	while (want - b->n < n || want == 0)
		want = want > b->max / 2 ? b->max : want * 2;
	if (want > b->max)
		want = b->max;
	if (want == 0)
		want = 1;
	p = realloc(b->p, want);
	if (p == NULL) {
		b->failed = true;
		return NULL;
	}
	b->p = p;
	b->cap = want;
	return b->p + b->n;
}

void
buf_commit(struct buf *b, size_t n)
{
	b->n += n;
}

void
buf_add(struct buf *b, struct str s)
{
	char *p;

	if (s.n == 0)
		return;
	p = buf_reserve(b, s.n);
	if (p == NULL)
		return;
	memcpy(p, s.p, s.n);
	b->n += s.n;
}

void
buf_add_number(struct buf *b, size_t width, uint64_t value)
{
	char digits[20], *p = digits + sizeof digits;

	do
		*--p = (char)('0' + value % 10);
	while ((value /= 10) > 0);
	for (size_t n = (size_t)(digits + sizeof digits - p); n < width; n++)
		buf_addc(b, ' ');
	buf_add(b, (struct str){p, (size_t)(digits + sizeof digits - p)});
}

void
buf_adds(struct buf *b, const char *cstring)
{
	buf_add(b, str_from(cstring));
}

void
buf_addf(struct buf *b, const char *format, ...)
{
	char small[512];
	va_list ap;
	char *large;
	int n;

	va_start(ap, format);
	n = vsnprintf(small, sizeof small, format, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
		return;
	}
	if ((size_t)n < sizeof small) {
		buf_add(b, (struct str){small, (size_t)n});
		return;
	}
	va_start(ap, format);
	n = vasprintf(&large, format, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
		return;
	}
	buf_add(b, (struct str){large, (size_t)n});
	free(large);
}

void
buf_consume(struct buf *b, size_t n)
{
	if (n > b->n)
		n = b->n;
	if (n > 0 && n < b->n)
		memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

void
buf_truncate(struct buf *b, size_t n)
{
	if (n < b->n)
		b->n = n;
}
