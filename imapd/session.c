#include "imapd/session.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "imapd/capability.h"
#include "imapd/cmd.h"

static void pump(struct session *session);

/* ---- the end --------------------------------------------------------------------------------------------------- */

static void
stop_job(struct session *session)
{
	struct job *job = session->job;

	session->job = NULL;
	if (job != NULL && job->stop != NULL)
		job->stop(job);
}

static void
session_free(struct session *session)
{
	struct user *user = session->user;

	stop_job(session);
	durable_forget(session->durable);
	cmd_append_abort(session);
	session_unselect(session);
	loop_timer_cancel(&session->silence);
	loop_defer_cancel(&session->work);
	stream_close(&session->stream);
	imap_clear(&session->imap);
	TAILQ_REMOVE(&user->sessions, session, link);
	free(session);
	login_session_closed(user->login);
}

static void
say_goodbye(struct session *session)
{
	if (session->said_goodbye)
		return;
	session->said_goodbye = true;
	if (session->goodbye[0] != '\0')
		buf_addf(&session->stream.out, "* BYE %s\r\n", session->goodbye);
	session_unselect(session);
	stream_finish(&session->stream);
}

static bool
is_busy(const struct session *session)
{
	return session->job != NULL || session->durable != NULL || session->reply != NULL;
}

void
session_end(struct session *session, const char *text)
{
	if (session->goodbye == NULL)
		session->goodbye = text;
	if (!is_busy(session))
		say_goodbye(session);
}

void
session_abort(struct session *session)
{
	session->aborted = true;
	session->goodbye = "";
}

static void
on_closed(struct stream *stream, enum stream_end why, const struct err *err)
{
	struct session *session = container_of(stream, struct session, stream);

	if (why == STREAM_BROKEN && err != NULL)
		log_debug("connection from %s: %s", session->remote, err->text);
	session_free(session);
}

/* ---- silence --------------------------------------------------------------------------------------------------- */

static void on_silence(struct loop_timer *timer);

static void
hear(struct session *session)
{
	loop_timer_set(session->user->loop, &session->silence, session->user->conf->imapd.timeout_ms, on_silence);
}

/* Neither a command came nor was anything read that we have to say. */
static void
on_silence(struct loop_timer *timer)
{
	struct session *session = container_of(timer, struct session, silence);

	if (stream_pending(&session->stream) > 0)
		session_free(session);
	else if (is_busy(session))
		hear(session);
	else
		session_end(session, "Waited too long");
}

/* ---- saying what has changed ----------------------------------------------------------------------------------- */

static uint32_t
keywords_of(const struct mailbox *mailbox)
{
	uint32_t keywords = 0;

	for (unsigned i = 0; i < MAILDIR_KEYWORDS_MAX; i++)
		if (mailbox_keyword_name(mailbox, i) != NULL)
			keywords |= UINT32_C(1) << i;
	return keywords;
}

static void
write_flag_list(struct session *session, uint32_t keywords)
{
	const struct view_source source = folder_source(session->folder);
	const struct respond_flags all = {
	    .flags = ~0U,
	    .keywords = keywords,
	    .name = source.keyword_name,
	    .context = source.context,
	};

	respond_flags(&session->stream.out, &all);
}

void
session_write_flag_lists(struct session *session)
{
	struct buf *out = &session->stream.out;
	uint32_t keywords = keywords_of(session->folder->mailbox);

	buf_adds(out, "* FLAGS (");
	write_flag_list(session, keywords);
	buf_adds(out, ")\r\n* OK [PERMANENTFLAGS (");
	if (session->folder->writable) {
		write_flag_list(session, keywords);
		if (mailbox_can_make_keywords(session->folder->mailbox))
			buf_adds(out, " \\*");
	}
	buf_adds(out, ")] Flags that are kept\r\n");
	session->keywords_told = keywords;
}

void
session_tell_keywords(struct session *session)
{
	if (session->keywords_told != keywords_of(session->folder->mailbox))
		session_write_flag_lists(session);
}

