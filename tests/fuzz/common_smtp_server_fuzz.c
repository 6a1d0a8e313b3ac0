/*
 * The SMTP and LMTP server core: any bytes, in one piece and in several, go the same way; replies are whole lines of
 * printable ASCII; content that is accepted has no bare CR, LF or NUL.
 */
#include <stdlib.h>

#include "common/base/crc32c.h"
#include "common/smtp/smtp_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

struct run {
	struct smtp_server s;
	struct smtp_counters counters;
	struct buf out, content;
	uint32_t events;
	bool over, tls;
};

static void
note(struct run *r, unsigned event, struct str what)
{
	char byte = (char)event;

	r->events = crc32c(crc32c(r->events, (struct str){&byte, 1}), what);
}

/* The owner's mood follows from what it is asked, so that it is the same in every run. */
static void
answer(struct run *r, struct str text)
{
	unsigned mood = crc32c(0, text) % 8;

	if (mood == 0)
		smtp_server_answer(&r->s, &(struct smtp_reply){550, "5.1.1", text});
	else if (mood == 1)
		smtp_server_answer(&r->s, SMTP_REPLY(451, "4.3.0", "Later"));
	else
		smtp_server_accept(&r->s);
}

static void
answer_message(struct run *r)
{
	for (size_t i = 0; i < r->content.n && r->s.transaction.body != SMTP_BODY_BINARYMIME; i++)
		if (r->content.p[i] == '\0' || (r->content.p[i] == '\r' && (i + 1 == r->content.n || r->content.p[i + 1] != '\n')) ||
		    (r->content.p[i] == '\n' && (i == 0 || r->content.p[i - 1] != '\r')))
			abort();
	if (r->s.facts.protocol == SMTP_LMTP && r->s.transaction.nrecipients > 1)
		smtp_server_answer_recipient(&r->s, r->s.transaction.recipients->next, SMTP_REPLY(452, "4.2.2", "Full"));
	if (smtp_server_is_waiting(&r->s))
		smtp_server_answer(&r->s, SMTP_REPLY(250, "2.0.0", "Ok"));
	buf_reset(&r->content);
}

/* Goes into lines of the queue file, of the log, and of other servers. */
static void
check_clean(struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < ' ' || text.p[i] == 127)
			abort();
}

static void
check_transaction(const struct smtp_transaction *t)
{
	check_clean(t->sender.text);
	check_clean(t->envid);
	if (t->priority < -9 || t->priority > 9)
		abort();
	if (!t->smtputf8 && address_has_utf8(&t->sender))
		abort();
	for (unsigned i = 0; t->forwarded != NULL && i < SMTP_ATTRIBUTES; i++)
		check_clean(t->forwarded->value[i]);
}

static void
authenticate(struct run *r)
{
	unsigned mood = crc32c(0, r->s.response) % 5;

	if (!r->s.has_response || mood == 0)
		smtp_server_challenge(&r->s, STR("eA=="));
	else if (mood == 1)
		smtp_server_authenticated(&r->s, STR("baru"));
	else
		smtp_server_auth_failed(&r->s, (enum smtp_auth)(mood - 2));
}

