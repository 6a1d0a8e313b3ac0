#include "deliver/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"

#define IN_MAX 65536
#define OUT_MAX ((size_t)(SESSION_RECIPIENTS_MAX + 16) * (SMTP_REPLY_TEXT_MAX + 32))
#define ARENA_BYTES_A_RECIPIENT 2048
#define ERRORS_MAX 100

_Static_assert(IN_MAX >= SMTP_INPUT_MIN, "a command must fit into the input buffer");

/* A letter on its way to one writer, for some of the recipients. */
struct session_letter {
	struct link_letter link;
	struct session *session; /* NULL: the client is gone */
	struct smtp_recipient *recipients[HANDOFF_RECIPIENTS_MAX];
	LIST_ENTRY(session_letter) entry;
};

static void session_go_on(struct session *s);

/* --- recipients ---------------------------------------------------------------------------------------------------------- */

static void
targets_clear(struct session *s)
{
	for (size_t i = 0; i < s->ntargets; i++)
		link_release(s->targets[i].link);
	s->ntargets = 0;
}

static bool
target_add(struct session *s, struct link *link)
{
	if (s->ntargets == s->max_targets) {
		size_t max = s->max_targets * 2 + 8;
		struct session_target *targets = reallocarray(s->targets, max, sizeof *targets);

		if (targets == NULL)
			return false;
		s->targets = targets;
		s->max_targets = max;
	}
	s->targets[s->ntargets++] = (struct session_target){.recipient = s->smtp.recipient, .link = link};
	return true;
}

static void
recipient_refuse(struct session *s, const struct smtp_reply *reply)
{
	log_info("NOQUEUE: reject: RCPT: %u %s %.*s; from=<%.*s> to=<%.*s> proto=LMTP", reply->code, reply->status,
	    STR_FMT(reply->text), STR_FMT(s->smtp.transaction.sender.text), STR_FMT(s->smtp.recipient->address.text));
	smtp_server_answer(&s->smtp, reply);
}

static void
recipient_settle(struct session *s, enum handoff_found found, struct link *link)
{
	switch (found) {
	case HANDOFF_FOUND:
		if (target_add(s, link)) {
			smtp_server_accept(&s->smtp);
			return;
		}
		link_release(link);
		break;
	case HANDOFF_UNKNOWN:
		recipient_refuse(s, SMTP_REPLY(550, "5.1.1", "There is no such user here"));
		return;
	case HANDOFF_BUSY:
		recipient_refuse(s, SMTP_REPLY(451, "4.3.2", "Too many mailboxes are written to, please try again later"));
		return;
	case HANDOFF_UNTOLD:
	case HANDOFF_FOUNDS:
		break;
	}
	recipient_refuse(s, SMTP_REPLY(451, "4.3.0", "Cannot look up the mailbox now, please try again later"));
}

static void
recipient_found(struct link_question *question, enum handoff_found found, struct link *link)
{
	struct session *s = container_of(question, struct session, question);

	recipient_settle(s, found, link);
	session_go_on(s);
}

/* --- content ------------------------------------------------------------------------------------------------------------- */

static void
content_drop(struct session *s)
{
	if (s->spooling)
		spool_clear(&s->spool);
	s->spooling = false;
}

static void
content_begin(struct session *s)
{
	spool_init(&s->spool, &s->front->budget);
	s->spooling = true;
	smtp_server_accept(&s->smtp);
}

static void
content_take(struct session *s, struct str piece)
{
	struct err err;

	if (!s->spooling || spool_add(&s->spool, piece, &err))
		return;
	log_warning("content from=<%.*s> refused: %s", STR_FMT(s->smtp.transaction.sender.text), err.text);
	content_drop(s);
	smtp_server_refuse_content(&s->smtp,
	    err.class == ERR_LIMIT ? SMTP_REPLY(552, "5.3.4", "The message is too large")
				   : SMTP_REPLY(452, "4.3.1", "Insufficient memory, please try again later"));
}

/* --- delivery ------------------------------------------------------------------------------------------------------------ */

