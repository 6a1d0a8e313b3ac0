/*
 * The content of a message: DATA (RFC 5321 4.1.1.4) and BDAT (RFC 3030), and what becomes of it. Where it comes from is
 * a kind and a counter (immunity rule 4): lines up to a dot, or so many bytes.
 */
#include <assert.h>
#include <stdio.h>

#include "common/smtp/smtp_server_inner.h"

/* --- the end of a message -------------------------------------------------------------------------------------------- */

/* The message is over, one way or the other. */
static void
message_done(struct smtp_server *s, unsigned code)
{
	if (code < 400) {
		s->counters->messages++;
		s->counters->errors = s->counters->junk = 0;
	}
	if (s->mode != MODE_CLOSING)
		s->mode = MODE_COMMAND;
	smtp_state_set(s, SMTP_STATE_GREETED);
	smtp_count_outcome(s, code);
}

/* In the order of the recipients, as far as their replies are known (RFC 2033 4.2). */
static void
write_known_replies(struct smtp_server *s)
{
	if (s->reply_next == NULL)
		s->reply_next = s->transaction.recipients;
	while (s->reply_next != NULL && s->reply_next->answered) {
		smtp_reply_write(s, &s->reply_next->reply);
		if (s->best_code == 0 || s->reply_next->reply.code < s->best_code)
			s->best_code = s->reply_next->reply.code;
		s->reply_next = s->reply_next->next;
	}
	if (s->reply_next == NULL)
		message_done(s, s->best_code);
}

/* The reply with its strings in the transaction. */
static struct smtp_reply
keep_reply(struct smtp_server *s, const struct smtp_reply *reply)
{
	struct arena *arena = &s->transaction.arena;
	struct smtp_reply kept = *reply;

	if (reply->status != NULL)
		kept.status = arena_printf(arena, "%s", reply->status).p;
	kept.text = arena_copy(arena, str_sub(reply->text, 0, SMTP_REPLY_TEXT_MAX));
	if (kept.text.p == NULL)
		kept.text = reply->code < 400 ? STR("Ok") : STR("Refused");
	return kept;
}

void
smtp_server_refuse_content(struct smtp_server *s, const struct smtp_reply *reply)
{
	assert(s->mode == MODE_CONTENT);
	if (s->verdict.code == 0)
		s->verdict = keep_reply(s, reply);
}

bool
smtp_server_is_refusing(const struct smtp_server *s)
{
	return s->verdict.code != 0;
}

/* Content that was thrown away is over: its verdict, once or for each recipient. */
static void
refuse_message(struct smtp_server *s)
{
	struct smtp_reply reply = s->verdict;

	if (s->facts.protocol == SMTP_LMTP)
		for (struct smtp_recipient *r = s->transaction.recipients; r != NULL; r = r->next)
			smtp_reply_write(s, &reply);
	else
		smtp_reply_write(s, &reply);
	s->abandoned = true;
	/* Who ends lines otherwise may mean another end of the content than we saw; a count cannot be misunderstood. */
	if (s->dot.found != 0 && !s->facts.normalise && !s->dot.counted)
		s->mode = MODE_CLOSING;
	message_done(s, reply.code);
}

/* To be used once the whole content is there. */
static void
content_ended(struct smtp_server *s)
{
	if (s->verdict.code != 0)
		refuse_message(s);
	else
		smtp_ask(s, SMTP_MESSAGE);
}

/* The core's own objections to content; each is told once, at the end. */
static void
judge_content(struct smtp_server *s)
{
	struct smtp_reply reply = {0};

	if (s->verdict.code != 0)
		return;
	if (s->dot.found != 0 && !s->facts.normalise)
		reply = (struct smtp_reply){554, "5.6.0", s->dot.found & DOT_NUL ? STR("NUL in the message") :
		    s->dot.found & DOT_BARE_LF ? STR("Bare <LF> in the message") : STR("Bare <CR> in the message")};
	else if (s->transaction.content_bytes > s->facts.size_max)
		reply = (struct smtp_reply){552, "5.3.4", STR("Message size exceeds fixed limit")};
	s->verdict = reply;
	if (reply.code == 0)
		return;
	s->refusal = reply;
	s->refused_verb = s->command->verb.p;
}

