#include "tests/unit/rows.h"

#include "common/smtp/smtp_server.h"

/* --- an owner that says yes to almost everything, and writes down what it was asked ----------------------------------- */

struct owner {
	struct smtp_server s;
	struct smtp_counters counters;
	struct buf out;
	struct buf events;
	struct buf content;
	struct str challenge; /* what AUTH is answered with; .p NULL: success at once */
	unsigned refuse_content_at; /* 0: never; else at that piece */
	unsigned pieces;
	bool closed, tls;
};

static const struct smtp_server_facts default_facts = {
    .protocol = SMTP_ESMTP,
    .hostname = STR("satu.test"),
    .banner = STR("ESMTP Merpati"),
    .mechanisms = STR("PLAIN LOGIN"),
    .can_start_tls = true,
    .size_max = 1000,
    .recipients_max = 3,
    .errors_max = 20,
    .arena_max = 65536,
};

static void
owner_open(struct owner *o, const struct smtp_server_facts *facts)
{
	*o = (struct owner){.closed = false};
	buf_init(&o->out, 65536);
	buf_init(&o->events, 65536);
	buf_init(&o->content, 65536);
	smtp_server_init(&o->s, facts, &o->counters, &o->out);
}

static void
owner_close(struct owner *o)
{
	smtp_server_clear(&o->s);
	buf_clear(&o->out);
	buf_clear(&o->events);
	buf_clear(&o->content);
}

static void
judge_recipient(struct owner *o)
{
	struct address *address = &o->s.recipient->address;

	buf_addf(&o->events, "rcpt:%.*s ", STR_FMT(address->text));
	if (str_equal(address->local, STR("tiada")))
		smtp_server_answer(&o->s, SMTP_REPLY(550, "5.1.1", "No such \r\n user"));
	else if (str_equal(address->local, STR("nanti")))
		smtp_server_answer(&o->s, SMTP_REPLY(451, "4.3.0", "Later"));
	else
		smtp_server_accept(&o->s);
}

static void
judge_message(struct owner *o)
{
	buf_adds(&o->events, "message ");
	if (o->s.facts.protocol == SMTP_ESMTP) {
		smtp_server_answer(&o->s, SMTP_REPLY(250, "2.0.0", "Ok: queued as X"));
		return;
	}
	/* The second recipient's fate is known first; the others follow together. */
	if (o->s.transaction.nrecipients > 1)
		smtp_server_answer_recipient(&o->s, o->s.transaction.recipients->next, SMTP_REPLY(452, "4.2.2", "Full"));
	if (smtp_server_is_waiting(&o->s))
		smtp_server_answer(&o->s, SMTP_REPLY(250, "2.0.0", "Saved"));
}

static void
judge_authentication(struct owner *o)
{
	if (str_equal(o->s.response, STR("salah")))
		smtp_server_auth_failed(&o->s, SMTP_AUTH_REFUSED);
	else if (str_equal(o->s.response, STR("!")))
		smtp_server_auth_failed(&o->s, SMTP_AUTH_MALFORMED);
	else if (str_equal(o->s.response, STR("nanti")))
		smtp_server_auth_failed(&o->s, SMTP_AUTH_UNAVAILABLE);
	else if (!o->s.has_response)
		smtp_server_challenge(&o->s, str_equal_nocase(o->s.mechanism, STR("LOGIN")) ? STR("VXNlcm5hbWU6") : STR(""));
	else
		smtp_server_authenticated(&o->s, STR("baru"));
}

static void
judge_content(struct owner *o)
{
	buf_add(&o->content, o->s.content);
	if (o->refuse_content_at > 0 && ++o->pieces == o->refuse_content_at)
		smtp_server_refuse_content(&o->s, SMTP_REPLY(452, "4.3.1", "Disk full"));
}

static void
write_attributes(struct owner *o, const struct smtp_attributes *set)
{
	for (unsigned i = 0; i < SMTP_ATTRIBUTES; i++)
		if (set->given & 1U << i)
			buf_addf(&o->events, "%u=%.*s ", i, STR_FMT(set->value[i]));
}

static void
judge_xclient(struct owner *o)
{
	buf_adds(&o->events, "xclient ");
	write_attributes(o, o->s.attributes);
	if (str_equal(o->s.attributes->value[SMTP_ATTR_ADDR], STR("192.0.2.66")))
		smtp_server_answer(&o->s, SMTP_REPLY(550, "5.7.1", "Not from there"));
	else
		smtp_server_accept(&o->s);
}

static void
judge(struct owner *o, enum smtp_event event)
{
	switch (event) {
	case SMTP_READ:
		break;
	case SMTP_HELLO:
		buf_addf(&o->events, "hello:%s ", o->s.helo);
		if (str_equal(str_from(o->s.helo), STR("palsu.test")))
			smtp_server_answer(&o->s, SMTP_REPLY(550, "5.7.1", "Not you"));
		else
			smtp_server_accept(&o->s);
		break;
	case SMTP_VRFY:
		buf_addf(&o->events, "vrfy:%.*s ", STR_FMT(o->s.recipient->address.text));
		if (str_equal(o->s.recipient->address.local, STR("baru")))
			smtp_server_answer(&o->s, SMTP_REPLY(250, "2.1.5", "<baru@d.test>"));
		else
			smtp_server_accept(&o->s);
		break;
	case SMTP_UNKNOWN:
		buf_addf(&o->events, "unknown:%.*s ", STR_FMT(o->s.argument));
		if (str_equal(o->s.argument, STR("FROB x")))
			smtp_server_answer(&o->s, SMTP_REPLY(554, "5.7.1", "No frobbing"));
		else
			smtp_server_accept(&o->s);
		break;
	case SMTP_ETRN:
		buf_addf(&o->events, "etrn:%.*s ", STR_FMT(o->s.argument));
		if (o->s.argument.p[0] == '@')
			smtp_server_answer(&o->s, SMTP_REPLY(459, "4.7.1", "Not you"));
		else
			smtp_server_accept(&o->s);
		break;
	case SMTP_XCLIENT:
		judge_xclient(o);
		break;
	case SMTP_SENDER:
		buf_addf(&o->events, "mail:%.*s ", STR_FMT(o->s.transaction.sender.text));
		if (str_equal(o->s.transaction.sender.local, STR("palsu")))
			smtp_server_answer(&o->s, SMTP_REPLY(553, "5.7.1", "Not you"));
		else
			smtp_server_accept(&o->s);
		if (o->s.transaction.forwarded != NULL) {
			buf_adds(&o->events, "from ");
			write_attributes(o, o->s.transaction.forwarded);
		}
		break;
	case SMTP_RECIPIENT:
		judge_recipient(o);
		break;
	case SMTP_BODY:
		buf_adds(&o->events, "data ");
		smtp_server_accept(&o->s);
		break;
	case SMTP_CONTENT:
		judge_content(o);
		break;
	case SMTP_MESSAGE:
		judge_message(o);
		break;
	case SMTP_ABANDONED:
		buf_adds(&o->events, "abandoned ");
		break;
	case SMTP_AUTHENTICATE:
	case SMTP_RESPOND:
		judge_authentication(o);
		break;
	case SMTP_CANCEL:
		buf_adds(&o->events, "cancel ");
		break;
	case SMTP_START_TLS:
		buf_adds(&o->events, "tls ");
		o->tls = true;
		break;
	case SMTP_CLOSE:
		buf_adds(&o->events, "close ");
		o->closed = true;
		break;
	}
}

/* Gives it the first bytes, then so many more at a time. Each time in memory of its own, as a moving buffer would. */
static void
owner_feed(struct owner *o, struct str in, size_t first, size_t step)
{
	size_t have = first < in.n ? first : in.n, at = 0;

	while (!o->closed && !o->tls) {
		char *copy = malloc(have - at + 1);
		enum smtp_event event;
		size_t taken;

		memcpy(copy, in.p + at, have - at);
		event = smtp_server_step(&o->s, (struct str){copy, have - at}, &taken);
		assert_true(taken <= have - at);
		judge(o, event);
		free(copy);
		at += taken;
		if (event == SMTP_READ && have == in.n)
			break;
		if (event == SMTP_READ)
			have = in.n - have > step ? have + step : in.n;
	}
}

/* --- sessions ------------------------------------------------------------------------------------------------------------ */

#define GREETING "220 satu.test ESMTP Merpati\r\n"
/* EHLO's reply in parts: what is always there, what depends on the session, what is always there behind it. */
#define HELLO_BEGIN "250-satu.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n"
#define HELLO_MAY "250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n"
#define HELLO_REST "250-CHUNKING\r\n250-BINARYMIME\r\n250-SMTPUTF8\r\n"
#define HELLO_LAST "LIMITS RCPTMAX=3\r\n"
#define HELLO HELLO_BEGIN HELLO_MAY HELLO_REST "250 " HELLO_LAST
#define HELLO_ALL                                                                                                   \
	HELLO_BEGIN HELLO_MAY HELLO_REST "250-" HELLO_LAST                                                           \
	"250-ETRN\r\n250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n"                              \
	"250 XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n"
#define GO "354 End data with <CR><LF>.<CR><LF>\r\n"
#define BEGIN "EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n"
#define BEGUN GREETING HELLO "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n"

