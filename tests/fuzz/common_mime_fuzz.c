/*
 * Any bytes are a message: parsed whole and in pieces they have the same structure, every part lies within its parent, and
 * the decoders take every body.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/mime/mime.h"
#include "common/mime/mime_charset.h"
#include "common/mime/mime_decode.h"
#include "common/mime/mime_word.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const struct mime_part *
parse(struct arena *arena, struct str message, size_t step)
{
	struct mime_parser parser;
	struct mime_part *root;

	mime_init(&parser, arena);
	for (size_t i = 0; i < message.n; i += step)
		mime_feed(&parser, str_sub(message, i, step));
	root = mime_finish(&parser);
	mime_clear(&parser);
	if (root == NULL)
		abort();
	return root;
}

static void
decode(const struct mime_part *part, struct str body)
{
	struct buf decoded, text;
	struct mime_decoder decoder;
	struct mime_charset charset;
	struct arena arena;
	char *room;

	arena_init(&arena, 1 << 20);
	buf_init(&decoded, body.n + MIME_DECODE_SLACK);
	buf_init(&text, 1 << 24);
	mime_decoder_init(&decoder, mime_encoding_find(part->encoding));
	room = buf_reserve(&decoded, body.n + MIME_DECODE_SLACK);
	buf_commit(&decoded, mime_decode(&decoder, body, room));
	buf_commit(&decoded, mime_decode_end(&decoder, room + decoded.n));
	(void)mime_charset_open(&charset, mime_param_value(&arena, part->content_type.params, STR("charset"), NULL));
	mime_charset_convert(&charset, buf_str(&decoded), &text);
	mime_charset_end(&charset, &text);
	mime_charset_close(&charset);
	mime_word_decode(part->header_text, &text);
	buf_clear(&decoded);
	buf_clear(&text);
	arena_clear(&arena);
}

static void
check_span(const struct mime_span *span, uint64_t begin, uint64_t end)
{
	if (span->offset < begin || span->bytes > end - span->offset || span->octets < span->bytes ||
	    span->octets > 2 * span->bytes || span->lines > span->bytes)
		abort();
}

static void
check_part(const struct mime_part *part, uint64_t begin, uint64_t end)
{
	check_span(&part->header, begin, end);
	check_span(&part->body, part->header.offset + part->header.bytes, end);
	if ((part->kind == MIME_LEAF) != (part->first == NULL) || part->content_type.subtype.n == 0)
		abort();
}

static bool
is_same_span(const struct mime_span *a, const struct mime_span *b)
{
	return a->offset == b->offset && a->bytes == b->bytes && a->octets == b->octets && a->lines == b->lines;
}

/* Both trees in step, and each part within its parent. */
static void
compare(const struct mime_part *a, const struct mime_part *b, struct str message)
{
	for (; a != NULL && b != NULL; a = a->next, b = b->next) {
		uint64_t begin = a->parent == NULL ? 0 : a->parent->body.offset;
		uint64_t end = a->parent == NULL ? message.n : begin + a->parent->body.bytes;

		check_part(a, begin, end);
		if (!is_same_span(&a->header, &b->header) || !is_same_span(&a->body, &b->body) || a->kind != b->kind)
			abort();
		decode(a, str_sub(message, (size_t)a->body.offset, (size_t)a->body.bytes));
		compare(a->first, b->first, message);
	}
	if (a != b)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str message = {(const char *)bytes, n};
	struct arena whole, pieces;

	arena_init(&whole, MIME_ARENA_BYTES);
	arena_init(&pieces, MIME_ARENA_BYTES);
	compare(parse(&whole, message, n + 1), parse(&pieces, message, n > 0 ? bytes[0] % 7 + 1u : 1), message);
	arena_clear(&whole);
	arena_clear(&pieces);
	return 0;
}
