#include "queue/smtp_client.h"

#include <stdio.h>
#include <string.h>

#include "common/base/base64.h"
#include "common/smtp/xtext.h"

#define FAILURE_ARENA_MAX 4096
#define CHUNK_HEAD_MAX 40
#define AUTH_TEXT_MAX 8192

_Static_assert(CHUNK_HEAD_MAX + DOT_WRITE_END_MAX <= SMTP_CLIENT_CHUNK_EXTRA_MAX, "head and end of a chunk");

enum step {
	STEP_RESET,
	STEP_MAIL,
	STEP_RCPT, /* the first of as many as there are recipients; DATA follows */
};

static const struct smtp_verdict not_smtp = {SMTP_DEFERRED, {"4.5.0", 5},
    {"the server's answer makes no sense", 34}};

void
smtp_client_init(struct smtp_client *c, struct buf *out, struct str hostname, bool lmtp, bool want_tls)
{
	*c = (struct smtp_client){.out = out, .hostname = hostname, .lmtp = lmtp, .want_tls = want_tls};
	smtp_reply_init(&c->reply);
	arena_init(&c->arena, FAILURE_ARENA_MAX);
	STAILQ_INIT(&c->results);
}

void
smtp_client_clear(struct smtp_client *c)
{
	smtp_reply_clear(&c->reply);
	arena_clear(&c->arena);
}

enum smtp_client_need
smtp_client_need(const struct smtp_client *c)
{
	switch (c->state) {
	case SMTP_GREETING:
	case SMTP_EHLO:
	case SMTP_HELO:
	case SMTP_STARTTLS:
	case SMTP_AUTH:
	case SMTP_COMMANDS:
		return SMTP_NEED_REPLY;
	case SMTP_HANDSHAKE:
		return SMTP_NEED_TLS;
	case SMTP_READY:
		return SMTP_NEED_NOTHING;
	case SMTP_BODY:
		return SMTP_NEED_BODY;
	case SMTP_FINAL:
		return SMTP_NEED_FINAL_REPLY;
	case SMTP_OVER:
		break;
	}
	return SMTP_NEED_CLOSE;
}

/* --- verdicts ----------------------------------------------------------------------------------------------------- */

static unsigned
reply_class(const struct smtp_client *c)
{
	return c->reply.code / 100;
}

/* A code of the other side only counts when it agrees with the outcome: a 3yz where none belongs is deferred. */
static struct smtp_verdict
verdict_of_reply(struct smtp_client *c, struct arena *arena)
{
	struct smtp_verdict v = {.words = smtp_reply_words(&c->reply, arena, SMTP_CLIENT_WORDS_MAX)};

	switch (reply_class(c)) {
	case 2:
		v.outcome = SMTP_DELIVERED;
		v.code = STR("2.0.0");
		break;
	case 5:
		v.outcome = SMTP_FAILED;
		v.code = STR("5.0.0");
		break;
	case 4:
		v.outcome = SMTP_DEFERRED;
		v.code = STR("4.0.0");
		break;
	default:
		v.outcome = SMTP_DEFERRED;
		v.code = STR("4.5.0");
		break;
	}
	if (smtp_reply_enhanced(&c->reply).n > 0) {
		struct str code = arena_copy(arena, smtp_reply_enhanced(&c->reply));

		v.code = code.p != NULL ? code : v.code;
	}
	if (v.words.p == NULL)
		v.words = STR("the words of the reply are lost: there were too many of them");
	return v;
}

static bool
is_final(const struct smtp_recipient *r)
{
	return r->verdict.outcome != SMTP_PENDING && r->verdict.outcome != SMTP_ACCEPTED;
}

static void
settle(struct smtp_client *c, struct smtp_recipient *r, struct smtp_verdict verdict)
{
	if (is_final(r))
		return;
	r->verdict = verdict;
	c->settled++;
	STAILQ_INSERT_TAIL(&c->results, r, link);
}

static void
settle_all(struct smtp_client *c, struct smtp_verdict verdict)
{
	for (size_t i = 0; c->mail != NULL && i < c->mail->nrecipients; i++)
		settle(c, &c->mail->recipients[i], verdict);
}