static const struct session {
	const char *title;
	struct str in, out;
	const char *events;
	struct str content;
} sessions[] = {
    {"a letter", STR(BEGIN "DATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n"),
        STR(BEGUN GO "250 2.0.0 Ok: queued as X\r\n221 2.0.0 Bye\r\n"), "mail:a@b.test rcpt:c@d.test data message close ",
        STR("Subject: x\r\n\r\n.dot\r\n")},
    {"two letters on a connection", STR(BEGIN "DATA\r\n1\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<e@f.test>\r\nDATA\r\n2\r\n.\r\n"),
        STR(BEGUN GO "250 2.0.0 Ok: queued as X\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n" GO "250 2.0.0 Ok: queued as X\r\n"),
        "mail:a@b.test rcpt:c@d.test data message mail: rcpt:e@f.test data message ", STR("1\r\n2\r\n")},
    {"lower case, blanks", STR("helo x\r\nmail from: <a@B.TEST> \r\nrcpt to:\t<c@d.test>\r\nnoop x y\r\n"),
        STR(GREETING "250 satu.test\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.0.0 Ok\r\n"), "mail:a@b.test rcpt:c@d.test ", STR("")},
    {"nothing before EHLO", STR("MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nSTARTTLS\r\nAUTH PLAIN\r\nVRFY x\r\n"),
        STR(GREETING "503 5.5.1 Send EHLO or HELO first\r\n503 5.5.1 Send EHLO or HELO first\r\n503 5.5.1 Send EHLO or HELO first\r\n"
            "503 5.5.1 Send EHLO or HELO first\r\n503 5.5.1 Send EHLO or HELO first\r\n503 5.5.1 Send EHLO or HELO first\r\n"),
        "", STR("")},
    {"nested MAIL", STR(BEGIN "MAIL FROM:<x@y.test>\r\n"), STR(BEGUN "503 5.5.1 Not within a mail transaction\r\n"),
        "mail:a@b.test rcpt:c@d.test ", STR("")},
    {"RSET forgets", STR(BEGIN "RSET\r\nDATA\r\nRCPT TO:<c@d.test>\r\n"),
        STR(BEGUN "250 2.0.0 Ok\r\n503 5.5.1 Need MAIL command\r\n503 5.5.1 Need MAIL command\r\n"),
        "mail:a@b.test rcpt:c@d.test abandoned ", STR("")},
    {"EHLO forgets", STR(BEGIN "EHLO y\r\nDATA\r\n"), STR(BEGUN HELLO "503 5.5.1 Need MAIL command\r\n"),
        "mail:a@b.test rcpt:c@d.test abandoned ", STR("")},
    {"QUIT abandons", STR(BEGIN "QUIT\r\nNOOP\r\n"), STR(BEGUN "221 2.0.0 Bye\r\n"), "mail:a@b.test rcpt:c@d.test abandoned close ",
        STR("")},
    {"no valid recipient", STR("EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<tiada@d.test>\r\nDATA\r\n"),
        STR(GREETING HELLO "250 2.1.0 Ok\r\n550 5.1.1 No such ?? user\r\n503 5.5.1 No valid recipients\r\n"),
        "mail:a@b.test rcpt:tiada@d.test ", STR("")},
    {"a refused sender", STR("EHLO x\r\nMAIL FROM:<palsu@b.test>\r\nRCPT TO:<c@d.test>\r\nRSET\r\n"),
        STR(GREETING HELLO "553 5.7.1 Not you\r\n503 5.5.1 Need MAIL command\r\n250 2.0.0 Ok\r\n"), "mail:palsu@b.test ", STR("")},
    {"too many recipients", STR(BEGIN "RCPT TO:<1@x.test>\r\nRCPT TO:<2@x.test>\r\nRCPT TO:<3@x.test>\r\nDATA\r\n"),
        STR(BEGUN "250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n452 4.5.3 Too many recipients\r\n" GO),
        "mail:a@b.test rcpt:c@d.test rcpt:1@x.test rcpt:2@x.test data ", STR("")},
    {"a recipient named twice", STR(BEGIN "RCPT TO:<c@D.TEST>\r\nRCPT TO:<\"c\"@d.test>\r\nRCPT TO:<C@d.test>\r\nRCPT TO:<3@x.test>\r\n"),
        STR(BEGUN "250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n"),
        "mail:a@b.test rcpt:c@d.test rcpt:C@d.test rcpt:3@x.test ", STR("")},
    {"postmaster needs no domain", STR("HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<PostMaster>\r\nRCPT TO:<baru>\r\n"),
        STR(GREETING "250 satu.test\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n501 5.1.3 Recipient address needs a domain\r\n"),
        "mail: rcpt:PostMaster ", STR("")},
    {"parameters", STR("EHLO x\r\nMAIL FROM:<a@b.test> SIZE=1000 BODY=8BITMIME AUTH=<>\r\nRSET\r\n"
            "MAIL FROM:<a@b.test> SIZE=1001\r\nMAIL FROM:<a@b.test> size=x\r\nMAIL FROM:<a@b.test> BODY=9\r\n"
            "MAIL FROM:<a@b.test> X=Y\r\nMAIL FROM:<a@b.test> SIZE=1 SIZE=1\r\nMAIL FROM:<a@b.test>SIZE=1\r\n"
            "MAIL FROM:<a@b.test> SIZE\r\n"),
        STR(GREETING HELLO "250 2.1.0 Ok\r\n250 2.0.0 Ok\r\n552 5.3.4 Message size exceeds fixed limit\r\n"
            "501 5.5.4 SIZE must be a number\r\n501 5.5.4 BODY must be 7BIT, 8BITMIME or BINARYMIME\r\n555 5.5.4 Parameter not recognised\r\n"
            "501 5.5.4 Parameter given twice\r\n501 5.5.4 Malformed argument\r\n501 5.5.4 SIZE must be a number\r\n"),
        "mail:a@b.test abandoned ", STR("")},
    {"malformed addresses", STR("EHLO x\r\nMAIL FROM:a@b.test\r\nMAIL <a@b.test>\r\nMAIL FROM:<a@b>\r\nRCPT TO:<>\r\n"
            "RCPT FROM:<a@b>\r\nRCPT TO:<c@d.test> NOTIFY=NEVER\r\n"),
        STR(GREETING HELLO "501 5.1.7 Bad sender address syntax\r\n501 5.5.4 Syntax: MAIL FROM:<address>\r\n250 2.1.0 Ok\r\n"
            "501 5.1.3 Bad recipient address syntax\r\n501 5.5.4 Syntax: RCPT TO:<address>\r\n"
            "555 5.5.4 Parameter not recognised\r\n"),
        "mail:a@b ", STR("")},
    {"arguments where they belong", STR("EHLO\r\nEHLO x\r\nRSET now\r\nDATA x\r\nQUIT x\r\nVRFY\r\nEHLO <x>\r\n"),
        STR(GREETING "501 5.5.4 Argument missing\r\n" HELLO "501 5.5.4 No argument expected\r\n503 5.5.1 Need MAIL command\r\n"
            "501 5.5.4 No argument expected\r\n501 5.5.4 Argument missing\r\n501 5.5.4 Not a host name or address literal\r\n"),
        "", STR("")},
    {"unknown", STR("XYZZY\r\n\r\nLHLO x\r\nHELP\r\n"),
        STR(GREETING "500 5.5.2 Command not recognised\r\n500 5.5.2 Command not recognised\r\n500 5.5.2 Command not recognised\r\n"
            "214 2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT STARTTLS AUTH\r\n"),
        "", STR("")},
    {"VRFY tells nothing", STR("EHLO x\r\nVRFY baru\r\n"),
        STR(GREETING HELLO "252 2.1.5 Send some mail, and I will try to deliver it\r\n"), "", STR("")},
    {"HTTP", STR("POST / HTTP/1.1\r\nHost: x\r\n"), STR(GREETING "554 5.5.2 This is a mail server\r\n"), "close ", STR("")},
    {"a header", STR("Subject: x\r\nEHLO x\r\n"), STR(GREETING "554 5.5.2 This is a mail server\r\n"), "close ", STR("")},
    {"bare LF", STR("NOOP\r\nEHLO x\nNOOP\r\n"), STR(GREETING "250 2.0.0 Ok\r\n500 5.5.2 Bare <LF> in a command\r\n"), "close ", STR("")},
    {"bare CR", STR("EHLO x\rNOOP\r\n"), STR(GREETING "500 5.5.2 Bare <CR> in a command\r\n"), "close ", STR("")},
    {"NUL", STR("EHLO x\0\r\nNOOP\r\n"), STR(GREETING "500 5.5.2 NUL in a command\r\n"), "close ", STR("")},
    {"too large a message", STR(BEGIN "DATA\r\n"
            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
            "\r\n.\r\nNOOP\r\n"),
        STR(BEGUN GO "552 5.3.4 Message size exceeds fixed limit\r\n250 2.0.0 Ok\r\n"),
        "mail:a@b.test rcpt:c@d.test data abandoned ", STR_NONE},
    {"AUTH with a response", STR("EHLO x\r\nAUTH PLAIN AGJhcnUAcmFoYXNpYQ==\r\nAUTH PLAIN x\r\n"),
        STR(GREETING HELLO "235 2.7.0 Authentication successful\r\n503 5.5.1 Already authenticated\r\n"), "", STR("")},
    {"AUTH step by step", STR("EHLO x\r\nauth login\r\nYmFydQ==\r\n"),
        STR(GREETING HELLO "334 VXNlcm5hbWU6\r\n235 2.7.0 Authentication successful\r\n"), "", STR("")},
    {"AUTH given up", STR("EHLO x\r\nAUTH PLAIN\r\n*\r\nNOOP\r\n"),
        STR(GREETING HELLO "334 \r\n501 5.7.0 Authentication cancelled\r\n250 2.0.0 Ok\r\n"), "cancel ", STR("")},
    {"AUTH refused", STR("EHLO x\r\nAUTH PLAIN salah\r\nAUTH PLAIN nanti\r\nAUTH PLAIN !\r\nAUTH GSSAPI\r\nAUTH PLAIN a b\r\n"),
        STR(GREETING HELLO "535 5.7.8 Authentication credentials invalid\r\n454 4.7.0 Temporary authentication failure\r\n"
            "501 5.5.2 Not Base64\r\n504 5.5.4 Authentication mechanism not on offer\r\n501 5.5.4 Too many arguments\r\n"),
        "", STR("")},
    {"AUTH within a transaction", STR(BEGIN "AUTH PLAIN x\r\n"), STR(BEGUN "503 5.5.1 Not within a mail transaction\r\n"),
        "mail:a@b.test rcpt:c@d.test ", STR("")},
};

