#include "tests/unit/rows.h"

#include "common/mime/rfc5322.h"

/* --- splitting ------------------------------------------------------------------------------------------------------ */

/* What the splitter makes of a message, in one text: [name|value] for a field, {raw} for the body's beginning, then the
 * body. */
static void
describe(struct buf *out, struct str message, size_t first, size_t step, size_t max)
{
	struct rfc5322_splitter s;
	struct rfc5322_field field;
	size_t have = first < message.n ? first : message.n, at = 0, taken;
	enum rfc5322_event event;

	rfc5322_splitter_init(&s, max);
	for (;;) {
		event = rfc5322_split(&s, str_sub(message, at, have - at), &taken, &field);
		at += taken;
		assert_true(at <= have);
		if (event == RFC5322_MORE && at == message.n)
			event = rfc5322_split_end(&s, &field);
		if (event == RFC5322_FIELD)
			buf_addf(out, "[%.*s|%.*s]", STR_FMT(field.name), STR_FMT(field.value));
		if (event == RFC5322_BODY || event == RFC5322_TOO_LARGE)
			break;
		if (event == RFC5322_MORE) {
			assert_int_equal(at, have);
			have = message.n - have > step ? have + step : message.n;
		}
	}
	if (event == RFC5322_BODY)
		buf_addf(out, "{%.*s}%.*s%.*s", STR_FMT(field.raw), STR_FMT(field.value), STR_FMT(str_skip(message, at)));
	else
		buf_adds(out, "too large");
	rfc5322_splitter_clear(&s);
}

static const struct {
	struct str in;
	struct str out;
} messages[] = {
    {STR("A: b\r\n\r\ntext\r\n"), STR("[A| b]{\r\n}text\r\n")},
    {STR("A: b\n\ntext\n"), STR("[A| b]{\n}text\n")},
    {STR("A: b\r\n c\r\n\td\r\nE:\r\n\r\n"), STR("[A| b\r\n c\r\n\td][E|]{\r\n}")},
    {STR("A: b\r\n\r\n c\r\n"), STR("[A| b]{\r\n} c\r\n")},
    {STR("A : b\r\nC: d"), STR("[A| b][C| d]{}")},
    {STR("A: b\r\nnot a field\r\nC: d\r\n"), STR("[A| b]{}not a field\r\nC: d\r\n")},
    {STR("no header\r\nat all\r\n"), STR("{}no header\r\nat all\r\n")},
    {STR(" indented\r\n"), STR("{} indented\r\n")},
    {STR("\r\nbody\r\n"), STR("{\r\n}body\r\n")},
    {STR("\nbody"), STR("{\n}body")},
    {STR("\rx"), STR("{}\rx")},
    {STR("A: b\r\n\rx\r\n"), STR("[A| b]{}\rx\r\n")},
    {STR("A: b\r"), STR("[A| b]{}")},
    {STR("A: b\r\n\r"), STR("[A| b]{}\r")},
    {STR(": b\r\n"), STR("{}: b\r\n")},
    {STR("A\x80: b\r\nC: d\r\n"), STR("{}A\x80: b\r\nC: d\r\n")},
    {STR("A B: c\r\n"), STR("{}A B: c\r\n")},
    {STR("A:b:c\r\n"), STR("[A|b:c]{}")},
    {STR("A: b"), STR("[A| b]{}")},
    {STR("A"), STR("{}A")},
    {STR(""), STR("{}")},
};

static void
a_message_is_split_into_its_fields_whatever_the_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(messages); i++) {
		for (size_t cut = 0; cut <= messages[i].in.n; cut++) {
			for (size_t step = 1; step < 64; step += 62) {
				struct buf out;

				buf_init(&out, 4096);
				describe(&out, messages[i].in, cut, step, 1000);
				assert_str(buf_str(&out), messages[i].out);
				buf_clear(&out);
			}
		}
	}
}

static void
a_header_above_the_limit_is_told(void **state)
{
	struct str message = STR("A: b\r\nCC: dddddd\r\n\r\n");

	(void)state;
	for (size_t max = 0; max < 30; max++) {
		for (size_t cut = 0; cut <= message.n; cut++) {
			struct buf out;

			buf_init(&out, 4096);
			describe(&out, message, cut, 1, max);
			assert_int_equal(str_search(buf_str(&out), STR("too large")) == out.n, max >= message.n - 2);
			buf_clear(&out);
		}
	}
}

static void
a_header_in_memory_is_walked_field_by_field(void **state)
{
	struct str header = STR("From x Mon\r\nA: b\r\n c\r\njunk\r\nD: e\r\n\r\nF: body\r\n");
	struct rfc5322_field field;

	(void)state;
	assert_true(rfc5322_next(&header, &field));
	assert_str(field.name, STR("A"));
	assert_str(field.value, STR(" b\r\n c"));
	assert_str(field.raw, STR("A: b\r\n c\r\n"));
	assert_true(rfc5322_next(&header, &field));
	assert_str(field.name, STR("D"));
	assert_false(rfc5322_next(&header, &field));
	assert_str(header, STR("\r\nF: body\r\n"));
}