struct smtp_recipient *
smtp_client_result(struct smtp_client *c)
{
	struct smtp_recipient *r = STAILQ_FIRST(&c->results);

	if (r != NULL)
		STAILQ_REMOVE_HEAD(&c->results, link);
	return r;
}

/* --- the end of a session ------------------------------------------------------------------------------------------ */

static bool
is_in_transaction(const struct smtp_client *c)
{
	return c->state == SMTP_COMMANDS || c->state == SMTP_BODY || c->state == SMTP_FINAL;
}

static void
over(struct smtp_client *c, struct smtp_verdict verdict)
{
	if (is_in_transaction(c))
		settle_all(c, verdict);
	if (c->state != SMTP_OVER)
		c->failure = verdict;
	c->state = SMTP_OVER;
}

/* The reply that just came ends the session. */
static void
over_by_reply(struct smtp_client *c)
{
	struct smtp_verdict verdict = verdict_of_reply(c, c->mail != NULL && is_in_transaction(c) ? c->mail->arena : &c->arena);

	/* A reply of success, where it makes no sense, promises nothing. */
	if (verdict.outcome == SMTP_DELIVERED) {
		verdict.outcome = SMTP_DEFERRED;
		verdict.code = STR("4.5.0");
	}
	c->said_421 = c->reply.code == 421;
	c->may_quit = !c->said_421 && c->state != SMTP_BODY;
	over(c, verdict);
}

void
smtp_client_abandon(struct smtp_client *c, struct str code, struct str words)
{
	over(c, (struct smtp_verdict){SMTP_DEFERRED, code, words});
	c->may_quit = false;
}

void
smtp_client_quit(struct smtp_client *c)
{
	if (c->state == SMTP_READY || (c->state == SMTP_OVER && c->may_quit))
		buf_adds(c->out, "QUIT\r\n");
	c->may_quit = false;
	c->state = SMTP_OVER;
}

/* --- greeting to READY --------------------------------------------------------------------------------------------- */

static void
hello(struct smtp_client *c, enum smtp_client_state state)
{
	const char *verb = c->lmtp ? "LHLO" : state == SMTP_EHLO ? "EHLO" : "HELO";

	buf_addf(c->out, "%s %.*s\r\n", verb, STR_FMT(c->hostname));
	c->state = state;
}

static void
greeting_answered(struct smtp_client *c)
{
	if (c->reply.code == 220)
		hello(c, SMTP_EHLO);
	else
		over_by_reply(c);
}

static void
give_up(struct smtp_client *c, struct str code, struct str words)
{
	over(c, (struct smtp_verdict){SMTP_DEFERRED, code, words});
	c->may_quit = c->unfit = true;
}

static void
send_base64(struct smtp_client *c, struct str bytes)
{
	struct buf text;

	buf_init(&text, AUTH_TEXT_MAX);
	base64_encode(&text, bytes);
	buf_add(c->out, buf_str(&text));
	buf_adds(c->out, "\r\n");
	buf_clear_secret(&text);
}

/* RFC 4616. */
static void
send_plain(struct smtp_client *c)
{
	struct buf message;

	buf_init(&message, AUTH_TEXT_MAX);
	buf_addc(&message, '\0');
	buf_add(&message, c->login);
	buf_addc(&message, '\0');
	buf_add(&message, c->password);
	buf_adds(c->out, "AUTH PLAIN ");
	send_base64(c, buf_str(&message));
	buf_clear_secret(&message);
}

static void
log_in(struct smtp_client *c)
{
	c->state = SMTP_AUTH;
	if (!c->tls)
		give_up(c, STR("4.7.4"), STR("a password is not sent without TLS"));
	else if (c->features.auth_plain)
		send_plain(c);
	else if (c->features.auth_login)
		buf_adds(c->out, "AUTH LOGIN\r\n");
	else
		give_up(c, STR("4.7.0"), STR("the server offers no way to log in that we know (AUTH PLAIN, LOGIN)"));
}

/* What was offered is known, and TLS is as it will be. */
static void
session_begin(struct smtp_client *c)
{
	if (c->must_tls && !c->tls)
		give_up(c, STR("4.7.4"), STR("TLS is required, and the server does not offer it"));
	else if (c->must_verify && !c->verified)
		give_up(c, STR("4.7.5"), STR("the server's certificate is not one of that host that can be trusted"));
	else if (c->login.n > 0)
		log_in(c);
	else
		c->state = SMTP_READY;
}