/* False when there is more to tell than the client can be given now. */
static bool
catch_up(struct session *session, unsigned manner)
{
	struct folder *folder = session->folder;
	struct view_source source;

	if (folder == NULL || session->generation == folder->generation)
		return true;
	if (folder->broken) {
		session_end(session, "The mailbox was deleted or replaced");
		return true;
	}
	session_tell_keywords(session);
	source = folder_source(folder);
	if (!view_sync(&session->view, &source, (enum view_manner)manner, &session->stream.out, SESSION_OUT_HIGH)) {
		if (!session_is_full(session))
			fatal("out of memory for the view of a mailbox");
		return false;
	}
	folder_claim_recent(folder);
	if (session->view.gone == 0)
		session->generation = folder->generation;
	return true;
}

void
session_push(struct session *session)
{
	bool done = !imap_is_idle(&session->imap) || session->goodbye != NULL;

	while (!done && !session_is_full(session)) {
		done = catch_up(session, VIEW_EXPUNGE);
		stream_flush(&session->stream);
	}
}

/* Of a UID command the numbers are not the client's. */
static unsigned
manner_of(const struct command *command)
{
	if (command->uid)
		return VIEW_EXPUNGE | VIEW_WITH_UID;
	return command->row->keeps_numbers ? 0 : VIEW_EXPUNGE;
}

/* Or a part of it, when the client has to read first. */
static void
finish(struct session *session)
{
	const char *reply = session->reply;

	if (!catch_up(session, manner_of(&session->imap.command)))
		return;
	session->reply = NULL;
	imap_reply_begin(&session->imap);
	buf_adds(&session->stream.out, reply);
	imap_reply_end(&session->imap);
}

/* ---- commands -------------------------------------------------------------------------------------------------- */

static void
execute(struct session *session)
{
	switch (session->imap.command.row->command) {
	case COMMAND_APPEND:
		cmd_append(session);
		break;
	case COMMAND_CAPABILITY:
		cmd_capability(session);
		break;
	case COMMAND_CHECK:
		cmd_check(session);
		break;
	case COMMAND_CLOSE:
		cmd_close(session);
		break;
	case COMMAND_COPY:
	case COMMAND_MOVE:
		cmd_copy(session);
		break;
	case COMMAND_CREATE:
		cmd_create(session);
		break;
	case COMMAND_DELETE:
		cmd_delete(session);
		break;
	case COMMAND_ENABLE:
		cmd_enable(session);
		break;
	case COMMAND_EXAMINE:
	case COMMAND_SELECT:
		cmd_select(session);
		break;
	case COMMAND_EXPUNGE:
		cmd_expunge(session);
		break;
	case COMMAND_FETCH:
		cmd_fetch(session);
		break;
	case COMMAND_ID:
		cmd_id(session);
		break;
	case COMMAND_IDLE:
		cmd_idle(session);
		break;
	case COMMAND_LIST:
	case COMMAND_LSUB:
		cmd_list(session);
		break;
	case COMMAND_LOGOUT:
		cmd_logout(session);
		break;
	case COMMAND_NAMESPACE:
		cmd_namespace(session);
		break;
	case COMMAND_NOOP:
		cmd_noop(session);
		break;
	case COMMAND_RENAME:
		cmd_rename(session);
		break;
	case COMMAND_SEARCH:
		cmd_search(session);
		break;
	case COMMAND_STATUS:
		cmd_status(session);
		break;
	case COMMAND_STORE:
		cmd_store(session);
		break;
	case COMMAND_SUBSCRIBE:
	case COMMAND_UNSUBSCRIBE:
		cmd_subscribe(session);
		break;
	case COMMAND_UNSELECT:
		cmd_unselect(session);
		break;
	}
}

/* False when there is nothing to do before more input comes. */
static bool
take_input(struct session *session)
{
	struct stream *stream = &session->stream;
	size_t taken = imap_feed(&session->imap, buf_str(&stream->in));

	if (imap_has_chunk(&session->imap)) /* it lies in the input */
		cmd_append_chunk(session);
	buf_consume(&stream->in, taken);
	return taken > 0;
}