static void
session_check(const struct session *row, const struct smtp_server_facts *facts)
{
	for (size_t cut = 0; cut <= row->in.n; cut++) {
		struct owner o;

		owner_open(&o, facts);
		owner_feed(&o, row->in, cut, cut % 3 == 0 ? 1 : row->in.n);
		if (!str_equal(buf_str(&o.out), row->out) || !str_equal(buf_str(&o.events), str_from(row->events)))
			print_error("%s, cut at %zu\n", row->title, cut);
		assert_str(buf_str(&o.out), row->out);
		assert_str(buf_str(&o.events), str_from(row->events));
		if (row->content.p != NULL)
			assert_str(buf_str(&o.content), row->content);
		owner_close(&o);
	}
}

static void
sessions_go_the_same_way_whatever_the_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(sessions); i++)
		session_check(&sessions[i], &default_facts);
}

static const struct session asked[] = {
    {"HELO is the owner's to judge", STR("EHLO palsu.test\r\nMAIL FROM:<>\r\nHELO x\r\nMAIL FROM:<a@b.test>\r\nEHLO palsu.test\r\n"
            "RCPT TO:<c@d.test>\r\nEHLO <\r\nEHLO y\r\nRCPT TO:<c@d.test>\r\n"),
        STR(GREETING "550 5.7.1 Not you\r\n503 5.5.1 Send EHLO or HELO first\r\n250 satu.test\r\n250 2.1.0 Ok\r\n550 5.7.1 Not you\r\n"
            "250 2.1.5 Ok\r\n501 5.5.4 Not a host name or address literal\r\n" HELLO_ALL "503 5.5.1 Need MAIL command\r\n"),
        "hello:palsu.test hello:x mail:a@b.test hello:palsu.test rcpt:c@d.test hello:y abandoned ", STR("")},
    {"a command that there is not", STR("FROB x\r\nEHLO x\r\nFROB y\r\nMAIL FROM:<>\r\nFROB x\r\nRCPT TO:<c@d.test>\r\n"),
        STR(GREETING "554 5.7.1 No frobbing\r\n" HELLO_ALL "500 5.5.2 Command not recognised\r\n250 2.1.0 Ok\r\n"
            "554 5.7.1 No frobbing\r\n250 2.1.5 Ok\r\n"),
        "unknown:FROB x hello:x unknown:FROB y mail: unknown:FROB x rcpt:c@d.test ", STR("")},
    {"VRFY, when the owner tells", STR("EHLO x\r\nVRFY baru@d.test\r\nVRFY <lama@d.test> SMTPUTF8\r\nVRFY a b\r\nVRFY @\r\nVRFY <a\r\n"),
        STR(GREETING HELLO_ALL "250 2.1.5 <baru@d.test>\r\n252 2.1.5 Send some mail, and I will try to deliver it\r\n"
            "252 2.1.5 Send some mail, and I will try to deliver it\r\n501 5.1.3 Bad recipient address syntax\r\n"
            "501 5.1.3 Bad recipient address syntax\r\n"),
        "hello:x vrfy:baru@d.test vrfy:lama@d.test vrfy:a ", STR("")},
    {"ETRN", STR("EHLO x\r\nETRN d.test\r\nETRN @d.test\r\nETRN #q\r\nMAIL FROM:<>\r\nETRN d.test\r\n"),
        STR(GREETING HELLO_ALL "250 2.0.0 Queuing for the node started\r\n459 4.7.1 Not you\r\n501 5.5.4 Not a domain\r\n"
            "250 2.1.0 Ok\r\n503 5.5.1 Not within a mail transaction\r\n"),
        "hello:x etrn:d.test etrn:@d.test mail: ", STR("")},
    {"XCLIENT begins anew", STR("EHLO x\r\nXCLIENT NAME=host.c.test ADDR=192.0.2.1 LOGIN=a+20b\r\nMAIL FROM:<>\r\nXCLIENT HELO=h\r\n"
            "EHLO y\r\nAUTH PLAIN x\r\n"),
        STR(GREETING HELLO_ALL GREETING "503 5.5.1 Send EHLO or HELO first\r\n" GREETING HELLO_ALL "503 5.5.1 Already authenticated\r\n"),
        "hello:x xclient 0=host.c.test 1=192.0.2.1 5=a b xclient 4=h hello:y ", STR("")},
    {"XCLIENT takes the proxy's own login away", STR("EHLO x\r\nAUTH PLAIN x\r\nXCLIENT ADDR=IPV6:2001:db8::1 NAME=[UNAVAILABLE]\r\n"
            "EHLO y\r\nAUTH PLAIN x\r\n"),
        STR(GREETING HELLO_ALL "235 2.7.0 Authentication successful\r\n" GREETING HELLO_ALL "235 2.7.0 Authentication successful\r\n"),
        "hello:x xclient 0= 1=2001:db8::1 hello:y ", STR("")},
    {"XCLIENT refused", STR("EHLO x\r\nXCLIENT ADDR=192.0.2.66\r\nXCLIENT ADDR=x\r\nXCLIENT FOO=1\r\nXCLIENT NAME=a+2\r\n"
            "XCLIENT LOGIN=a+0Ab\r\nXCLIENT PORT=65536\r\nXCLIENT\r\nXCLIENT NAME\r\nMAIL FROM:<>\r\nXCLIENT NAME=x\r\n"),
        STR(GREETING HELLO_ALL "550 5.7.1 Not from there\r\n501 5.5.4 Bad value of an attribute\r\n501 5.5.4 Attribute not recognised\r\n"
            "501 5.5.4 Bad value of an attribute\r\n501 5.5.4 Bad value of an attribute\r\n501 5.5.4 Bad value of an attribute\r\n"
            "501 5.5.4 Argument missing\r\n501 5.5.4 Attribute not recognised\r\n250 2.1.0 Ok\r\n"
            "503 5.5.1 Not within a mail transaction\r\n"),
        "hello:x xclient 1=192.0.2.66 mail: ", STR("")},
    {"XFORWARD holds for one transaction", STR("EHLO x\r\nXFORWARD NAME=h.test\r\nXFORWARD IDENT=3 SOURCE=LOCAL\r\nVRFY a\r\n"
            "MAIL FROM:<>\r\nXFORWARD NAME=i.test\r\nRSET\r\nMAIL FROM:<>\r\n"),
        STR(GREETING HELLO_ALL "250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n252 2.1.5 Send some mail, and I will try to deliver it\r\n250 2.1.0 Ok\r\n"
            "503 5.5.1 Not within a mail transaction\r\n250 2.0.0 Ok\r\n250 2.1.0 Ok\r\n"),
        "hello:x vrfy:a mail: from 0=h.test 8=3 9=LOCAL abandoned mail: ", STR("")},
};

static bool
has_bare(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\0' || (s.p[i] == '\r' && (i + 1 == s.n || s.p[i + 1] != '\n')) ||
		    (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r')))
			return true;
	return false;
}

#define OK_BYTES(n) "250 2.0.0 Ok: " #n " bytes\r\n"
#define QUEUED "250 2.0.0 Ok: queued as X\r\n"

static const struct session chunked[] = {
    {"one chunk", STR(BEGIN "BDAT 10 LAST\r\n..x\r\n.\r\n\r\nNOOP\r\n"), STR(BEGUN QUEUED "250 2.0.0 Ok\r\n"),
        "mail:a@b.test rcpt:c@d.test data message ", STR("..x\r\n.\r\n\r\n")},
    {"a CRLF in two chunks", STR(BEGIN "BDAT 2\r\na\rbdat 4\r\n\nb\r\nBDAT 0 LAST\r\nMAIL FROM:<>\r\n"),
        STR(BEGUN OK_BYTES(2) OK_BYTES(4) QUEUED "250 2.1.0 Ok\r\n"), "mail:a@b.test rcpt:c@d.test data message mail: ",
        STR("a\r\nb\r\n")},
    {"nothing at all", STR(BEGIN "BDAT 0 LAST\r\n"), STR(BEGUN QUEUED), "mail:a@b.test rcpt:c@d.test data message ", STR("")},
    {"a bare CR at the end", STR(BEGIN "BDAT 2\r\na\rBDAT 0 LAST\r\nBDAT 3 LAST\r\nabcNOOP\r\n"),
        STR(BEGUN OK_BYTES(2) "554 5.6.0 Bare <CR> in the message\r\n503 5.5.1 Need MAIL command\r\n250 2.0.0 Ok\r\n"),
        "mail:a@b.test rcpt:c@d.test data abandoned ", STR("a")},
    {"a bare LF", STR(BEGIN "BDAT 4\r\na\n.\nBDAT 3\r\nabcBDAT 3 LAST\r\nabcNOOP\r\n"),
        STR(BEGUN "554 5.6.0 Bare <LF> in the message\r\n554 5.6.0 Bare <LF> in the message\r\n554 5.6.0 Bare <LF> in the message\r\n"
            "250 2.0.0 Ok\r\n"),
        "mail:a@b.test rcpt:c@d.test data abandoned ", STR("a")},
    {"any bytes", STR("EHLO x\r\nMAIL FROM:<a@b.test> BODY=BINARYMIME\r\nRCPT TO:<c@d.test>\r\nDATA\r\n"
            "BDAT 8\r\n\r\0\n\n\r\r\n.BDAT 2 LAST\r\n\r\xff"),
        STR(GREETING HELLO "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n503 5.5.1 BINARYMIME needs BDAT\r\n" OK_BYTES(8) QUEUED),
        "mail:a@b.test rcpt:c@d.test data message ", STR("\r\0\n\n\r\r\n.\r\xff")},
    {"between chunks", STR(BEGIN "BDAT 1\r\naDATA\r\nMAIL FROM:<>\r\nRCPT TO:<x@y.test>\r\nSTARTTLS\r\nNOOP\r\nRSET\r\n"
            "BDAT 6 LAST\r\nRSET\r\nNOOP\r\n"),
        STR(BEGUN OK_BYTES(1) "503 5.5.1 Not between BDAT commands\r\n503 5.5.1 Not between BDAT commands\r\n"
            "503 5.5.1 Not between BDAT commands\r\n503 5.5.1 Not between BDAT commands\r\n250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n"
            "503 5.5.1 Need MAIL command\r\n250 2.0.0 Ok\r\n"),
        "mail:a@b.test rcpt:c@d.test data abandoned ", STR("a")},
    {"BDAT after DATA", STR(BEGIN "DATA\r\nx\r\n.\r\nBDAT 4\r\nabcdBDAT 0 LAST\r\n"),
        STR(BEGUN GO QUEUED "503 5.5.1 Need MAIL command\r\n503 5.5.1 Need MAIL command\r\n"),
        "mail:a@b.test rcpt:c@d.test data message ", STR("x\r\n")},
    {"no recipient: the bytes are no commands", STR("BDAT 6\r\nNOOP\r\nEHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<tiada@d.test>\r\n"
            "BDAT 6\r\nNOOP\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"),
        STR(GREETING "503 5.5.1 Send EHLO or HELO first\r\n" HELLO "250 2.1.0 Ok\r\n550 5.1.1 No such ?? user\r\n"
            "503 5.5.1 No valid recipients\r\n503 5.5.1 No valid recipients\r\n250 2.0.0 Ok\r\n"),
        "mail:a@b.test rcpt:tiada@d.test ", STR("")},
    {"a size that is none", STR(BEGIN "BDAT x\r\nNOOP\r\n"), STR(BEGUN "501 5.5.4 Syntax: BDAT size [LAST]\r\n"),
        "mail:a@b.test rcpt:c@d.test close ", STR("")},
    {"a size that is too large a number", STR("BDAT 18446744073709551616 LAST\r\nNOOP\r\n"),
        STR(GREETING "501 5.5.4 Syntax: BDAT size [LAST]\r\n"), "close ", STR("")},
    {"a word that is not LAST", STR("BDAT 4 FIRST\r\nNOOP\r\n"), STR(GREETING "501 5.5.4 Syntax: BDAT size [LAST]\r\n"), "close ", STR("")},
    {"a word behind LAST", STR("BDAT 4 LAST x\r\nNOOP\r\n"), STR(GREETING "501 5.5.4 Syntax: BDAT size [LAST]\r\n"), "close ", STR("")},
    {"no size", STR("BDAT\r\nNOOP\r\n"), STR(GREETING "501 5.5.4 Syntax: BDAT size [LAST]\r\n"), "close ", STR("")},
};

static void
content_may_come_in_chunks(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(chunked); i++)
		session_check(&chunked[i], &default_facts);
}

