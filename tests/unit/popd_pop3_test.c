#include "tests/unit/rows.h"

#include "popd/command.h"
#include "popd/pop3.h"

/* Three messages, as they lie in the Maildir. */
static const char *const texts[] = {
    "Subject: satu\n\nbaris satu\n.titik\n..\n\nakhir\n",
    "Subject: dua\nX: y\n\n",
    "Subject: tiga\n\ntanpa akhir",
};

#define REPLY_1 "Subject: satu\r\n\r\nbaris satu\r\n..titik\r\n...\r\n\r\nakhir\r\n.\r\n"

struct run {
	struct pop3 p;
	struct pop3_message messages[3];
	struct buf in, out, all;
	size_t piece; /* of the messages' files that are handed out at a time */
	bool gone, update_fails;
	bool updated, closed;
};

static void
start(struct run *r)
{
	struct pop3_maildrop maildrop = {.messages = r->messages, .n = 3, .uidvalidity = 0x4b, .mechanisms = STR("PLAIN")};

	for (unsigned i = 0; i < 3; i++)
		r->messages[i] = (struct pop3_message){.uid = 10 + i, .size = 100 * (i + 1)};
	buf_init(&r->in, 1 << 16);
	buf_init(&r->out, POP3_OUT_MAX_BYTES);
	buf_init(&r->all, 1 << 20);
	pop3_init(&r->p, &r->out, &maildrop);
}

static void
end(struct run *r)
{
	buf_clear(&r->in);
	buf_clear(&r->out);
	buf_clear(&r->all);
}

static void
take_output(struct run *r)
{
	assert_true(buf_ok(&r->out));
	buf_add(&r->all, buf_str(&r->out));
	buf_reset(&r->out);
}

static void
give_message(struct run *r)
{
	struct str text = str_from(texts[r->p.current]);

	while (text.n > 0 && !r->p.finished) {
		struct str piece = str_sub(text, 0, r->piece != 0 ? r->piece : text.n);

		text = str_skip(text, pop3_body(&r->p, piece));
		take_output(r);
	}
	pop3_body_end(&r->p);
}

/* Until more input is wanted. */
static void
drive(struct run *r)
{
	while (!r->closed) {
		size_t taken;
		enum pop3_want want = pop3_step(&r->p, buf_str(&r->in), &taken);

		buf_consume(&r->in, taken);
		if (want == POP3_INPUT)
			break;
		if (want == POP3_ROOM)
			take_output(r);
		if (want == POP3_OPEN && r->gone)
			pop3_not_opened(&r->p, true);
		else if (want == POP3_OPEN)
			pop3_opened(&r->p);
		if (want == POP3_BODY)
			give_message(r);
		if (want == POP3_UPDATE) {
			r->updated = true;
			pop3_updated(&r->p, !r->update_fails);
		}
		r->closed = want == POP3_CLOSE;
	}
	take_output(r);
}

