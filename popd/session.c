#include "popd/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/store/mailbox.h"
#include "common/store/store_news.h"
#include "common/net/stream.h"
#include "popd/pop3.h"

#define FILE_BUFFER_BYTES 32768
#define REMOVE_SLICE 200 /* messages that QUIT removes between two turns of the loop */

struct session {
	struct stream stream;
	struct login_session *login;
	struct mailbox *mailbox;
	struct pop3 pop3;
	struct pop3_message *messages;
	struct loop_deferred next_slice;
	char remote[64];
	char mechanisms[LOGIN_LABEL_MAX + 1];

	/* The message that is sent: its file, and what has been read of it and not been taken by the protocol. */
	int fd;
	size_t start, end;
	char *file_buffer; /* while a message is sent */

	size_t removed, remove_at; /* QUIT: so many are away; index from where to go on */
	bool remove_failed;
	bool stopping;	/* the server ends: after what is under way */
	bool finishing; /* the last reply is written */
	bool broken;	/* the file could not be read to its end: half a message must not look like a whole one */
	LIST_ENTRY(session) link;
};

static LIST_HEAD(, session) sessions = LIST_HEAD_INITIALIZER(sessions);

static void pump(struct session *s);

/* --- the end ------------------------------------------------------------------------------------------------------- */

static void
message_close(struct session *s)
{
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
	free(s->file_buffer);
	s->file_buffer = NULL;
}

static void
session_free(struct session *s)
{
	struct login_session *login = s->login;

	stream_close(&s->stream);
	message_close(s);
	loop_defer_cancel(&s->next_slice);
	mailbox_close(s->mailbox);
	free(s->messages);
	LIST_REMOVE(s, link);
	free(s);
	login_session_closed(login);
}

static void
log_end(const struct session *s, const char *why)
{
	log_info("disconnect from %s: user=<%s>, retrieved=%zu (%" PRIu64 " bytes), deleted=%zu of %zu, %s", s->remote,
	    s->login->account->name, s->pop3.retrieved, s->pop3.retrieved_bytes, s->removed, s->pop3.n, why);
}

static const char *
end_name(enum stream_end why, const struct err *err)
{
	switch (why) {
	case STREAM_EOF:
		return "closed without QUIT";
	case STREAM_BROKEN:
		return err->text;
	case STREAM_DEADLINE:
		return "silent for too long";
	case STREAM_FINISHED:
		return "logged out";
	}
	return "";
}

static void
closed(struct stream *stream, enum stream_end why, const struct err *err)
{
	struct session *s = container_of(stream, struct session, stream);

	log_end(s, end_name(why, err));
	session_free(s);
}

/* The lock goes before the last reply does: who has it may come back at once. */
static void
finish(struct session *s)
{
	s->finishing = true;
	mailbox_close(s->mailbox);
	s->mailbox = NULL;
	stream_finish(&s->stream);
}

/* --- sending a message --------------------------------------------------------------------------------------------- */

static void
message_open(struct session *s)
{
	struct err err = {.class = ERR_NONE};
	enum mailbox_done done;

	s->file_buffer = malloc(FILE_BUFFER_BYTES);
	if (s->file_buffer == NULL)
		fatal("out of memory for a message");
	done = mailbox_open_message(s->mailbox, s->messages[s->pop3.current].uid, &s->fd, &err);
	s->start = s->end = 0;
	if (done == MAILBOX_DONE) {
		pop3_opened(&s->pop3);
		return;
	}
	if (done == MAILBOX_FAILED)
		log_error("message %" PRIu32 " of %s: %s", s->messages[s->pop3.current].uid, s->login->account->name, err.text);
	s->fd = -1;
	message_close(s);
	pop3_not_opened(&s->pop3, done == MAILBOX_GONE);
}