/* The message in the chunks that the bits of `cuts` say (a cut behind byte i for bit i), the last of them empty or not. */
static void
add_chunks(struct buf *in, struct str message, unsigned cuts, bool empty_last)
{
	size_t begin = 0;

	for (size_t i = 0; i < message.n; i++) {
		bool last = i + 1 == message.n;

		if (!last && !(cuts & 1U << i))
			continue;
		buf_addf(in, "BDAT %zu%s\r\n", i + 1 - begin, last && !empty_last ? " LAST" : "");
		buf_add(in, str_sub(message, begin, i + 1 - begin));
		begin = i + 1;
	}
	if (empty_last)
		buf_adds(in, "BDAT 0 LAST\r\n");
}

static void
check_chunks(struct str message, unsigned cuts, bool binary, bool normalise)
{
	static const struct str plain = STR("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<c@d.test>\r\n");
	static const struct str any = STR("EHLO x\r\nMAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<c@d.test>\r\n");
	struct smtp_server_facts facts = default_facts;
	struct buf in;
	struct owner o;

	facts.normalise = normalise;
	buf_init(&in, 4096);
	buf_add(&in, binary ? any : plain);
	add_chunks(&in, message, cuts, cuts % 3 == 0);
	owner_open(&o, &facts);
	owner_feed(&o, buf_str(&in), cuts % in.n, 1 + cuts % 7);
	if (binary || !has_bare(message)) {
		assert_str(buf_str(&o.content), message);
		assert_int_equal(o.counters.messages, 1);
	} else if (normalise) {
		assert_false(has_bare(buf_str(&o.content)));
		assert_int_equal(o.counters.messages, 1);
	} else {
		assert_int_equal(o.counters.messages, 0);
		assert_int_equal(str_search(buf_str(&o.events), STR("message")), o.events.n);
	}
	buf_reset(&o.out);
	owner_feed(&o, STR("NOOP\r\n"), 9, 9);
	assert_str(buf_str(&o.out), STR("250 2.0.0 Ok\r\n"));
	owner_close(&o);
	buf_clear(&in);
}

static void
every_chunking_of_a_message_is_the_message(void **state)
{
	static const struct str messages[] = {STR("a\r\n.\r\n..\r\nb\r\n"), STR("a\r\n\r\nb\0c\rd\ne"), STR("\r\n.\r\n\r\nMAIL"),
	    STR("x\r"), STR("\n\r\r\n\0\n\r\n.\n\r")};

	(void)state;
	for (size_t i = 0; i < ROWS(messages); i++)
		for (unsigned cuts = 0; cuts < 1U << (messages[i].n - 1); cuts++) {
			check_chunks(messages[i], cuts, true, false);
			check_chunks(messages[i], cuts, false, false);
			check_chunks(messages[i], cuts, false, true);
		}
}

static void
chunks_are_limited_in_sum_and_number(void **state)
{
	struct smtp_server_facts facts = default_facts;
	struct owner o;

	(void)state;
	owner_open(&o, &facts);
	owner_feed(&o, STR(BEGIN), 999, 1);
	for (int i = 0; i < 1000; i++)
		owner_feed(&o, STR("BDAT 1\r\nx"), 99, 1);
	buf_reset(&o.out);
	owner_feed(&o, STR("BDAT 1\r\nxBDAT 1\r\nxBDAT 1 LAST\r\nxNOOP\r\n"), 99, 1);
	assert_str(buf_str(&o.out), STR("552 5.3.4 Message size exceeds fixed limit\r\n552 5.3.4 Message size exceeds fixed limit\r\n"
	                                "552 5.3.4 Message size exceeds fixed limit\r\n250 2.0.0 Ok\r\n"));
	assert_int_equal(o.content.n, 1000);
	assert_int_equal(o.counters.errors, 2);
	owner_feed(&o, STR("MAIL FROM:<>\r\nRCPT TO:<c@d.test>\r\n"), 99, 99);
	for (int i = 0; i < SMTP_CHUNKS_MAX; i++) {
		buf_reset(&o.out);
		owner_feed(&o, STR("BDAT 0\r\n"), 99, 99);
	}
	assert_str(buf_str(&o.out), STR("250 2.0.0 Ok: 0 bytes\r\n"));
	buf_reset(&o.out);
	owner_feed(&o, STR("BDAT 3 LAST\r\nabc"), 99, 99);
	assert_str(buf_str(&o.out), STR("554 5.5.0 Too many chunks\r\n"));
	owner_close(&o);
}

/* As those of a filter are: gone when the chunks have been passed over. */
static void
words_that_refuse_a_chunk_are_borrowed_only(void **state)
{
	struct str in = STR("BDAT 3\r\nabcBDAT 3 LAST\r\nabc");
	char status[] = "5.7.9", text[] = "No thanks";
	struct smtp_reply reply = {550, status, STR_NONE};
	struct owner o;
	size_t taken;

	(void)state;
	reply.text = str_from(text);
	owner_open(&o, &default_facts);
	owner_feed(&o, STR(BEGIN), 999, 1);
	buf_reset(&o.out);
	assert_int_equal(smtp_server_step(&o.s, in, &taken), SMTP_BODY);
	smtp_server_answer(&o.s, &reply);
	memset(status, 'x', sizeof status - 1);
	memset(text, 'x', sizeof text - 1);
	owner_feed(&o, str_skip(in, taken), 999, 1);
	assert_str(buf_str(&o.out), STR("550 5.7.9 No thanks\r\n550 5.7.9 No thanks\r\n"));
	owner_close(&o);
}

static void
lmtp_answers_for_each_recipient_after_the_last_chunk(void **state)
{
	struct smtp_server_facts facts = default_facts;
	struct owner o;

	(void)state;
	facts.protocol = SMTP_LMTP;
	for (unsigned refuse = 0; refuse < 2; refuse++) {
		owner_open(&o, &facts);
		o.refuse_content_at = refuse;
		owner_feed(&o, STR("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<1@x.test>\r\nRCPT TO:<2@x.test>\r\n"), 99, 1);
		buf_reset(&o.out);
		owner_feed(&o, STR("BDAT 3\r\na\r\nBDAT 0\r\nBDAT 3 LAST\r\nb\r\nBDAT 2 LAST\r\n\r\nNOOP\r\n"), 99, 1);
		assert_str(buf_str(&o.out), refuse ? STR("452 4.3.1 Disk full\r\n452 4.3.1 Disk full\r\n452 4.3.1 Disk full\r\n"
		    "452 4.3.1 Disk full\r\n503 5.5.1 Need MAIL command\r\n250 2.0.0 Ok\r\n") :
		    STR(OK_BYTES(3) OK_BYTES(0) "250 2.0.0 Saved\r\n452 4.2.2 Full\r\n503 5.5.1 Need MAIL command\r\n250 2.0.0 Ok\r\n"));
		owner_close(&o);
	}
}

/* --- parameters ------------------------------------------------------------------------------------------------------------ */

#define NOW_MS 1795489200000 /* 2026-11-24T03:00:00Z */

