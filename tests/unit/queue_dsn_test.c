#include "tests/unit/rows.h"

#include <errno.h>

#include "queue/dsn.h"
#include "queue/notice_message.h"
#include "queue/queue_log.h"

static const struct dsn plain = {.kind = DSN_FAILED,
    .hostname = {"satu.test", 9},
    .queue_id = {"4jYT0M6kbqzm4yGB", 16},
    .own_id = {"4jYT0M6nsPz3gG5r", 16},
    .to = {"baru@satu.test", 14},
    .sender = {"baru@satu.test", 14},
    .client = {"mail.tiga.test [192.0.2.7]", 26},
    .arrived_ms = 1700000000000,
    .now_ms = 1700000060000,
    .until_ms = 1700432000000,
    .returns_whole = true};

static const struct dsn_recipient refused = {.address = {"tiada@dua.test", 14},
    .code = {"5.1.1", 5},
    .relay = {"mx.dua.test[127.0.0.3]:25", 25},
    .reply = {"550 5.1.1 no such user", 22},
    .tried_ms = 1700000050000};

static void
notification(struct buf *b, const struct dsn *dsn, const struct dsn_recipient *r, size_t n)
{
	buf_init(b, 1024 * 1024);
	dsn_begin(b, dsn, r, n);
	buf_adds(b, "Subject: x\r\n\r\nhello\r\n");
	dsn_end(b, dsn);
	assert_true(buf_ok(b));
	buf_addc(b, '\0');
	b->n--;
}

/* Of every notification, whatever went into it. */
static void
assert_sound(const struct buf *b)
{
	size_t line = 0;

	for (size_t i = 0; i < b->n; i++) {
		char c = b->p[i];

		assert_true(c != '\0');
		if (c == '\r') {
			assert_true(i + 1 < b->n && b->p[i + 1] == '\n');
			continue;
		}
		if (c == '\n')
			assert_true(i > 0 && b->p[i - 1] == '\r');
		line = c == '\n' ? 0 : line + 1;
		assert_true(line <= 900);
	}
}

static void
a_failure_is_told_to_people_and_programs(void **state)
{
	static const char *const parts[] = {
	    "From: Mail Delivery System <MAILER-DAEMON@satu.test>\r\n",
	    "To: <baru@satu.test>\r\n",
	    "Auto-Submitted: auto-replied\r\n",
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"=_4jYT0M6nsPz3gG5r\"\r\n",
	    "\r\n<tiada@dua.test>:\r\n    mx.dua.test[127.0.0.3]:25 said:\r\n    550 5.1.1 no such user\r\n",
	    "Reporting-MTA: dns; satu.test\r\n",
	    "Received-From-MTA: dns; mail.tiga.test\r\n",
	    "Arrival-Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n\r\n",
	    ("Final-Recipient: rfc822; tiada@dua.test\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.dua.test\r\n"
	     "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"),
	    "Content-Type: message/rfc822\r\n",
	    "\r\n--=_4jYT0M6nsPz3gG5r--\r\n",
	};
	struct buf b;

	(void)state;
	notification(&b, &plain, &refused, 1);
	assert_sound(&b);
	for (size_t i = 0; i < ROWS(parts); i++)
		if (strstr(b.p, parts[i]) == NULL)
			fail_msg("not there: %s\nin:\n%s", parts[i], b.p);
	assert_null(strstr(b.p, "Original-Envelope-Id"));
	buf_clear(&b);
}

static void
a_delay_and_the_postmasters_say_so(void **state)
{
	struct dsn dsn = plain;
	struct dsn_recipient r = refused;
	struct buf b;

	(void)state;
	dsn.kind = DSN_DELAYED;
	dsn.returns_whole = false;
	dsn.has_envid = true;
	dsn.envid = STR("QQ314159");
	r.original = STR("semua@satu.test");
	r.relay = STR("none");
	r.reply = STR("connect to mx: Connection refused");
	notification(&b, &dsn, &r, 1);
	assert_sound(&b);
	assert_non_null(strstr(b.p, "Action: delayed\r\n"));
	assert_non_null(strstr(b.p, "Will-Retry-Until: Sun, 19 Nov 2023 22:13:20 +0000\r\n"));
	assert_non_null(strstr(b.p, "Original-Envelope-Id: QQ314159\r\n"));
	assert_non_null(strstr(b.p, "Original-Recipient: rfc822; semua@satu.test\r\n"));
	assert_non_null(strstr(b.p, "Diagnostic-Code: X-Merpati; connect to mx: Connection refused\r\n"));
	assert_non_null(strstr(b.p, "<tiada@dua.test> (expanded from <semua@satu.test>):\r\n    connect"));
	assert_non_null(strstr(b.p, "Content-Type: text/rfc822-headers\r\n"));
	assert_null(strstr(b.p, "Remote-MTA"));
	buf_clear(&b);
	dsn.kind = DSN_POSTMASTER;
	notification(&b, &dsn, &r, 1);
	assert_non_null(strstr(b.p, "Action: failed\r\n"));
	buf_clear(&b);
}

