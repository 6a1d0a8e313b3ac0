#include "tests/unit/rows.h"

#include "imapd/bodystructure.h"
#include "imapd/envelope.h"
#include "imapd/section.h"

static struct mime_part *
parse(struct arena *arena, struct str message)
{
	struct mime_parser parser;
	struct mime_part *root;

	mime_init(&parser, arena);
	mime_feed(&parser, message);
	root = mime_finish(&parser);
	mime_clear(&parser);
	assert_non_null(root);
	return root;
}

static void
envelopes_hold_what_the_header_says(void **state)
{
	static const struct {
		struct str header;
		struct str envelope;
	} rows[] = {
	    {STR(""), STR("(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)")},
	    {STR("Subject:\n"), STR("(NIL \"\" NIL NIL NIL NIL NIL NIL NIL NIL)")},
	    {STR("SUBJECT: a\n\tb \nsubject: second\n"), STR("(NIL \"a\tb\" NIL NIL NIL NIL NIL NIL NIL NIL)")},
	    {STR("Subject: caf\xc3\xa9 \"x\"\n"), STR("(NIL {9}\r\ncaf\xc3\xa9 \"x\" NIL NIL NIL NIL NIL NIL NIL NIL)")},
	    {STR("Subject: =?utf-8?q?=C3=A9?=\n"),
		STR("(NIL \"=?utf-8?q?=C3=A9?=\" NIL NIL NIL NIL NIL NIL NIL NIL)")},
	    {STR("Date: x\nMessage-ID: <a@b>\nIn-Reply-To: <c@d>\n"),
		STR("(\"x\" NIL NIL NIL NIL NIL NIL NIL \"<c@d>\" \"<a@b>\")")},
	    /* Sender and Reply-To are those of From, if they are absent or empty. */
	    {STR("From: a@b\n"),
		STR("(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) NIL NIL NIL NIL NIL)")},
	    {STR("From: a@b\nSender: c@d\nReply-To:\n"),
		STR("(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"c\" \"d\")) ((NIL NIL \"a\" \"b\")) NIL NIL NIL NIL NIL)")},
	    {STR("To: A <a@b>, \"x \\\"y\\\"\" <c@d>\nCc: e@f (G H)\nBcc: <@r,@s:i@j>\n"),
		STR("(NIL NIL NIL NIL NIL ((\"A\" NIL \"a\" \"b\")(\"x \\\"y\\\"\" NIL \"c\" \"d\")) ((\"G H\" NIL \"e\" \"f\"))"
		    " ((NIL \"@r,@s\" \"i\" \"j\")) NIL NIL)")},
	    {STR("To: undisclosed-recipients:;\n"),
		STR("(NIL NIL NIL NIL NIL ((NIL NIL \"undisclosed-recipients\" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL)")},
	    {STR("To: nobody\n"),
		STR("(NIL NIL NIL NIL NIL ((NIL NIL \"nobody\" \"MISSING_DOMAIN\")) NIL NIL NIL NIL)")},
	};
	struct buf b;

	(void)state;
	buf_init(&b, 10000);
	for (size_t i = 0; i < ROWS(rows); i++) {
		buf_reset(&b);
		envelope_write(&b, rows[i].header);
		assert_str(buf_str(&b), rows[i].envelope);
		for (size_t n = 0; n < rows[i].header.n; n++)
			envelope_write(&b, str_sub(rows[i].header, 0, n));
	}
	buf_clear(&b);
}

static void
a_list_of_addresses_without_end_is_cut(void **state)
{
	struct buf in, out;
	size_t n = 0;

	(void)state;
	buf_init(&in, 2000000);
	buf_init(&out, 64 * 1024 * 1024);
	buf_adds(&in, "From: ");
	for (int i = 0; i < 100000; i++)
		buf_adds(&in, "a@b,");
	envelope_write(&out, buf_str(&in));
	assert_true(buf_ok(&out));
	for (size_t i = 0; i + 9 < out.n; i++)
		n += memcmp(out.p + i, "(NIL NIL \"", 10) == 0;
	assert_int_equal(n, 3 * ENVELOPE_ADDRESSES_MAX);
	buf_clear(&in);
	buf_clear(&out);
}