static void
unfolding_takes_line_ends_away_and_nothing_else(void **state)
{
	static const struct {
		struct str in, out;
	} rows[] = {
	    {STR(" a b "), STR("a b")},
	    {STR(" a\r\n b\n\tc"), STR("a b\tc")},
	    {STR("\r\n a"), STR("a")},
	    {STR("\r\n \r\n"), STR("")},
	    {STR(""), STR("")},
	};
	struct arena a;

	(void)state;
	arena_init(&a, 4096);
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_str(rfc5322_unfold(&a, rows[i].in), rows[i].out);
	arena_clear(&a);
}

/* --- address lists -------------------------------------------------------------------------------------------------- */

static void
describe_list(struct buf *out, const struct rfc5322_address *address, size_t bad)
{
	for (; address != NULL; address = address->next) {
		if (address->kind == RFC5322_GROUP)
			buf_addf(out, "%.*s:(", STR_FMT(address->name));
		if (address->kind == RFC5322_GROUP_END)
			buf_adds(out, ")");
		if (address->kind != RFC5322_MAILBOX)
			continue;
		buf_adds(out, "[");
		if (address->name.p != NULL)
			buf_addf(out, "%.*s|", STR_FMT(address->name));
		if (address->route.p != NULL)
			buf_addf(out, "%.*s:", STR_FMT(address->route));
		buf_add(out, address->local);
		if (address->domain.p != NULL)
			buf_addf(out, "@%.*s", STR_FMT(address->domain));
		buf_adds(out, "]");
	}
	if (bad > 0)
		buf_addf(out, " %zu bad", bad);
}

static const struct {
	struct str in, out;
} lists[] = {
    {STR("a@b.test"), STR("[a@b.test]")},
    {STR(" a@b.test , c@d.test\r\n"), STR("[a@b.test][c@d.test]")},
    {STR("John Smith <js@x.test>"), STR("[John Smith|js@x.test]")},
    {STR("\"Smith, John\" <js@x.test>, <k@x.test>"), STR("[Smith, John|js@x.test][k@x.test]")},
    {STR("\"a \\\"b\\\" \\\\\" <c@d.test>"), STR("[a \"b\" \\|c@d.test]")},
    {STR("J. R. Smith <js@x.test>"), STR("[J. R. Smith|js@x.test]")},
    {STR("J.R.\"x\" <js@x.test>"), STR("[J.R.x|js@x.test]")},
    {STR("js@x.test (John Smith)"), STR("[John Smith|js@x.test]")},
    {STR("js@x.test (J \\(x\\) (nested))"), STR("[J (x) (nested)|js@x.test]")},
    {STR("(before) js@x.test"), STR("[before|js@x.test]")},
    {STR("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>"), STR("[Pete|pete@silly.test]")},
    {STR("A Group(Some people)\r\n :Chris Jones <c@(Chris's host.)public.example>,\r\n joe@example.org,\r\n"
         " John <jdoe@one.test> (my dear friend); (the end of the group)"),
        STR("A Group:([Chris Jones|c@public.example][joe@example.org][John|jdoe@one.test])")},
    {STR("undisclosed-recipients: ;"), STR("undisclosed-recipients:()")},
    {STR("A: b@c.test;, d@e.test"), STR("A:([b@c.test])[d@e.test]")},
    {STR("A: b@c.test"), STR("A:([b@c.test])")},
    {STR("A: B: c@d.test; e@f.test"), STR("A:([c@d.test])[e@f.test]")},
    {STR("<@a.test, @b.test : c@d.test>"), STR("[@a.test,@b.test:c@d.test]")},
    {STR("a . b @ c . test"), STR("[a.b@c.test]")},
    {STR("a@b . (x) test"), STR("[x|a@b.test]")},
    {STR("\"a b\"@c.test"), STR("[a b@c.test]")},
    {STR("\"a\".b@c.test"), STR("[a.b@c.test]")},
    {STR("a@[127.0.0.1]"), STR("[a@[127.0.0.1]]")},
    {STR("a@[IPv6:: :1] , b@c"), STR("[a@[IPv6:::1]][b@c]")},
    {STR("baru"), STR("[baru]")},
    {STR("baru, \"la ma\""), STR("[baru][la ma]")},
    {STR("<baru>"), STR("[baru]")},
    {STR("Baru Satu"), STR(" 1 bad")},
    {STR("John Smith john@x.test"), STR("[John Smith|john@x.test]")},
    {STR("a@x.test <b@y.test>"), STR("[a@x.test|b@y.test]")},
    {STR("a@b.test c@d.test, e@f.test"), STR("[a@b.test][e@f.test]")},
    {STR(",, a@b.test,,"), STR("[a@b.test]")},
    {STR("<>, a@b.test"), STR("[a@b.test] 1 bad")},
    {STR("a@"), STR("[a@]")},
    {STR("@b.test, c@d.test"), STR("[c@d.test] 1 bad")},
    {STR(">x, a@b.test"), STR("[a@b.test] 1 bad")},
    {STR("\"unclosed, a@b.test"), STR("[unclosed, a@b.test]")},
    {STR("(unclosed, a@b.test"), STR("")},
    {STR("x <a@b.test, c@d.test"), STR("[x|a@b.test][c@d.test]")},
    {STR("=?UTF-8?Q?B=C3=A9?= <a@b.test>"), STR("[=?UTF-8?Q?B=C3=A9?=|a@b.test]")},
    {STR("B\xc3\xa9 <a@b.test>"), STR("[B\xc3\xa9|a@b.test]")},
    {STR("\"a\r\n b\" <c@d.test>"), STR("[a b|c@d.test]")},
    {STR("\"\" <c@d.test>"), STR("[c@d.test]")},
    {STR(""), STR("")},
    {STR("\r\n"), STR("")},
    {STR(";"), STR("")},
};