/* Wrong credentials are ours: the mail waits for the postmaster to set them right, and is not returned for that. */
static void
auth_answered(struct smtp_client *c)
{
	struct smtp_verdict verdict;

	if (c->reply.code == 235) {
		c->state = SMTP_READY;
		return;
	}
	if (c->reply.code == 334 && !c->features.auth_plain && c->auth_step < 2) {
		send_base64(c, c->auth_step++ == 0 ? c->login : c->password);
		return;
	}
	verdict = verdict_of_reply(c, &c->arena);
	give_up(c, verdict.code.p[0] == '4' ? verdict.code : STR("4.7.8"), verdict.words);
}

static void
ehlo_answered(struct smtp_client *c)
{
	if (reply_class(c) == 5 && !c->lmtp) {
		hello(c, SMTP_HELO);
		return;
	}
	if (reply_class(c) != 2) {
		over_by_reply(c);
		return;
	}
	smtp_features_read(&c->features, &c->reply);
	if (c->want_tls && !c->tls && c->features.starttls) {
		buf_adds(c->out, "STARTTLS\r\n");
		c->state = SMTP_STARTTLS;
	} else {
		session_begin(c);
	}
}

static void
helo_answered(struct smtp_client *c)
{
	if (reply_class(c) == 2)
		session_begin(c);
	else
		over_by_reply(c);
}

/* Opportunistic: a server that will not is served in plain. */
static void
starttls_answered(struct smtp_client *c)
{
	if (c->reply.code == 220)
		c->state = SMTP_HANDSHAKE;
	else
		session_begin(c);
}

/* RFC 3207 4.2: nothing learnt before the handshake is kept, so this is a new client. */
void
smtp_client_secured(struct smtp_client *c, bool verified)
{
	struct smtp_client old = *c;

	smtp_client_clear(c);
	smtp_client_init(c, old.out, old.hostname, old.lmtp, old.want_tls);
	c->tls = true;
	c->verified = verified;
	c->must_tls = old.must_tls;
	c->must_verify = old.must_verify;
	c->login = old.login;
	c->password = old.password;
	hello(c, SMTP_EHLO);
}

bool
smtp_client_is_spent(const struct smtp_client *c)
{
	return c->features.mails_max > 0 && c->mails >= c->features.mails_max;
}

/* --- a transaction: what is sent ------------------------------------------------------------------------------------ */

/*
 * May stand between < and > of a command: no control character, and outside of quotes nothing that could end the path.
 * Our own intake lets no other address into the queue; this is the last gate.
 */
static bool
is_safe(struct str address)
{
	bool quoted = false;

	for (size_t i = 0; i < address.n; i++) {
		char c = address.p[i];

		if ((unsigned char)c < 32 || c == 127)
			return false;
		if (quoted && c == '\\' && ++i == address.n)
			return false;
		if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == ' ' || c == '<' || c == '>'))
			return false;
	}
	return !quoted;
}

static size_t
data_step(const struct smtp_client *c)
{
	return STEP_RCPT + c->mail->nrecipients;
}

/* What the caller has of RFC 3461's values; as all that is sent they hold nothing that could end the line. */
static bool
is_word(struct str value)
{
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] <= 32 || value.p[i] == 127)
			return false;
	return value.n > 0;
}

static bool
offers_dsn(const struct smtp_client *c)
{
	/* LMTP is the last step: what is told of it we tell ourselves. */
	return c->features.dsn && !c->lmtp;
}

/* Does an address that goes to this server need SMTPUTF8, or the header? */
static bool
needs_utf8(const struct smtp_client *c)
{
	const struct smtp_mail *mail = c->mail;

	if ((mail->flags & SMTP_MAIL_UTF8) || !str_is_ascii(mail->sender))
		return true;
	for (size_t i = 0; i < mail->nrecipients; i++)
		if (!mail->recipients[i].skipped && !str_is_ascii(mail->recipients[i].address))
			return true;
	return false;
}

