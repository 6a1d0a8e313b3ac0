#include "tests/unit/rows.h"

#include "queue/smtp_reply.h"

static const struct row {
	struct str in; /* one or more replies */
	enum parse result;
	unsigned code;
	struct str words;
	struct str enhanced;
	size_t rest; /* bytes left in the input */
} rows[] = {
    {STR("250 ok\r\n"), PARSE_OK, 250, STR("250 ok"), STR(""), 0},
    {STR("250\r\n"), PARSE_OK, 250, STR("250"), STR(""), 0},
    {STR("250 \r\n"), PARSE_OK, 250, STR("250 "), STR(""), 0},
    {STR("250 ok\n"), PARSE_OK, 250, STR("250 ok"), STR(""), 0},
    {STR("250-a\r\n250-b\n250 c\r\n"), PARSE_OK, 250, STR("250-a 250-b 250 c"), STR(""), 0},
    {STR("250-\r\n250\r\n"), PARSE_OK, 250, STR("250- 250"), STR(""), 0},
    {STR("250 a\r\n354 b\r\n"), PARSE_OK, 250, STR("250 a"), STR(""), 7},
    {STR("550-a\r\n450 b\r\n"), PARSE_OK, 450, STR("550-a 450 b"), STR(""), 0},
    {STR("550 5.1.1 <x@y>: no such user\r\n"), PARSE_OK, 550, STR("550 5.1.1 <x@y>: no such user"), STR("5.1.1"), 0},
    {STR("550-5.7.26 a\r\n550 5.7.1 b\r\n"), PARSE_OK, 550, STR("550-5.7.26 a 550 5.7.1 b"), STR("5.7.26"), 0},
    {STR("550-see\r\n550 5.7.1\r\n"), PARSE_OK, 550, STR("550-see 550 5.7.1"), STR("5.7.1"), 0},
    {STR("550 4.1.1 x\r\n"), PARSE_OK, 550, STR("550 4.1.1 x"), STR(""), 0},
    {STR("550 5.1.1: x\r\n"), PARSE_OK, 550, STR("550 5.1.1: x"), STR(""), 0},
    {STR("550 5.1111.1 x\r\n"), PARSE_OK, 550, STR("550 5.1111.1 x"), STR(""), 0},
    {STR("550 5.1.1.1 x\r\n"), PARSE_OK, 550, STR("550 5.1.1.1 x"), STR(""), 0},
    {STR("550 5..1 x\r\n"), PARSE_OK, 550, STR("550 5..1 x"), STR(""), 0},
    {STR("550 5.1 x\r\n"), PARSE_OK, 550, STR("550 5.1 x"), STR(""), 0},
    {STR("250 a\0b\x1b[m\r\n"), PARSE_OK, 250, STR("250 a?b?[m"), STR(""), 0},
    {STR("250 a\rb\r\r\n"), PARSE_OK, 250, STR("250 a?b?"), STR(""), 0},
    {STR("250 \xc3\xa9\r\n"), PARSE_OK, 250, STR("250 \xc3\xa9"), STR(""), 0},
    {STR("250\tok\r\n"), PARSE_OK, 250, STR("250\tok"), STR(""), 0},
    {STR("250-a\r\n"), PARSE_MORE, 0, STR(""), STR(""), 0},
    {STR("\r\n"), PARSE_BAD, 0, STR(""), STR(""), 0},
    {STR("25 ok\r\n"), PARSE_BAD, 0, STR(""), STR(""), 0},
    {STR("150 ok\r\n"), PARSE_BAD, 0, STR(""), STR(""), 0},
    {STR("650 ok\r\n"), PARSE_BAD, 0, STR(""), STR(""), 0},
    {STR("2500 ok\r\n"), PARSE_BAD, 0, STR(""), STR(""), 0},
    {STR("250_ok\r\n"), PARSE_BAD, 0, STR(""), STR(""), 0},
    {STR("250-a\r\nb\r\n"), PARSE_BAD, 0, STR(""), STR(""), 0},
    {STR("\r220 x\r\n"), PARSE_BAD, 0, STR(""), STR(""), 0},
    {STR("HTTP/1.1 400 Bad Request\r\n"), PARSE_BAD, 0, STR(""), STR(""), 0},
};