static const struct smtp_server_facts all_facts = {
    .protocol = SMTP_ESMTP,
    .hostname = STR("satu.test"),
    .banner = STR("ESMTP Merpati"),
    .mechanisms = STR("PLAIN LOGIN"),
    .tls = true,
    .offers_dsn = true,
    .offers_requiretls = true,
    .offers_deliverby = true,
    .offers_priority = true,
    .hold_max_s = 86400,
    .size_max = 1000,
    .recipients_max = 3,
    .errors_max = 1000,
    .arena_max = 65536,
};

static void
all_extensions_are_on_offer_where_they_apply(void **state)
{
	struct owner o;

	(void)state;
	owner_open(&o, &all_facts);
	o.s.time_ms = NOW_MS;
	owner_feed(&o, STR("EHLO x\r\n"), 99, 99);
	assert_str(buf_str(&o.out), STR(GREETING HELLO_BEGIN "250-AUTH PLAIN LOGIN\r\n" HELLO_REST "250-DSN\r\n250-REQUIRETLS\r\n"
	                                "250-LIMITS RCPTMAX=3\r\n250-MT-PRIORITY\r\n250-DELIVERBY\r\n"
	                                "250 FUTURERELEASE 86400 2026-11-25T03:00:00Z\r\n"));
	owner_close(&o);
}

/* What the transaction says of itself once the parameter is taken. */
static void
describe(struct buf *b, const struct smtp_transaction *t)
{
	if (t->smtputf8)
		buf_adds(b, "utf8 ");
	if (t->requiretls)
		buf_adds(b, "tls ");
	if (t->ret != SMTP_RET_UNSAID)
		buf_adds(b, t->ret == SMTP_RET_FULL ? "full " : "hdrs ");
	if (t->envid.p != NULL)
		buf_addf(b, "envid=%.*s ", STR_FMT(t->envid));
	if (t->priority != 0)
		buf_addf(b, "priority=%d ", t->priority);
	if (t->release_ms != 0)
		buf_addf(b, "release=%lld ", (long long)(t->release_ms - NOW_MS));
	if (t->deliver_by_ms != 0)
		buf_addf(b, "by=%lld%s%s ", (long long)(t->deliver_by_ms - NOW_MS), t->returns_late ? "R" : "N", t->traces_relays ? "T" : "");
	for (const struct smtp_recipient *r = t->recipients; r != NULL; r = r->next) {
		buf_addf(b, "<%.*s> notify=%u ", STR_FMT(r->address.text), r->notify);
		if (r->orcpt.p != NULL)
			buf_addf(b, "orcpt=%.*s ", STR_FMT(r->orcpt));
	}
}

#define C100 "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