static void
send_body_parameter(struct smtp_client *c)
{
	if (c->mail->flags & SMTP_MAIL_BINARY)
		buf_adds(c->out, " BODY=BINARYMIME");
	else if (c->mail->flags & SMTP_MAIL_8BIT)
		buf_adds(c->out, " BODY=8BITMIME");
}

static void
send_dsn_parameters(struct smtp_client *c)
{
	if (!offers_dsn(c))
		return;
	if (is_word(c->mail->ret))
		buf_addf(c->out, " RET=%.*s", STR_FMT(c->mail->ret));
	if (c->mail->envid.n > 0) {
		buf_adds(c->out, " ENVID=");
		xtext_encode(c->out, c->mail->envid);
	}
}

/* RFC 6710, 2852, 8689. */
static void
send_handling_parameters(struct smtp_client *c)
{
	const struct smtp_mail *mail = c->mail;

	if (c->lmtp)
		return;
	if (c->features.priority && (mail->flags & SMTP_MAIL_PRIORITY))
		buf_addf(c->out, " MT-PRIORITY=%d", mail->priority);
	if (c->features.deliver_by && mail->by_mode != 0)
		buf_addf(c->out, " BY=%lld;%c%s", (long long)mail->by_s, mail->by_mode, mail->by_trace ? "T" : "");
	if (mail->flags & SMTP_MAIL_REQUIRETLS)
		buf_adds(c->out, " REQUIRETLS");
}

static void
send_mail(struct smtp_client *c)
{
	buf_addf(c->out, "MAIL FROM:<%.*s>", STR_FMT(c->mail->sender));
	if (c->features.size && c->mail->size > 0)
		buf_addf(c->out, " SIZE=%llu", (unsigned long long)c->mail->size);
	send_body_parameter(c);
	if (c->features.smtputf8 && needs_utf8(c))
		buf_adds(c->out, " SMTPUTF8");
	send_dsn_parameters(c);
	send_handling_parameters(c);
	buf_adds(c->out, "\r\n");
	c->mails++;
}

static void
send_rcpt(struct smtp_client *c, const struct smtp_recipient *r)
{
	buf_addf(c->out, "RCPT TO:<%.*s>", STR_FMT(r->address));
	if (offers_dsn(c) && is_word(r->notify))
		buf_addf(c->out, " NOTIFY=%.*s", STR_FMT(r->notify));
	if (offers_dsn(c) && is_word(r->orcpt))
		buf_addf(c->out, " ORCPT=%.*s", STR_FMT(r->orcpt));
	buf_adds(c->out, "\r\n");
}

/* The command of this step. False: there is none to be sent. */
static bool
send_step(struct smtp_client *c, size_t step)
{
	if (step == STEP_RESET) {
		buf_adds(c->out, "RSET\r\n");
	} else if (step == STEP_MAIL) {
		send_mail(c);
	} else if (step == data_step(c) && c->by_chunks) {
		if (c->one_flight_now || c->accepted > 0)
			c->state = SMTP_BODY;
		return false;
	} else if (step == data_step(c)) {
		/* With answers outstanding it is worth a try; once all are known it is not without a recipient. */
		if (c->ahead == 0 && c->accepted == 0)
			return false;
		buf_adds(c->out, "DATA\r\n");
	} else {
		struct smtp_recipient *r = &c->mail->recipients[step - STEP_RCPT];

		if (r->skipped)
			return false;
		send_rcpt(c, r);
	}
	return true;
}

/* Runs the sender ahead as far as it may; the transaction is over when nothing is left to send or to be answered. */
static void
send_more(struct smtp_client *c)
{
	size_t window = c->features.pipelining ? SMTP_CLIENT_AHEAD_MAX : 1;

	if (c->mail_refused)
		c->sent = data_step(c) + 1;
	while (c->ahead < window && c->sent <= data_step(c)) {
		if (c->sent == data_step(c) && c->by_chunks && c->ahead > 0 && !c->one_flight_now)
			return;
		if (send_step(c, c->sent++))
			c->ahead++;
	}
	if (c->ahead == 0 && c->state == SMTP_COMMANDS)
		c->state = SMTP_READY;
}

/* For the rules below: true, since one of them has been broken. */
static bool
fail(struct smtp_verdict *verdict, struct str code, struct str words)
{
	*verdict = (struct smtp_verdict){SMTP_FAILED, code, words};
	return true;
}

