#include "tests/unit/rows.h"

#include "imapd/preauth.h"

/* A login worker in small: what it is asked to do goes into the transcript, in brackets. */
struct front {
	struct login_core *core;
	struct buf in, transcript;
	bool closed;
};

static void
take_output(struct front *f)
{
	buf_add(&f->transcript, buf_str(&f->core->out));
	buf_reset(&f->core->out);
}

static void
open_core(struct front *f, bool tls, bool plain_text, bool resumed)
{
	f->core = calloc(1, preauth_protocol.core_size);
	assert_non_null(f->core);
	f->core->protocol = &preauth_protocol;
	f->core->facts = (struct login_facts){.hostname = STR("h"), .tls = tls,
	    .mechanisms = plain_text ? STR("PLAIN LOGIN") : STR_NONE, .can_start_tls = true, .plain_text = plain_text, .resumed = resumed};
	buf_init(&f->core->out, 16384);
	preauth_protocol.open(f->core);
	take_output(f);
}

static void
close_core(struct front *f)
{
	preauth_protocol.clear(f->core);
	buf_clear(&f->core->out);
	free(f->core);
}

/* Passwords ending in "ok" are right, "tanya" gets a challenge, others are wrong. */
static void
judge(struct front *f, struct str response)
{
	take_output(f);
	if (str_ends_nocase(response, STR("b2s=")))
		f->closed = true;
	else if (response.n == 0 || str_equal(response, STR("=")))
		preauth_protocol.verdict(f->core, LOGIN_CHALLENGE, STR("dGFueWE="));
	else if (str_equal(response, STR("!")))
		preauth_protocol.verdict(f->core, LOGIN_MALFORMED, STR(""));
	else
		preauth_protocol.verdict(f->core, LOGIN_REFUSED, STR(""));
}

static void
act(struct front *f, enum login_action action, const struct login_step *step)
{
	switch (action) {
	case LOGIN_MORE:
	case LOGIN_ANSWERED:
	case LOGIN_ERROR:
		break;
	case LOGIN_START_TLS:
		take_output(f);
		buf_adds(&f->transcript, "[tls]");
		close_core(f);
		open_core(f, true, true, true);
		break;
	case LOGIN_AUTHENTICATE:
	case LOGIN_RESPOND:
		if (action == LOGIN_AUTHENTICATE)
			buf_addf(&f->transcript, "[%.*s%s%.*s]", STR_FMT(step->mechanism), step->has_initial ? " " : "",
			    STR_FMT(step->response));
		else
			buf_addf(&f->transcript, "[respond %.*s]", STR_FMT(step->response));
		judge(f, step->response);
		break;
	case LOGIN_ABANDON:
		take_output(f);
		buf_adds(&f->transcript, "[abandon]");
		break;
	case LOGIN_CLOSE:
		take_output(f);
		buf_adds(&f->transcript, "[close]");
		f->closed = true;
		break;
	}
	take_output(f);
}

static void
feed(struct front *f, struct str bytes)
{
	buf_add(&f->in, bytes);
	while (!f->closed) {
		struct login_step step = {0};
		enum login_action action = preauth_protocol.step(f->core, buf_str(&f->in), &step);

		assert_true(step.taken <= f->in.n);
		assert_true(action != LOGIN_MORE || step.taken == 0);
		act(f, action, &step);
		buf_consume(&f->in, step.taken);
		if (action == LOGIN_MORE)
			break;
	}
}

static void
run(struct buf *out, struct str input, bool plain_text, size_t first, size_t step)
{
	struct front f = {.closed = false};

	buf_init(&f.in, 65536);
	buf_init(&f.transcript, 65536);
	open_core(&f, false, plain_text, false);
	feed(&f, str_sub(input, 0, first));
	for (size_t i = first; i < input.n; i += step)
		feed(&f, str_sub(input, i, step));
	buf_reset(out);
	buf_add(out, buf_str(&f.transcript));
	if (f.closed)
		buf_addf(out, "<%.*s>", STR_FMT(preauth_protocol.label(f.core)));
	close_core(&f);
	buf_clear(&f.in);
	buf_clear(&f.transcript);
}

#define GREETING(words) "* OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE STARTTLS " words "] h Merpati is ready\r\n"
#define OPEN GREETING("AUTH=PLAIN AUTH=LOGIN")
#define SHUT GREETING("LOGINDISABLED")