static const struct row {
	const char *in, *out; /* after the greeting */
} rows[] = {
    {"STAT\r\n", "+OK 3 600\r\n"},
    {"stat\r\n", "+OK 3 600\r\n"},
    {"STAT 1\r\n", "-ERR Too many arguments\r\n"},
    {"LIST\r\n", "+OK Sizes:\r\n1 100\r\n2 200\r\n3 300\r\n.\r\n"},
    {"LIST 2\r\n", "+OK 2 200\r\n"},
    {"LIST 0\r\n", "-ERR No such message\r\n"},
    {"LIST 4\r\n", "-ERR No such message\r\n"},
    {"LIST 18446744073709551617\r\n", "-ERR No such message\r\n"},
    {"LIST -1\r\n", "-ERR No such message\r\n"},
    {"LIST 1 2\r\n", "-ERR Too many arguments\r\n"},
    {"LIST \r\n", "+OK Sizes:\r\n1 100\r\n2 200\r\n3 300\r\n.\r\n"},
    {"UIDL\r\n", "+OK Unique identifiers:\r\n1 0000000a0000004b\r\n2 0000000b0000004b\r\n3 0000000c0000004b\r\n.\r\n"},
    {"UIDL 3\r\n", "+OK 3 0000000c0000004b\r\n"},
    {"NOOP\r\n", "+OK Still here\r\n"},
    {"RETR 1\r\n", "+OK 100 octets\r\n" REPLY_1},
    {"RETR 2\r\n", "+OK 200 octets\r\nSubject: dua\r\nX: y\r\n\r\n.\r\n"},
    {"RETR 3\r\n", "+OK 300 octets\r\nSubject: tiga\r\n\r\ntanpa akhir\r\n.\r\n"},
    {"RETR\r\n", "-ERR An argument is missing\r\n"},
    {"TOP 1 0\r\n", "+OK Top of the message:\r\nSubject: satu\r\n\r\n.\r\n"},
    {"TOP 1 1\r\n", "+OK Top of the message:\r\nSubject: satu\r\n\r\nbaris satu\r\n.\r\n"},
    {"TOP 1 2\r\n", "+OK Top of the message:\r\nSubject: satu\r\n\r\nbaris satu\r\n..titik\r\n.\r\n"},
    {"TOP 1 99\r\n", "+OK Top of the message:\r\n" REPLY_1},
    {"TOP 2 0\r\n", "+OK Top of the message:\r\nSubject: dua\r\nX: y\r\n\r\n.\r\n"},
    {"TOP 3 1\r\n", "+OK Top of the message:\r\nSubject: tiga\r\n\r\ntanpa akhir\r\n.\r\n"},
    {"TOP 1\r\n", "-ERR An argument is missing\r\n"},
    {"TOP 1 x\r\n", "-ERR How many lines?\r\n"},
    {"DELE 1\r\nSTAT\r\n", "+OK Marked; it goes when you say QUIT\r\n+OK 2 500\r\n"},
    {"DELE 1\r\nDELE 1\r\n", "+OK Marked; it goes when you say QUIT\r\n-ERR No such message\r\n"},
    {"DELE 2\r\nLIST\r\n", "+OK Marked; it goes when you say QUIT\r\n+OK Sizes:\r\n1 100\r\n3 300\r\n.\r\n"},
    {"DELE 2\r\nRETR 2\r\n", "+OK Marked; it goes when you say QUIT\r\n-ERR No such message\r\n"},
    {"DELE 1\r\nDELE 3\r\nRSET\r\nSTAT\r\n",
	"+OK Marked; it goes when you say QUIT\r\n+OK Marked; it goes when you say QUIT\r\n"
	"+OK Nothing will be deleted\r\n+OK 3 600\r\n"},
    {"USER baru\r\n", "-ERR You are logged in already\r\n"},
    {"STLS\r\n", "-ERR You are logged in already\r\n"},
    {"XYZZY\r\n", "-ERR Unknown command\r\n"},
    {"\r\n", "-ERR Unknown command\r\n"},
    {"CAPA\r\n",
	"+OK What this server can do:\r\nTOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nEXPIRE NEVER\r\n"
	"USER\r\nSASL PLAIN\r\nIMPLEMENTATION Merpati\r\n.\r\n"},
    {"QUIT\r\nSTAT\r\n", "+OK Bye\r\n"},
    {"DELE 2\r\nQUIT\r\n", "+OK Marked; it goes when you say QUIT\r\n+OK Deleted; bye\r\n"},
    {"STAT\nNOOP\r\n", "-ERR bare <LF> in a command\r\n"},
    {"STAT\rNOOP\r\n", "-ERR bare <CR> in a command\r\n"},
    {"RETR 1\r\nRETR 2\r\nQUIT\r\n",
	"+OK 100 octets\r\n" REPLY_1 "+OK 200 octets\r\nSubject: dua\r\nX: y\r\n\r\n.\r\n+OK Bye\r\n"},
};

static const char greeting[] = "+OK 3 messages (600 octets)\r\n";

/* The input in two parts, cut at cut, or byte by byte. */
static void
check_row(const struct row *row, size_t cut, size_t piece)
{
	struct run r = {.piece = piece};
	struct str in = str_from(row->in);
	struct buf expected;

	start(&r);
	if (cut == SIZE_MAX) {
		for (size_t i = 0; i < in.n; i++) {
			buf_addc(&r.in, in.p[i]);
			drive(&r);
		}
	} else {
		buf_add(&r.in, str_sub(in, 0, cut));
		drive(&r);
		buf_add(&r.in, str_skip(in, cut));
		drive(&r);
	}
	buf_init(&expected, 1 << 16);
	buf_adds(&expected, greeting);
	buf_adds(&expected, row->out);
	assert_str(buf_str(&r.all), buf_str(&expected));
	buf_clear(&expected);
	end(&r);
}