static bool
content_is_impossible(const struct smtp_client *c, const struct smtp_mail *mail, struct smtp_verdict *verdict)
{
	const struct smtp_features *f = &c->features;

	if (f->size && f->size_max > 0 && mail->size > f->size_max)
		return fail(verdict, STR("5.3.4"), STR("the message is larger than the server takes"));
	if ((mail->flags & SMTP_MAIL_BINARY) && !(f->binary && f->chunking))
		return fail(verdict, STR("5.6.1"),
		    STR("the message is BINARYMIME, which the server does not offer, and conversion is not supported"));
	if ((mail->flags & SMTP_MAIL_8BIT) && !(mail->flags & SMTP_MAIL_BINARY) && !f->eightbit)
		return fail(verdict, STR("5.6.3"),
		    STR("the message has 8-bit characters, and the server does not take them (8BITMIME)"));
	return false;
}

/* What the sender asked for must be kept, or the message does not go (RFC 8689 4.2.1, RFC 2852 4.1.4). */
static bool
handling_is_impossible(const struct smtp_client *c, const struct smtp_mail *mail, struct smtp_verdict *verdict)
{
	const struct smtp_features *f = &c->features;

	if (c->lmtp)
		return false;
	if ((mail->flags & SMTP_MAIL_REQUIRETLS) && !smtp_client_keeps_tls(c))
		return fail(verdict, STR("5.7.30"), STR("the message needs REQUIRETLS, which the server cannot promise"));
	if (mail->by_mode != 'R')
		return false;
	if (!f->deliver_by)
		return fail(verdict, STR("5.3.3"),
		    STR("the message is to be returned if it is late (DELIVERBY), which the server does not offer"));
	if (mail->by_s <= 0 || (uint64_t)mail->by_s < f->deliver_by_min_s)
		return fail(verdict, STR("5.4.7"), STR("the message cannot be delivered by the time that was asked for"));
	return false;
}

/* Why this message cannot go to this server at all. */
static bool
is_impossible(const struct smtp_client *c, const struct smtp_mail *mail, struct smtp_verdict *verdict)
{
	if (!is_safe(mail->sender))
		return fail(verdict, STR("5.1.7"), STR("the sender's address is malformed"));
	if (content_is_impossible(c, mail, verdict) || handling_is_impossible(c, mail, verdict))
		return true;
	if (((mail->flags & SMTP_MAIL_UTF8) || !str_is_ascii(mail->sender)) && !c->features.smtputf8)
		return fail(verdict, STR("5.6.7"), STR("the message needs SMTPUTF8, which the server does not offer"));
	return false;
}

bool
smtp_client_keeps_tls(const struct smtp_client *c)
{
	return c->lmtp || (c->tls && c->verified && c->features.requiretls);
}

/* Recipients that need not, or must not, be sent to this server. */
static void
skip_some(struct smtp_client *c)
{
	for (size_t i = 0; i < c->mail->nrecipients; i++) {
		struct smtp_recipient *r = &c->mail->recipients[i];

		if (!is_safe(r->address) || r->address.n == 0)
			settle(c, r, (struct smtp_verdict){SMTP_FAILED, STR("5.1.3"), STR("the address is malformed")});
		else if (!str_is_ascii(r->address) && !c->features.smtputf8)
			settle(c, r, (struct smtp_verdict){SMTP_FAILED, STR("5.6.7"),
			    STR("the address needs SMTPUTF8, which the server does not offer")});
		r->skipped = is_final(r);
	}
}

/* None of the recipients before this one that are sent is in its domain. */
static bool
is_new_domain(const struct smtp_mail *mail, size_t index)
{
	struct str domain = str_skip(mail->recipients[index].address, str_find_last(mail->recipients[index].address, '@'));

	for (size_t i = 0; i < index; i++) {
		struct str other = mail->recipients[i].address;

		if (!mail->recipients[i].skipped &&
		    str_equal_nocase(str_skip(other, str_find_last(other, '@')), domain))
			return false;
	}
	return true;
}