static void
what_went_well_is_told_in_three_ways(void **state)
{
	struct dsn dsn = plain;
	struct dsn_recipient r[3] = {refused, refused, refused};
	struct buf b;

	(void)state;
	dsn.kind = DSN_DONE;
	dsn.returns_whole = false;
	r[0].action = DSN_ACTION_DELIVERED;
	r[0].relay = STR("lmtp");
	r[0].code = STR("2.1.5");
	r[0].reply = STR("250 2.1.5 taken");
	r[0].orcpt = STR("rfc822;Lama@dua.test");
	r[1].action = DSN_ACTION_RELAYED;
	r[1].reply = STR("250 ok");
	r[2].action = DSN_ACTION_EXPANDED;
	r[2].relay = r[2].reply = STR("");
	r[2].code = STR("2.0.0");
	r[2].tried_ms = 0;
	notification(&b, &dsn, r, 3);
	assert_sound(&b);
	assert_non_null(strstr(b.p, "Subject: Your message was delivered\r\n"));
	assert_non_null(strstr(b.p, "<tiada@dua.test>:\r\n    Delivered to the mailbox.\r\n"));
	assert_non_null(strstr(b.p, "Original-Recipient: rfc822;Lama@dua.test\r\nFinal-Recipient: rfc822; tiada@dua.test\r\n"
				    "Action: delivered\r\nStatus: 2.1.5\r\n"));
	assert_non_null(strstr(b.p, "Action: relayed\r\n"));
	assert_non_null(strstr(b.p, "Action: expanded\r\nStatus: 2.0.0\r\n\r\n--"));
	assert_null(strstr(b.p, "8bit"));
	assert_false(dsn_is_8bit(&dsn));
	buf_clear(&b);
}

/* RFC 6533: only where an address wants it. */
static void
other_scripts_have_types_of_their_own(void **state)
{
	struct dsn dsn = plain;
	struct dsn_recipient r[2] = {refused, refused};
	struct buf b;

	(void)state;
	r[0].address = STR("\xe7\x94\xa8@dua.test");
	r[0].orcpt = r[1].orcpt = STR("utf-8;\xe7\x94\xa8@dua.test");
	dsn.is_utf8 = dsn.header_is_utf8 = true;
	notification(&b, &dsn, r, 2);
	assert_sound(&b);
	assert_non_null(strstr(b.p, "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n"));
	assert_non_null(strstr(b.p, "Content-Type: message/global\r\n"));
	assert_non_null(strstr(b.p, "Original-Recipient: utf-8;\xe7\x94\xa8@dua.test\r\n"
				    "Final-Recipient: utf-8; \xe7\x94\xa8@dua.test\r\n"));
	assert_non_null(strstr(b.p, "Final-Recipient: rfc822; tiada@dua.test\r\n"));
	assert_true(dsn_is_8bit(&dsn));
	buf_clear(&b);
	dsn.is_utf8 = dsn.header_is_utf8 = false;
	notification(&b, &dsn, &r[1], 1);
	assert_non_null(strstr(b.p, "Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: 7bit\r\n"));
	assert_non_null(strstr(b.p, "Original-Recipient: utf-8;\\x{7528}@dua.test\r\n"));
	buf_clear(&b);
}

static void
every_language_says_everything(void **state)
{
	static const struct dsn_recipient r = {.address = {"x@y", 3}, .code = {"2.0.0", 5}};
	struct buf b;

	(void)state;
	for (int language = 0; language < DSN_LANGUAGES; language++)
		for (int kind = 0; kind < DSN_KINDS; kind++)
			for (int action = 0; action < DSN_ACTIONS; action++) {
				struct dsn dsn = plain;
				struct dsn_recipient one = r;

				dsn.language = (enum dsn_language)language;
				dsn.kind = (enum dsn_kind)kind;
				one.action = (enum dsn_action)action;
				notification(&b, &dsn, &one, 1);
				assert_sound(&b);
				assert_null(strstr(b.p, "(null)"));
				buf_clear(&b);
			}
}

