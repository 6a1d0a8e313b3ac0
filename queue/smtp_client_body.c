#include <stdio.h>
#include <string.h>

#include "queue/smtp_client_inner.h"

#define CHUNK_HEAD_MAX 40

_Static_assert(CHUNK_HEAD_MAX + DOT_WRITE_END_MAX <= SMTP_CLIENT_CHUNK_EXTRA_MAX, "head and end of a chunk");

/* --- what is sent --------------------------------------------------------------------------------------------------- */

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

/* --- what is answered ----------------------------------------------------------------------------------------------- */

/* LMTP answers for each accepted recipient, in their order (RFC 2033 4.2). */
static void
final_answered_lmtp(struct smtp_client *c, struct smtp_verdict verdict)
{
	struct smtp_recipient *all = c->mail->recipients;

	while (c->final < c->mail->nrecipients && all[c->final].verdict.outcome != SMTP_ACCEPTED)
		c->final++;
	if (c->final < c->mail->nrecipients)
		smtp_client_settle(c, &all[c->final++], verdict);
}

/* A chunk that is not taken is the end of the message for this server, and, since more may be on its way, of the session. */
static void
chunk_answered(struct smtp_client *c)
{
	if (smtp_client_reply_class(c) == 2)
		c->chunks--;
	else
		smtp_client_over_by_reply(c);
}

static void
final_answered(struct smtp_client *c)
{
	struct smtp_verdict verdict = smtp_client_reply_verdict(c, c->mail->arena);

	if (c->lmtp)
		final_answered_lmtp(c, verdict);
	else
		smtp_client_settle_all(c, verdict);
	if (c->settled < c->mail->nrecipients)
		return;
	/* A content that nobody was to get was refused: RFC 3030 4.2 wants that to be cleared away. */
	c->needs_reset = c->by_chunks && c->accepted == 0;
	c->state = SMTP_READY;
}

/* Content is under way, or sent: commands may still be unanswered, then chunks. */
void
smtp_client_content_answered(struct smtp_client *c)
{
	if (c->ahead > 0)
		smtp_client_command_answered(c);
	else if (c->chunks > 0)
		chunk_answered(c);
	else if (c->state == SMTP_FINAL)
		final_answered(c);
	else /* it will not hear the message out: then there is no way back to commands */
		smtp_client_over_by_reply(c);
}
