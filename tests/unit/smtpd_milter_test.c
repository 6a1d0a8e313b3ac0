#include "tests/unit/rows.h"

#include "smtpd/milter.h"

#define OUT_MAX (2 * 1024 * 1024)

/* ---- helpers ----------------------------------------------------------------------------------------------------- */

static struct str
no_value(const struct milter_macros *macros, struct str name)
{
	(void)macros;
	(void)name;
	return STR_NONE;
}

/* Its own name, for those that begin with "{" and for j. */
static struct str
own_name(const struct milter_macros *macros, struct str name)
{
	(void)macros;
	return name.n > 0 && (name.p[0] == '{' || name.p[0] == 'j') ? name : STR_NONE;
}

static const struct milter_macros none = {no_value}, names = {own_name};

static void
packet_add(struct buf *b, char kind, struct str body)
{
	milter_number_add(b, (uint32_t)body.n + 1);
	buf_addc(b, kind);
	buf_add(b, body);
}

static void
agreement_add(struct buf *b, uint32_t version, uint32_t actions, uint32_t options)
{
	milter_number_add(b, 13);
	buf_addc(b, 'O');
	milter_number_add(b, version);
	milter_number_add(b, actions);
	milter_number_add(b, options);
}

static struct milter
agreed(uint32_t actions, uint32_t options)
{
	struct milter m;
	struct buf b;
	struct str in;

	buf_init(&b, OUT_MAX);
	milter_init(&m);
	milter_negotiate(&m, &b);
	assert_str(buf_str(&b), STR("\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\x30\x1f\xff\xff"));
	buf_reset(&b);
	agreement_add(&b, 6, actions, options);
	in = buf_str(&b);
	assert_int_equal(milter_feed(&m, &in), MILTER_READY);
	assert_int_equal(in.n, 0);
	buf_clear(&b);
	return m;
}

/* ---- what we say --------------------------------------------------------------------------------------------------- */

enum say { CONNECT, CONNECT6, LOCAL, HELO, MAIL, RCPT, DATA, UNKNOWN, HEADER, FOLDED, EOH, BODY, END };

static bool
say(struct milter *m, struct buf *out, enum say what, const struct milter_macros *macros)
{
	static const struct milter_peer peer = {STR("a.test"), AF_INET, STR("192.0.2.1"), 258};
	static const struct milter_peer peer6 = {STR("[2001:db8::1]"), AF_INET6, STR("2001:db8::1"), 25};
	static const struct milter_peer local = {STR("localhost"), AF_UNSPEC, STR_NONE, 0};
	static const struct str arguments[] = {STR("<a@b.test>"), STR("SIZE=5")};

	switch (what) {
	case CONNECT:
		return milter_connect(m, out, macros, &peer);
	case CONNECT6:
		return milter_connect(m, out, macros, &peer6);
	case LOCAL:
		return milter_connect(m, out, macros, &local);
	case HELO:
		return milter_helo(m, out, macros, STR("he\0lo"));
	case MAIL:
		return milter_mail(m, out, macros, arguments, 2);
	case RCPT:
		return milter_rcpt(m, out, macros, arguments, 1);
	case DATA:
		return milter_data(m, out, macros);
	case UNKNOWN:
		return milter_unknown(m, out, macros, STR("FROB x"));
	case HEADER:
		return milter_header(m, out, STR("Subject"), STR("  two blanks"));
	case FOLDED:
		return milter_header(m, out, STR("To"), STR(" a,\r\n\tb,\r\n c"));
	case EOH:
		return milter_end_of_header(m, out, macros);
	case BODY:
		return milter_body(m, out, STR("x\r\n"));
	case END:
		return milter_end(m, out, macros);
	}
	return false;
}

#define PACKET(n, ...) STR("\0\0\0" n __VA_ARGS__)