/* RFC 9422: what passes the server's limits is left for another transaction. */
static void
leave_some(struct smtp_client *c)
{
	static const struct smtp_verdict left = {SMTP_LEFT, {"4.5.3", 5}, {"the server takes fewer recipients at a time", 43}};
	const struct smtp_features *f = &c->features;
	uint64_t recipients = 0, domains = 0;

	if (f->recipients_max == 0 && f->domains_max == 0)
		return;
	for (size_t i = 0; i < c->mail->nrecipients; i++) {
		struct smtp_recipient *r = &c->mail->recipients[i];
		bool is_new = !r->skipped && f->domains_max > 0 && is_new_domain(c->mail, i);

		if (r->skipped)
			continue;
		if ((f->recipients_max > 0 && recipients >= f->recipients_max) || (is_new && domains >= f->domains_max)) {
			settle(c, r, left);
			r->skipped = true;
			continue;
		}
		recipients++;
		domains += is_new;
	}
}

static bool
goes_by_chunks(const struct smtp_client *c, const struct smtp_mail *mail)
{
	if (mail->flags & SMTP_MAIL_BINARY)
		return true;
	return c->features.chunking && mail->size > 0 && (!c->features.pipelining || c->one_flight);
}

static bool
goes_in_one_flight(const struct smtp_client *c, const struct smtp_mail *mail)
{
	return c->one_flight && c->by_chunks && c->features.pipelining && mail->size > 0 &&
	    mail->size <= SMTP_CLIENT_ONE_FLIGHT_MAX && mail->nrecipients + STEP_RCPT < SMTP_CLIENT_AHEAD_MAX;
}

void
smtp_client_begin(struct smtp_client *c, struct smtp_mail *mail)
{
	struct smtp_verdict verdict;

	c->mail = mail;
	c->settled = 0;
	c->accepted = 0;
	c->ahead = 0;
	c->final = 0;
	c->mail_refused = false;
	c->answered = false;
	c->by_chunks = goes_by_chunks(c, mail);
	c->one_flight_now = goes_in_one_flight(c, mail);
	c->dot = (struct dot_writer){.bare = c->by_chunks};
	c->body_left = mail->size;
	c->chunks = 0;
	if (is_impossible(c, mail, &verdict)) {
		settle_all(c, verdict);
		return;
	}
	skip_some(c);
	leave_some(c);
	if (c->settled == mail->nrecipients)
		return;
	c->sent = c->needs_reset ? STEP_RESET : STEP_MAIL;
	c->received = c->sent;
	c->state = SMTP_COMMANDS;
	send_more(c);
}

/* The content as it is, behind its length: one chunk, however many pieces it comes in. */
static size_t
body_binary(struct smtp_client *c, struct str bytes, size_t room)
{
	size_t n = bytes.n < room ? bytes.n : room;

	if (n > c->body_left)
		n = (size_t)c->body_left;
	if (c->body_left == c->mail->size)
		buf_addf(c->out, "BDAT %llu LAST\r\n", (unsigned long long)c->mail->size);
	buf_add(c->out, str_sub(bytes, 0, n));
	c->body_left -= n;
	return n;
}

/* A chunk of what dot_write makes of the bytes, whose length is known only then: its head goes into a gap before it. */
static size_t
body_chunk(struct smtp_client *c, struct str bytes, size_t room)
{
	char *p = buf_reserve(c->out, room + SMTP_CLIENT_CHUNK_EXTRA_MAX), head[CHUNK_HEAD_MAX];
	size_t taken, written;
	int n;

	if (p == NULL)
		return 0;
	taken = dot_write(&c->dot, bytes, p + sizeof head, room, &written);
	c->body_left -= taken < c->body_left ? taken : c->body_left;
	if (c->body_left == 0)
		written += dot_write_end(&c->dot, p + sizeof head + written);
	else if (written == 0) /* a CR of which one cannot tell yet */
		return taken;
	n = snprintf(head, sizeof head, "BDAT %zu%s\r\n", written, c->body_left == 0 ? " LAST" : "");
	memcpy(p, head, (size_t)n);
	memmove(p + n, p + sizeof head, written);
	buf_commit(c->out, (size_t)n + written);
	c->chunks += c->body_left > 0;
	return taken;
}

