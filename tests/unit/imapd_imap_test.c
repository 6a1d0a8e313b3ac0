#include "tests/unit/rows.h"

#include "imapd/imap.h"

struct driver {
	struct imap imap;
	struct buf out;	     /* replies, and in brackets what was to be done */
	struct buf appended; /* the message of an APPEND */
};

static void
execute(struct driver *d)
{
	const struct command *command = &d->imap.command;

	buf_addf(&d->out, "[%s%.*s %.*s]", command->uid ? "UID " : "", STR_FMT(command->row->verb),
	    STR_FMT(command->mailbox));
	switch (command->row->command) {
	case COMMAND_SELECT:
		imap_set_state(&d->imap, IMAP_SELECTED);
		break;
	case COMMAND_UNSELECT:
		imap_set_state(&d->imap, IMAP_AUTHENTICATED);
		break;
	case COMMAND_LOGOUT:
		imap_set_state(&d->imap, IMAP_ENDED);
		break;
	case COMMAND_IDLE:
		imap_idle(&d->imap);
		return;
	case COMMAND_APPEND:
		buf_addc(&d->out, '[');
		buf_add(&d->out, buf_str(&d->appended));
		buf_addc(&d->out, ']');
		buf_reset(&d->appended);
		break;
	default:
		break;
	}
	imap_reply(&d->imap, "OK done");
}

/* False at the end. */
static bool
act(struct driver *d)
{
	switch (imap_next(&d->imap)) {
	case IMAP_MORE:
		break;
	case IMAP_COMMAND:
		execute(d);
		break;
	case IMAP_APPEND:
		if (str_equal(d->imap.command.mailbox, STR("none")))
			imap_append_refuse(&d->imap, "NO [TRYCREATE] No such mailbox");
		else
			imap_append_begin(&d->imap);
		break;
	case IMAP_APPEND_CHUNK:
		buf_add(&d->appended, imap_append_chunk(&d->imap));
		imap_append_go_on(&d->imap);
		break;
	case IMAP_APPEND_ABORT:
		buf_adds(&d->out, "[ABORT]");
		buf_reset(&d->appended);
		break;
	case IMAP_IDLE_DONE:
		imap_reply(&d->imap, "OK idled");
		break;
	case IMAP_CLOSE:
		buf_adds(&d->out, "[CLOSE]");
		return false;
	}
	return true;
}

static bool
feed(struct driver *d, struct str bytes)
{
	while (bytes.n > 0) {
		bytes = str_skip(bytes, imap_feed(&d->imap, bytes));
		if (!act(d))
			return false;
	}
	return true;
}

static void
run(struct buf *result, struct str input, size_t first, size_t step)
{
	struct driver d;

	buf_init(&d.out, 100000);
	buf_init(&d.appended, 100000);
	imap_init(&d.imap, &d.out);
	if (feed(&d, str_sub(input, 0, first)))
		for (size_t i = first; i < input.n && feed(&d, str_sub(input, i, step)); i += step)
			;
	buf_reset(result);
	buf_add(result, buf_str(&d.out));
	imap_clear(&d.imap);
	buf_clear(&d.out);
	buf_clear(&d.appended);
}