static void
every_stage_has_its_packet(void **state)
{
	static const struct {
		enum say what;
		struct str macros; /* empty: none are sent with it */
		struct str packet;
		uint32_t no, mute;
	} rows[] = {
	    {CONNECT, PACKET("\2", "DC"), PACKET("\x15", "Ca.test\0004\1\2" "192.0.2.1\0"), MILTER_NO_CONNECT, MILTER_MUTE_CONNECT},
	    {CONNECT6, PACKET("\2", "DC"), PACKET("\x1e", "C[2001:db8::1]\0006\0\0312001:db8::1\0"), MILTER_NO_CONNECT,
	        MILTER_MUTE_CONNECT},
	    {LOCAL, PACKET("\2", "DC"), PACKET("\x0c", "Clocalhost\0U"), MILTER_NO_CONNECT, MILTER_MUTE_CONNECT},
	    {HELO, PACKET("\2", "DH"), PACKET("\6", "Hhelo\0"), MILTER_NO_HELO, MILTER_MUTE_HELO},
	    {MAIL, PACKET("\2", "DM"), PACKET("\x13", "M<a@b.test>\0SIZE=5\0"), MILTER_NO_MAIL, MILTER_MUTE_MAIL},
	    {RCPT, PACKET("\2", "DR"), PACKET("\x0c", "R<a@b.test>\0"), MILTER_NO_RCPT, MILTER_MUTE_RCPT},
	    {DATA, PACKET("\2", "DT"), PACKET("\1", "T"), MILTER_NO_DATA, MILTER_MUTE_DATA},
	    {UNKNOWN, STR(""), PACKET("\x08", "UFROB x\0"), MILTER_NO_UNKNOWN, MILTER_MUTE_UNKNOWN},
	    {HEADER, STR(""), PACKET("\x15", "LSubject\0 two blanks\0"), MILTER_NO_HEADER, MILTER_MUTE_HEADER},
	    {FOLDED, STR(""), PACKET("\x0e", "LTo\0a,\n\tb,\n c\0"), MILTER_NO_HEADER, MILTER_MUTE_HEADER},
	    {EOH, PACKET("\2", "DN"), PACKET("\1", "N"), MILTER_NO_END_OF_HEADER, MILTER_MUTE_END_OF_HEADER},
	    {BODY, STR(""), PACKET("\4", "Bx\r\n"), MILTER_NO_BODY, MILTER_MUTE_BODY},
	    {END, PACKET("\2", "DE"), PACKET("\1", "E"), 0, 0},
	};
	struct buf out, expected;

	(void)state;
	buf_init(&out, OUT_MAX);
	buf_init(&expected, OUT_MAX);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct milter m = agreed(0, 0);

		buf_reset(&out);
		buf_reset(&expected);
		buf_add(&expected, rows[i].macros);
		buf_add(&expected, rows[i].packet);
		assert_true(say(&m, &out, rows[i].what, &none));
		assert_str(buf_str(&out), buf_str(&expected));
		milter_clear(&m);
		if (rows[i].no == 0)
			continue;

		m = agreed(0, rows[i].no);
		buf_reset(&out);
		assert_false(say(&m, &out, rows[i].what, &none));
		assert_int_equal(out.n, 0);
		milter_clear(&m);

		m = agreed(0, rows[i].mute);
		buf_reset(&out);
		assert_false(say(&m, &out, rows[i].what, &none));
		assert_str(buf_str(&out), buf_str(&expected));
		milter_clear(&m);
	}
	buf_clear(&out);
	buf_clear(&expected);
}

static void
with_leading_space_a_value_is_as_it_stands(void **state)
{
	struct milter m = agreed(0, MILTER_LEADING_SPACE);
	struct buf out;

	(void)state;
	buf_init(&out, OUT_MAX);
	assert_true(say(&m, &out, HEADER, &none));
	assert_str(buf_str(&out), PACKET("\x16", "LSubject\0  two blanks\0"));
	buf_clear(&out);
	milter_clear(&m);
}

static void
a_field_longer_than_a_packet_is_cut(void **state)
{
	static char value[100000];
	struct milter m = agreed(0, 0);
	struct buf out;

	(void)state;
	memset(value, 'x', sizeof value);
	buf_init(&out, OUT_MAX);
	assert_true(milter_header(&m, &out, STR("A"), (struct str){value, sizeof value}));
	assert_true(out.n < MILTER_CHUNK_SMALL);
	buf_clear(&out);
	milter_clear(&m);
}

