#include "tests/unit/rows.h"

#include "popd/preauth.h"

/* What the front would do: verdicts for "baru" with "rahasia" (PLAIN AGJhcnUAcmFoYXNpYQ==), by LOGIN with challenges. */
struct run {
	struct login_core *core;
	struct buf in, all;
	enum login_action last;
	size_t errors;
	bool over; /* logged in, closed, or TLS begins */
};

static void
start(struct run *r, const struct login_facts *facts)
{
	r->core = calloc(1, preauth_protocol.core_size);
	r->core->facts = *facts;
	r->core->protocol = &preauth_protocol;
	buf_init(&r->core->out, 16384);
	buf_init(&r->in, 1 << 16);
	buf_init(&r->all, 1 << 16);
	preauth_protocol.open(r->core);
}

static void
end(struct run *r)
{
	preauth_protocol.clear(r->core);
	buf_clear(&r->core->out);
	buf_clear(&r->in);
	buf_clear(&r->all);
	free(r->core);
}

static void
take_output(struct run *r)
{
	assert_true(buf_ok(&r->core->out));
	buf_add(&r->all, buf_str(&r->core->out));
	buf_reset(&r->core->out);
}

static void
verdict(struct run *r, const struct login_step *step)
{
	static const struct row {
		struct str response;
		enum login_verdict verdict;
		struct str challenge;
	} rows[] = {
	    {{"AGJhcnUAcmFoYXNpYQ==", 20}, LOGIN_CHALLENGE, {"", 0}}, /* stands for success: see below */
	    {{"AGJhcnUAc2FsYWg=", 16}, LOGIN_REFUSED, {"", 0}},
	    {{"nanti", 5}, LOGIN_UNAVAILABLE, {"", 0}},
	    {{"YmFydQ==", 8}, LOGIN_CHALLENGE, {"UGFzc3dvcmQ6", 12}},
	    {{"cmFoYXNpYQ==", 12}, LOGIN_CHALLENGE, {"", 0}},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		if (!str_equal(rows[i].response, step->response))
			continue;
		if (i == 0 || i == 4) {
			buf_adds(&r->all, "<in>");
			r->over = true;
			return;
		}
		preauth_protocol.verdict(r->core, rows[i].verdict, rows[i].challenge);
		return;
	}
	preauth_protocol.verdict(r->core, LOGIN_MALFORMED, STR_NONE);
}

static void
drive(struct run *r)
{
	while (!r->over) {
		struct login_step step = {.taken = 0};

		r->last = preauth_protocol.step(r->core, buf_str(&r->in), &step);
		take_output(r);
		if (r->last == LOGIN_MORE)
			break;
		r->errors += r->last == LOGIN_ERROR;
		if (r->last == LOGIN_AUTHENTICATE && !step.has_initial)
			preauth_protocol.verdict(r->core, LOGIN_CHALLENGE, STR("VXNlcm5hbWU6"));
		else if (r->last == LOGIN_AUTHENTICATE || r->last == LOGIN_RESPOND)
			verdict(r, &step);
		r->over |= r->last == LOGIN_CLOSE || r->last == LOGIN_START_TLS;
		take_output(r);
		buf_consume(&r->in, step.taken);
	}
}

static const struct login_facts plain = {
    .hostname = {"satu.test", 9}, .can_start_tls = true};
static const struct login_facts secure = {
    .hostname = {"satu.test", 9}, .mechanisms = {"PLAIN LOGIN", 11}, .tls = true, .plain_text = true};

#define CAPA_HEAD \
	"+OK What this server can do:\r\nTOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nEXPIRE NEVER\r\n"