static const struct {
	bool plain_text;
	struct str in, out;
} rows[] = {
    {true, STR(""), STR(OPEN)},
    {false, STR("a CAPABILITY\r\n"),
	STR(SHUT "* CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE STARTTLS LOGINDISABLED\r\n"
		 "a OK Capabilities told\r\n")},
    {true, STR("a NOOP\r\nb LOGOUT\r\nc NOOP\r\n"),
	STR(OPEN "a OK Nothing done\r\n* BYE Goodbye\r\nb OK Logged out\r\n[close]<b>")},
    {true, STR("a LOGIN u p ok\r\nb LOGIN u\r\nc NOOP x\r\n"),
	STR(OPEN "a BAD LOGIN wants a name and a password\r\nb BAD LOGIN wants a name and a password\r\n"
		 "c BAD Too many arguments\r\n")},
    {true, STR("a LOGIN u ok\r\n"), STR(OPEN "[PLAIN AHUAb2s=]<a>")},
    {true, STR("a LOGIN \"u\" {2}\r\nok\r\n"), STR(OPEN "+ OK\r\n[PLAIN AHUAb2s=]<a>")},
    {true, STR("a LOGIN {1+}\r\nu {2+}\r\nok\r\n"), STR(OPEN "[PLAIN AHUAb2s=]<a>")},
    {true, STR("a LOGIN u no\r\nb NOOP\r\n"),
	STR(OPEN "[PLAIN AHUAbm8=]a NO [AUTHENTICATIONFAILED] Wrong name or password\r\nb OK Nothing done\r\n")},
    {true, STR("a LOGIN u \"\"\r\n"),
	STR(OPEN "a NO [AUTHENTICATIONFAILED] Name or password cannot be right\r\n")},
    {false, STR("a LOGIN u ok\r\nb AUTHENTICATE PLAIN AHUAb2s=\r\n"),
	STR(SHUT "a NO [PRIVACYREQUIRED] Passwords are accepted under TLS only\r\n"
		 "b NO [PRIVACYREQUIRED] Passwords are accepted under TLS only\r\n")},
    {true, STR("a AUTHENTICATE plain AHUAb2s=\r\n"), STR(OPEN "[plain AHUAb2s=]<a>")},
    {true, STR("a AUTHENTICATE PLAIN\r\nAHUAb2s=\r\n"), STR(OPEN "[PLAIN]+ dGFueWE=\r\n[respond AHUAb2s=]<a>")},
    {true, STR("a AUTHENTICATE LOGIN =\r\n{5}\r\nb NOOP\r\n"),
	STR(OPEN "[LOGIN =]+ dGFueWE=\r\n[respond {5}]a NO [AUTHENTICATIONFAILED] Wrong name or password\r\n"
		 "b OK Nothing done\r\n")},
    {true, STR("a AUTHENTICATE PLAIN\r\n*\r\nb AUTHENTICATE PLAIN !\r\n"),
	STR(OPEN "[PLAIN]+ dGFueWE=\r\na BAD Authentication given up\r\n[abandon][PLAIN !]b BAD Not Base64\r\n")},
    {true, STR("a AUTHENTICATE X\r\nb AUTHENTICATE\r\nc AUTHENTICATE PLAIN \r\n"),
	STR(OPEN "a NO No such mechanism\r\nb BAD AUTHENTICATE wants a mechanism\r\nc BAD Syntax error\r\n")},
    {false, STR("a STARTTLS\r\n"), STR(SHUT "a OK Begin TLS now\r\n[tls]")},
    {true, STR("a ID NIL\r\nb ID (\"x\" \"y\")\r\nc ID x\r\n"),
	STR(OPEN "* ID (\"name\" \"Merpati\" \"version\" \"" MERPATI_VERSION "\")\r\na OK ID told\r\n"
		 "* ID (\"name\" \"Merpati\" \"version\" \"" MERPATI_VERSION "\")\r\nb OK ID told\r\n"
		 "c BAD ID wants NIL or a list\r\n")},
    {true, STR("a SELECT x\r\nb uid fetch 1 x\r\nc FOO\r\n\r\nd\r\n"),
	STR(OPEN "a BAD Log in first\r\nb BAD Log in first\r\nc BAD Unknown command\r\n"
		 "d BAD A tag and a command are expected\r\n")},
    {true, STR("a NOOP\nb NOOP\r\n"), STR(OPEN "* BYE Lines must end in CRLF\r\n[close]<>")},
    {true, STR("a LOGIN {20000}\r\nb NOOP\r\n"), STR(OPEN "a BAD [TOOBIG] Literal too large\r\nb OK Nothing done\r\n")},
    {true, STR("a LOGIN {20000+}\r\nb NOOP\r\n"), STR(OPEN "* BYE [TOOBIG] Literal too large\r\n[close]<a>")},
};

static void
a_login_is_the_same_in_any_pieces(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 65536);
	for (size_t i = 0; i < ROWS(rows); i++) {
		run(&b, rows[i].in, rows[i].plain_text, rows[i].in.n, 1);
		assert_str(buf_str(&b), rows[i].out);
		run(&b, rows[i].in, rows[i].plain_text, 0, 1);
		assert_str(buf_str(&b), rows[i].out);
		for (size_t cut = 0; cut <= rows[i].in.n; cut++) {
			run(&b, rows[i].in, rows[i].plain_text, cut, 65536);
			assert_str(buf_str(&b), rows[i].out);
		}
	}
	buf_clear(&b);
}

static void
a_command_without_end_ends_the_session(void **state)
{
	struct buf in, out;

	(void)state;
	buf_init(&in, 65536);
	buf_init(&out, 65536);
	while (in.n < LOGIN_INPUT_MAX + 10)
		buf_addc(&in, 'x');
	run(&out, buf_str(&in), true, 0, 1000);
	assert_str(buf_str(&out), STR(OPEN "* BYE [TOOBIG] Command too long\r\n[close]<>"));
	buf_clear(&in);
	buf_clear(&out);
}

static void
goodbyes_are_said(void **state)
{
	static const enum login_goodbye all[] = {LOGIN_BYE_TIMEOUT, LOGIN_BYE_ERRORS, LOGIN_BYE_BUSY, LOGIN_BYE_SHUTDOWN};

	(void)state;
	for (size_t i = 0; i < ROWS(all); i++) {
		struct front f = {.closed = false};

		buf_init(&f.transcript, 1000);
		open_core(&f, false, true, true);
		preauth_protocol.goodbye(f.core, all[i]);
		assert_true(str_starts(buf_str(&f.core->out), STR("* BYE ")));
		assert_true(str_ends_nocase(buf_str(&f.core->out), STR("\r\n")));
		close_core(&f);
		buf_clear(&f.transcript);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_login_is_the_same_in_any_pieces),
	    cmocka_unit_test(a_command_without_end_ends_the_session),
	    cmocka_unit_test(goodbyes_are_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
