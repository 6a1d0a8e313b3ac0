/*
 * Any server against the client core. The first byte picks SMTP or LMTP, TLS, what the message needs, whether all may leave
 * in one flight, and whether the server's bytes come one at a time; the rest is what the server says, in segments after each of which the client does what it needs. The checks
 * are what a postmaster relies on: nothing bare leaves, each recipient has one verdict, nothing is delivered for free.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "queue/smtp_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

#define RECIPIENTS 5

struct session {
	struct smtp_client client;
	struct buf out;
	struct arena arena;
	struct smtp_mail mail;
	struct smtp_recipient recipients[RECIPIENTS];
	unsigned told[RECIPIENTS];
	unsigned messages;
	bool ended; /* the message was sent to its end */
	bool flags, binary, handling;
};

#define CONTENT "a\r\n.\r\n\n.\n\r.\r\r\nend"

static void
out_check(struct session *s)
{
	if (!buf_ok(&s->out))
		abort();
	/* BINARYMIME is the one thing that may hold anything. */
	for (size_t i = 0; !s->binary && i < s->out.n; i++) {
		char c = s->out.p[i];

		if (c == '\n' && (i == 0 || s->out.p[i - 1] != '\r'))
			abort();
		if (c == '\r' && i + 1 < s->out.n && s->out.p[i + 1] != '\n')
			abort();
	}
	buf_reset(&s->out);
}

static void
collect(struct session *s)
{
	struct smtp_recipient *r;

	while ((r = smtp_client_result(&s->client)) != NULL) {
		if (s->told[r - s->recipients]++ > 0 || r->verdict.code.n < 5)
			abort();
		if (r->verdict.outcome == SMTP_DELIVERED && !s->ended)
			abort();
		if (r->verdict.outcome == SMTP_PENDING || r->verdict.outcome == SMTP_ACCEPTED)
			abort();
	}
}

static void
begin(struct session *s)
{
	static const struct str addresses[RECIPIENTS] = {
	    {"a@x", 3}, {"b>\r\nRSET", 8}, {"\xc3\xa9@x", 4}, {"\"c c\"@x", 7}, {"d@x", 3}};

	if (s->messages > 0)
		for (size_t i = 0; i < RECIPIENTS; i++)
			if (s->told[i] != 1)
				abort();
	memset(s->recipients, 0, sizeof s->recipients);
	memset(s->told, 0, sizeof s->told);
	arena_reset(&s->arena);
	for (size_t i = 0; i < RECIPIENTS; i++)
		s->recipients[i].address = addresses[i];
	s->mail = (struct smtp_mail){.sender = STR("s@y"), .size = sizeof CONTENT - 1, .recipients = s->recipients,
	    .nrecipients = RECIPIENTS, .arena = &s->arena};
	s->mail.flags = s->flags ? SMTP_MAIL_8BIT | SMTP_MAIL_UTF8 : 0;
	s->mail.flags |= s->binary ? SMTP_MAIL_BINARY : 0;
	if (s->handling) {
		s->mail.flags |= SMTP_MAIL_PRIORITY | (s->flags ? SMTP_MAIL_REQUIRETLS : 0);
		s->mail.by_mode = s->binary ? 'R' : 'N';
		s->mail.by_s = 100;
		s->mail.ret = STR("FULL");
		s->mail.envid = STR("+ =\r\n");
		s->recipients[0].notify = STR("NEVER");
		s->recipients[0].orcpt = STR("rfc822;a@x");
	}
	s->messages++;
	s->ended = false;
	smtp_client_begin(&s->client, &s->mail);
}

static void
body(struct session *s)
{
	struct str content = STR(CONTENT);

	while (content.n > 0)
		content = str_skip(content, smtp_client_body(&s->client, content, DOT_WRITE_ROOM_MIN));
	smtp_client_body_end(&s->client);
	s->ended = true;
	if (smtp_client_need(&s->client) != SMTP_NEED_FINAL_REPLY)
		abort();
}

static void
act(struct session *s)
{
	collect(s);
	switch (smtp_client_need(&s->client)) {
	case SMTP_NEED_TLS:
		smtp_client_secured(&s->client, s->flags);
		break;
	case SMTP_NEED_NOTHING:
		if (s->messages < 3)
			begin(s);
		break;
	case SMTP_NEED_BODY:
		body(s);
		break;
	case SMTP_NEED_REPLY:
	case SMTP_NEED_FINAL_REPLY:
	case SMTP_NEED_CLOSE:
		break;
	}
	collect(s);
	out_check(s);
	(void)smtp_client_stage(&s->client);
}

/* A byte 1, of which a reply has none, ends a segment. */
static struct str
segment_take(struct str *rest)
{
	size_t n = str_find(*rest, '\x01');
	struct str segment = str_sub(*rest, 0, n);

	*rest = str_skip(*rest, n + 1);
	return segment;
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	struct str rest = {(const char *)input + 1, n - 1};
	static struct sasl_credentials credentials = {{"baru", 4}, {"rahasia", 7}, {"token", 5}, SASL_ALL, {0}};
	struct session s = {0};

	if (n < 1)
		return 0;
	buf_init(&s.out, SMTP_CLIENT_OUTPUT_MAX);
	arena_init(&s.arena, 16384);
	s.flags = (input[0] & 4) != 0;
	s.binary = (input[0] & 16) != 0;
	s.handling = (input[0] & 32) != 0;
	smtp_client_init(&s.client, &s.out, STR("satu.test"), (input[0] & 1) != 0, (input[0] & 2) != 0);
	if (input[0] & 128) {
		s.client.credentials = &credentials;
		memcpy(s.client.nonce, "n", 2);
		s.client.must_verify = s.handling;
	}
	s.client.one_flight = (input[0] & 64) != 0;
	while (rest.n > 0 && smtp_client_need(&s.client) != SMTP_NEED_CLOSE) {
		struct str segment = segment_take(&rest);

		while (segment.n > 0 && smtp_client_need(&s.client) != SMTP_NEED_CLOSE) {
			struct str piece = input[0] & 8 ? str_sub(segment, 0, 1) : segment;
			size_t given = piece.n;

			smtp_client_feed(&s.client, &piece);
			segment = str_skip(segment, given);
			if (input[0] & 8)
				act(&s);
		}
		act(&s);
	}
	smtp_client_abandon(&s.client, STR("4.4.2"), STR("lost"));
	collect(&s);
	for (size_t i = 0; s.messages > 0 && i < RECIPIENTS; i++)
		if (s.told[i] != 1)
			abort();
	smtp_client_clear(&s.client);
	arena_clear(&s.arena);
	buf_clear(&s.out);
	return 0;
}