static const struct row {
	const struct login_facts *facts;
	const char *in, *out; /* after the greeting */
} rows[] = {
    {&plain, "CAPA\r\n", CAPA_HEAD "STLS\r\nIMPLEMENTATION Merpati\r\n.\r\n"},
    {&secure, "CAPA\r\n", CAPA_HEAD "USER\r\nSASL PLAIN LOGIN\r\nIMPLEMENTATION Merpati\r\n.\r\n"},
    {&plain, "STLS\r\n", "+OK Begin TLS now\r\n"},
    {&secure, "STLS\r\n", "-ERR TLS is active already\r\n"},
    {&plain, "USER baru\r\n", "-ERR [AUTH] Passwords are taken under TLS only: use STLS first\r\n"},
    {&plain, "AUTH PLAIN AGJhcnUAcmFoYXNpYQ==\r\n", "-ERR [AUTH] Passwords are taken under TLS only: use STLS first\r\n"},
    {&secure, "USER baru\r\nPASS rahasia\r\n", "+OK And the password?\r\n<in>"},
    {&secure, "USER baru\r\nPASS salah\r\nPASS rahasia\r\n",
	"+OK And the password?\r\n-ERR [AUTH] Wrong name or password\r\n-ERR USER comes first\r\n"},
    {&secure, "PASS rahasia\r\n", "-ERR USER comes first\r\n"},
    {&secure, "USER baru\r\nPASS\r\n", "+OK And the password?\r\n-ERR An argument is missing\r\n"},
    {&secure, "USER\r\n", "-ERR An argument is missing\r\n"},
    {&secure, "AUTH PLAIN AGJhcnUAcmFoYXNpYQ==\r\n", "<in>"},
    {&secure, "auth plain AGJhcnUAcmFoYXNpYQ==\r\n", "<in>"},
    {&secure, "AUTH PLAIN nanti\r\n", "-ERR [SYS/TEMP] Nobody can log in just now; try again later\r\n"},
    {&secure, "AUTH PLAIN ???\r\nQUIT\r\n", "-ERR That is not Base64\r\n+OK Bye\r\n"},
    {&secure, "AUTH LOGIN\r\nYmFydQ==\r\ncmFoYXNpYQ==\r\n", "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n<in>"},
    {&secure, "AUTH LOGIN\r\n*\r\nQUIT\r\n", "+ VXNlcm5hbWU6\r\n-ERR Given up as you wish\r\n+OK Bye\r\n"},
    {&secure, "AUTH\r\n", "+OK\r\nPLAIN\r\nLOGIN\r\n.\r\n"},
    {&plain, "AUTH\r\n", "+OK\r\n.\r\n"},
    {&secure, "AUTH CRAM-MD5\r\n", "-ERR There is no such mechanism\r\n"},
    {&secure, "STAT\r\n", "-ERR Log in first\r\n"},
    {&secure, "HELO\r\n", "-ERR Unknown command\r\n"},
    {&secure, "QUIT\r\nUSER x\r\n", "+OK Bye\r\n"},
    {&secure, "USER baru\nPASS rahasia\r\n", "-ERR bare <LF> in a command\r\n"},
};

static void
check_row(const struct row *row, size_t cut)
{
	struct run r = {.over = false};
	struct str in = str_from(row->in);
	struct buf expected;

	start(&r, row->facts);
	buf_init(&expected, 1 << 16);
	buf_addf(&expected, "+OK satu.test Merpati is ready\r\n%s", row->out);
	for (size_t i = 0; cut == SIZE_MAX && i < in.n; i++) {
		buf_addc(&r.in, in.p[i]);
		drive(&r);
	}
	if (cut != SIZE_MAX) {
		buf_add(&r.in, str_sub(in, 0, cut));
		drive(&r);
		buf_add(&r.in, str_skip(in, cut));
		drive(&r);
	}
	assert_str(buf_str(&r.all), buf_str(&expected));
	buf_clear(&expected);
	end(&r);
}

static void
replies_do_not_depend_on_how_the_bytes_come(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		check_row(&rows[i], SIZE_MAX);
		for (size_t cut = 0; cut <= strlen(rows[i].in); cut++)
			check_row(&rows[i], cut);
	}
}

/* RFC 1939 7: PASS takes all that follows as one argument. */
static void
a_password_may_hold_spaces(void **state)
{
	struct run r = {.over = false};
	struct login_step step = {.taken = 0};

	(void)state;
	start(&r, &secure);
	(void)preauth_protocol.step(r.core, STR("USER baru\r\n"), &step);
	assert_int_equal(preauth_protocol.step(r.core, STR("PASS a b \r\n"), &step), LOGIN_AUTHENTICATE);
	assert_str(step.mechanism, STR("PLAIN"));
	assert_str(step.response, STR("AGJhcnUAYSBiIA=="));
	end(&r);
}

static void
after_stls_there_is_no_second_greeting(void **state)
{
	struct run r = {.over = false};
	struct login_facts facts = secure;

	(void)state;
	facts.resumed = true;
	start(&r, &facts);
	assert_int_equal(r.core->out.n, 0);
	end(&r);
}

static void
goodbyes_are_one_line_or_none(void **state)
{
	(void)state;
	for (int why = LOGIN_BYE_TIMEOUT; why <= LOGIN_BYE_SHUTDOWN; why++) {
		struct run r = {.over = false};

		start(&r, &secure);
		take_output(&r);
		preauth_protocol.goodbye(r.core, (enum login_goodbye)why);
		assert_true(r.core->out.n == 0 ? why == LOGIN_BYE_TIMEOUT : str_find(buf_str(&r.core->out), '\n') == r.core->out.n - 1);
		end(&r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(replies_do_not_depend_on_how_the_bytes_come),
	    cmocka_unit_test(a_password_may_hold_spaces),
	    cmocka_unit_test(after_stls_there_is_no_second_greeting),
	    cmocka_unit_test(goodbyes_are_one_line_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