static void
address_lists_are_read_as_they_are_met(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(lists); i++) {
		const struct rfc5322_address *list;
		struct arena a;
		struct buf out;
		size_t bad;

		arena_init(&a, 65536);
		buf_init(&out, 4096);
		list = rfc5322_addresses_parse(&a, lists[i].in, &bad);
		describe_list(&out, list, bad);
		assert_str(buf_str(&out), lists[i].out);
		buf_clear(&out);
		arena_clear(&a);
	}
}

static void
a_list_that_is_cut_anywhere_is_read_without_harm(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(lists); i++) {
		for (size_t cut = 1; cut < lists[i].in.n; cut++) {
			char *copy = malloc(cut);
			struct arena a;

			memcpy(copy, lists[i].in.p, cut);
			arena_init(&a, 65536);
			(void)rfc5322_addresses_parse(&a, (struct str){copy, cut}, NULL);
			arena_clear(&a);
			free(copy);
		}
	}
}

static void
a_full_arena_cuts_the_list(void **state)
{
	struct str list = STR("A <a@x.test>, B: \"c d\"@e.test (f), <@g.test:h@i.test>;");

	(void)state;
	for (size_t max = 0; max < 2000; max += 16) {
		struct arena a;

		arena_init(&a, max);
		(void)rfc5322_addresses_parse(&a, list, NULL);
		arena_clear(&a);
	}
}

static void
display_names_are_written_so_that_any_text_is_safe(void **state)
{
	static const struct {
		struct str in, out;
	} rows[] = {
	    {STR("Baru Satu"), STR("Baru Satu")},
	    {STR("J. R. Smith"), STR("\"J. R. Smith\"")},
	    {STR("a \"b\" \\c, <d>"), STR("\"a \\\"b\\\" \\\\c, <d>\"")},
	    {STR("a\r\nBcc: x@y.test"), STR("\"a  Bcc: x@y.test\"")},
	    {STR("B\xc3\xa9"), STR("=?UTF-8?B?QsOp?=")},
	    {STR("B\xe9"), STR("=?UNKNOWN-8BIT?B?Quk=?=")},
	    {STR("=?UTF-8?B?QsOp?="), STR("\"=?UTF-8?B?QsOp?=\"")},
	    {STR(""), STR("\"\"")},
	    {STR("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
	         "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
	         "a\xc3\xa9\xc3\xa9"),
	        STR("=?UTF-8?B?w6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqWE=?= =?UTF-8?B?w6nDqQ==?=")},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct buf out;

		buf_init(&out, 4096);
		rfc5322_phrase_add(&out, rows[i].in);
		assert_str(buf_str(&out), rows[i].out);
		buf_clear(&out);
	}
}

static void
message_ids_are_found_one_after_the_other(void **state)
{
	struct str rest = STR(" <a@b> (c) junk < <d@e>\r\n <f@g>\t<unclosed\r\n >");
	struct str id;

	(void)state;
	assert_true(rfc5322_message_id_next(&rest, &id));
	assert_str(id, STR("<a@b>"));
	assert_true(rfc5322_message_id_next(&rest, &id));
	assert_str(id, STR("<d@e>"));
	assert_true(rfc5322_message_id_next(&rest, &id));
	assert_str(id, STR("<f@g>"));
	assert_false(rfc5322_message_id_next(&rest, &id));
	assert_false(rfc5322_message_id_next(&rest, &id));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_message_is_split_into_its_fields_whatever_the_pieces),
	    cmocka_unit_test(a_header_above_the_limit_is_told),
	    cmocka_unit_test(a_header_in_memory_is_walked_field_by_field),
	    cmocka_unit_test(unfolding_takes_line_ends_away_and_nothing_else),
	    cmocka_unit_test(address_lists_are_read_as_they_are_met),
	    cmocka_unit_test(a_list_that_is_cut_anywhere_is_read_without_harm),
	    cmocka_unit_test(a_full_arena_cuts_the_list),
	    cmocka_unit_test(display_names_are_written_so_that_any_text_is_safe),
	    cmocka_unit_test(message_ids_are_found_one_after_the_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
