#include "queue/dsn.h"

#include "common/date.h"

#define WIDTH 76

/* ---- text from elsewhere --------------------------------------------------------------------------------------- */

/* A byte that may stand in a line; what is not ASCII only where the message may have it. */
static char
harmless(char c, bool utf8)
{
	if (ascii_is_print(c) || (utf8 && (unsigned char)c >= 0x80))
		return c;
	return c == '\t' || c == '\r' || c == '\n' ? ' ' : '?';
}

static void
add_word(struct buf *b, struct str word, bool utf8)
{
	for (size_t i = 0; i < word.n; i++)
		buf_addc(b, harmless(word.p[i], utf8));
}

/* The next word; blanks of any kind separate. */
static bool
take_word(struct str *rest, struct str *word)
{
	size_t n = 0;

	while (rest->n > 0 && harmless(rest->p[0], false) == ' ')
		*rest = str_skip(*rest, 1);
	while (n < rest->n && harmless(rest->p[n], false) != ' ')
		n++;
	*word = str_sub(*rest, 0, n);
	*rest = str_skip(*rest, n);
	return n > 0;
}

/* Words, wrapped; `column` is where the line is now, `indent` what further lines begin with. */
static void
add_wrapped(struct buf *b, struct str text, const char *indent, size_t column, bool utf8)
{
	struct str word;
	bool first = true;

	while (take_word(&text, &word)) {
		/* Half a line at most for a word that has no end. */
		while (word.n > 500) {
			add_word(b, str_sub(word, 0, 500), utf8);
			buf_adds(b, "\r\n");
			buf_adds(b, indent);
			word = str_skip(word, 500);
		}
		if (!first && column + 1 + word.n > WIDTH) {
			buf_adds(b, "\r\n");
			buf_adds(b, indent);
			column = str_from(indent).n;
		} else if (!first) {
			buf_addc(b, ' ');
			column++;
		}
		add_word(b, word, utf8);
		column += word.n;
		first = false;
	}
	buf_adds(b, "\r\n");
}

static void
add_field(struct buf *b, const char *name, const char *type, struct str value, bool utf8)
{
	buf_addf(b, "%s: %s", name, type);
	add_wrapped(b, value, "    ", str_from(name).n + 2 + str_from(type).n, utf8);
}

static void
add_date(struct buf *b, const char *name, uint64_t time_ms)
{
	char text[DATE_RFC5322_SIZE];

	buf_addf(b, "%s: %s\r\n", name,
	    date_format_rfc5322(text, (struct date){.seconds = (int64_t)(time_ms / 1000)}));
}

/* ---- header ---------------------------------------------------------------------------------------------------- */

static const char *
subject(enum dsn_kind kind)
{
	switch (kind) {
	case DSN_FAILED:
		return "Your message could not be delivered";
	case DSN_DELAYED:
		return "Your message is delayed";
	case DSN_POSTMASTER:
		return "Postmaster: a notification could not be delivered";
	case DSN_KINDS:
		break;
	}
	return "";
}

static void
add_boundary(struct buf *b, const struct dsn *dsn)
{
	buf_addf(b, "=_%.*s", STR_FMT(dsn->own_id));
}

