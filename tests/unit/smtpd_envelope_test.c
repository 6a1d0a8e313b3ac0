#include "tests/unit/rows.h"

#include "smtpd/envelope.h"

static void
parameters_become_records(void **state)
{
	struct smtp_transaction t = {.body = SMTP_BODY_BINARYMIME, .smtputf8 = true, .requiretls = true, .ret = SMTP_RET_HDRS,
	    .envid = STR("a b"), .priority = -3, .release_ms = 1795489200000, .deliver_by_ms = 1795489260000, .traces_relays = true};
	struct smtp_recipient recipient = {.notify = SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY, .orcpt = STR("rfc822;x y@d.test")};
	static const struct {
		enum queue_key key;
		struct str value;
	} expected[] = {
	    {QUEUE_TIME, STR("0000000000001")},
	    {QUEUE_SENDER, STR("")},
	    {QUEUE_BODY, STR("BINARYMIME")},
	    {QUEUE_SMTPUTF8, STR("")},
	    {QUEUE_RET, STR("HDRS")},
	    {QUEUE_ENVID, STR("a b")},
	    {QUEUE_REQUIRETLS, STR("")},
	    {QUEUE_RELEASE, STR("1795489200000")},
	    {QUEUE_DELIVER_BY, STR("1795489260000 NT")},
	    {QUEUE_PRIORITY, STR("-3")},
	    {QUEUE_RECIPIENT, STR("c@d.test")},
	    {QUEUE_ORCPT, STR("rfc822;x y@d.test")},
	    {QUEUE_NOTIFY, STR("SUCCESS,DELAY")},
	    {QUEUE_RECIPIENT, STR("e@d.test")},
	};
	struct queue_writer w;
	struct queue_reader r;
	struct queue_record record;
	struct str file;

	(void)state;
	queue_writer_init(&w, 100000);
	queue_writer_begin(&w, 1, STR(""));
	envelope_mail_write(&w, &t);
	queue_writer_recipient(&w, STR("c@d.test"));
	envelope_rcpt_write(&w, &recipient);
	queue_writer_recipient(&w, STR("e@d.test"));
	envelope_rcpt_write(&w, &(struct smtp_recipient){.notify = 0});
	queue_writer_content(&w, STR("x\r\n"));
	queue_writer_end(&w);
	assert_true(queue_writer_ok(&w));
	file = queue_writer_output(&w);
	queue_reader_init(&r);
	for (size_t i = 0; i < ROWS(expected); i++) {
		assert_int_equal(queue_reader_next(&r, &file, &record), QUEUE_READ_RECORD);
		assert_int_equal(record.key, expected[i].key);
		assert_str(record.value, expected[i].value);
	}
	queue_writer_clear(&w);
}

static void
what_was_not_said_is_no_record(void **state)
{
	struct queue_writer w;
	size_t before;

	(void)state;
	queue_writer_init(&w, 100000);
	queue_writer_begin(&w, 1, STR(""));
	before = w.out.n;
	envelope_mail_write(&w, &(struct smtp_transaction){.body = SMTP_BODY_7BIT});
	assert_int_equal(w.out.n, before);
	queue_writer_clear(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parameters_become_records),
	    cmocka_unit_test(what_was_not_said_is_no_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