static void
replies_do_not_depend_on_how_the_bytes_come(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		check_row(&rows[i], SIZE_MAX, 1);
		check_row(&rows[i], SIZE_MAX, 7);
		for (size_t cut = 0; cut <= strlen(rows[i].in); cut++)
			check_row(&rows[i], cut, 0);
	}
}

static void
feed(struct run *r, const char *words)
{
	buf_adds(&r->in, words);
	drive(r);
}

static void
nothing_is_removed_without_quit(void **state)
{
	struct run r = {0};

	(void)state;
	start(&r);
	feed(&r, "DELE 1\r\n");
	assert_false(r.updated);
	feed(&r, "QUIT\r\n");
	assert_true(r.updated);
	assert_true(r.closed);
	end(&r);
}

static void
a_removal_that_fails_is_told(void **state)
{
	struct run r = {.update_fails = true};

	(void)state;
	start(&r);
	feed(&r, "DELE 1\r\nQUIT\r\n");
	assert_true(str_search(buf_str(&r.all), STR("-ERR [SYS/TEMP] Some deleted")) < r.all.n);
	end(&r);
}

static void
a_message_that_another_removed_keeps_its_number(void **state)
{
	struct run r = {.gone = true};

	(void)state;
	start(&r);
	feed(&r, "RETR 2\r\n");
	assert_true(str_search(buf_str(&r.all), STR("-ERR Another program")) < r.all.n);
	r.gone = false;
	feed(&r, "LIST 2\r\nLIST 3\r\n");
	assert_true(str_search(buf_str(&r.all), STR("+OK 2 200\r\n+OK 3 300\r\n")) < r.all.n);
	end(&r);
}

static void
endless_errors_end_the_session(void **state)
{
	struct run r = {0};

	(void)state;
	start(&r);
	for (int i = 0; i < POP3_ERRORS_MAX - 1; i++)
		feed(&r, "XYZZY\r\n");
	feed(&r, "NOOP\r\n");
	for (int i = 0; i < POP3_ERRORS_MAX; i++) {
		assert_false(r.closed);
		feed(&r, "XYZZY\r\n");
	}
	assert_true(r.closed);
	end(&r);
}

static void
a_line_without_an_end_ends_the_session(void **state)
{
	struct run r = {0};

	(void)state;
	start(&r);
	for (int i = 0; i < COMMAND_LINE_MAX_BYTES; i++)
		buf_addc(&r.in, 'x');
	drive(&r);
	assert_true(r.closed);
	end(&r);
}

/* 50,000 messages in a listing, a long message: neither is ever in memory as a whole. */
static void
long_replies_come_in_slices(void **state)
{
	enum { COUNT = 50000 };
	struct pop3_message *messages = calloc(COUNT, sizeof *messages);
	struct pop3_maildrop maildrop = {.messages = messages, .n = COUNT};
	struct buf out;
	struct pop3 p;
	size_t taken, total = 0, most = 0;
	char file[70000];

	(void)state;
	buf_init(&out, POP3_OUT_MAX_BYTES);
	pop3_init(&p, &out, &maildrop);
	(void)pop3_step(&p, STR("UIDL\r\n"), &taken);
	for (enum pop3_want want = POP3_AGAIN; want != POP3_INPUT; buf_reset(&out)) {
		want = pop3_step(&p, STR_NONE, &taken);
		total += out.n;
		most = out.n > most ? out.n : most;
		assert_true(buf_ok(&out));
	}
	assert_true(total > COUNT * 20);
	assert_true(most < POP3_SLICE_BYTES + 64);
	assert_int_equal(pop3_step(&p, STR("RETR 1\r\n"), &taken), POP3_OPEN);
	pop3_opened(&p);
	memset(file, '\n', sizeof file);
	for (size_t at = 0; at < sizeof file; buf_reset(&out)) {
		at += pop3_body(&p, (struct str){file + at, sizeof file - at});
		assert_true(buf_ok(&out));
		assert_true(out.n < POP3_SLICE_BYTES + 8192);
	}
	pop3_body_end(&p);
	buf_clear(&out);
	free(messages);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(replies_do_not_depend_on_how_the_bytes_come),
	    cmocka_unit_test(nothing_is_removed_without_quit),
	    cmocka_unit_test(a_removal_that_fails_is_told),
	    cmocka_unit_test(a_message_that_another_removed_keeps_its_number),
	    cmocka_unit_test(endless_errors_end_the_session),
	    cmocka_unit_test(a_line_without_an_end_ends_the_session),
	    cmocka_unit_test(long_replies_come_in_slices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