static void
act(struct run *r, enum smtp_event event)
{
	switch (event) {
	case SMTP_READ:
		return;
	case SMTP_HELLO:
		note(r, event, str_from(r->s.helo));
		answer(r, str_from(r->s.helo));
		return;
	case SMTP_VRFY:
		note(r, event, r->s.recipient->address.text);
		answer(r, r->s.recipient->address.text);
		return;
	case SMTP_UNKNOWN:
	case SMTP_ETRN:
		note(r, event, r->s.argument);
		answer(r, r->s.argument);
		return;
	case SMTP_XCLIENT:
		for (unsigned i = 0; i < SMTP_ATTRIBUTES; i++)
			note(r, event, r->s.attributes->value[i]);
		answer(r, r->s.attributes->value[SMTP_ATTR_ADDR]);
		return;
	case SMTP_SENDER:
		note(r, event, r->s.transaction.sender.text);
		check_transaction(&r->s.transaction);
		answer(r, r->s.transaction.sender.text);
		return;
	case SMTP_RECIPIENT:
		note(r, event, r->s.recipient->address.text);
		check_clean(r->s.recipient->orcpt);
		answer(r, r->s.recipient->address.text);
		return;
	case SMTP_BODY:
		note(r, event, STR(""));
		smtp_server_accept(&r->s);
		return;
	case SMTP_CONTENT:
		buf_add(&r->content, r->s.content);
		return;
	case SMTP_MESSAGE:
		note(r, event, buf_str(&r->content));
		answer_message(r);
		return;
	case SMTP_ABANDONED:
		buf_reset(&r->content);
		note(r, event, STR(""));
		return;
	case SMTP_AUTHENTICATE:
	case SMTP_RESPOND:
		note(r, event, r->s.response);
		authenticate(r);
		return;
	case SMTP_CANCEL:
		note(r, event, STR(""));
		return;
	case SMTP_START_TLS:
	case SMTP_CLOSE:
		note(r, event, STR(""));
		r->over = true;
		r->tls = event == SMTP_START_TLS;
		return;
	}
	abort();
}

static void
check_replies(struct str out)
{
	struct str line;

	while (out.n > 0) {
		size_t end = str_search(out, STR("\r\n"));

		if (end == out.n || end < 4)
			abort();
		line = str_sub(out, 0, end);
		for (size_t i = 0; i < line.n; i++)
			if (!ascii_is_print(line.p[i]) || (i < 3 && !ascii_is_digit(line.p[i])))
				abort();
		out = str_skip(out, end + 2);
	}
}

static struct smtp_server_facts
facts_of(unsigned options)
{
	return (struct smtp_server_facts){.protocol = options & 1 ? SMTP_LMTP : SMTP_ESMTP, .hostname = STR("a.test"),
	    .banner = STR("x"), .mechanisms = options & 2 ? STR("PLAIN LOGIN") : STR_NONE, .tls = options & 4,
	    .can_start_tls = options & 8, .must_authenticate = options & 16, .is_trusted = options & 32,
	    .normalise = options & 64, .asks_hello = options & 128, .asks_vrfy = options & 256, .offers_etrn = options & 512,
	    .may_xclient = options & 1024, .may_xforward = options & 2048, .offers_dsn = options & 4096,
	    .offers_requiretls = options & 8192, .offers_deliverby = options & 16384, .offers_priority = options & 32768,
	    .hold_max_s = options & 4096 ? 3600 : 0, .size_max = 2000, .recipients_max = 5, .errors_max = 10, .arena_max = 4096};
}

static void
run(struct run *r, struct str in, size_t step, unsigned options)
{
	struct smtp_server_facts facts = facts_of(options);
	size_t have = 0, at = 0, taken;
	enum smtp_event event;

	*r = (struct run){.over = false};
	buf_init(&r->out, 1 << 22);
	buf_init(&r->content, 1 << 20);
	smtp_server_init(&r->s, &facts, &r->counters, &r->out);
	r->s.time_ms = 1795489200000;
	do {
		event = smtp_server_step(&r->s, str_sub(in, at, have - at), &taken);
		if (taken > have - at)
			abort();
		act(r, event);
		at += taken;
		if (event != SMTP_READ)
			continue;
		if (have == in.n)
			break;
		have = in.n - have > step ? have + step : in.n;
	} while (!r->over);
	smtp_server_clear(&r->s);
	check_replies(buf_str(&r->out));
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct run whole, pieces;
	struct str in;

	unsigned options;

	if (n < 2)
		return 0;
	options = bytes[0] | (unsigned)bytes[1] << 8;
	in = (struct str){(const char *)bytes + 2, n - 2};
	run(&whole, in, 1 + n % 13, options);
	run(&pieces, in, 1, options);
	/* What comes along with STARTTLS ends the session, what comes later is the handshake. */
	if (pieces.tls == whole.tls && (whole.events != pieces.events || !str_equal(buf_str(&whole.out), buf_str(&pieces.out))))
		abort();
	buf_clear(&whole.out);
	buf_clear(&whole.content);
	buf_clear(&pieces.out);
	buf_clear(&pieces.content);
	return 0;
}