static void
add_header(struct buf *b, const struct dsn *dsn)
{
	add_date(b, "Date", dsn->now_ms);
	buf_addf(b, "From: Mail Delivery System <MAILER-DAEMON@%.*s>\r\nTo: <", STR_FMT(dsn->hostname));
	add_word(b, dsn->to, dsn->is_utf8);
	buf_addf(b, ">\r\nSubject: %s\r\nMessage-ID: <%.*s@%.*s>\r\n", subject(dsn->kind), STR_FMT(dsn->own_id),
	    STR_FMT(dsn->hostname));
	buf_adds(b, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
		    "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"");
	add_boundary(b, dsn);
	buf_adds(b, "\"\r\n\r\nThis is a MIME-encapsulated delivery status notification.\r\n");
}

static void
add_part(struct buf *b, const struct dsn *dsn, const char *type, const char *description)
{
	buf_adds(b, "\r\n--");
	add_boundary(b, dsn);
	buf_addf(b, "\r\nContent-Description: %s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
	    description, type);
}

/* ---- for people ------------------------------------------------------------------------------------------------ */

static void
add_introduction(struct buf *b, const struct dsn *dsn)
{
	char text[DATE_RFC5322_SIZE];

	buf_addf(b, "This is the mail system at %.*s.\r\n\r\n", STR_FMT(dsn->hostname));
	switch (dsn->kind) {
	case DSN_FAILED:
		buf_adds(b, "Your message could not be delivered to the recipients named below. It will\r\n"
			    "not be tried again. The message, or its header, is attached.\r\n\r\n"
			    "If you ask the postmaster for help, please include this notification.\r\n");
		break;
	case DSN_DELAYED:
		buf_adds(b, "Your message could not be delivered to the recipients named below yet.\r\n"
			    "There is nothing you need to do: it is being tried again until\r\n    ");
		buf_adds(b, date_format_rfc5322(text, (struct date){.seconds = (int64_t)(dsn->until_ms / 1000)}));
		buf_adds(b, "\r\nand you will be told if it fails.\r\n");
		break;
	case DSN_POSTMASTER:
		buf_adds(b, "A message without return address, which is what notifications are, could not\r\n"
			    "be delivered. Nobody else is told of it.\r\n");
		break;
	case DSN_KINDS:
		break;
	}
}

static void
add_recipient_text(struct buf *b, const struct dsn *dsn, const struct dsn_recipient *r)
{
	buf_adds(b, "\r\n<");
	add_word(b, r->address, dsn->is_utf8);
	buf_addc(b, '>');
	if (r->original.n > 0 && !str_equal(r->original, r->address)) {
		buf_adds(b, " (expanded from <");
		add_word(b, r->original, dsn->is_utf8);
		buf_adds(b, ">)");
	}
	buf_adds(b, ":\r\n    ");
	if (r->relay.n > 0 && !str_equal(r->relay, STR("none"))) {
		add_word(b, r->relay, false);
		buf_adds(b, " said:\r\n    ");
	}
	add_wrapped(b, r->reply, "    ", 4, dsn->is_utf8);
}

/* ---- for programs ---------------------------------------------------------------------------------------------- */

static void
add_message_fields(struct buf *b, const struct dsn *dsn)
{
	add_field(b, "Reporting-MTA", "dns; ", dsn->hostname, false);
	if (dsn->has_envid)
		add_field(b, "Original-Envelope-Id", "", dsn->envid, false);
	if (dsn->client.n > 0)
		add_field(b, "Received-From-MTA", "dns; ", str_sub(dsn->client, 0, str_find(dsn->client, ' ')), false);
	add_field(b, "X-Merpati-Queue-ID", "", dsn->queue_id, false);
	add_field(b, "X-Merpati-Sender", "rfc822; ", dsn->sender, dsn->is_utf8);
	add_date(b, "Arrival-Date", dsn->arrived_ms);
}

/* The name of the relay without address and port; false when nobody was asked. */
static bool
relay_name(struct str relay, struct str *name)
{
	*name = str_sub(relay, 0, str_find(relay, '['));
	*name = str_sub(*name, 0, str_find(*name, ':'));
	return name->n > 0 && !str_equal(*name, STR("none"));
}

/* "450 4.2.0 ..." */
static bool
is_smtp_reply(struct str reply)
{
	return reply.n >= 4 && ascii_is_digit(reply.p[0]) && ascii_is_digit(reply.p[1]) && ascii_is_digit(reply.p[2]) &&
	    reply.p[3] == ' ';
}

static void
add_recipient_fields(struct buf *b, const struct dsn *dsn, const struct dsn_recipient *r)
{
	const char *address_type = dsn->is_utf8 ? "utf-8; " : "rfc822; ";
	struct str relay;

	buf_adds(b, "\r\n");
	if (r->orcpt.n > 0)
		add_field(b, "Original-Recipient", "", r->orcpt, dsn->is_utf8);
	else if (r->original.n > 0)
		add_field(b, "Original-Recipient", address_type, r->original, dsn->is_utf8);
	add_field(b, "Final-Recipient", address_type, r->address, dsn->is_utf8);
	add_field(b, "Action", "", dsn->kind == DSN_DELAYED ? STR("delayed") : STR("failed"), false);
	add_field(b, "Status", "", r->code, false);
	if (relay_name(r->relay, &relay))
		add_field(b, "Remote-MTA", "dns; ", relay, false);
	add_field(b, "Diagnostic-Code", is_smtp_reply(r->reply) ? "smtp; " : "X-Merpati; ", r->reply, dsn->is_utf8);
	if (r->tried_ms > 0)
		add_date(b, "Last-Attempt-Date", r->tried_ms);
	if (dsn->kind == DSN_DELAYED)
		add_date(b, "Will-Retry-Until", dsn->until_ms);
}

/* ---- all ------------------------------------------------------------------------------------------------------- */

void
dsn_begin(struct buf *b, const struct dsn *dsn, const struct dsn_recipient *recipients, size_t n)
{
	add_header(b, dsn);
	add_part(b, dsn, "text/plain; charset=utf-8", "Notification");
	add_introduction(b, dsn);
	for (size_t i = 0; i < n; i++)
		add_recipient_text(b, dsn, &recipients[i]);
	add_part(b, dsn, dsn->is_utf8 ? "message/global-delivery-status" : "message/delivery-status",
	    "Delivery report");
	add_message_fields(b, dsn);
	for (size_t i = 0; i < n; i++)
		add_recipient_fields(b, dsn, &recipients[i]);
	if (dsn->returns_whole)
		add_part(b, dsn, dsn->is_utf8 ? "message/global" : "message/rfc822", "Undelivered message");
	else
		add_part(b, dsn, dsn->is_utf8 ? "message/global-headers" : "text/rfc822-headers",
		    "Header of the undelivered message");
}

void
dsn_end(struct buf *b, const struct dsn *dsn)
{
	buf_adds(b, "\r\n--");
	add_boundary(b, dsn);
	buf_adds(b, "--\r\n");
}
