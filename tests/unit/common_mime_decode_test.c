#include "tests/unit/rows.h"

#include "common/mime/mime_charset.h"
#include "common/mime/mime_decode.h"
#include "common/mime/mime_word.h"

static struct str
decode_in_pieces(struct buf *b, enum mime_encoding encoding, struct str in, size_t step)
{
	struct mime_decoder decoder;
	char piece[256];

	buf_reset(b);
	mime_decoder_init(&decoder, encoding);
	for (size_t i = 0; i < in.n; i += step)
		buf_add(b, (struct str){piece, mime_decode(&decoder, str_sub(in, i, step), piece)});
	buf_add(b, (struct str){piece, mime_decode_end(&decoder, piece)});
	return buf_str(b);
}

static void
encodings_are_undone_in_any_pieces(void **state)
{
	static const struct {
		enum mime_encoding encoding;
		struct str in, out;
	} rows[] = {
	    {MIME_IDENTITY, STR("a=20\n"), STR("a=20\n")},
	    {MIME_QUOTED_PRINTABLE, STR("a=20b=3D=3d"), STR("a b==")},
	    {MIME_QUOTED_PRINTABLE, STR("soft=\nbreak=\r\nhere"), STR("softbreakhere")},
	    {MIME_QUOTED_PRINTABLE, STR("a=zz=4=\r=4"), STR("a=zz=4=\r=4")},
	    {MIME_QUOTED_PRINTABLE, STR("end="), STR("end=")},
	    {MIME_BASE64, STR("SGFsbw=="), STR("Halo")},
	    {MIME_BASE64, STR("SGF\r\nsbw"), STR("Halo")},
	    {MIME_BASE64, STR("SGFsb*w=SGFsbw=="), STR("HaloHalo")},
	    {MIME_BASE64, STR("S"), STR("")},
	    {MIME_BASE64, STR("===="), STR("")},
	};
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < ROWS(rows); i++)
		for (size_t step = 1; step <= rows[i].in.n; step++)
			assert_str(decode_in_pieces(&b, rows[i].encoding, rows[i].in, step), rows[i].out);
	assert_int_equal(mime_encoding_find(STR("BASE64")), MIME_BASE64);
	assert_int_equal(mime_encoding_find(STR("x-uuencode")), MIME_IDENTITY);
	buf_clear(&b);
}

static void
charsets_become_utf8_in_any_pieces(void **state)
{
	static const struct {
		const char *name;
		struct str in, out;
	} rows[] = {
	    {"", STR("abc"), STR("abc")},
	    {"UTF-8", STR("\xc3\xa9"), STR("\xc3\xa9")},
	    {"ISO-8859-1", STR("caf\xe9"), STR("caf\xc3\xa9")},
	    {"iso-8859-15", STR("\xa4"), STR("\xe2\x82\xac")},
	    {"shift_jis", STR("\x93\xfa\x96{x"), STR("\xe6\x97\xa5\xe6\x9c\xacx")},
	    {"shift_jis", STR("\x93"), STR("\xef\xbf\xbd")},
	    {"iso-2022-jp", STR("\x1b$BF|\x1b(Bx"), STR("\xe6\x97\xa5x")},
	    {"utf-16be", STR("\xd8\x3d\xdc\x26"), STR("\xf0\x9f\x90\xa6")},
	    {"gb2312", STR("\xff\xffok"), STR("\xef\xbf\xbd\xef\xbf\xbdok")},
	};
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < ROWS(rows); i++) {
		for (size_t step = 1; step <= rows[i].in.n; step++) {
			struct mime_charset charset;

			buf_reset(&b);
			assert_true(mime_charset_open(&charset, str_from(rows[i].name)));
			for (size_t at = 0; at < rows[i].in.n; at += step)
				mime_charset_convert(&charset, str_sub(rows[i].in, at, step), &b);
			mime_charset_end(&charset, &b);
			mime_charset_close(&charset);
			assert_str(buf_str(&b), rows[i].out);
		}
	}
	buf_clear(&b);
}

static void
unknown_charsets_are_told(void **state)
{
	static const char *const names[] = {"x-unknown", "utf-8//translit", "../../x", "a b",
	    "123456789012345678901234567890123456789012345"};
	struct mime_charset charset;

	(void)state;
	for (size_t i = 0; i < ROWS(names); i++)
		assert_false(mime_charset_open(&charset, str_from(names[i])));
}

static void
encoded_words_become_text(void **state)
{
	static const struct {
		struct str in, out;
	} rows[] = {
	    {STR(" plain\r\n\ttext \r\n"), STR("plain\ttext")},
	    {STR("=?utf-8?Q?Apa_kabar=3F?="), STR("Apa kabar?")},
	    {STR("=?ISO-8859-1*en?b?Y2Fm6Q==?= x"), STR("caf\xc3\xa9 x")},
	    {STR("a =?utf-8?q?b?=\n =?utf-8?q?c?= =?utf-8?q?d?=  e"), STR("a bcd  e")},
	    {STR("=?utf-8?q?b?==?utf-8?q?c?="), STR("bc")},
	    {STR("x=?utf-8?q?b?=y"), STR("xby")},
	    {STR("=?utf-8?q?b"), STR("=?utf-8?q?b")},
	    {STR("=?utf-8?x?b?= =??q?x?= =?"), STR("=?utf-8?x?b?= =??q?x?= =?")},
	    {STR("=?x-none?q?b?= =?utf-8?q?c?="), STR("=?x-none?q?b?= c")},
	    {STR("=?utf-8?q?not one?="), STR("=?utf-8?q?not one?=")},
	    {STR("raw \xc3\xa9"), STR("raw \xc3\xa9")},
	    {STR("=?utf-8?q?" "?="), STR("")},
	};
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < ROWS(rows); i++) {
		buf_reset(&b);
		mime_word_decode(rows[i].in, &b);
		assert_str(buf_str(&b), rows[i].out);
	}
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(encodings_are_undone_in_any_pieces),
	    cmocka_unit_test(charsets_become_utf8_in_any_pieces),
	    cmocka_unit_test(unknown_charsets_are_told),
	    cmocka_unit_test(encoded_words_become_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