static void
structures_are_written_as_rfc_3501_says(void **state)
{
	static const struct {
		struct str message;
		struct str body, bodystructure;
	} rows[] = {
	    {STR(""), STR("(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0)"),
		STR("(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL)")},
	    {STR("Content-Type: TEXT/html\nContent-Transfer-Encoding: 8BIT\n\nx\ny\n"),
		STR("(\"TEXT\" \"html\" NIL NIL NIL \"8BIT\" 6 2)"),
		STR("(\"TEXT\" \"html\" NIL NIL NIL \"8BIT\" 6 2 NIL NIL NIL NIL)")},
	    {STR("Content-Type: image/png; name*0*=a; name*1=b\nContent-Disposition: inline\n\nx\n"),
		STR("(\"image\" \"png\" (\"name*0*\" \"a\" \"name*1\" \"b\") NIL NIL \"7bit\" 3)"),
		STR("(\"image\" \"png\" (\"name*0*\" \"a\" \"name*1\" \"b\") NIL NIL \"7bit\" 3 NIL (\"inline\" NIL) NIL NIL)")},
	    /* A multipart without a part still has one; one without a boundary is none. */
	    {STR("Content-Type: multipart/mixed; boundary=b\n\nnothing\n"),
		STR("((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) \"mixed\")"),
		STR("((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL) \"mixed\""
		    " (\"boundary\" \"b\") NIL NIL NIL)")},
	    {STR("Content-Type: multipart/mixed\n\nx\n"), STR("(\"text\" \"plain\" NIL NIL NIL \"7bit\" 3 1)"),
		STR("(\"text\" \"plain\" NIL NIL NIL \"7bit\" 3 1 NIL NIL NIL NIL)")},
	    {STR("Content-Type: message/rfc822\n\nSubject: in\n\nx\n"),
		STR("(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 18 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL)"
		    " (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1) 3)"),
		STR("(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 18 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL)"
		    " (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1 NIL NIL NIL NIL) 3 NIL NIL NIL NIL)")},
	    {STR("Content-Type: multipart/digest; boundary=b\n\n--b\n--b--\n"),
		STR("((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 0 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
		    " (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) 0) \"digest\")"),
		STR("((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 0 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
		    " (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL) 0 NIL NIL NIL NIL)"
		    " \"digest\" (\"boundary\" \"b\") NIL NIL NIL)")},
	};
	struct arena arena;
	struct buf b;

	(void)state;
	arena_init(&arena, MIME_ARENA_BYTES);
	buf_init(&b, 10000);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mime_part *root = parse(&arena, rows[i].message);

		buf_reset(&b);
		bodystructure_write(&b, root, false);
		assert_str(buf_str(&b), rows[i].body);
		buf_reset(&b);
		bodystructure_write(&b, root, true);
		assert_str(buf_str(&b), rows[i].bodystructure);
		arena_reset(&arena);
	}
	buf_clear(&b);
	arena_clear(&arena);
}

#define NESTED \
	"Content-Type: multipart/mixed; boundary=b\nX: y\n\n--b\n\none\n--b\nContent-Type: message/rfc822\n\n" \
	"Subject: in\nFrom: a@b\n c\n\ninner\n--b--\n"

static void
sections_are_found(void **state)
{
	/* NULL: NIL. What is found is compared as it is on the wire. */
	static const struct {
		const char *section;
		const char *found;
	} rows[] = {
	    {"BODY[1]", "one"},
	    {"BODY[1.MIME]", "\r\n"},
	    {"BODY[2]", "Subject: in\r\nFrom: a@b\r\n c\r\n\r\ninner"},
	    {"BODY[2.MIME]", "Content-Type: message/rfc822\r\n\r\n"},
	    {"BODY[2.HEADER]", "Subject: in\r\nFrom: a@b\r\n c\r\n\r\n"},
	    {"BODY[2.TEXT]", "inner"},
	    {"BODY[2.1]", "inner"},
	    {"BODY[2.1.MIME]", "Subject: in\r\nFrom: a@b\r\n c\r\n\r\n"},
	    {"BODY[2.HEADER.FIELDS (FROM)]", "From: a@b\r\n c\r\n\r\n"},
	    {"BODY[2.HEADER.FIELDS.NOT (FROM)]", "Subject: in\r\n\r\n"},
	    {"BODY[HEADER.FIELDS (x none)]", "X: y\r\n\r\n"},
	    {"BODY[HEADER]", "Content-Type: multipart/mixed; boundary=b\r\nX: y\r\n\r\n"},
	    {"BODY[3]", NULL},
	    {"BODY[1.1]", NULL},
	    {"BODY[1.TEXT]", NULL},
	    {"BODY[1.HEADER.FIELDS (x)]", NULL},
	    {"BODY[2.2]", NULL},
	    {"BODY[2.1.1]", NULL},
	    {"BODY[2.1.HEADER]", NULL},
	};
	static const struct str message = STR(NESTED);
	struct arena arena;

	(void)state;
	arena_init(&arena, MIME_ARENA_BYTES);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct parse_text t = {.rest = str_from(rows[i].section), .arena = &arena};
		struct mime_part *root = parse(&arena, message);
		struct fetch_items items;
		struct mime_span span;
		struct buf bytes, wire;

		assert_true(fetch_items_parse(&t, &items));
		buf_init(&bytes, 10000);
		buf_init(&wire, 10000);
		switch (section_find(root, items.sections, &span, &bytes)) {
		case SECTION_MISSING:
			assert_null(rows[i].found);
			break;
		case SECTION_SPAN:
			for (size_t j = 0; j < span.bytes; j++) {
				if (message.p[span.offset + j] == '\n')
					buf_addc(&wire, '\r');
				buf_addc(&wire, message.p[span.offset + j]);
			}
			assert_str(buf_str(&wire), str_from(rows[i].found));
			assert_int_equal(span.octets, wire.n);
			break;
		case SECTION_BYTES:
			assert_str(buf_str(&bytes), str_from(rows[i].found));
			break;
		}
		buf_clear(&bytes);
		buf_clear(&wire);
		arena_reset(&arena);
	}
	arena_clear(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(envelopes_hold_what_the_header_says),
	    cmocka_unit_test(a_list_of_addresses_without_end_is_cut),
	    cmocka_unit_test(structures_are_written_as_rfc_3501_says),
	    cmocka_unit_test(sections_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
