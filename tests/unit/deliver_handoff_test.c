#include "tests/unit/rows.h"

#include "deliver/handoff.h"

static struct msg
reopen(const struct buf *b, int fd)
{
	struct msg m;

	assert_true(buf_ok(b));
	assert_true(msg_open(&m, buf_str(b), fd));
	return m;
}

static void
messages_come_out_as_they_went_in(void **state)
{
	struct handoff_ask ask = {.address = STR("lama@dua.test"), .writer = true}, ask2;
	struct handoff_answer answer = {.found = HANDOFF_FOUND, .key = STR("user=lama")}, answer2;
	struct handoff_letter letter = {.sender = STR(""), .recipients = {STR("a@b"), STR("c@d")}, .nrecipients = 2,
	    .content = STR("x: y\r\n"), .size = 6, .verbatim = true}, letter2;
	struct handoff_result result = {.status = {HANDOFF_DELIVERED, HANDOFF_QUOTA}, .n = 2}, result2;
	struct buf b;
	struct msg m;

	(void)state;
	buf_init(&b, MSG_MAX_BYTES);
	handoff_ask_encode(&b, 7, &ask);
	m = reopen(&b, -1);
	assert_int_equal(m.id, 7);
	assert_true(handoff_ask_decode(&m, &ask2));
	assert_str(ask2.address, ask.address);
	assert_true(ask2.writer);

	handoff_answer_encode(&b, 8, &answer);
	m = reopen(&b, -1);
	assert_true(handoff_answer_decode(&m, &answer2));
	assert_int_equal(answer2.found, HANDOFF_FOUND);
	assert_str(answer2.key, answer.key);

	handoff_letter_encode(&b, 9, &letter);
	m = reopen(&b, -1);
	assert_true(handoff_letter_decode(&m, &letter2));
	assert_int_equal(letter2.nrecipients, 2);
	assert_str(letter2.recipients[1], STR("c@d"));
	assert_str(letter2.content, letter.content);
	assert_true(letter2.verbatim);
	letter.in_file = true;
	letter.size = 1000000;
	handoff_letter_encode(&b, 9, &letter);
	m = reopen(&b, 0);
	assert_true(handoff_letter_decode(&m, &letter2));
	assert_true(letter2.in_file);
	assert_int_equal(letter2.size, 1000000);

	handoff_result_encode(&b, 10, &result);
	m = reopen(&b, -1);
	assert_true(handoff_result_decode(&m, &result2));
	assert_int_equal(result2.n, 2);
	assert_int_equal(result2.status[1], HANDOFF_QUOTA);
	buf_clear(&b);
}

static bool
ask_is_taken(struct str address, uint64_t writer)
{
	struct handoff_ask ask;
	struct buf b;
	struct msg m;
	bool ok;

	buf_init(&b, MSG_MAX_BYTES);
	msg_begin(&b, HANDOFF_ASK, 1);
	msg_add_str(&b, address);
	msg_add_u64(&b, writer);
	m = reopen(&b, -1);
	ok = handoff_ask_decode(&m, &ask);
	buf_clear(&b);
	return ok;
}

static bool
letter_is_taken(const struct handoff_letter *letter, int fd)
{
	struct handoff_letter out;
	struct buf b;
	struct msg m;
	bool ok;

	buf_init(&b, MSG_MAX_BYTES);
	handoff_letter_encode(&b, 1, letter);
	m = reopen(&b, fd);
	ok = handoff_letter_decode(&m, &out);
	buf_clear(&b);
	return ok;
}

static void
what_breaks_the_rules_is_not_taken(void **state)
{
	static char long_address[HANDOFF_ADDRESS_MAX + 1];
	struct handoff_letter letter = {.recipients = {STR("a@b")}, .nrecipients = 1, .content = STR("x"), .size = 1};

	(void)state;
	memset(long_address, 'a', sizeof long_address);
	assert_true(ask_is_taken(STR("a@b"), 0));
	assert_false(ask_is_taken(STR(""), 0));
	assert_false(ask_is_taken(STR("a@b\nx"), 0));
	assert_false(ask_is_taken(STR("a@b"), 2));
	assert_false(ask_is_taken((struct str){long_address, sizeof long_address}, 0));
	assert_true(letter_is_taken(&letter, -1));
	letter.size = 2;
	assert_false(letter_is_taken(&letter, -1));
	letter.size = 1;
	letter.sender = STR("x\r\nBcc: y");
	assert_false(letter_is_taken(&letter, -1));
	letter.sender = STR("x");
	letter.recipients[0] = STR("");
	assert_false(letter_is_taken(&letter, -1));
	letter.recipients[0] = STR("a@b\x7f");
	assert_false(letter_is_taken(&letter, -1));
	letter.recipients[0] = STR("a@b");
	letter.in_file = true;
	assert_false(letter_is_taken(&letter, -1)); /* without the file */
	assert_true(letter_is_taken(&letter, 0));
	letter.nrecipients = 0;
	assert_false(letter_is_taken(&letter, 0));
}

static void
a_message_cut_anywhere_is_not_taken(void **state)
{
	struct handoff_letter letter = {.sender = STR("s@t"), .recipients = {STR("a@b"), STR("c@d")}, .nrecipients = 2,
	    .content = STR("x: y\r\n"), .size = 6};
	struct buf b;

	(void)state;
	buf_init(&b, MSG_MAX_BYTES);
	handoff_letter_encode(&b, 9, &letter);
	for (size_t cut = 0; cut < b.n; cut++) {
		char *copy = malloc(cut + 1);
		struct handoff_letter out;
		struct msg m;

		memcpy(copy, b.p, cut);
		if (msg_open(&m, (struct str){copy, cut}, -1))
			assert_false(handoff_letter_decode(&m, &out));
		free(copy);
	}
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(messages_come_out_as_they_went_in),
	    cmocka_unit_test(what_breaks_the_rules_is_not_taken),
	    cmocka_unit_test(a_message_cut_anywhere_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