static bool
act(struct session *session)
{
	switch (imap_next(&session->imap)) {
	case IMAP_MORE:
		return take_input(session);
	case IMAP_COMMAND:
		execute(session);
		return true;
	case IMAP_APPEND:
		cmd_append_begin(session);
		return true;
	case IMAP_APPEND_CHUNK: /* is taken with the input that it lies in */
		break;
	case IMAP_APPEND_ABORT:
		cmd_append_abort(session);
		return true;
	case IMAP_IDLE_DONE:
		session_finish(session, "OK Idle ended");
		return true;
	case IMAP_CLOSE:
		session_end(session, ""); /* the core has said it */
		return false;
	}
	return false;
}

/* ---- taking turns ---------------------------------------------------------------------------------------------- */

static void
on_work(struct loop_deferred *work)
{
	pump(container_of(work, struct session, work));
}

static void
work_later(struct session *session)
{
	loop_defer(session->user->loop, &session->work, on_work);
}

void
session_wake(struct session *session)
{
	work_later(session);
}

static void
run_job(struct session *session, uint64_t begin_ms)
{
	if (session->job->step(session, session->job, begin_ms) == JOB_DONE)
		stop_job(session);
}

bool
session_is_full(const struct session *session)
{
	return stream_pending(&session->stream) >= SESSION_OUT_HIGH;
}

/* One step of whatever is to be done; false when nothing can be done now. */
static bool
step(struct session *session, uint64_t begin_ms)
{
	if (session->durable != NULL)
		return false;
	if (session->job != NULL) {
		run_job(session, begin_ms);
		return true;
	}
	if (session->reply != NULL && !session->aborted) {
		finish(session);
		return true;
	}
	if (session->goodbye != NULL) {
		say_goodbye(session);
		return false;
	}
	if (imap_is_idle(&session->imap))
		session_push(session);
	return act(session);
}

/* Works until the slice is over, the client has enough to read, or everything is done. */
static void
pump(struct session *session)
{
	uint64_t begin_ms = user_slice_begin(session->user);

	while (!user_slice_is_over(session->user, begin_ms)) {
		if (session_is_full(session))
			stream_flush(&session->stream);
		if (session_is_full(session))
			return; /* on_drained goes on */
		if (!step(session, begin_ms)) {
			stream_flush(&session->stream);
			return;
		}
	}
	stream_flush(&session->stream);
	work_later(session);
}

static void
on_input(struct stream *stream)
{
	struct session *session = container_of(stream, struct session, stream);

	hear(session);
	if (session->goodbye == NULL)
		pump(session);
}

static void
on_drained(struct stream *stream)
{
	struct session *session = container_of(stream, struct session, stream);

	hear(session);
	pump(session);
}

/* ---- the beginning --------------------------------------------------------------------------------------------- */

static const struct stream_events events = {
    .input = on_input,
    .drained = on_drained,
    .closed = on_closed,
};

static void
reply_to_login(struct session *session, struct str tag)
{
	struct buf *out = &session->stream.out;

	buf_add(out, tag);
	buf_adds(out, " OK [CAPABILITY ");
	capability_write(out);
	buf_adds(out, "] Logged in\r\n");
}

void
session_new(struct user *user, const struct login_connection *connection)
{
	static const struct stream_limits limits = {.in_max = SESSION_IN_MAX, .out_max = SESSION_OUT_MAX};
	struct session *session = calloc(1, sizeof *session);

	if (session == NULL)
		fatal("out of memory for a connection");
	session->user = user;
	TAILQ_INSERT_TAIL(&user->sessions, session, link);
	stream_open(&session->stream, user->loop, connection->fd, &events, &limits);
	imap_init(&session->imap, &session->stream.out);
	(void)str_copy(session->remote, sizeof session->remote, connection->remote);
	buf_add(&session->stream.in, connection->input);
	reply_to_login(session, connection->label);
	hear(session);
	if (user->stopping)
		session_end(session, "[UNAVAILABLE] The server is being restarted");
	work_later(session);
}