/* False when there is nothing more. */
static bool
file_read(struct session *s)
{
	ssize_t n;

	if (s->start < s->end)
		return true;
	do
		n = read(s->fd, s->file_buffer, FILE_BUFFER_BYTES);
	while (n < 0 && errno == EINTR);
	s->start = 0;
	s->end = n > 0 ? (size_t)n : 0;
	if (n >= 0)
		return n > 0;
	log_error("message %" PRIu32 " of %s: read: %s", s->messages[s->pop3.current].uid, s->login->account->name,
	    strerror(errno));
	s->broken = true;
	return false;
}

static void
message_send(struct session *s)
{
	if (file_read(s))
		s->start += pop3_body(&s->pop3, (struct str){s->file_buffer + s->start, s->end - s->start});
	else
		s->pop3.finished = true;
	if (!s->pop3.finished || s->broken)
		return;
	message_close(s);
	pop3_body_end(&s->pop3);
}

/* --- removing ------------------------------------------------------------------------------------------------------ */

static void
message_remove(struct session *s, const struct pop3_message *message)
{
	struct err err = {.class = ERR_NONE};

	if (mailbox_remove(s->mailbox, message->uid, &err) != MAILBOX_FAILED) {
		s->removed++;
		return;
	}
	log_error("message %" PRIu32 " of %s: %s", message->uid, s->login->account->name, err.text);
	s->remove_failed = true;
}

static void
remove_end(struct session *s)
{
	struct err err = {.class = ERR_NONE};

	if (!mailbox_sync(s->mailbox, &err)) {
		log_error("mailbox of %s: %s", s->login->account->name, err.text);
		s->remove_failed = true;
	}
	if (s->removed > 0)
		store_news_send(s->login->store);
	pop3_updated(&s->pop3, !s->remove_failed);
}

/* UPDATE: a slice at a time. */
static void
remove_slice(struct session *s)
{
	for (size_t n = 0; s->remove_at < s->pop3.n; s->remove_at++) {
		if (!s->messages[s->remove_at].deleted)
			continue;
		if (n++ == REMOVE_SLICE)
			return;
		message_remove(s, &s->messages[s->remove_at]);
	}
	remove_end(s);
}

/* --- the protocol -------------------------------------------------------------------------------------------------- */

static void
next_slice(struct loop_deferred *deferred)
{
	pump(container_of(deferred, struct session, next_slice));
}

/* One step; false when there is something to wait for. */
static bool
step(struct session *s)
{
	size_t taken;
	enum pop3_want want = pop3_step(&s->pop3, buf_str(&s->stream.in), &taken);

	buf_consume(&s->stream.in, taken);
	switch (want) {
	case POP3_AGAIN:
		return true;
	case POP3_INPUT:
		return false;
	case POP3_OPEN:
		message_open(s);
		return true;
	case POP3_BODY:
		message_send(s);
		return !s->broken && s->stream.out.n < POP3_SLICE_BYTES;
	case POP3_ROOM:
		return false;
	case POP3_UPDATE:
		remove_slice(s);
		return s->pop3.want != POP3_UPDATE;
	case POP3_CLOSE:
		finish(s);
		return false;
	}
	return false;
}

/* Is there more to do before the peer says more? */
static bool
has_more(const struct session *s)
{
	return s->pop3.want == POP3_BODY || s->pop3.want == POP3_UPDATE || s->pop3.listing ||
	    s->stream.out.n >= POP3_SLICE_BYTES;
}

static void
wait_for_peer(struct session *s)
{
	if (s->stopping) {
		buf_adds(&s->stream.out, "-ERR [SYS/TEMP] The server is going down\r\n");
		finish(s);
		return;
	}
	stream_set_deadline(&s->stream, s->login->conf->popd.timeout_ms);
	stream_flush(&s->stream);
	stream_resume(&s->stream);
}

/*
 * Blocked output resumes at `drained`; a slice that went out at once is followed by the next one after the other
 * connections had their turn. Until all is done nothing is read, so that the peer's end, too, is noticed after the
 * replies to what it said.
 */