/* A piece of it, for the owner, unless it is thrown away. */
static void
content_take(struct smtp_server *s, struct str piece)
{
	s->transaction.content_bytes += piece.n;
	judge_content(s);
	if (piece.n == 0 || s->verdict.code != 0)
		return;
	s->content = piece;
	s->event = SMTP_CONTENT;
}

static void
answer_all_recipients(struct smtp_server *s, const struct smtp_reply *reply)
{
	struct smtp_reply kept = keep_reply(s, reply);

	for (struct smtp_recipient *r = s->transaction.recipients; r != NULL; r = r->next) {
		if (!r->answered)
			r->reply = kept;
		r->answered = true;
	}
	write_known_replies(s);
}

void
smtp_message_answer(struct smtp_server *s, const struct smtp_reply *reply)
{
	if (s->facts.protocol == SMTP_LMTP) {
		answer_all_recipients(s, reply);
		return;
	}
	smtp_reply_write(s, reply);
	message_done(s, reply->code);
}

void
smtp_server_answer_recipient(struct smtp_server *s, struct smtp_recipient *recipient, const struct smtp_reply *reply)
{
	assert(s->mode == MODE_QUESTION && s->event == SMTP_MESSAGE && s->facts.protocol == SMTP_LMTP);
	if (recipient->answered)
		return;
	recipient->reply = keep_reply(s, reply);
	recipient->answered = true;
	write_known_replies(s);
}

/* --- DATA ---------------------------------------------------------------------------------------------------------------- */

void
smtp_command_data(struct smtp_server *s, struct str argument)
{
	(void)argument;
	if (s->transaction.body == SMTP_BODY_BINARYMIME) /* RFC 3030 3 */
		smtp_reply_own(s, 503, "5.5.1", STR("BINARYMIME needs BDAT"));
	else
		smtp_ask(s, SMTP_BODY);
}

static bool
data_step(struct smtp_server *s, struct str in, size_t *taken)
{
	struct str piece;
	bool ended;

	*taken = dot_read(&s->dot, in, &piece, &ended);
	content_take(s, piece);
	if (ended)
		content_ended(s);
	return ended || *taken > 0;
}

/* --- BDAT ---------------------------------------------------------------------------------------------------------------- */

#define SIZE_DIGITS_MAX 20

/* bdat-cmd = "BDAT" SP chunk-size [ SP "LAST" ] */
static bool
chunk_parse(struct smtp_server *s, struct str argument)
{
	struct str size, last;

	s->chunk_last = false;
	if (!str_word(&argument, &size) || size.n > SIZE_DIGITS_MAX || !str_to_u64(size, UINT64_MAX, &s->chunk_size))
		return false;
	s->chunk_left = s->chunk_size;
	if (!str_word(&argument, &last))
		return true;
	s->chunk_last = true;
	return str_equal_nocase(last, STR("LAST")) && str_trim(argument).n == 0;
}

/*
 * Whether the command is in order or not, so many bytes follow and are no commands: RFC 3030 2 wants them read before the
 * refusal. Where their number cannot be told, nothing that follows can be trusted.
 */
void
smtp_chunk_begin(struct smtp_server *s, struct str argument, const struct smtp_reply *objection)
{
	if (!chunk_parse(s, argument)) {
		smtp_reply_own(s, 501, "5.5.4", STR("Syntax: BDAT size [LAST]"));
		s->mode = MODE_CLOSING;
		return;
	}
	s->mode = MODE_CONTENT;
	s->chunk_refused = objection->code != 0;
	if (s->chunk_refused)
		s->verdict = *objection;
	else
		s->command->handler(s, argument);
}