/* A command behind EHLO (a RCPT: behind MAIL as well): the reply's beginning, what is known then. */
static const struct {
	struct str line, reply;
	const char *known;
} parameter_rows[] = {
    {STR("MAIL FROM:<> SMTPUTF8"), STR("250"), "utf8 "},
    {STR("MAIL FROM:<> smtputf8 requiretls"), STR("250"), "utf8 tls "},
    {STR("MAIL FROM:<> SMTPUTF8=1"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> REQUIRETLS="), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<\xe7\x94\xa8\xe6\x88\xb7@d.test> SMTPUTF8"), STR("250"), "utf8 "},
    {STR("MAIL FROM:<\xe7\x94\xa8\xe6\x88\xb7@d.test>"), STR("553 5.6.7"), ""},
    {STR("MAIL FROM:<a@\xd9\x85\xd8\xab\xd8\xa7\xd9\x84.test> SMTPUTF8"), STR("250"), "utf8 "},
    {STR("MAIL FROM:<\xe7\x94@d.test> SMTPUTF8"), STR("501 5.1.7"), ""},
    {STR("MAIL FROM:<> RET=full ENVID=a+20b"), STR("250"), "full envid=a b "},
    {STR("MAIL FROM:<> RET=HDRS"), STR("250"), "hdrs "},
    {STR("MAIL FROM:<> RET=ALL"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> RET"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> ENVID="), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> ENVID=a+0A"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> ENVID=a+2"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> ENVID=" C100), STR("250"), "envid=" C100 " "},
    {STR("MAIL FROM:<> ENVID=" C100 "x"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> AUTH=<>"), STR("250"), ""},
    {STR("MAIL FROM:<> AUTH=a+2Bb@d.test"), STR("250"), ""},
    {STR("MAIL FROM:<> AUTH=a+2"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> AUTH="), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> MT-PRIORITY=0"), STR("250"), ""},
    {STR("MAIL FROM:<> mt-priority=9"), STR("250"), "priority=9 "},
    {STR("MAIL FROM:<> MT-PRIORITY=-9"), STR("250"), "priority=-9 "},
    {STR("MAIL FROM:<> MT-PRIORITY=-0"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> MT-PRIORITY=10"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> MT-PRIORITY=+1"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> MT-PRIORITY="), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> BY=120;R"), STR("250"), "by=120000R "},
    {STR("MAIL FROM:<> BY=+120;nt"), STR("250"), "by=120000NT "},
    {STR("MAIL FROM:<> BY=-60;N"), STR("250"), "by=-60000N "},
    {STR("MAIL FROM:<> BY=0;R"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> BY=-1;RT"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> BY=120"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> BY=120;"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> BY=120;X"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> BY=120;NTT"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> BY=;N"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> BY=--1;N"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> BY=1000000000;N"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> HOLDFOR=60"), STR("250"), "release=60000 "},
    {STR("MAIL FROM:<> HOLDFOR=86400"), STR("250"), "release=86400000 "},
    {STR("MAIL FROM:<> HOLDFOR=86401"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> HOLDFOR=0"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> HOLDFOR=-1"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> HOLDUNTIL=2026-11-24T11:00:00+07:00"), STR("250"), "release=3600000 "},
    {STR("MAIL FROM:<> HOLDUNTIL=2026-11-23T00:00:00Z"), STR("250"), "release=-97200000 "},
    {STR("MAIL FROM:<> HOLDUNTIL=2027-11-24T03:00:00Z"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> HOLDUNTIL=1969-11-24T03:00:00Z"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> HOLDUNTIL=tomorrow"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> HOLDFOR=60 HOLDUNTIL=2026-11-24T04:00:00Z"), STR("501 5.5.4"), ""},
    {STR("MAIL FROM:<> NOTIFY=NEVER"), STR("555 5.5.4"), ""},
    {STR("RCPT TO:<a@d.test> NOTIFY=NEVER"), STR("250"), "utf8 <a@d.test> notify=1 "},
    {STR("RCPT TO:<a@d.test> notify=success,Failure,DELAY"), STR("250"), "utf8 <a@d.test> notify=14 "},
    {STR("RCPT TO:<a@d.test> NOTIFY=NEVER,DELAY"), STR("501 5.5.4"), "utf8 "},
    {STR("RCPT TO:<a@d.test> NOTIFY=DELAY,DELAY"), STR("501 5.5.4"), "utf8 "},
    {STR("RCPT TO:<a@d.test> NOTIFY=SOMETIMES"), STR("501 5.5.4"), "utf8 "},
    {STR("RCPT TO:<a@d.test> NOTIFY="), STR("501 5.5.4"), "utf8 "},
    {STR("RCPT TO:<a@d.test> NOTIFY=DELAY,"), STR("501 5.5.4"), "utf8 "},
    {STR("RCPT TO:<a@d.test> ORCPT=rfc822;b+2Bc@d.test"), STR("250"), "utf8 <a@d.test> notify=0 orcpt=rfc822;b+c@d.test "},
    {STR("RCPT TO:<a@d.test> ORCPT=utf-8;\\x{E9}@d.test"), STR("250"), "utf8 <a@d.test> notify=0 orcpt=utf-8;\xc3\xa9@d.test "},
    {STR("RCPT TO:<a@d.test> ORCPT=b@d.test"), STR("501 5.5.4"), "utf8 "},
    {STR("RCPT TO:<a@d.test> RET=FULL"), STR("555 5.5.4"), "utf8 "},
    {STR("RCPT TO:<\xc3\xa9@d.test>"), STR("250"), "utf8 <\xc3\xa9@d.test> notify=0 "},
};

static void
parameters_say_what_they_mean_or_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(parameter_rows); i++) {
		struct owner o;
		struct buf known, line;

		owner_open(&o, &all_facts);
		o.s.time_ms = NOW_MS;
		owner_feed(&o, STR("EHLO x\r\n"), 99, 99);
		if (parameter_rows[i].line.p[0] == 'R')
			owner_feed(&o, STR("MAIL FROM:<> SMTPUTF8\r\n"), 99, 99);
		buf_init(&line, 2048);
		buf_init(&known, 2048);
		buf_add(&line, parameter_rows[i].line);
		buf_adds(&line, "\r\n");
		buf_reset(&o.out);
		owner_feed(&o, buf_str(&line), 9, 7);
		describe(&known, &o.s.transaction);
		if (!str_starts(buf_str(&o.out), parameter_rows[i].reply) || !str_equal(buf_str(&known), str_from(parameter_rows[i].known)))
			fail_msg("%.*s: %.*s%.*s", STR_FMT(parameter_rows[i].line), STR_FMT(buf_str(&o.out)), STR_FMT(buf_str(&known)));
		buf_clear(&known);
		buf_clear(&line);
		owner_close(&o);
	}
}

static void
parameters_of_what_is_not_on_offer_are_unknown(void **state)
{
	size_t n;
	const struct smtp_parameter *parameters = smtp_server_parameters(&n);
	struct smtp_server_facts none = default_facts;

	(void)state;
	none.mechanisms = STR_NONE;
	none.offers_requiretls = true; /* but there is no TLS */
	for (size_t i = 0; i < n; i++) {
		struct owner o;
		char line[128];
		int length = snprintf(line, sizeof line, "%.*s %s:<x@y.test> %.*s=\r\n", STR_FMT(parameters[i].verb),
		    parameters[i].verb.p[0] == 'M' ? "FROM" : "TO", STR_FMT(parameters[i].keyword));

		assert_true(str_starts(str_from(parameters[i].reference), STR("RFC ")));
		owner_open(&o, &none);
		owner_feed(&o, parameters[i].verb.p[0] == 'M' ? STR("EHLO x\r\n") : STR("EHLO x\r\nMAIL FROM:<>\r\n"), 99, 99);
		buf_reset(&o.out);
		owner_feed(&o, (struct str){line, (size_t)length}, 99, 99);
		assert_true(str_starts(buf_str(&o.out), smtp_server_offers(&o.s, parameters[i].extension) ? STR("501 5.5.4") : STR("555 5.5.4")));
		owner_close(&o);
	}
}

static void
what_the_owner_may_be_asked_besides(void **state)
{
	struct smtp_server_facts facts = default_facts;

	(void)state;
	facts.asks_hello = facts.asks_unknown = facts.asks_vrfy = facts.offers_etrn = facts.may_xclient = facts.may_xforward = true;
	for (size_t i = 0; i < ROWS(asked); i++)
		session_check(&asked[i], &facts);
}

static void
proxies_commands_are_for_proxies(void **state)
{
	struct owner o;

	(void)state;
	owner_open(&o, &default_facts);
	owner_feed(&o, STR("EHLO x\r\nXCLIENT NAME=x\r\nXFORWARD NAME=x\r\nETRN d.test\r\n"), 99, 99);
	assert_str(buf_str(&o.out), STR(GREETING HELLO "502 5.5.1 Command not offered here\r\n502 5.5.1 Command not offered here\r\n"
	                                "502 5.5.1 Command not offered here\r\n"));
	owner_close(&o);
}

static void
starttls_with_anything_behind_it_ends_the_session(void **state)
{
	struct str in = STR("EHLO x\r\nSTARTTLS\r\n");

	(void)state;
	for (size_t cut = 0; cut <= in.n; cut++) {
		struct owner o;

		owner_open(&o, &default_facts);
		owner_feed(&o, in, cut, 1);
		assert_true(o.tls);
		assert_str(buf_str(&o.out), STR(GREETING HELLO "220 2.0.0 Ready to start TLS\r\n"));
		owner_close(&o);
	}
	for (size_t n = 1; n <= 6; n++) {
		struct owner o;
		char bytes[32] = "EHLO x\r\nSTARTTLS\r\nNOOP\r\n";

		owner_open(&o, &default_facts);
		owner_feed(&o, (struct str){bytes, in.n + n}, in.n + n, 1);
		assert_false(o.tls);
		assert_true(o.closed);
		assert_str(buf_str(&o.out), STR(GREETING HELLO "554 5.5.1 Commands behind STARTTLS\r\n"));
		owner_close(&o);
	}
}

static void
after_starttls_a_new_core_knows_nothing(void **state)
{
	struct smtp_server_facts facts = default_facts;
	struct owner o;

	(void)state;
	facts.tls = facts.is_resumed = true;
	owner_open(&o, &facts);
	owner_feed(&o, STR("MAIL FROM:<a@b.test>\r\nEHLO x\r\nSTARTTLS\r\n"), 0, 1);
	assert_str(buf_str(&o.out), STR("503 5.5.1 Send EHLO or HELO first\r\n" HELLO_BEGIN "250-AUTH PLAIN LOGIN\r\n" HELLO_REST "250 " HELLO_LAST
	                                "503 5.5.1 Not available in this session\r\n"));
	owner_close(&o);
}

static void
passwords_are_not_asked_for_in_the_clear(void **state)
{
	struct smtp_server_facts facts = default_facts;
	struct owner o;

	(void)state;
	facts.mechanisms = STR_NONE;
	facts.must_authenticate = true;
	owner_open(&o, &facts);
	buf_reset(&o.out);
	owner_feed(&o, STR("EHLO x\r\nAUTH PLAIN AGEAYg==\r\nMAIL FROM:<a@b.test>\r\nVRFY a\r\n"), 0, 1);
	assert_str(buf_str(&o.out), STR(HELLO_BEGIN "250-STARTTLS\r\n" HELLO_REST "250 " HELLO_LAST
	                                "538 5.7.11 Encryption required: use STARTTLS first\r\n"
	                                "530 5.7.0 Authentication required: use STARTTLS and AUTH first\r\n"
	                                "530 5.7.0 Authentication required: use STARTTLS and AUTH first\r\n"));
	owner_close(&o);
}

static void
lmtp_answers_for_each_recipient_in_order(void **state)
{
	struct smtp_server_facts facts = default_facts;
	struct str in = STR("EHLO x\r\nLHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<1@x.test>\r\nRCPT TO:<tiada@x.test>\r\n"
	                    "RCPT TO:<2@x.test>\r\nRCPT TO:<3@x.test>\r\nDATA\r\ntext\r\n.\r\nQUIT\r\n");

	(void)state;
	facts.protocol = SMTP_LMTP;
	facts.mechanisms = STR_NONE;
	facts.can_start_tls = false;
	for (size_t cut = 0; cut <= in.n; cut++) {
		struct owner o;

		owner_open(&o, &facts);
		owner_feed(&o, in, cut, 1);
		assert_str(buf_str(&o.out),
		    STR(GREETING "500 5.5.2 Command not recognised\r\n" HELLO_BEGIN HELLO_REST "250 " HELLO_LAST "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n550 5.1.1 No such ?? user\r\n250 2.1.5 Ok\r\n"
		                 "250 2.1.5 Ok\r\n" GO "250 2.0.0 Saved\r\n452 4.2.2 Full\r\n250 2.0.0 Saved\r\n221 2.0.0 Bye\r\n"));
		assert_int_equal(o.counters.messages, 1);
		owner_close(&o);
	}
}

static void
content_that_the_owner_refuses_is_read_to_its_end(void **state)
{
	for (int lmtp = 0; lmtp < 2; lmtp++) {
		struct smtp_server_facts facts = default_facts;
		struct owner o;

		(void)state;
		facts.protocol = lmtp ? SMTP_LMTP : SMTP_ESMTP;
		owner_open(&o, &facts);
		o.refuse_content_at = 1;
		owner_feed(&o, lmtp ? STR("LHLO x\r\n") : STR("EHLO x\r\n"), 99, 1);
		buf_reset(&o.out);
		owner_feed(&o, STR("MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nRCPT TO:<e@d.test>\r\nDATA\r\nfirst\r\n"), 99, 99);
		owner_feed(&o, STR("second\r\n.\r\nNOOP\r\n"), 99, 99);
		assert_str(buf_str(&o.content), STR("first\r\n"));
		assert_str(buf_str(&o.out), lmtp ?
		    STR("250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n" GO "452 4.3.1 Disk full\r\n452 4.3.1 Disk full\r\n250 2.0.0 Ok\r\n") :
		    STR("250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n" GO "452 4.3.1 Disk full\r\n250 2.0.0 Ok\r\n"));
		owner_close(&o);
	}
}

/* --- smuggling ----------------------------------------------------------------------------------------------------------- */

#define HIDDEN "MAIL FROM:<palsu@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nsmuggled\r\n.\r\n"

/* After any mix of CR, LF, dot and NUL that is not CRLF.CRLF, what follows is content; the letter is refused, and the
 * session ended, when it has something bare in it, or else it is normalised. */
static void
smuggle(const char *mix, size_t n, size_t cut, bool normalise)
{
	struct smtp_server_facts facts = default_facts;
	struct str begin = STR(BEGIN "DATA\r\ntext"), hidden = STR(HIDDEN), all;
	char in[sizeof BEGIN "DATA\r\ntext" + sizeof HIDDEN + 8];
	bool bare;
	struct owner o;

	if (str_search((struct str){mix, n}, STR("\r\n.\r\n")) < n)
		return;
	memcpy(in, begin.p, begin.n);
	memcpy(in + begin.n, mix, n);
	memcpy(in + begin.n + n, hidden.p, hidden.n);
	all = (struct str){in, begin.n + n + hidden.n};
	bare = has_bare(str_skip(all, begin.n));
	facts.normalise = normalise;
	owner_open(&o, &facts);
	owner_feed(&o, all, begin.n + cut, 1000);
	assert_int_equal(str_search(buf_str(&o.events), STR("palsu")), o.events.n);
	assert_int_equal(o.counters.messages, bare && !normalise ? 0 : 1);
	assert_int_equal(o.closed, bare && !normalise);
	assert_true(o.closed || !has_bare(buf_str(&o.content)));
	owner_close(&o);
}

static void
only_crlf_dot_crlf_ends_data(void **state)
{
	static const char letters[] = {'\r', '\n', '.', '\0'};

	(void)state;
	for (size_t n = 1; n <= 5; n++) {
		size_t count = (size_t)1 << (2 * n);

		for (size_t number = 0; number < count; number++) {
			char mix[5];

			for (size_t i = 0; i < n; i++)
				mix[i] = letters[number >> (2 * i) & 3];
			for (size_t cut = 0; cut <= n; cut++) {
				smuggle(mix, n, cut, false);
				smuggle(mix, n, cut, true);
			}
		}
	}
}

/* --- the matrix: every state, every verb ----------------------------------------------------------------------------------- */

/* What a command needs to get its ordinary reply, and that reply; for those not named: no argument, 250. */
static const struct ordinary {
	struct str verb;
	const char *argument;
	unsigned code;
} ordinary[] = {
    {STR("MAIL"), " FROM:<x@y.test>", 250},
    {STR("RCPT"), " TO:<x@y.test>", 250},
    {STR("DATA"), "", 354},
    {STR("BDAT"), " 0", 250},
    {STR("VRFY"), " x", 252},
    {STR("HELP"), "", 214},
    {STR("QUIT"), "", 221},
    {STR("STARTTLS"), "", 220},
    {STR("AUTH"), " PLAIN AGEAYg==", 235},
    {STR("ETRN"), " d.test", 250},
    {STR("XCLIENT"), " NAME=x.test", 220},
    {STR("XFORWARD"), " NAME=x.test", 250},
    {STR("EHLO"), " x", 250},
    {STR("HELO"), " x", 250},
    {STR("LHLO"), " x", 250},
};

static const struct ordinary *
ordinary_of(const struct smtp_command *c)
{
	static const struct ordinary plain = {STR(""), "", 250};

	for (size_t i = 0; i < ROWS(ordinary); i++)
		if (str_equal(c->verb, ordinary[i].verb))
			return &ordinary[i];
	return &plain;
}

static unsigned
expected_code(const struct smtp_server *s, const struct smtp_command *c, bool authenticated)
{
	if ((c->protocols & 1U << s->facts.protocol) == 0)
		return 500;
	if ((c->states & s->state) == 0)
		return 503;
	if ((c->flags & SMTP_AFTER_AUTH) && s->facts.must_authenticate && !authenticated)
		return 530;
	if (!smtp_server_offers(s, c->extension)) {
		if (c->extension != SMTP_EXT_AUTH && c->extension != SMTP_EXT_STARTTLS)
			return 502;
		return c->extension == SMTP_EXT_AUTH && smtp_server_offers(s, SMTP_EXT_STARTTLS) ? 538 : 503;
	}
	return authenticated && str_equal(c->verb, STR("AUTH")) ? 503 : ordinary_of(c)->code;
}

/* In which states the session may be behind the command: the same, or where it leads to. */
static unsigned
expected_state(const struct smtp_server *s, const struct smtp_command *c, unsigned code)
{
	static const struct {
		struct str verb;
		unsigned state;
	} leads[] = {{STR("EHLO"), SMTP_STATE_GREETED}, {STR("HELO"), SMTP_STATE_GREETED}, {STR("LHLO"), SMTP_STATE_GREETED},
	    {STR("MAIL"), SMTP_STATE_MAIL}, {STR("RCPT"), SMTP_STATE_RCPT}, {STR("BDAT"), SMTP_STATE_BDAT}, {STR("QUIT"), SMTP_STATE_GREETED},
	    {STR("XCLIENT"), SMTP_STATE_CONNECTED}};

	if (code >= 400)
		return s->state;
	if (str_equal(c->verb, STR("RSET")))
		return s->state == SMTP_STATE_CONNECTED ? SMTP_STATE_CONNECTED : SMTP_STATE_GREETED;
	for (size_t i = 0; i < ROWS(leads); i++)
		if (str_equal(c->verb, leads[i].verb))
			return leads[i].state;
	return s->state;
}

static void
reach(struct owner *o, enum smtp_state wanted, bool authenticated)
{
	if (wanted != SMTP_STATE_CONNECTED)
		owner_feed(o, o->s.facts.protocol == SMTP_LMTP ? STR("LHLO x\r\n") : STR("EHLO x\r\n"), 99, 1);
	if (authenticated)
		(void)str_copy(o->s.user, sizeof o->s.user, STR("baru"));
	if (wanted == SMTP_STATE_MAIL || wanted == SMTP_STATE_RCPT || wanted == SMTP_STATE_BDAT)
		owner_feed(o, STR("MAIL FROM:<a@b.test>\r\n"), 99, 1);
	if (wanted == SMTP_STATE_RCPT || wanted == SMTP_STATE_BDAT)
		owner_feed(o, STR("RCPT TO:<a@b.test>\r\n"), 99, 1);
	if (wanted == SMTP_STATE_BDAT)
		owner_feed(o, STR("BDAT 3\r\na\r\n"), 99, 1);
	assert_int_equal(o->s.state, wanted);
	buf_reset(&o->out);
}

static void
check_cell(const struct smtp_server_facts *facts, enum smtp_state wanted, const struct smtp_command *c, bool authenticated)
{
	struct owner o;
	unsigned expected, state;
	uint64_t code;
	char line[128];
	int n = snprintf(line, sizeof line, "%.*s%s\r\n", STR_FMT(c->verb), ordinary_of(c)->argument);

	owner_open(&o, facts);
	reach(&o, wanted, authenticated);
	expected = expected_code(&o.s, c, authenticated);
	state = expected_state(&o.s, c, expected);
	owner_feed(&o, (struct str){line, (size_t)n}, (size_t)n, 1);
	assert_true(str_to_u64(str_sub(buf_str(&o.out), 0, 3), 999, &code));
	if (code != expected || o.s.state != state)
		fail_msg("state %u, %.*s: %lu instead of %u, state %u instead of %u", (unsigned)wanted, STR_FMT(c->verb), (unsigned long)code,
		    expected, (unsigned)o.s.state, state);
	owner_close(&o);
}

/* A session in which everything that depends on the bits is on offer, or not. */
static struct smtp_server_facts
facts_of(unsigned bits)
{
	struct smtp_server_facts facts = default_facts;

	facts.protocol = bits & 1 ? SMTP_LMTP : SMTP_ESMTP;
	facts.tls = bits & 2;
	if (!(bits & 4))
		facts.mechanisms = STR_NONE;
	facts.must_authenticate = bits & 8;
	if (bits & 32) {
		facts.asks_hello = facts.asks_vrfy = facts.offers_etrn = facts.may_xclient = facts.may_xforward = true;
		facts.offers_dsn = facts.offers_requiretls = facts.offers_deliverby = facts.offers_priority = true;
		facts.hold_max_s = 60;
	}
	return facts;
}

static void
every_verb_in_every_state_gets_the_reply_of_the_table(void **state)
{
	static const enum smtp_state states[] = {SMTP_STATE_CONNECTED, SMTP_STATE_GREETED, SMTP_STATE_MAIL, SMTP_STATE_RCPT,
	    SMTP_STATE_BDAT};
	size_t n, cells = 0;
	const struct smtp_command *commands = smtp_server_commands(&n);

	(void)state;
	/* The bits: protocol, TLS, may authenticate, must authenticate, has authenticated, all that may be on offer. */
	for (unsigned bits = 0; bits < 64; bits++) {
		struct smtp_server_facts facts = facts_of(bits);
		bool authenticated = bits & 16;

		for (size_t i = 0; i < ROWS(states); i++) {
			if (facts.must_authenticate && !authenticated && i >= 2)
				continue; /* cannot be reached */
			for (size_t k = 0; k < n; k++, cells++)
				check_cell(&facts, states[i], &commands[k], authenticated);
		}
	}
	assert_true(cells > 4000);
}

/* An extension is in EHLO's reply exactly where its commands and parameters are taken. */
static void
what_is_on_offer_is_what_is_taken(void **state)
{
	static const char *const keywords[SMTP_EXTENSIONS] = {[SMTP_EXT_PIPELINING] = "PIPELINING", [SMTP_EXT_SIZE] = "SIZE ",
	    [SMTP_EXT_8BITMIME] = "8BITMIME", [SMTP_EXT_ENHANCEDSTATUSCODES] = "ENHANCEDSTATUSCODES", [SMTP_EXT_STARTTLS] = "STARTTLS",
	    [SMTP_EXT_AUTH] = "AUTH ", [SMTP_EXT_CHUNKING] = "CHUNKING", [SMTP_EXT_BINARYMIME] = "BINARYMIME",
	    [SMTP_EXT_SMTPUTF8] = "SMTPUTF8", [SMTP_EXT_DSN] = "DSN", [SMTP_EXT_REQUIRETLS] = "REQUIRETLS", [SMTP_EXT_LIMITS] = "LIMITS ",
	    [SMTP_EXT_MT_PRIORITY] = "MT-PRIORITY", [SMTP_EXT_DELIVERBY] = "DELIVERBY", [SMTP_EXT_FUTURERELEASE] = "FUTURERELEASE ",
	    [SMTP_EXT_ETRN] = "ETRN", [SMTP_EXT_XCLIENT] = "XCLIENT ", [SMTP_EXT_XFORWARD] = "XFORWARD "};

	(void)state;
	for (unsigned bits = 0; bits < 64; bits++) {
		struct smtp_server_facts facts = facts_of(bits);
		struct owner o;

		owner_open(&o, &facts);
		owner_feed(&o, facts.protocol == SMTP_LMTP ? STR("LHLO x\r\n") : STR("EHLO x\r\n"), 99, 99);
		for (unsigned e = SMTP_EXT_NONE + 1; e < SMTP_EXTENSIONS; e++) {
			char first[64];
			size_t at;

			assert_non_null(keywords[e]);
			(void)snprintf(first, sizeof first, "\r\n250-%s", keywords[e]);
			at = str_search(buf_str(&o.out), str_from(first));
			first[5] = ' '; /* or it is the last */
			if (at == o.out.n)
				at = str_search(buf_str(&o.out), str_from(first));
			assert_int_equal(at < o.out.n, smtp_server_offers(&o.s, (enum smtp_extension)e));
		}
		owner_close(&o);
	}
}

static void
every_command_says_where_it_is_defined(void **state)
{
	size_t n;
	const struct smtp_command *commands = smtp_server_commands(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		assert_true(str_starts(str_from(commands[i].reference), STR("RFC ")) ||
		    str_starts(str_from(commands[i].reference), STR("Postfix ")));
		assert_true(commands[i].handler != NULL && commands[i].states != 0 && commands[i].protocols != 0);
	}
}

/* --- limits ---------------------------------------------------------------------------------------------------------------- */

static void
a_long_line_is_passed_over(void **state)
{
	static const size_t lengths[] = {SMTP_COMMAND_LINE_MAX - 2, SMTP_COMMAND_LINE_MAX - 1, SMTP_COMMAND_LINE_MAX, 5000, 20000};

	(void)state;
	for (size_t i = 0; i < ROWS(lengths); i++) {
		char *in = malloc(lengths[i] + 8);
		struct owner o;

		memset(in, 'x', lengths[i]);
		memcpy(in, "NOOP ", 5);
		memcpy(in + lengths[i], "\r\nNOOP\r\n", 8);
		owner_open(&o, &default_facts);
		buf_reset(&o.out);
		owner_feed(&o, (struct str){in, lengths[i] + 8}, 1000, 700);
		assert_str(buf_str(&o.out), lengths[i] <= SMTP_COMMAND_LINE_MAX - 2 ? STR("250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n") :
		    STR("500 5.5.2 Line too long\r\n250 2.0.0 Ok\r\n"));
		owner_close(&o);
		free(in);
	}
}

static void
authentication_may_use_longer_lines(void **state)
{
	static const struct {
		const char *head, *reply;
		size_t length;
	} rows[] = {
	    {"AUTH PLAIN ", "235 2.7.0 Authentication successful\r\n250 2.0.0 Ok\r\n", 12288},
	    {"AUTH PLAIN ", "500 5.5.2 Line too long\r\n250 2.0.0 Ok\r\n", 12289},
	    {"AUTH PLAIN\r\n", "334 \r\n235 2.7.0 Authentication successful\r\n250 2.0.0 Ok\r\n", 12288 + 12},
	    {"AUTH PLAIN\r\n", "334 \r\n500 5.5.6 Line too long\r\n250 2.0.0 Ok\r\n", 12288 + 13},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char *in = malloc(rows[i].length + 8);
		struct owner o;

		memset(in, 'A', rows[i].length);
		memcpy(in, rows[i].head, strlen(rows[i].head));
		memcpy(in + rows[i].length, "\r\nNOOP\r\n", 8);
		owner_open(&o, &default_facts);
		owner_feed(&o, STR("EHLO x\r\n"), 99, 1);
		buf_reset(&o.out);
		owner_feed(&o, (struct str){in, rows[i].length + 8}, 5000, 700);
		assert_str(buf_str(&o.out), str_from(rows[i].reply));
		assert_str(buf_str(&o.events), i == 3 ? STR("cancel ") : STR(""));
		owner_close(&o);
		free(in);
	}
}

static void
errors_and_junk_end_the_session(void **state)
{
	static const struct {
		struct str line;
		size_t times;
		bool trusted, closed;
	} rows[] = {
	    {STR("XYZZY\r\n"), 19, false, false},
	    {STR("XYZZY\r\n"), 20, false, true},
	    {STR("XYZZY\r\n"), 200, true, false},
	    {STR("NOOP\r\n"), 99, false, false},
	    {STR("NOOP\r\n"), 100, false, true},
	    {STR("NOOP\r\n"), 1000, true, false},
	    {STR("MAIL FROM:<a@b.test>\r\nRCPT TO:<nanti@b.test>\r\nRSET\r\n"), 90, false, false},
	    {STR("MAIL FROM:<a@b.test>\r\nRCPT TO:<tiada@b.test>\r\nRSET\r\n"), 20, false, true},
	    {STR("MAIL FROM:<a@b.test>\r\nRCPT TO:<tiada@b.test>\r\nRCPT TO:<a@b.test>\r\nDATA\r\nx\r\n.\r\nNOOP\r\n"), 300, false, false},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct smtp_server_facts facts = default_facts;
		struct owner o;

		facts.is_trusted = rows[i].trusted;
		owner_open(&o, &facts);
		if (rows[i].line.p[0] == 'M')
			owner_feed(&o, STR("HELO x\r\n"), 99, 1);
		for (size_t k = 0; k < rows[i].times; k++) {
			buf_reset(&o.out);
			assert_false(o.closed);
			owner_feed(&o, rows[i].line, 99, 99);
		}
		assert_int_equal(o.closed, rows[i].closed);
		if (o.closed)
			assert_true(str_search(buf_str(&o.out), STR("421 4.7.0 satu.test Too many ")) < o.out.n);
		owner_close(&o);
	}
}

static void
a_small_arena_refuses_for_the_time_being(void **state)
{
	bool refused = false, accepted = false;

	(void)state;
	for (size_t max = 0; max < 2000; max += 32) {
		struct smtp_server_facts facts = default_facts;
		struct owner o;

		facts.arena_max = max;
		owner_open(&o, &facts);
		owner_feed(&o, STR(BEGIN "RCPT TO:<\"a b\"@x.test>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"), 999, 1);
		assert_true(o.closed);
		if (str_search(buf_str(&o.out), STR("452 4.3.1 Envelope too large")) < o.out.n)
			refused = true;
		else
			accepted = true;
		assert_false(accepted && str_search(buf_str(&o.out), STR("452 ")) < o.out.n);
		owner_close(&o);
	}
	assert_true(refused && accepted);
}

static void
counters_tell_what_was_accepted(void **state)
{
	struct owner o;
	struct buf text;

	(void)state;
	owner_open(&o, &default_facts);
	owner_feed(&o, STR(BEGIN "RCPT TO:<tiada@d.test>\r\nFOO\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"), 999, 1);
	buf_init(&text, 1000);
	smtp_server_counters_add(&text, &o.counters);
	assert_str(buf_str(&text), STR(" ehlo=1 mail=1 rcpt=1/2 data=1 quit=1 unknown=0/1 commands=5/7"));
	buf_clear(&text);
	owner_close(&o);
}

static void
goodbye_ends_it_at_any_time(void **state)
{
	struct owner o;
	size_t taken;

	(void)state;
	owner_open(&o, &default_facts);
	owner_feed(&o, STR("EHLO x\r\n"), 99, 1);
	buf_reset(&o.out);
	assert_int_equal(smtp_server_step(&o.s, STR("MAIL FROM:<a@b.test>\r\n"), &taken), SMTP_SENDER);
	smtp_server_goodbye(&o.s, SMTP_REPLY(421, "4.4.2", "Timeout exceeded"));
	assert_false(smtp_server_is_waiting(&o.s));
	assert_int_equal(smtp_server_step(&o.s, STR("NOOP\r\n"), &taken), SMTP_CLOSE);
	assert_str(buf_str(&o.out), STR("421 4.4.2 satu.test Timeout exceeded\r\n"));
	owner_close(&o);
}

static void
the_protocol_s_name_tells_what_was_used(void **state)
{
	static const struct {
		const char *hello, *name;
		enum smtp_protocol protocol;
		bool tls, authenticated;
	} rows[] = {
	    {"HELO x\r\n", "SMTP", SMTP_ESMTP, false, false},
	    {"EHLO x\r\n", "ESMTP", SMTP_ESMTP, false, false},
	    {"EHLO x\r\n", "ESMTPS", SMTP_ESMTP, true, false},
	    {"HELO x\r\n", "ESMTPS", SMTP_ESMTP, true, false},
	    {"EHLO x\r\n", "ESMTPA", SMTP_ESMTP, false, true},
	    {"EHLO x\r\n", "ESMTPSA", SMTP_ESMTP, true, true},
	    {"EHLO x\r\nMAIL FROM:<> SMTPUTF8\r\n", "UTF8SMTP", SMTP_ESMTP, false, false},
	    {"EHLO x\r\nMAIL FROM:<> SMTPUTF8\r\n", "UTF8SMTPS", SMTP_ESMTP, true, false},
	    {"EHLO x\r\nAUTH PLAIN x\r\nMAIL FROM:<> SMTPUTF8\r\n", "UTF8SMTPSA", SMTP_ESMTP, true, true},
	    {"LHLO x\r\nMAIL FROM:<> SMTPUTF8\r\n", "UTF8LMTP", SMTP_LMTP, false, false},
	    {"LHLO x\r\n", "LMTP", SMTP_LMTP, false, false},
	    {"LHLO x\r\n", "LMTPSA", SMTP_LMTP, true, true},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct smtp_server_facts facts = default_facts;
		struct owner o;

		facts.protocol = rows[i].protocol;
		facts.tls = rows[i].tls;
		owner_open(&o, &facts);
		owner_feed(&o, str_from(rows[i].hello), 99, 1);
		if (rows[i].authenticated)
			owner_feed(&o, STR("AUTH PLAIN x\r\n"), 99, 1);
		assert_string_equal(smtp_server_protocol_name(&o.s), rows[i].name);
		owner_close(&o);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sessions_go_the_same_way_whatever_the_pieces),
	    cmocka_unit_test(content_may_come_in_chunks),
	    cmocka_unit_test(every_chunking_of_a_message_is_the_message),
	    cmocka_unit_test(chunks_are_limited_in_sum_and_number),
	    cmocka_unit_test(words_that_refuse_a_chunk_are_borrowed_only),
	    cmocka_unit_test(lmtp_answers_for_each_recipient_after_the_last_chunk),
	    cmocka_unit_test(all_extensions_are_on_offer_where_they_apply),
	    cmocka_unit_test(parameters_say_what_they_mean_or_are_refused),
	    cmocka_unit_test(parameters_of_what_is_not_on_offer_are_unknown),
	    cmocka_unit_test(what_the_owner_may_be_asked_besides),
	    cmocka_unit_test(proxies_commands_are_for_proxies),
	    cmocka_unit_test(starttls_with_anything_behind_it_ends_the_session),
	    cmocka_unit_test(after_starttls_a_new_core_knows_nothing),
	    cmocka_unit_test(passwords_are_not_asked_for_in_the_clear),
	    cmocka_unit_test(lmtp_answers_for_each_recipient_in_order),
	    cmocka_unit_test(content_that_the_owner_refuses_is_read_to_its_end),
	    cmocka_unit_test(only_crlf_dot_crlf_ends_data),
	    cmocka_unit_test(every_verb_in_every_state_gets_the_reply_of_the_table),
	    cmocka_unit_test(what_is_on_offer_is_what_is_taken),
	    cmocka_unit_test(every_command_says_where_it_is_defined),
	    cmocka_unit_test(a_long_line_is_passed_over),
	    cmocka_unit_test(authentication_may_use_longer_lines),
	    cmocka_unit_test(errors_and_junk_end_the_session),
	    cmocka_unit_test(a_small_arena_refuses_for_the_time_being),
	    cmocka_unit_test(counters_tell_what_was_accepted),
	    cmocka_unit_test(goodbye_ends_it_at_any_time),
	    cmocka_unit_test(the_protocol_s_name_tells_what_was_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