static void
wait_for_room(struct session *s)
{
	stream_pause(&s->stream);
	stream_set_deadline(&s->stream, s->login->conf->popd.timeout_ms);
	stream_flush(&s->stream);
	if (stream_pending(&s->stream) == 0)
		loop_defer(s->login->loop, &s->next_slice, next_slice);
}

/* Goes on as far as it can. */
static void
pump(struct session *s)
{
	while (step(s))
		;
	if (s->broken) {
		log_end(s, "the message could not be read");
		session_free(s);
	} else if (!s->finishing && has_more(s)) {
		wait_for_room(s);
	} else if (!s->finishing) {
		wait_for_peer(s);
	}
}

static void
input(struct stream *stream)
{
	pump(container_of(stream, struct session, stream));
}

static const struct stream_events events = {.input = input, .drained = input, .closed = closed};

/* --- the beginning ------------------------------------------------------------------------------------------------- */

/* The INBOX under POP3's lock; on failure the reply that says why. */
static const char *
mailbox_get(struct session *s)
{
	struct err err = {.class = ERR_NONE};

	s->mailbox = mailbox_open(s->login->store, STR("INBOX"), MAILBOX_REMOVE, &err);
	if (s->mailbox != NULL && mailbox_lock_session(s->mailbox, &err))
		return NULL;
	log_warning("user=<%s>: %s", s->login->account->name, err.text);
	if (s->mailbox != NULL && err.class == ERR_LIMIT)
		return "-ERR [IN-USE] Another POP3 session has this mailbox open\r\n";
	return err.class == ERR_PERM ? "-ERR [SYS/PERM] The mailbox cannot be opened\r\n" :
				       "-ERR [SYS/TEMP] The mailbox cannot be opened now; try again later\r\n";
}

static size_t
messages_copy(struct session *s)
{
	size_t n;
	const struct mailbox_record *records = mailbox_records(s->mailbox, &n);

	s->messages = calloc(n + 1, sizeof *s->messages);
	if (s->messages == NULL)
		fatal("out of memory for %zu messages", n);
	for (size_t i = 0; i < n; i++)
		s->messages[i] = (struct pop3_message){.size = records[i].wire_size, .uid = records[i].uid};
	return n;
}

static void
begin(struct session *s)
{
	size_t n = messages_copy(s);
	struct pop3_maildrop maildrop = {.messages = s->messages, .n = n, .uidvalidity = mailbox_uidvalidity(s->mailbox),
	    .mechanisms = str_from(s->mechanisms)};

	pop3_init(&s->pop3, &s->stream.out, &maildrop);
	pump(s);
}

void
session_connection(struct login_session *login, const struct login_connection *connection)
{
	static const struct stream_limits limits = {.in_max = LOGIN_INPUT_MAX, .out_max = POP3_OUT_MAX_BYTES};
	struct session *s = calloc(1, sizeof *s);
	const char *refusal;

	if (s == NULL)
		fatal("out of memory for a session");
	s->login = login;
	s->fd = -1;
	(void)str_copy(s->remote, sizeof s->remote, connection->remote);
	(void)str_copy(s->mechanisms, sizeof s->mechanisms, connection->label);
	stream_open(&s->stream, login->loop, connection->fd, &events, &limits);
	LIST_INSERT_HEAD(&sessions, s, link);
	refusal = mailbox_get(s);
	if (refusal != NULL) {
		buf_adds(&s->stream.out, refusal);
		finish(s);
		return;
	}
	buf_add(&s->stream.in, connection->input);
	begin(s);
}

/* Whoever is between two commands is told at once; a message on its way and a QUIT are finished first. */
void
session_stop(struct login_session *login)
{
	struct session *s, *next;

	(void)login;
	LIST_FOREACH_SAFE(s, &sessions, link, next) {
		s->stopping = true;
		if (!s->finishing && !has_more(s))
			wait_for_peer(s);
	}
}