static const struct smtp_reply *
reply_of(enum handoff_status status)
{
	static const struct smtp_reply replies[] = {
	    [HANDOFF_TROUBLE] = {451, "4.3.0", STR("Trouble with the mailbox, please try again later")},
	    [HANDOFF_DELIVERED] = {250, "2.0.0", STR("Delivered to the mailbox")},
	    [HANDOFF_LOOP] = {554, "5.4.6", STR("The message has been delivered to this address before: mail loop")},
	    [HANDOFF_QUOTA] = {452, "4.2.2", STR("The mailbox is full")},
	    [HANDOFF_DISK_FULL] = {452, "4.3.1", STR("Insufficient system storage")},
	};

	return &replies[status];
}

static void
letter_answered(struct link_letter *link, const struct handoff_result *result)
{
	struct session_letter *letter = container_of(link, struct session_letter, link);
	struct session *s = letter->session;

	if (s != NULL) {
		LIST_REMOVE(letter, entry);
		for (size_t i = 0; i < result->n; i++)
			smtp_server_answer_recipient(&s->smtp, letter->recipients[i], reply_of(result->status[i]));
	}
	free(letter);
	if (s != NULL && !smtp_server_is_waiting(&s->smtp)) {
		targets_clear(s);
		content_drop(s);
		session_go_on(s);
	}
}

/* Fills a letter with recipients of the same writer, from the i-th target on. */
static void
letter_fill(struct session *s, size_t i, struct session_letter *letter, struct handoff_letter *out)
{
	struct link *link = s->targets[i].link;

	for (; i < s->ntargets && out->nrecipients < HANDOFF_RECIPIENTS_MAX; i++) {
		struct session_target *target = &s->targets[i];

		if (target->sent || target->link != link)
			continue;
		target->sent = true;
		letter->recipients[out->nrecipients] = target->recipient;
		out->recipients[out->nrecipients++] = target->recipient->address.text;
	}
}

/* Short ones travel in the message, if the addresses leave room for them. */
static bool
letter_content(struct session *s, struct handoff_letter *out)
{
	size_t addresses = out->sender.n;
	struct err err;

	for (size_t i = 0; i < out->nrecipients; i++)
		addresses += out->recipients[i].n + 4;
	out->size = s->spool.size;
	if (s->spool.fd < 0 && addresses + s->spool.head.n + 128 <= MSG_MAX_BYTES) {
		out->content = buf_str(&s->spool.head);
		return true;
	}
	out->in_file = true;
	if (spool_to_file(&s->spool, &err))
		return true;
	log_warning("content from=<%.*s>: %s", STR_FMT(out->sender), err.text);
	return false;
}

static void
letter_send(struct session *s, size_t i)
{
	struct handoff_letter out = {.sender = s->smtp.transaction.sender.text,
	    .verbatim = s->smtp.transaction.body == SMTP_BODY_BINARYMIME};
	struct session_letter *letter = calloc(1, sizeof *letter);
	size_t n;

	if (letter == NULL)
		fatal("out of memory for a letter");
	letter_fill(s, i, letter, &out);
	if (letter_content(s, &out) && link_send(s->targets[i].link, &letter->link, &out, s->spool.fd, letter_answered)) {
		letter->session = s;
		LIST_INSERT_HEAD(&s->letters, letter, entry);
		return;
	}
	/* The last answer ends the transaction: what is needed of it is read before. */
	n = out.nrecipients;
	for (size_t j = 0; j < n; j++)
		smtp_server_answer_recipient(&s->smtp, letter->recipients[j], reply_of(HANDOFF_TROUBLE));
	free(letter);
}

static void
message_send(struct session *s)
{
	for (size_t i = 0; i < s->ntargets; i++)
		if (!s->targets[i].sent)
			letter_send(s, i);
	if (!smtp_server_is_waiting(&s->smtp)) {
		targets_clear(s);
		content_drop(s);
	}
}

/* --- the core's questions ------------------------------------------------------------------------------------------------ */