static void
macros_are_the_usual_ones_or_those_asked_for(void **state)
{
	struct milter m = agreed(0, 0);
	struct buf b;
	struct str in;

	(void)state;
	buf_init(&b, OUT_MAX);
	assert_true(milter_rcpt(&m, &b, &names, NULL, 0));
	assert_str(buf_str(&b), PACKET("\x4e", "DR{rcpt_mailer}\0{rcpt_mailer}\0{rcpt_host}\0{rcpt_host}\0"
	    "{rcpt_addr}\0{rcpt_addr}\0\0\0\0\1R"));
	milter_clear(&m);

	milter_init(&m);
	buf_reset(&b);
	milter_negotiate(&m, &b);
	buf_reset(&b);
	packet_add(&b, 'O', STR("\0\0\0\6\0\0\1\0\0\0\0\0\0\0\0\2{a}, j x\0\0\0\0\3\0"));
	in = buf_str(&b);
	assert_int_equal(milter_feed(&m, &in), MILTER_READY);
	buf_reset(&b);
	assert_true(milter_mail(&m, &b, &names, NULL, 0));
	assert_str(buf_str(&b), PACKET("\x0e", "DM{a}\0{a}\0j\0j\0\0\0\0\1M"));
	m.asked = 0;
	buf_reset(&b);
	assert_true(milter_rcpt(&m, &b, &names, NULL, 0));
	assert_str(buf_str(&b), PACKET("\2", "DR\0\0\0\1R"));
	buf_clear(&b);
	milter_clear(&m);
}

/* ---- what it says --------------------------------------------------------------------------------------------------- */

static void
agreements_are_checked(void **state)
{
	static const struct {
		struct str packet;
		enum milter_event event;
	} rows[] = {
	    {STR("O\0\0\0\6\0\0\0\0\0\0\0\0"), MILTER_READY},
	    {STR("O\0\0\0\2\0\0\0\0\0\0\0\0"), MILTER_READY},
	    {STR("O\0\0\0\6\0\0\1\xff\x30\x1f\xff\xff"), MILTER_READY},
	    {STR("O\0\0\0\1\0\0\0\0\0\0\0\0"), MILTER_BAD},
	    {STR("O\0\0\0\7\0\0\0\0\0\0\0\0"), MILTER_BAD},
	    {STR("O\0\0\0\6\0\0\2\0\0\0\0\0"), MILTER_BAD},
	    {STR("O\0\0\0\6\0\0\0\0\x40\0\0\0"), MILTER_BAD},
	    {STR("O\0\0\0\6\0\0\0\0\0\0\0"), MILTER_BAD},
	    {STR("O\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\0j\0"), MILTER_BAD}, /* macros without SET_MACROS */
	    {STR("O\0\0\0\6\0\0\1\0\0\0\0\0\0\0\0\0j\0"), MILTER_READY},
	    {STR("O\0\0\0\6\0\0\1\0\0\0\0\0\0\0\0\7j\0"), MILTER_BAD}, /* no such stage */
	    {STR("O\0\0\0\6\0\0\1\0\0\0\0\0\0\0\0\0j"), MILTER_BAD},
	    {STR("c"), MILTER_BAD},
	};
	struct buf b;

	(void)state;
	buf_init(&b, OUT_MAX);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct milter m;
		struct str in;

		milter_init(&m);
		buf_reset(&b);
		milter_negotiate(&m, &b);
		buf_reset(&b);
		packet_add(&b, rows[i].packet.p[0], str_skip(rows[i].packet, 1));
		in = buf_str(&b);
		assert_int_equal(milter_feed(&m, &in), rows[i].event);
		milter_clear(&m);
	}
	buf_clear(&b);
}

