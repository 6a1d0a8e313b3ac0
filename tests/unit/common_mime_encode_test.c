/*
 * Quoted-printable and Base64: what comes out, and that it decodes to what went in, whole and in pieces.
 */
#include "tests/unit/rows.h"

#include "common/mime/mime_encode.h"

static const struct row {
	enum mime_encoding encoding;
	struct str in;
	const char *out;
} rows[] = {
    {MIME_QUOTED_PRINTABLE, {"", 0}, ""},
    {MIME_QUOTED_PRINTABLE, {"halo\r\ndunia\r\n", 13}, "halo\r\ndunia\r\n"},
    {MIME_QUOTED_PRINTABLE, {"h\xc3\xa9=", 4}, "h=C3=A9=3D"},
    {MIME_QUOTED_PRINTABLE, {"a \r\nb\t\r\n c", 10}, "a=20\r\nb=09\r\n c"},
    {MIME_QUOTED_PRINTABLE, {"a  ", 3}, "a =20"},
    {MIME_QUOTED_PRINTABLE, {"\r", 1}, "=0D"},
    {MIME_QUOTED_PRINTABLE, {"a\rb\nc\r\r\n", 8}, "a=0Db=0Ac=0D\r\n"},
    {MIME_QUOTED_PRINTABLE, {"a \nb \rc", 7}, "a =0Ab =0Dc"},
    {MIME_QUOTED_PRINTABLE, {"--x\r\n-", 6}, "=2D-x\r\n=2D"},
    {MIME_QUOTED_PRINTABLE, {"\0\x7f", 2}, "=00=7F"},
    /* 75 stand on a line, and the soft end; then a hyphen begins the next. */
    {MIME_QUOTED_PRINTABLE, {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-b", 77},
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=\r\n=2Db"},
    {MIME_QUOTED_PRINTABLE, {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xc3", 74},
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=\r\n=C3"},
    {MIME_BASE64, {"", 0}, ""},
    {MIME_BASE64, {"a", 1}, "YQ=="},
    {MIME_BASE64, {"halo\r\n", 6}, "aGFsbw0K"},
    {MIME_BASE64, {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 57},
	"YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"},
    {MIME_BASE64, {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", 58},
	"YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh\r\nYg=="},
};

/* In pieces of so many bytes. */
static void
encode(struct buf *out, enum mime_encoding encoding, struct str in, size_t step)
{
	struct mime_encoder e = {.encoding = encoding};

	buf_reset(out);
	while (in.n > 0) {
		size_t before = out->n;
		struct str piece = str_sub(in, 0, step);

		mime_encode(&e, piece, out);
		assert_true(out->n - before <= piece.n * MIME_ENCODE_GROWTH + MIME_ENCODE_SLACK);
		in = str_skip(in, piece.n);
	}
	mime_encode_end(&e, out);
	assert_true(buf_ok(out));
}

static void
decodes_to(enum mime_encoding encoding, struct str encoded, struct str wanted)
{
	struct mime_decoder d;
	char *out = malloc(encoded.n + 2 * MIME_DECODE_SLACK);
	size_t n;

	assert_non_null(out);
	mime_decoder_init(&d, encoding);
	n = mime_decode(&d, encoded, out);
	n += mime_decode_end(&d, out + n);
	assert_int_equal(n, wanted.n);
	assert_memory_equal(out, wanted.p, n);
	free(out);
}

static void
lines_are_short_ascii(struct str s)
{
	size_t line = 0;

	for (size_t i = 0; i < s.n; i++) {
		assert_true(ascii_is_print(s.p[i]) || s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == '\t');
		line = s.p[i] == '\n' ? 0 : line + (s.p[i] != '\r');
		assert_true(line <= 76);
	}
}

static void
rows_are_encoded_whole_and_in_pieces(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	for (size_t i = 0; i < ROWS(rows); i++) {
		for (size_t step = 1; step < 80; step++) {
			encode(&out, rows[i].encoding, rows[i].in, step);
			assert_str(buf_str(&out), str_from(rows[i].out));
		}
		decodes_to(rows[i].encoding, buf_str(&out), rows[i].in);
	}
	buf_clear(&out);
}

static void
any_bytes_come_back(void **state)
{
	static const char some[] = "ab -=\r\n\r\n \t\t\r\n\n\n\0\xff\xc3\xa9.--";
	uint32_t random = 1;
	char bytes[500];
	struct buf out;

	(void)state;
	buf_init(&out, 8192);
	for (unsigned round = 0; round < 2000; round++) {
		size_t n = round % sizeof bytes;

		for (size_t i = 0; i < n; i++) {
			random = random * 1103515245 + 12345;
			bytes[i] = some[(random >> 16) % (sizeof some - 1)];
		}
		for (unsigned k = 0; k < 2; k++) {
			enum mime_encoding encoding = k == 0 ? MIME_BASE64 : MIME_QUOTED_PRINTABLE;

			encode(&out, encoding, (struct str){bytes, n}, 1 + round % 7);
			lines_are_short_ascii(buf_str(&out));
			decodes_to(encoding, buf_str(&out), (struct str){bytes, n});
		}
	}
	buf_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows_are_encoded_whole_and_in_pieces),
	    cmocka_unit_test(any_bytes_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