static size_t
body_dotted(struct smtp_client *c, struct str bytes, size_t room)
{
	char *p = buf_reserve(c->out, room);
	size_t taken, written;

	if (p == NULL)
		return 0;
	taken = dot_write(&c->dot, bytes, p, room, &written);
	buf_commit(c->out, written);
	return taken;
}

size_t
smtp_client_body(struct smtp_client *c, struct str bytes, size_t room)
{
	if (!c->by_chunks)
		return body_dotted(c, bytes, room);
	if (c->mail->flags & SMTP_MAIL_BINARY)
		return body_binary(c, bytes, room);
	return body_chunk(c, bytes, room);
}

void
smtp_client_body_end(struct smtp_client *c)
{
	char *p;

	c->state = SMTP_FINAL;
	if (c->by_chunks) {
		/* Less than was promised: the server would wait for the rest. */
		if (c->body_left > 0)
			smtp_client_abandon(c, STR("4.3.0"), STR("the message is shorter than it should be"));
		else if (c->mail->size == 0)
			buf_adds(c->out, "BDAT 0 LAST\r\n");
		return;
	}
	p = buf_reserve(c->out, DOT_WRITE_END_MAX);
	if (p != NULL)
		buf_commit(c->out, dot_write_end(&c->dot, p));
}

/* --- a transaction: what is answered -------------------------------------------------------------------------------- */

static void
mail_answered(struct smtp_client *c)
{
	struct smtp_verdict verdict;

	c->needs_reset = reply_class(c) == 2;
	if (c->needs_reset)
		return;
	verdict = verdict_of_reply(c, c->mail->arena);
	settle_all(c, verdict);
	c->mail_refused = true;
	c->mail_verdict = verdict;
}

/* RFC 5321 4.5.3.1.10: enough for this transaction. With a recipient accepted, another one gets further. */
static bool
is_too_many(const struct smtp_client *c)
{
	struct str code = smtp_reply_enhanced(&c->reply);

	if (c->accepted == 0)
		return false;
	if (str_equal(code, STR("4.5.3")) || str_equal(code, STR("5.5.3")))
		return true;
	return c->reply.code == 452 && code.n == 0;
}

static void
rcpt_answered(struct smtp_client *c, struct smtp_recipient *r)
{
	struct smtp_verdict verdict;

	if (is_final(r))
		return;
	if (reply_class(c) == 2) {
		r->verdict.outcome = SMTP_ACCEPTED;
		c->accepted++;
		return;
	}
	verdict = verdict_of_reply(c, c->mail->arena);
	if (is_too_many(c))
		verdict.outcome = SMTP_LEFT;
	settle(c, r, verdict);
}

static void
data_answered(struct smtp_client *c)
{
	struct smtp_verdict verdict;

	if (c->reply.code == 354 && c->accepted > 0) {
		c->state = SMTP_BODY;
	} else if (c->reply.code == 354) {
		/* RFC 2920 3.1: it waits for a message although nobody is to get it: an empty one. After LHLO such
		 * an end has no reply, so that one could not tell where it ends. */
		buf_adds(c->out, ".\r\n");
		c->state = c->lmtp ? SMTP_OVER : SMTP_FINAL;
	} else {
		verdict = verdict_of_reply(c, c->mail->arena);
		if (verdict.outcome == SMTP_DELIVERED)
			verdict = not_smtp;
		settle_all(c, verdict);
	}
}

static void
command_answered(struct smtp_client *c)
{
	size_t step = c->received;

	while (step >= STEP_RCPT && step < data_step(c) && c->mail->recipients[step - STEP_RCPT].skipped)
		step++;
	c->received = step + 1;
	c->ahead--;
	c->answered = true;
	if (step == STEP_MAIL)
		mail_answered(c);
	else if (step == data_step(c))
		data_answered(c);
	else if (step >= STEP_RCPT)
		rcpt_answered(c, &c->mail->recipients[step - STEP_RCPT]);
	if (c->state == SMTP_COMMANDS)
		send_more(c);
}

/* LMTP answers for each accepted recipient, in their order (RFC 2033 4.2). */
static void
final_answered_lmtp(struct smtp_client *c, struct smtp_verdict verdict)
{
	struct smtp_recipient *all = c->mail->recipients;

	while (c->final < c->mail->nrecipients && all[c->final].verdict.outcome != SMTP_ACCEPTED)
		c->final++;
	if (c->final < c->mail->nrecipients)
		settle(c, &all[c->final++], verdict);
}