static void
an_old_filter_is_spared_what_it_does_not_know(void **state)
{
	struct milter m;
	struct buf b;
	struct str in;

	(void)state;
	milter_init(&m);
	buf_init(&b, OUT_MAX);
	milter_negotiate(&m, &b);
	buf_reset(&b);
	agreement_add(&b, 2, 0, 0);
	in = buf_str(&b);
	assert_int_equal(milter_feed(&m, &in), MILTER_READY);
	buf_reset(&b);
	assert_false(say(&m, &b, DATA, &none));
	assert_false(say(&m, &b, UNKNOWN, &none));
	assert_int_equal(b.n, 0);
	buf_clear(&b);
	milter_clear(&m);
}

static void
verdicts_are_known_and_in_place(void **state)
{
	static const struct {
		enum say after;
		struct str packet;
		enum milter_event event;
		enum milter_verdict_kind verdict;
	} rows[] = {
	    {HELO, STR("c"), MILTER_VERDICT, MILTER_CONTINUES},
	    {CONNECT, STR("a"), MILTER_VERDICT, MILTER_ACCEPTS},
	    {MAIL, STR("r"), MILTER_VERDICT, MILTER_REJECTS},
	    {RCPT, STR("t"), MILTER_VERDICT, MILTER_DEFERS},
	    {DATA, STR("d"), MILTER_VERDICT, MILTER_DISCARDS},
	    {HELO, STR("d"), MILTER_BAD, 0}, /* no message yet */
	    {BODY, STR("s"), MILTER_VERDICT, MILTER_SKIPS},
	    {HEADER, STR("s"), MILTER_BAD, 0},
	    {CONNECT, STR("f"), MILTER_VERDICT, MILTER_DISCONNECTS},
	    {EOH, STR("4"), MILTER_VERDICT, MILTER_DISCONNECTS},
	    {UNKNOWN, STR("y550 5.7.1 no\0"), MILTER_VERDICT, MILTER_REPLIES},
	    {END, STR("p"), MILTER_PROGRESS, 0},
	    {HELO, STR("cx"), MILTER_BAD, 0},
	    {HELO, STR("z"), MILTER_BAD, 0},
	    {HELO, STR("y250 fine\0"), MILTER_BAD, 0},
	    {HELO, STR("y550 no"), MILTER_BAD, 0},
	    {MAIL, STR("hX\0y\0"), MILTER_BAD, 0}, /* changes only at the end */
	};
	struct buf b;

	(void)state;
	buf_init(&b, OUT_MAX);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct milter m = agreed(MILTER_ACTIONS_ALL, MILTER_MAY_SKIP);
		struct str in;

		buf_reset(&b);
		assert_true(say(&m, &b, rows[i].after, &none));
		buf_reset(&b);
		packet_add(&b, rows[i].packet.p[0], str_skip(rows[i].packet, 1));
		for (size_t n = 0; n < b.n; n++) {
			in = str_sub(buf_str(&b), 0, n);
			assert_int_equal(milter_feed(&m, &in), MILTER_MORE);
			assert_int_equal(in.n, n);
		}
		in = buf_str(&b);
		assert_int_equal(milter_feed(&m, &in), rows[i].event);
		if (rows[i].event == MILTER_VERDICT) {
			assert_int_equal(m.verdict, rows[i].verdict);
			in = buf_str(&b);
			assert_int_equal(milter_feed(&m, &in), MILTER_BAD); /* once is enough */
		}
		milter_clear(&m);
	}
	buf_clear(&b);
}

static void
after_a_skip_no_more_of_the_body_is_sent_until_the_next_message(void **state)
{
	struct milter m = agreed(0, MILTER_MAY_SKIP);
	struct buf b;
	struct str in = PACKET("\1", "s");

	(void)state;
	buf_init(&b, OUT_MAX);
	assert_true(say(&m, &b, BODY, &none));
	assert_int_equal(milter_feed(&m, &in), MILTER_VERDICT);
	assert_false(milter_wants_body(&m));
	buf_reset(&b);
	assert_false(say(&m, &b, BODY, &none));
	assert_int_equal(b.n, 0);
	assert_true(say(&m, &b, END, &none));
	in = PACKET("\1", "c");
	assert_int_equal(milter_feed(&m, &in), MILTER_VERDICT);
	assert_true(say(&m, &b, MAIL, &none));
	assert_true(milter_wants_body(&m));
	buf_clear(&b);
	milter_clear(&m);
}