static void
check(const struct smtp_reply *reply, const struct row *row, enum parse result)
{
	struct arena arena;

	assert_int_equal(result, row->result);
	if (result != PARSE_OK)
		return;
	arena_init(&arena, 65536);
	assert_int_equal(reply->code, row->code);
	/* A tab is a control character as well. */
	if (str_find(row->words, '\t') == row->words.n)
		assert_str(smtp_reply_words(reply, &arena, 1000), row->words);
	assert_str(smtp_reply_enhanced(reply), row->enhanced);
	arena_clear(&arena);
}

/* Feeds the row in two pieces (cut == 0: byte by byte). */
static void
run(const struct row *row, size_t cut)
{
	struct smtp_reply reply;
	enum parse result = PARSE_MORE;
	size_t taken = 0;

	smtp_reply_init(&reply);
	while (result == PARSE_MORE && taken < row->in.n) {
		size_t n = cut == 0 ? 1 : taken < cut ? cut - taken : row->in.n - taken;
		struct str piece = str_sub(row->in, taken, n);

		result = smtp_reply_take(&reply, &piece);
		taken += n - piece.n;
	}
	check(&reply, row, result);
	if (result == PARSE_OK)
		assert_int_equal(row->in.n - taken, row->rest);
	smtp_reply_clear(&reply);
}

static void
replies_are_understood_however_they_are_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		for (size_t cut = 0; cut <= rows[i].in.n; cut++)
			run(&rows[i], cut);
}

static void
a_second_reply_starts_anew(void **state)
{
	struct str in = STR("550-5.1.1 a\r\n550 b\r\n250 2.1.5 c\r\n");
	struct smtp_reply reply;

	(void)state;
	smtp_reply_init(&reply);
	assert_int_equal(smtp_reply_take(&reply, &in), PARSE_OK);
	assert_int_equal(reply.code, 550);
	assert_int_equal(smtp_reply_take(&reply, &in), PARSE_OK);
	assert_int_equal(reply.code, 250);
	assert_str(smtp_reply_enhanced(&reply), STR("2.1.5"));
	assert_str(buf_str(&reply.text), STR("250 2.1.5 c"));
	smtp_reply_clear(&reply);
}

static void
long_replies_are_cut_and_endless_ones_end(void **state)
{
	struct smtp_reply reply;
	struct arena arena;
	struct str in = STR("250-");
	unsigned bytes = 4;

	(void)state;
	smtp_reply_init(&reply);
	assert_int_equal(smtp_reply_take(&reply, &in), PARSE_MORE);
	for (int i = 0; i < 60000; i++, bytes++) {
		in = STR("x");
		assert_int_equal(smtp_reply_take(&reply, &in), PARSE_MORE);
	}
	in = STR("\r\n250 end\r\n");
	assert_int_equal(smtp_reply_take(&reply, &in), PARSE_OK);
	assert_int_equal(reply.text.n, SMTP_REPLY_TEXT_MAX);
	arena_init(&arena, 65536);
	assert_int_equal(smtp_reply_words(&reply, &arena, 1000).n, 1000);
	arena_clear(&arena);
	for (bytes = 0; bytes <= SMTP_REPLY_BYTES_MAX; bytes += 7) {
		in = STR("250-x\r\n");
		if (smtp_reply_take(&reply, &in) == PARSE_BAD)
			break;
	}
	assert_true(bytes > SMTP_REPLY_BYTES_MAX - 14);
	smtp_reply_clear(&reply);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(replies_are_understood_however_they_are_cut),
	    cmocka_unit_test(a_second_reply_starts_anew),
	    cmocka_unit_test(long_replies_are_cut_and_endless_ones_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