static const struct {
	struct str in;
	struct str out;
} rows[] = {
    {STR("a NOOP\r\nb noop\r\n"), STR("[NOOP ]a OK done\r\n[NOOP ]b OK done\r\n")},
    {STR("\r\na NOOP\r\n"), STR("[NOOP ]a OK done\r\n")},
    {STR("a SELECT {5}\r\nINBOX\r\nb CHECK\r\n"), STR("+ OK\r\n[SELECT INBOX]a OK done\r\n[CHECK ]b OK done\r\n")},
    {STR("a SELECT {5+}\r\nINBOX\r\n"), STR("[SELECT INBOX]a OK done\r\n")},
    {STR("a RENAME {1+}\r\nx {1}\r\ny\r\n"), STR("+ OK\r\n[RENAME x]a OK done\r\n")},
    {STR("a SELECT {0}\r\n\r\n"), STR("+ OK\r\n[SELECT ]a OK done\r\n")},
    /* What is wrong is answered with the client's tag, and the next command is read. */
    {STR("a CHECK\r\nb FOO\r\nc UID NOOP\r\nd\r\n* NOOP\r\n"),
	STR("a BAD Select a mailbox first\r\nb BAD Unknown command\r\nc BAD Unknown command\r\nd BAD Missing argument\r\n"
	    "* BAD A tag and a command are expected\r\n")},
    {STR("a LOGIN x y\r\nb STARTTLS\r\n"), STR("a BAD Already logged in\r\nb BAD Already logged in\r\n")},
    {STR("a SELECT\r\nb SELECT  x\r\nc SELECT x y\r\n"),
	STR("a BAD Missing argument\r\nb BAD A string is missing\r\nc BAD Too many arguments\r\n")},
    {STR("a NOOP \r\n"), STR("a BAD Too many arguments\r\n")},
    {STR("a SELECT INBOX\r\nb UID FETCH 1:* FLAGS\r\nc UID EXPUNGE 1\r\nd UNSELECT\r\ne FETCH 1 UID\r\n"),
	STR("[SELECT INBOX]a OK done\r\n[UID FETCH ]b OK done\r\n[UID EXPUNGE ]c OK done\r\n[UNSELECT ]d OK done\r\n"
	    "e BAD Select a mailbox first\r\n")},
    {STR("a LOGOUT\r\nb NOOP\r\n"), STR("[LOGOUT ]a OK done\r\n[CLOSE]")},
    /* Lines that are none end the session. */
    {STR("a NOOP\nb NOOP\r\n"), STR("* BYE Lines must end in CRLF\r\n[CLOSE]")},
    {STR("a NO\rOP\r\nb NOOP\r\n"), STR("* BYE Lines must end in CRLF\r\n[CLOSE]")},
    {STR("a NO\0OP\r\nb NOOP\r\n"), STR("* BYE Lines must end in CRLF\r\n[CLOSE]")},
    /* IDLE */
    {STR("a IDLE\r\nDONE\r\nb NOOP\r\n"), STR("[IDLE ]+ idling\r\na OK idled\r\n[NOOP ]b OK done\r\n")},
    {STR("a IDLE\r\ndone\r\n"), STR("[IDLE ]+ idling\r\na OK idled\r\n")},
    {STR("a IDLE\r\nb NOOP\r\nc NOOP\r\n"), STR("[IDLE ]+ idling\r\na BAD DONE expected\r\n[NOOP ]c OK done\r\n")},
    {STR("a IDLE\r\n{3+}\r\nxyz\r\nc NOOP\r\n"),
	STR("[IDLE ]+ idling\r\na BAD No literal is expected\r\n[NOOP ]c OK done\r\n")},
    /* APPEND: the message is handed out as it comes. */
    {STR("a APPEND x {5}\r\n1\r\n\0\n\r\nb NOOP\r\n"), STR("+ OK\r\n[APPEND x][1\r\n\0\n]a OK done\r\n[NOOP ]b OK done\r\n")},
    {STR("a APPEND {1}\r\nx (\\Seen k) \"01-Jan-1970 00:00:00 +0000\" {2+}\r\nhi\r\n"),
	STR("+ OK\r\n[APPEND x][hi]a OK done\r\n")},
    {STR("a APPEND x {0}\r\n\r\n"), STR("+ OK\r\n[APPEND x][]a OK done\r\n")},
    {STR("a APPEND none {2}\r\nb NOOP\r\n"), STR("a NO [TRYCREATE] No such mailbox\r\n[NOOP ]b OK done\r\n")},
    {STR("a APPEND none {2+}\r\nhi\r\nb NOOP\r\n"), STR("a NO [TRYCREATE] No such mailbox\r\n[NOOP ]b OK done\r\n")},
    {STR("a APPEND none {2+}\r\nhi {3+}\r\nyou\r\nb NOOP\r\n"),
	STR("a NO [TRYCREATE] No such mailbox\r\n[NOOP ]b OK done\r\n")},
    {STR("a APPEND x {2}\r\nhi more\r\nb NOOP\r\n"),
	STR("+ OK\r\na BAD Nothing may follow the message\r\n[ABORT][NOOP ]b OK done\r\n")},
    {STR("a APPEND x {2}\r\nhi {2+}\r\nho\r\nb NOOP\r\n"),
	STR("+ OK\r\n[ABORT]a BAD No literal is expected\r\n[NOOP ]b OK done\r\n")},
    {STR("a APPEND x {2}\r\nhi {2}\r\nb NOOP\r\n"),
	STR("+ OK\r\na BAD No literal is expected\r\n[ABORT][NOOP ]b OK done\r\n")},
    {STR("a APPEND x \"hi\"\r\nb APPEND x\r\n"), STR("a BAD Invalid date\r\nb BAD Missing argument\r\n")},
    {STR("a APPEND x (\\Bad) {2+}\r\nhi {2+}\r\nho\r\nb NOOP\r\n"), STR("a BAD Syntax error\r\n[NOOP ]b OK done\r\n")},
    /* Literals that are too large, or no numbers. */
    {STR("a SELECT {4000000000}\r\nb NOOP\r\n"), STR("a BAD [TOOBIG] Literal too large\r\n[NOOP ]b OK done\r\n")},
    {STR("a SELECT {4294967296}\r\nb NOOP\r\n"), STR("a BAD Invalid literal\r\n[NOOP ]b OK done\r\n")},
    {STR("a SELECT {-1}\r\nb SELECT {}\r\n"), STR("a BAD Invalid literal\r\nb BAD Invalid literal\r\n")},
    {STR("a SELECT {1}\r\n\0\r\n"), STR("+ OK\r\na BAD NUL in a literal\r\n")},
};