/* A chunk that is not taken is the end of the message for this server, and, since more may be on its way, of the session. */
static void
chunk_answered(struct smtp_client *c)
{
	if (reply_class(c) == 2)
		c->chunks--;
	else
		over_by_reply(c);
}

static void
final_answered(struct smtp_client *c)
{
	struct smtp_verdict verdict = verdict_of_reply(c, c->mail->arena);

	if (c->lmtp)
		final_answered_lmtp(c, verdict);
	else
		settle_all(c, verdict);
	if (c->settled < c->mail->nrecipients)
		return;
	/* A content that nobody was to get was refused: RFC 3030 4.2 wants that to be cleared away. */
	c->needs_reset = c->by_chunks && c->accepted == 0;
	c->state = SMTP_READY;
}

/* Content is under way, or sent: commands may still be unanswered, then chunks. */
static void
content_answered(struct smtp_client *c)
{
	if (c->ahead > 0)
		command_answered(c);
	else if (c->chunks > 0)
		chunk_answered(c);
	else if (c->state == SMTP_FINAL)
		final_answered(c);
	else /* it will not hear the message out: then there is no way back to commands */
		over_by_reply(c);
}

/* --- replies -------------------------------------------------------------------------------------------------------- */

static void
reply_dispatch(struct smtp_client *c)
{
	switch (c->state) {
	case SMTP_GREETING:
		greeting_answered(c);
		break;
	case SMTP_EHLO:
		ehlo_answered(c);
		break;
	case SMTP_HELO:
		helo_answered(c);
		break;
	case SMTP_STARTTLS:
		starttls_answered(c);
		break;
	case SMTP_AUTH:
		auth_answered(c);
		break;
	case SMTP_COMMANDS:
		command_answered(c);
		break;
	case SMTP_BODY:
	case SMTP_FINAL:
		content_answered(c);
		break;
	case SMTP_READY: /* it speaks without being asked: good-bye, or nonsense */
	case SMTP_HANDSHAKE:
	case SMTP_OVER:
		over_by_reply(c);
		break;
	}
}

void
smtp_client_feed(struct smtp_client *c, struct str *input)
{
	while (input->n > 0 && c->state != SMTP_OVER) {
		enum parse result;

		if (c->state == SMTP_HANDSHAKE) {
			/* Bytes in plain behind the go-ahead for TLS were put there by somebody else. */
			smtp_client_abandon(c, STR("4.7.0"), STR("there are bytes between STARTTLS and the handshake"));
			return;
		}
		result = smtp_reply_take(&c->reply, input);
		if (result == PARSE_MORE)
			return;
		if (result == PARSE_BAD)
			over(c, not_smtp);
		else if (c->reply.code == 421)
			over_by_reply(c);
		else
			reply_dispatch(c);
	}
}

static const char *
command_stage(const struct smtp_client *c)
{
	if (c->received == STEP_RESET)
		return "waiting for the reply to RSET";
	if (c->received == STEP_MAIL)
		return "waiting for the reply to MAIL";
	return c->received == data_step(c) ? "waiting for the reply to DATA" : "waiting for the reply to RCPT";
}

const char *
smtp_client_stage(const struct smtp_client *c)
{
	switch (c->state) {
	case SMTP_GREETING:
		return "waiting for the greeting";
	case SMTP_EHLO:
		return c->lmtp ? "waiting for the reply to LHLO" : "waiting for the reply to EHLO";
	case SMTP_HELO:
		return "waiting for the reply to HELO";
	case SMTP_STARTTLS:
		return "waiting for the reply to STARTTLS";
	case SMTP_HANDSHAKE:
		return "waiting for the TLS handshake";
	case SMTP_AUTH:
		return "waiting for the reply to AUTH";
	case SMTP_COMMANDS:
		return command_stage(c);
	case SMTP_BODY:
		return "sending the message";
	case SMTP_FINAL:
		return "waiting for the reply to the message, which may be sent twice";
	case SMTP_READY:
	case SMTP_OVER:
		break;
	}
	return "waiting for nothing";
}
