#include "tests/unit/rows.h"

#include "smtpd/content.h"
#include "smtpd/trace.h"

#define OUT_MAX (1024 * 1024)

static struct queue_writer
writer_new(void)
{
	struct queue_writer w;

	queue_writer_init(&w, OUT_MAX);
	queue_writer_begin(&w, 1000, STR("a@b.test"));
	queue_writer_recipient(&w, STR("c@d.test"));
	queue_writer_content(&w, STR(""));
	return w;
}

/* What content comes out for `in`, fed in pieces of at most `piece` bytes. */
static void
assert_content(struct str in, bool complete, size_t piece, struct str expected, enum content_verdict verdict)
{
	const struct content_rules rules = {.complete = complete, .date = STR("DATE"), .message_id = STR("<id@h>"),
	    .received_max = 2, .header_max = 4096};
	struct queue_writer w = writer_new();
	size_t before = queue_writer_output(&w).n;
	struct content c;
	struct str out;

	content_init(&c, &rules, &w);
	for (struct str rest = in; rest.n > 0; rest = str_skip(rest, piece))
		content_feed(&c, str_sub(rest, 0, piece));
	content_end(&c);
	assert_int_equal(c.verdict, verdict);
	out = str_skip(queue_writer_output(&w), before);
	if (verdict == CONTENT_FINE && !str_ends_nocase(out, expected)) {
		print_error("in pieces of %zu: \"%.*s\" does not end in \"%.*s\"\n", piece, STR_FMT(out), STR_FMT(expected));
		fail();
	}
	content_clear(&c);
	queue_writer_clear(&w);
}

static void
content_is_completed_only_for_our_own_users(void **state)
{
	static const struct {
		struct str in;
		bool complete;
		struct str out;
		enum content_verdict verdict;
	} rows[] = {
	    {STR("A: b\r\n\r\nbody\r\n"), false, STR("A: b\r\n\r\nbody\r\n"), CONTENT_FINE},
	    {STR("A: b\r\n\r\nbody\r\n"), true, STR("A: b\r\nDate: DATE\r\nMessage-ID: <id@h>\r\n\r\nbody\r\n"),
	        CONTENT_FINE},
	    {STR("Date: x\r\nMESSAGE-ID: <1>\r\nBcc: secret@x,\r\n more@x\r\nTo: t\r\n\r\n"), true,
	        STR("Date: x\r\nMESSAGE-ID: <1>\r\nTo: t\r\n\r\n"), CONTENT_FINE},
	    {STR("Bcc: kept@x\r\n\r\n"), false, STR("Bcc: kept@x\r\n\r\n"), CONTENT_FINE},
	    {STR("A: b\r\nnot a field\r\n"), false, STR("A: b\r\n\r\nnot a field\r\n"), CONTENT_FINE},
	    {STR("\r\nonly a body\r\n"), false, STR("\r\nonly a body\r\n"), CONTENT_FINE},
	    {STR("A: b\r\n"), false, STR("A: b\r\n\r\n"), CONTENT_FINE},
	    {STR("Received: 1\r\nReceived: 2\r\n\r\nReceived: in the body\r\n"), false,
	        STR("Received: 1\r\nReceived: 2\r\n\r\nReceived: in the body\r\n"), CONTENT_FINE},
	    {STR("Received: 1\r\nRECEIVED: 2\r\nReceived: 3\r\n\r\n"), false, STR(""), CONTENT_LOOP},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		for (size_t piece = 1; piece <= rows[i].in.n; piece++)
			assert_content(rows[i].in, rows[i].complete, piece, rows[i].out, rows[i].verdict);
}

static void
a_header_past_its_limit_is_told(void **state)
{
	static char header[5000];

	(void)state;
	memset(header, 'x', sizeof header);
	memcpy(header, "A: ", 3);
	assert_content((struct str){header, sizeof header}, false, 512, STR(""), CONTENT_HEADER_TOO_LARGE);
}

static void
a_strange_message_id_is_noted_for_the_log(void **state)
{
	const struct content_rules rules = {.received_max = 2, .header_max = 4096};
	struct queue_writer w = writer_new();
	struct content c;

	(void)state;
	content_init(&c, &rules, &w);
	content_feed(&c, STR("Message-ID:  without brackets \r\n\r\n"));
	assert_string_equal(c.message_id, "without brackets");
	content_clear(&c);
	queue_writer_clear(&w);
}

static void
nothing_a_client_says_can_break_the_received_field(void **state)
{
	struct trace_facts facts = {.helo = STR("x (y) <z>; \"\\\r\nEvil: 1"), .client = STR("192.0.2.1"),
	    .hostname = STR("satu.test"), .protocol = STR("ESMTP"), .id = STR("ID"), .date = STR("DATE")};
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	trace_received_add(&out, &facts);
	assert_str(buf_str(&out), STR("Received: from x??y???z???????Evil:?1 (unknown [192.0.2.1])\r\n"
	    "\tby satu.test with ESMTP id ID;\r\n\tDATE\r\n"));
	buf_reset(&out);
	facts = (struct trace_facts){.client = STR_NONE, .local_user = STR("baru"), .hostname = STR("h"),
	    .protocol = STR("ESMTP"), .id = STR("ID"), .recipient = STR("c@d.test"), .date = STR("DATE")};
	trace_received_add(&out, &facts);
	assert_str(buf_str(&out),
	    STR("Received: by h (Merpati, from user baru)\r\n\tid ID; DATE\r\n"));
	buf_reset(&out);
	facts.client = STR("2001:db8::1");
	facts.helo = STR("");
	facts.tls_version = STR("TLSv1.3");
	facts.tls_cipher = STR("C");
	facts.tls_suite = STR("TLS_C");
	trace_received_add(&out, &facts);
	assert_str(buf_str(&out), STR("Received: from unknown (unknown [IPv6:2001:db8::1])\r\n"
	    "\t(using TLSv1.3 with cipher C)\r\n\tby h with ESMTP id ID\r\n\tfor <c@d.test>\r\n\ttls TLS_C;\r\n\tDATE\r\n"));
	buf_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(content_is_completed_only_for_our_own_users),
	    cmocka_unit_test(a_header_past_its_limit_is_told),
	    cmocka_unit_test(a_strange_message_id_is_noted_for_the_log),
	    cmocka_unit_test(nothing_a_client_says_can_break_the_received_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