static void
a_session_is_the_same_in_any_pieces(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100000);
	for (size_t i = 0; i < ROWS(rows); i++) {
		run(&b, rows[i].in, rows[i].in.n, 1);
		assert_str(buf_str(&b), rows[i].out);
		run(&b, rows[i].in, 0, 1);
		assert_str(buf_str(&b), rows[i].out);
		for (size_t cut = 0; cut <= rows[i].in.n; cut++) {
			run(&b, rows[i].in, cut, rows[i].in.n);
			assert_str(buf_str(&b), rows[i].out);
		}
	}
	buf_clear(&b);
}

/* Every verb in either state: what the table says is legal is handed out, the rest refused. */
static void
the_table_says_what_is_legal_when(void **state)
{
	static const char *const arguments[] = {"", " INBOX", " x y", " x (MESSAGES)", " 1", " 1 x", " 1 FLAGS",
	    " 1 FLAGS ()", " ALL", " NIL", " \"\" *", " CONDSTORE"};
	size_t n;
	const struct command_row *table = command_rows(&n);

	(void)state;
	for (size_t i = 0; i < n * 2 * ROWS(arguments); i++) {
		const struct command_row *row = &table[i % n];
		bool selected = i / n % 2 != 0;
		struct str wanted = selected || (row->states & COMMAND_IN_AUTHENTICATED) != 0 ? STR("[") : STR("a BAD S");
		struct driver d;
		struct buf line;

		buf_init(&line, 100);
		buf_addf(&line, "a %.*s%s\r\n", STR_FMT(row->verb), arguments[i / n / 2]);
		buf_init(&d.out, 1000);
		buf_init(&d.appended, 1000);
		imap_init(&d.imap, &d.out);
		imap_set_state(&d.imap, selected ? IMAP_SELECTED : IMAP_AUTHENTICATED);
		(void)feed(&d, buf_str(&line));
		if (!str_starts(buf_str(&d.out), STR("a BAD")) || str_starts(buf_str(&d.out), STR("a BAD Select")))
			assert_true(str_starts(buf_str(&d.out), wanted));
		imap_clear(&d.imap);
		buf_clear(&d.out);
		buf_clear(&line);
	}
}

static void
limits_end_a_session_that_has_none(void **state)
{
	struct buf in, out;

	(void)state;
	buf_init(&in, 4 * 1024 * 1024);
	buf_init(&out, 100000);
	for (int i = 0; i <= IMAP_ERRORS_MAX; i++)
		buf_adds(&in, "a x\r\n");
	buf_adds(&in, "a NOOP\r\n");
	run(&out, buf_str(&in), in.n, 1);
	assert_true(str_ends_nocase(buf_str(&out), STR("a BAD Unknown command\r\n* BYE Too many errors\r\n[CLOSE]")));
	buf_reset(&in);
	buf_adds(&in, "a ");
	while (in.n <= IMAP_COMMAND_MAX_BYTES)
		buf_adds(&in, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	run(&out, buf_str(&in), 0, 65536);
	assert_str(buf_str(&out), STR("* BYE [TOOBIG] Command too long\r\n[CLOSE]"));
	buf_reset(&in);
	buf_adds(&in, "a SEARCH SUBJECT");
	for (int i = 0; i <= IMAP_LITERALS_MAX; i++)
		buf_adds(&in, " {1+}\r\nx");
	buf_adds(&in, "\r\nb NOOP\r\n");
	run(&out, buf_str(&in), 0, 65536);
	assert_str(buf_str(&out), STR("a BAD Too many literals\r\n[NOOP ]b OK done\r\n"));
	buf_clear(&in);
	buf_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_session_is_the_same_in_any_pieces),
	    cmocka_unit_test(the_table_says_what_is_legal_when),
	    cmocka_unit_test(limits_end_a_session_that_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
