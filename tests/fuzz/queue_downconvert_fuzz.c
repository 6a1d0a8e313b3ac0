/*
 * Any message, for a server with 8 bits or 7 (the first byte says which, and how it is cut): what comes out fits the server,
 * has the same structure, and each part decodes to what it was.
 */
#include <stdlib.h>
#include <string.h>

#include "common/mime/mime.h"
#include "common/mime/mime_decode.h"
#include "queue/downconvert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define MESSAGE_MAX 65536

static struct mime_part *
parse(struct arena *arena, struct str message)
{
	struct mime_parser parser;
	struct mime_part *root;

	mime_init(&parser, arena);
	mime_feed(&parser, message);
	root = mime_finish(&parser);
	mime_clear(&parser);
	if (root == NULL)
		abort();
	return root;
}

static void
give(void (*to)(struct downconvert *, struct str), struct downconvert *d, struct str in, size_t step)
{
	for (; in.n > 0; in = str_skip(in, step))
		to(d, str_sub(in, 0, step));
}

/* --- what it must be ------------------------------------------------------------------------------------------------ */

static struct str
body_of(const struct mime_part *part, struct str message)
{
	return str_sub(message, (size_t)part->body.offset, (size_t)part->body.bytes);
}

static size_t
decode(const struct mime_part *part, struct str body, char *out)
{
	struct mime_decoder decoder;
	size_t n;

	mime_decoder_init(&decoder, mime_encoding_find(part->encoding));
	n = mime_decode(&decoder, body, out);
	return n + mime_decode_end(&decoder, out + n);
}

static void
leaf_check(const struct mime_part *before, struct str from, const struct mime_part *after, struct str to)
{
	struct str was = body_of(before, from), is = body_of(after, to);
	char *a = malloc(was.n + 2 * MIME_DECODE_SLACK), *b = malloc(is.n + 2 * MIME_DECODE_SLACK);
	size_t na, nb;

	if (a == NULL || b == NULL)
		abort();
	na = decode(before, was, a);
	nb = decode(after, is, b);
	if (na != nb || memcmp(a, b, na) != 0)
		abort();
	free(a);
	free(b);
}

static const struct mime_part *
next(const struct mime_part *part)
{
	if (part->first != NULL)
		return part->first;
	while (part != NULL && part->next == NULL)
		part = part->parent;
	return part != NULL ? part->next : NULL;
}

static void
same_parts(const struct mime_part *before, struct str from, const struct mime_part *after, struct str to)
{
	while (before != NULL && after != NULL) {
		if (before->kind != after->kind)
			abort();
		if (before->kind == MIME_LEAF)
			leaf_check(before, from, after, to);
		before = next(before);
		after = next(after);
	}
	if (before != after)
		abort();
}

static void
is_seven_bit(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] > 127)
			abort();
}

/* --- one run -------------------------------------------------------------------------------------------------------- */

static void
convert(struct downconvert *d, struct str in, size_t step, struct buf *out)
{
	downconvert_begin(d);
	for (struct str rest = in; rest.n > 0; rest = str_skip(rest, step)) {
		struct str piece = str_sub(rest, 0, step);
		size_t before = out->n;

		downconvert_write(d, piece, out);
		if (out->n - before > piece.n * DOWNCONVERT_GROWTH + DOWNCONVERT_SLACK)
			abort();
	}
	downconvert_end(d, out);
	if (!buf_ok(out))
		abort();
}

static void
check(struct str in, enum downconvert_target target, const struct buf *out)
{
	struct arena a, b;

	arena_init(&a, MIME_ARENA_BYTES);
	arena_init(&b, MIME_ARENA_BYTES);
	same_parts(parse(&a, in), in, parse(&b, buf_str(out)), buf_str(out));
	if (target == DOWNCONVERT_TO_7BIT)
		is_seven_bit(buf_str(out));
	arena_clear(&a);
	arena_clear(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str in = {(const char *)bytes + 1, n - 1};
	enum downconvert_target target = n > 0 && (bytes[0] & 1) ? DOWNCONVERT_TO_8BIT : DOWNCONVERT_TO_7BIT;
	size_t step = n > 0 ? 1 + (bytes[0] >> 1) : 1;
	struct downconvert *d;
	const char *why;
	struct buf out;

	if (n < 1 || n > MESSAGE_MAX)
		return 0;
	d = downconvert_new(target);
	buf_init(&out, MESSAGE_MAX * DOWNCONVERT_GROWTH + DOWNCONVERT_SLACK);
	give(downconvert_parse, d, in, step);
	downconvert_parse_end(d);
	give(downconvert_look, d, in, step);
	switch (downconvert_decide(d, &why)) {
	case DOWNCONVERT_NEEDED:
		convert(d, in, step, &out);
		check(in, target, &out);
		break;
	case DOWNCONVERT_NOT_NEEDED:
		if (target == DOWNCONVERT_TO_7BIT)
			is_seven_bit(in);
		break;
	case DOWNCONVERT_IMPOSSIBLE:
		if (why == NULL)
			abort();
		break;
	}
	downconvert_free(d);
	buf_clear(&out);
	return 0;
}