/* Nobody's words can end a line, begin a field or a part, or hold a control character. */
static void
strangers_words_stay_words(void **state)
{
	static const char evil[] = "550 x\r\nAction: delivered\r\n\r\n--=_4jYT0M6nsPz3gG5r--\r\n\x1b[2J\x80\xff\0 end";
	static char endless[3000];
	struct dsn dsn = plain;
	struct dsn_recipient r[2] = {refused, refused};
	struct buf b;

	(void)state;
	memset(endless, 'x', sizeof endless);
	r[0].reply = (struct str){evil, sizeof evil - 1};
	r[0].relay = (struct str){evil, sizeof evil - 1};
	r[0].code = (struct str){evil, sizeof evil - 1};
	r[0].address = (struct str){evil, sizeof evil - 1};
	r[0].orcpt = (struct str){evil, sizeof evil - 1};
	r[1].reply = (struct str){endless, sizeof endless};
	dsn.client = (struct str){evil, sizeof evil - 1};
	dsn.to = (struct str){evil, sizeof evil - 1};
	dsn.envid = (struct str){evil, sizeof evil - 1};
	dsn.has_envid = true;
	for (int utf8 = 0; utf8 < 2; utf8++) {
		size_t parts = 0;

		dsn.is_utf8 = utf8 == 1;
		notification(&b, &dsn, r, 2);
		assert_sound(&b);
		assert_null(strstr(b.p, "\r\nAction: delivered"));
		assert_null(strchr(b.p, 0x1b));
		for (const char *p = b.p; (p = strstr(p, "\r\n--=_4jYT0M6nsPz3gG5r")) != NULL; p++)
			parts++;
		assert_int_equal(parts, 4);
		buf_clear(&b);
	}
}

static bool
reopen(const struct buf *b, struct msg *m)
{
	return msg_open(m, buf_str(b), -1);
}

static void
notices_pass_between_processes(void **state)
{
	struct queue_piece pieces[2] = {{336, 10}, {400, 7}}, read[QUEUE_PIECES_MAX];
	struct dsn dsn;
	struct dsn_recipient r;
	struct arena arena;
	struct msg m;
	struct buf b;
	size_t n = 0;
	int errnum = 0;

	(void)state;
	arena_init(&arena, 65536);
	buf_init(&b, MSG_MAX_BYTES);
	notice_begin_encode(&b, 7, &plain);
	assert_true(reopen(&b, &m) && notice_begin_decode(&m, &arena, &dsn));
	assert_str(dsn.own_id, plain.own_id);
	assert_int_equal(dsn.until_ms, plain.until_ms);
	assert_true(dsn.returns_whole);
	for (size_t cut = 8; cut < b.n; cut++) {
		assert_true(msg_open(&m, str_sub(buf_str(&b), 0, cut), -1));
		assert_false(notice_begin_decode(&m, &arena, &dsn));
		arena_reset(&arena);
	}
	notice_recipient_encode(&b, 7, &refused);
	assert_true(reopen(&b, &m) && notice_recipient_decode(&m, &arena, &r));
	assert_str(r.reply, refused.reply);
	notice_end_encode(&b, 7, pieces, 2);
	assert_true(reopen(&b, &m) && notice_end_decode(&m, read, &n));
	assert_int_equal(n, 2);
	assert_memory_equal(pieces, read, sizeof pieces);
	notice_done_encode(&b, 7, ENOSPC);
	assert_true(reopen(&b, &m) && notice_done_decode(&m, &errnum));
	assert_int_equal(errnum, ENOSPC);
	buf_clear(&b);
	arena_clear(&arena);
}

static void
delays_have_the_digits_that_count(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} rows[] = {{0, "0"}, {9, "0"}, {10, "0.01"}, {99, "0.09"}, {100, "0.1"}, {350, "0.35"}, {1000, "1"},
	    {1340, "1.3"}, {9990, "9.9"}, {10500, "10"}, {86400000, "86400"}};
	char text[24];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		queue_log_seconds(text, sizeof text, rows[i].ms);
		assert_string_equal(text, rows[i].text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_failure_is_told_to_people_and_programs),
	    cmocka_unit_test(a_delay_and_the_postmasters_say_so),
	    cmocka_unit_test(what_went_well_is_told_in_three_ways),
	    cmocka_unit_test(other_scripts_have_types_of_their_own),
	    cmocka_unit_test(every_language_says_everything),
	    cmocka_unit_test(strangers_words_stay_words),
	    cmocka_unit_test(notices_pass_between_processes),
	    cmocka_unit_test(delays_have_the_digits_that_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