void
smtp_command_bdat(struct smtp_server *s, struct str argument)
{
	(void)argument;
	if (++s->transaction.chunks > SMTP_CHUNKS_MAX && s->verdict.code == 0)
		s->verdict = *SMTP_REPLY(554, "5.5.0", "Too many chunks");
	if (s->state == SMTP_STATE_RCPT)
		smtp_ask(s, SMTP_BODY);
}

/* The command had no business here; the transaction, if there is one, does not know of it. */
static void
refused_chunk_ended(struct smtp_server *s)
{
	struct smtp_reply reply = s->verdict;

	s->verdict = (struct smtp_reply){0};
	s->mode = MODE_COMMAND;
	smtp_reply_own(s, reply.code, reply.status, reply.text);
}

static void
chunk_accepted(struct smtp_server *s)
{
	char text[48];
	int n = snprintf(text, sizeof text, "Ok: %llu bytes", (unsigned long long)s->chunk_size);

	smtp_reply_write(s, &(struct smtp_reply){250, "2.0.0", {text, (size_t)n}});
	smtp_count_outcome(s, 250);
}

/* After one that was refused the further ones are, until the last or RSET: one verdict for the whole message. */
static void
chunk_ended(struct smtp_server *s)
{
	if (s->chunk_refused) {
		refused_chunk_ended(s);
		return;
	}
	s->mode = MODE_COMMAND;
	if (s->chunk_last) {
		content_ended(s);
	} else if (s->verdict.code != 0) {
		smtp_reply_write(s, &s->verdict);
		if (!s->verdict_told)
			smtp_count_outcome(s, s->verdict.code);
		s->verdict_told = true;
	} else {
		chunk_accepted(s);
	}
}

/* True: nothing is held back behind the last chunk. */
static bool
held_back_take(struct smtp_server *s)
{
	struct str piece;

	if (!s->chunk_last || s->chunk_refused || !dot_read_end(&s->dot, &piece))
		return true;
	content_take(s, piece);
	return s->event != SMTP_CONTENT;
}

static bool
chunk_step(struct smtp_server *s, struct str in, size_t *taken)
{
	struct str piece = str_sub(in, 0, in.n < s->chunk_left ? in.n : (size_t)s->chunk_left);
	bool ended;

	*taken = piece.n;
	if (s->chunk_left == 0) {
		if (held_back_take(s))
			chunk_ended(s);
		return true;
	}
	if (!s->chunk_refused && s->transaction.body != SMTP_BODY_BINARYMIME)
		*taken = dot_read(&s->dot, piece, &piece, &ended);
	s->chunk_left -= *taken;
	if (!s->chunk_refused)
		content_take(s, piece);
	return *taken > 0 || piece.n > 0;
}

/* --- both ---------------------------------------------------------------------------------------------------------------- */

bool
smtp_content_step(struct smtp_server *s, struct str in, size_t *taken)
{
	if (s->command->flags & SMTP_HAS_CHUNK)
		return chunk_step(s, in, taken);
	return data_step(s, in, taken);
}

/* BDAT's bytes are on their way already: they are thrown away, should the answer be no. */
static void
bdat_answer(struct smtp_server *s, const struct smtp_reply *reply)
{
	smtp_state_set(s, SMTP_STATE_BDAT);
	s->mode = MODE_CONTENT;
	s->dot.counted = true;
	if (reply->code >= 400 && s->verdict.code == 0)
		s->verdict = keep_reply(s, reply);
}

void
smtp_body_answer(struct smtp_server *s, const struct smtp_reply *reply)
{
	if (s->command->flags & SMTP_HAS_CHUNK) {
		bdat_answer(s, reply);
		return;
	}
	smtp_reply_write(s, reply);
	s->mode = reply->code < 400 ? MODE_CONTENT : MODE_COMMAND;
	if (s->mode == MODE_COMMAND)
		smtp_count_outcome(s, reply->code);
}
