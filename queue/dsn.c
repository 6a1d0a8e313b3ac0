#include "queue/dsn.h"

#include "common/base/date.h"
#include "common/smtp/orcpt.h"
#include "queue/dsn_text.h"

#define WIDTH 76
#define ORCPT_FIELD_MAX 16384

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
	buf_addf(b, ">\r\nSubject: %s\r\nMessage-ID: <%.*s@%.*s>\r\n", dsn_text(dsn->language)->subject[dsn->kind],
	    STR_FMT(dsn->own_id), STR_FMT(dsn->hostname));
	buf_adds(b, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
		    "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"");
	add_boundary(b, dsn);
	buf_adds(b, "\"\r\n\r\nThis is a MIME-encapsulated delivery status notification.\r\n");
}

static void
add_part(struct buf *b, const struct dsn *dsn, const char *type, bool is_8bit, const char *description)
{
	buf_adds(b, "\r\n--");
	add_boundary(b, dsn);
	buf_addf(b, "\r\nContent-Description: %s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n",
	    description, type, is_8bit ? "8bit" : "7bit");
}

bool
dsn_is_8bit(const struct dsn *dsn)
{
	return dsn->is_utf8 || dsn->is_8bit;
}

/* ---- for people ------------------------------------------------------------------------------------------------ */

static void
add_introduction(struct buf *b, const struct dsn *dsn)
{
	const struct dsn_text *words = dsn_text(dsn->language);
	char text[DATE_RFC5322_SIZE];

	buf_addf(b, "%s%.*s.\r\n\r\n%s", words->system, STR_FMT(dsn->hostname), words->introduction[dsn->kind]);
	if (dsn->kind != DSN_DELAYED)
		return;
	buf_adds(b, words->until[0]);
	buf_adds(b, date_format_rfc5322(text, (struct date){.seconds = (int64_t)(dsn->until_ms / 1000)}));
	buf_adds(b, words->until[1]);
}

/* What became of it: in our words where it went well, in the other side's where it did not. */
static void
add_outcome(struct buf *b, const struct dsn *dsn, const struct dsn_recipient *r)
{
	const struct dsn_text *words = dsn_text(dsn->language);

	if (dsn->kind == DSN_DONE) {
		add_wrapped(b, str_from(words->action[r->action]), "    ", 4, false);
		return;
	}
	if (r->relay.n > 0 && !str_equal(r->relay, STR("none"))) {
		add_word(b, r->relay, false);
		buf_addf(b, "%s\r\n    ", words->said);
	}
	add_wrapped(b, r->reply, "    ", 4, dsn->is_utf8);
}

static void
add_recipient_text(struct buf *b, const struct dsn *dsn, const struct dsn_recipient *r)
{
	buf_adds(b, "\r\n<");
	add_word(b, r->address, dsn->is_utf8);
	buf_addc(b, '>');
	if (r->original.n > 0 && !str_equal(r->original, r->address)) {
		buf_adds(b, dsn_text(dsn->language)->expanded_from);
		add_word(b, r->original, dsn->is_utf8);
		buf_adds(b, ">)");
	}
	buf_adds(b, ":\r\n    ");
	add_outcome(b, dsn, r);
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

static struct str
action(const struct dsn *dsn, const struct dsn_recipient *r)
{
	static const struct str done[DSN_ACTIONS] = {
	    [DSN_ACTION_DELIVERED] = {"delivered", 9},
	    [DSN_ACTION_RELAYED] = {"relayed", 7},
	    [DSN_ACTION_EXPANDED] = {"expanded", 8},
	};

	switch (dsn->kind) {
	case DSN_DONE:
		return done[r->action];
	case DSN_DELAYED:
		return STR("delayed");
	case DSN_FAILED:
	case DSN_POSTMASTER:
	case DSN_KINDS:
		break;
	}
	return STR("failed");
}

/* RFC 6533 3: an address that needs it has the type utf-8. */
static void
add_address(struct buf *b, const struct dsn *dsn, const char *name, struct str address)
{
	add_field(b, name, dsn->is_utf8 && !str_is_ascii(address) ? "utf-8; " : "rfc822; ", address, dsn->is_utf8);
}

static void
add_original(struct buf *b, const struct dsn *dsn, const struct dsn_recipient *r)
{
	struct buf value;

	if (r->orcpt.n == 0) {
		if (r->original.n > 0)
			add_address(b, dsn, "Original-Recipient", r->original);
		return;
	}
	buf_init(&value, ORCPT_FIELD_MAX);
	orcpt_add_field(&value, r->orcpt, dsn->is_utf8);
	if (buf_ok(&value))
		add_field(b, "Original-Recipient", "", buf_str(&value), dsn->is_utf8);
	buf_clear(&value);
}

static void
add_recipient_fields(struct buf *b, const struct dsn *dsn, const struct dsn_recipient *r)
{
	struct str relay;

	buf_adds(b, "\r\n");
	add_original(b, dsn, r);
	add_address(b, dsn, "Final-Recipient", r->address);
	add_field(b, "Action", "", action(dsn, r), false);
	add_field(b, "Status", "", r->code, false);
	if (relay_name(r->relay, &relay))
		add_field(b, "Remote-MTA", "dns; ", relay, false);
	if (r->reply.n > 0)
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
	const struct dsn_text *words = dsn_text(dsn->language);

	add_header(b, dsn);
	add_part(b, dsn, dsn->is_utf8 ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii", dsn->is_utf8,
	    words->description[0]);
	add_introduction(b, dsn);
	for (size_t i = 0; i < n; i++)
		add_recipient_text(b, dsn, &recipients[i]);
	add_part(b, dsn, dsn->is_utf8 ? "message/global-delivery-status" : "message/delivery-status", dsn->is_utf8,
	    words->description[1]);
	add_message_fields(b, dsn);
	for (size_t i = 0; i < n; i++)
		add_recipient_fields(b, dsn, &recipients[i]);
	if (dsn->returns_whole)
		add_part(b, dsn, dsn->header_is_utf8 ? "message/global" : "message/rfc822", dsn->is_8bit,
		    words->description[2]);
	else
		add_part(b, dsn, dsn->header_is_utf8 ? "message/global-headers" : "text/rfc822-headers", dsn->is_8bit,
		    words->description_header);
}

void
dsn_end(struct buf *b, const struct dsn *dsn)
{
	buf_adds(b, "\r\n--");
	add_boundary(b, dsn);
	buf_adds(b, "--\r\n");
}