/* False: the steps pause. */
static bool
event_take(struct session *s, enum smtp_event event)
{
	switch (event) {
	case SMTP_READ:
		return false;
	case SMTP_SENDER:
		targets_clear(s);
		smtp_server_accept(&s->smtp);
		return true;
	case SMTP_RECIPIENT:
		link_ask(&s->front->links, &s->question, s->smtp.recipient->address.text, recipient_found);
		return true;
	case SMTP_BODY:
		content_begin(s);
		return true;
	case SMTP_CONTENT:
		content_take(s, s->smtp.content);
		return true;
	case SMTP_MESSAGE:
		message_send(s);
		return true;
	case SMTP_ABANDONED:
		targets_clear(s);
		content_drop(s);
		return true;
	case SMTP_HELLO: /* nothing of this is on offer */
	case SMTP_UNKNOWN:
	case SMTP_VRFY:
	case SMTP_ETRN:
	case SMTP_XCLIENT:
	case SMTP_AUTHENTICATE:
	case SMTP_RESPOND:
	case SMTP_CANCEL:
	case SMTP_START_TLS:
	case SMTP_CLOSE:
		break;
	}
	s->leaving = true;
	return false;
}

/* Steps through the input; then waits for the client, unless a question is open: that has a deadline of its own. */
static void
run(struct session *s)
{
	size_t taken = 0;
	bool more = true;

	if (s->running)
		return; /* an answer came from inside a step, which goes on by itself */
	s->running = true;
	while (more && !s->leaving && !smtp_server_is_waiting(&s->smtp)) {
		size_t n = 0;

		more = event_take(s, smtp_server_step(&s->smtp, str_skip(buf_str(&s->stream.in), taken), &n));
		taken += n;
	}
	s->running = false;
	buf_consume(&s->stream.in, taken);
	if (!s->leaving && s->front->stopping && !smtp_server_is_waiting(&s->smtp)) {
		smtp_server_goodbye(&s->smtp, SMTP_REPLY(421, "4.3.2", "The server is going down"));
		s->leaving = true;
	}
	if (s->leaving)
		stream_finish(&s->stream);
	else
		stream_set_deadline(&s->stream, smtp_server_is_waiting(&s->smtp) ? 0 : s->front->conf->deliver.timeout_ms);
}

static void
session_go_on(struct session *s)
{
	if (s->running)
		return;
	run(s);
	stream_flush(&s->stream);
}

/* --- the stream's callbacks ---------------------------------------------------------------------------------------------- */

static void
on_input(struct stream *stream)
{
	run(container_of(stream, struct session, stream));
}

/* Letters that are under way are delivered, though nobody hears of it. */
static void
on_closed(struct stream *stream, enum stream_end why, const struct err *err)
{
	struct session *s = container_of(stream, struct session, stream);
	struct front *front = s->front;
	struct session_letter *letter;

	if (why == STREAM_DEADLINE)
		log_info("timeout of a client");
	if (err != NULL)
		log_debug("session: %s", err->text);
	LIST_FOREACH(letter, &s->letters, entry)
		letter->session = NULL;
	link_cancel(&s->question);
	targets_clear(s);
	content_drop(s);
	free(s->targets);
	smtp_server_clear(&s->smtp);
	TAILQ_REMOVE(&front->sessions, s, link);
	front->nsessions--;
	free(s);
	front_session_over(front);
}

static const struct stream_events session_events = {
    .input = on_input,
    .closed = on_closed,
};

/* --- beginning and end --------------------------------------------------------------------------------------------------- */

static void
server_init(struct session *s)
{
	const struct conf *conf = s->front->conf;
	const struct smtp_server_facts facts = {
	    .protocol = SMTP_LMTP,
	    .hostname = str_from(conf->hostname),
	    .banner = STR("Merpati"),
	    .is_trusted = true,
	    .size_max = conf->message_size_limit_bytes,
	    .recipients_max = SESSION_RECIPIENTS_MAX,
	    .errors_max = ERRORS_MAX,
	    .arena_max = (size_t)SESSION_RECIPIENTS_MAX * ARENA_BYTES_A_RECIPIENT,
	};

	smtp_server_init(&s->smtp, &facts, &s->counters, &s->stream.out);
}

void
session_new(struct front *front, int fd)
{
	static const struct stream_limits limits = {.in_max = IN_MAX, .out_max = OUT_MAX};
	struct session *s = calloc(1, sizeof *s);

	if (s == NULL) {
		(void)close(fd);
		return;
	}
	s->front = front;
	LIST_INIT(&s->letters);
	TAILQ_INSERT_TAIL(&front->sessions, s, link);
	front->nsessions++;
	stream_open(&s->stream, front->loop, fd, &session_events, &limits);
	server_init(s);
	run(s);
	stream_flush(&s->stream);
}

void
session_stop(struct session *s)
{
	session_go_on(s);
}