static void
words_of_its_own_are_checked(void **state)
{
	static const struct {
		const char *in;
		unsigned code; /* 0: refused */
		const char *status, *text;
	} rows[] = {
	    {"550 5.7.1 go away", 550, "5.7.1", "go away"},
	    {"451 4.7.1 later", 451, "4.7.1", "later"},
	    {"550 go away", 550, "5.7.1", "go away"},
	    {"450 later", 450, "4.7.1", "later"},
	    {"550 4.7.1 of another class", 550, "5.7.1", "4.7.1 of another class"},
	    {"550", 550, "5.7.1", ""},
	    {"421 4.7.0 bye", 421, "4.7.0", "bye"},
	    {"550-5.7.1 one\r\n550-5.7.1 two\r\n550 5.7.1 three", 550, "5.7.1", "one\ntwo\nthree"},
	    {"550-5.7.1 one\n550 5.7.1 two\r\n", 550, "5.7.1", "one\ntwo"},
	    {"550 5.7.1 100%% sure, 5% not", 550, "5.7.1", "100% sure, 5% not"},
	    {"550 5.1234.1 x", 550, "5.7.1", "5.1234.1 x"},
	    {"550 5.1 x", 550, "5.7.1", "5.1 x"},
	    {"250 2.0.0 fine", 0, "", ""},
	    {"600 x", 0, "", ""},
	    {"55 x", 0, "", ""},
	    {"550_x", 0, "", ""},
	    {"", 0, "", ""},
	    {"550-5.7.1 and then nothing", 0, "", ""},
	    {"550 5.7.1 one\n550 5.7.1 no hyphen before", 0, "", ""},
	    {"550-5.7.1 one\n551 5.7.1 another code", 0, "", ""},
	    {"550-one\n\n550 two", 0, "", ""},
	};
	struct milter_words words;

	(void)state;
	buf_init(&words.text, MILTER_REPLY_TEXT_MAX);
	for (size_t i = 0; i < ROWS(rows); i++) {
		bool ok = milter_words_parse(str_from(rows[i].in), &words);

		assert_int_equal(ok, rows[i].code != 0);
		if (!ok)
			continue;
		assert_int_equal(words.code, rows[i].code);
		assert_string_equal(words.status, rows[i].status);
		assert_str(buf_str(&words.text), str_from(rows[i].text));
	}
	buf_clear(&words.text);
}

static void
changes_are_taken_apart_and_must_have_been_agreed_on(void **state)
{
	static const struct {
		struct str packet;
		uint32_t action;
		enum milter_change_kind kind;
		uint32_t index;
		struct str name, value;
	} rows[] = {
	    {STR("hA\0b\0"), MILTER_ADD_HEADERS, MILTER_FIELD_ADD, 0, STR("A"), STR("b")},
	    {STR("i\0\0\1\2A\0b\0"), MILTER_ADD_HEADERS, MILTER_FIELD_INSERT, 258, STR("A"), STR("b")},
	    {STR("m\0\0\0\1A\0\0"), MILTER_CHANGE_HEADERS, MILTER_FIELD_CHANGE, 1, STR("A"), STR("")},
	    {STR("bany\0bytes\r"), MILTER_CHANGE_BODY, MILTER_BODY_REPLACE, 0, STR(""), STR("any\0bytes\r")},
	    {STR("+<a@b>\0"), MILTER_ADD_RECIPIENTS, MILTER_RECIPIENT_ADD, 0, STR("<a@b>"), STR("")},
	    {STR("2<a@b>\0NOTIFY=NEVER\0"), MILTER_ADD_RECIPIENTS_PARAMETERS, MILTER_RECIPIENT_ADD, 0, STR("<a@b>"),
	        STR("NOTIFY=NEVER")},
	    {STR("2<a@b>\0"), MILTER_ADD_RECIPIENTS_PARAMETERS, MILTER_RECIPIENT_ADD, 0, STR("<a@b>"), STR("")},
	    {STR("-<a@b>\0"), MILTER_REMOVE_RECIPIENTS, MILTER_RECIPIENT_REMOVE, 0, STR("<a@b>"), STR("")},
	    {STR("e<>\0RET=HDRS\0"), MILTER_CHANGE_SENDER, MILTER_SENDER_CHANGE, 0, STR("<>"), STR("RET=HDRS")},
	    {STR("qspam\0"), MILTER_QUARANTINE, MILTER_HOLD, 0, STR(""), STR("spam")},
	};
	struct buf b;

	(void)state;
	buf_init(&b, OUT_MAX);
	for (size_t i = 0; i < ROWS(rows); i++)
		for (int allowed = 0; allowed < 2; allowed++) {
			struct milter m = agreed(allowed ? rows[i].action : MILTER_ACTIONS_ALL & ~rows[i].action, 0);
			struct str in;

			buf_reset(&b);
			assert_true(say(&m, &b, END, &none));
			buf_reset(&b);
			packet_add(&b, rows[i].packet.p[0], str_skip(rows[i].packet, 1));
			in = buf_str(&b);
			if (!allowed && rows[i].packet.p[0] == '+') /* either of the two will do */
				m.actions = 0;
			assert_int_equal(milter_feed(&m, &in), allowed ? MILTER_CHANGED : MILTER_BAD);
			if (allowed) {
				assert_int_equal(m.change.kind, rows[i].kind);
				assert_int_equal(m.change.index, rows[i].index);
				assert_str(m.change.name, rows[i].name);
				assert_str(m.change.value, rows[i].value);
			}
			milter_clear(&m);
		}
	buf_clear(&b);
}

static void
malformed_changes_are_refused(void **state)
{
	static const struct str rows[] = {STR("h"), STR("hA"), STR("hA\0"), STR("hA\0b"), STR("hA\0b\0c\0"), STR("i\0\0\0"),
	    STR("m\0\0"), STR("+"), STR("+a"), STR("+a\0b\0"), STR("2a\0b\0c\0"), STR("e"), STR("q"), STR("qx")};
	struct buf b;

	(void)state;
	buf_init(&b, OUT_MAX);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct milter m = agreed(MILTER_ACTIONS_ALL, 0);
		struct str in;

		buf_reset(&b);
		assert_true(say(&m, &b, END, &none));
		buf_reset(&b);
		packet_add(&b, rows[i].p[0], str_skip(rows[i], 1));
		in = buf_str(&b);
		assert_int_equal(milter_feed(&m, &in), MILTER_BAD);
		milter_clear(&m);
	}
	buf_clear(&b);
}

static void
a_packet_without_kind_or_without_end_is_bad(void **state)
{
	struct milter_packet packet;
	struct str in = STR("\0\0\0\0x");

	(void)state;
	assert_int_equal(milter_packet_take(&in, &packet), PARSE_BAD);
	in = STR("\x7f\xff\xff\xff");
	assert_int_equal(milter_packet_take(&in, &packet), PARSE_BAD);
	in = STR("\0\x10\0\x40");
	assert_int_equal(milter_packet_take(&in, &packet), PARSE_MORE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_stage_has_its_packet),
	    cmocka_unit_test(with_leading_space_a_value_is_as_it_stands),
	    cmocka_unit_test(a_field_longer_than_a_packet_is_cut),
	    cmocka_unit_test(macros_are_the_usual_ones_or_those_asked_for),
	    cmocka_unit_test(agreements_are_checked),
	    cmocka_unit_test(an_old_filter_is_spared_what_it_does_not_know),
	    cmocka_unit_test(verdicts_are_known_and_in_place),
	    cmocka_unit_test(after_a_skip_no_more_of_the_body_is_sent_until_the_next_message),
	    cmocka_unit_test(words_of_its_own_are_checked),
	    cmocka_unit_test(changes_are_taken_apart_and_must_have_been_agreed_on),
	    cmocka_unit_test(malformed_changes_are_refused),
	    cmocka_unit_test(a_packet_without_kind_or_without_end_is_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
