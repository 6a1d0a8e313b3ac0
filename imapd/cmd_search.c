/*
 * SEARCH: first what the records know, then the header, then the text of a message, each only as far as the answer still
 * depends on it.
 */
#include <errno.h>

#include "imapd/cmd.h"
#include "imapd/search_content.h"
#include "imapd/zone.h"

enum phase {
	SEARCH_NEXT,	/* message */
	SEARCH_SCAN,	/* its header, or all of its structure */
	SEARCH_PART,	/* the next part */
	SEARCH_READ,	/* its body */
};

struct search_job {
	struct job job;
	struct session *session;
	struct search *search;
	struct search_content content;
	struct message message;
	struct search_facts facts;
	uint32_t keywords; /* of the message */
	enum phase phase;
	size_t index; /* of the next entry */
	const struct view_entry *entry; /* that is being looked at */
	const struct mime_part *part;
	uint64_t offset, left; /* of its body */
};

static void
search_stop(struct job *job)
{
	struct search_job *s = container_of(job, struct search_job, job);

	message_close(&s->message);
	search_content_clear(&s->content);
}

/* ---- what the records know ------------------------------------------------------------------------------------- */

static bool
has_keyword(const struct search_facts *facts, struct str keyword)
{
	const struct search_job *s = (const void *)((const char *)facts - offsetof(struct search_job, facts));
	int i;

	if (str_equal_nocase(keyword, STR("$Forwarded")))
		return (facts->flags & MAILDIR_PASSED) != 0;
	i = mailbox_keyword_find(s->session->folder->mailbox, keyword);
	return i >= 0 && (s->keywords >> i & 1) != 0;
}

static void
set_facts(struct search_job *s, const struct mailbox_record *record)
{
	const struct view_entry *entry = s->entry;

	s->keywords = record->keywords;
	s->facts = (struct search_facts){
	    .sequence = view_sequence(&s->session->view, entry),
	    .uid = entry->uid,
	    .flags = record->flags,
	    .recent = entry->recent,
	    .wire_size = record->wire_size,
	    .content = s->content.truths,
	    .has_keyword = has_keyword,
	};
}

static void
find_day(struct search_job *s)
{
	int64_t seconds;
	struct err err;

	if (!s->search->needs_date || s->facts.has_day)
		return;
	if (mailbox_date(s->session->folder->mailbox, s->entry->uid, &seconds, &err) != MAILBOX_DONE)
		seconds = 0;
	s->facts.day = date_day(zone_local(seconds));
	s->facts.has_day = true;
}

/* ---- one message ----------------------------------------------------------------------------------------------- */

static void
next_message(struct search_job *s)
{
	message_close(&s->message);
	s->phase = SEARCH_NEXT;
}

/* True when the answer is known; then it is given. */
static bool
decide(struct search_job *s)
{
	enum search_truth truth = search_eval(s->search->root, &s->facts);

	if (truth == SEARCH_UNKNOWN && !s->facts.has_day) {
		find_day(s);
		truth = search_eval(s->search->root, &s->facts);
	}
	if (truth == SEARCH_UNKNOWN)
		return false;
	if (truth == SEARCH_YES)
		buf_addf(&s->session->stream.out, " %u",
		    (unsigned)(s->session->imap.command.uid ? s->facts.uid : s->facts.sequence));
	next_message(s);
	return true;
}

/* A message that went away while it was looked at does not match. */
static bool
open_message(struct search_job *s, bool header_only, struct err *err)
{
	switch (message_open(&s->message, s->session->folder->mailbox, s->entry->uid, header_only, err)) {
	case MAILBOX_DONE:
		s->phase = SEARCH_SCAN;
		return true;
	case MAILBOX_GONE:
		next_message(s);
		return true;
	case MAILBOX_FAILED:
		break;
	}
	return false;
}

static bool
begin_message(struct search_job *s, struct err *err)
{
	const struct mailbox_record *record = mailbox_find(s->session->folder->mailbox, s->entry->uid);

	if (s->entry->gone || record == NULL)
		return true;
	search_content_begin(&s->content);
	set_facts(s, record);
	return decide(s) || open_message(s, true, err);
}

/* Parents first, then the next in the order of the message; NULL behind the last. */
static const struct mime_part *
following(const struct mime_part *part)
{
	if (part->first != NULL)
		return part->first;
	while (part != NULL && part->next == NULL)
		part = part->parent;
	return part == NULL ? NULL : part->next;
}

static bool
scanned(struct search_job *s, struct err *err)
{
	if (!s->message.header_only) {
		s->part = s->message.root;
		s->phase = SEARCH_PART;
		return true;
	}
	search_content_header(&s->content, s->message.root->header_text);
	return decide(s) || open_message(s, false, err);
}

static bool
scan(struct search_job *s, struct err *err)
{
	switch (message_scan(&s->message, err)) {
	case PARSE_MORE:
		return true;
	case PARSE_OK:
		return scanned(s, err);
	case PARSE_BAD:
		break;
	}
	return false;
}

static void
next_part(struct search_job *s)
{
	const struct mime_part *part = s->part;

	if (part == NULL) {
		search_content_end(&s->content);
		(void)decide(s);
		return;
	}
	s->part = following(part);
	if (search_content_part(&s->content, part)) {
		s->offset = part->body.offset;
		s->left = part->body.bytes;
		s->phase = SEARCH_READ;
	}
}

static bool
read_part(struct search_job *s, struct err *err)
{
	char piece[SEARCH_FEED_MAX];
	size_t n = s->left < sizeof piece ? (size_t)s->left : sizeof piece;

	if (n == 0) {
		search_content_part_end(&s->content);
		if (!decide(s))
			s->phase = SEARCH_PART;
		return true;
	}
	if (!message_read(&s->message, s->offset, piece, n, err))
		return false;
	search_content_feed(&s->content, (struct str){piece, n});
	s->offset += n;
	s->left -= n;
	return true;
}

/* ---- all messages ---------------------------------------------------------------------------------------------- */

static bool
advance(struct search_job *s, struct err *err)
{
	switch (s->phase) {
	case SEARCH_NEXT:
		s->entry = &s->session->view.entries[s->index++];
		return begin_message(s, err);
	case SEARCH_SCAN:
		return scan(s, err);
	case SEARCH_PART:
		next_part(s);
		return true;
	case SEARCH_READ:
		break;
	}
	return read_part(s, err);
}

static enum job_progress
search_step(struct session *session, struct job *job, uint64_t begin_ms)
{
	struct search_job *s = container_of(job, struct search_job, job);
	struct err err;

	while (s->phase != SEARCH_NEXT || s->index < session->view.n) {
		if (!advance(s, &err)) {
			buf_adds(&session->stream.out, "\r\n");
			session_fail(session, &err);
			return JOB_DONE;
		}
		if (session_is_full(session) || user_slice_is_over(session->user, begin_ms))
			return JOB_AGAIN;
	}
	buf_adds(&session->stream.out, "\r\n");
	session_finish(session, "OK Searched");
	return JOB_DONE;
}

/* ---- the command ----------------------------------------------------------------------------------------------- */

static bool
is_charset(struct str name)
{
	return str_equal_nocase(name, STR("UTF-8")) || str_equal_nocase(name, STR("US-ASCII")) ||
	    str_starts_nocase(name, STR("ISO-8859-"));
}

struct conversion {
	struct mime_charset charset;
	struct arena *arena;
	bool failed;
};

static void
convert(struct search_key *key, void *context)
{
	struct conversion *conversion = context;
	struct buf utf8;

	if (key->text.n == 0)
		return;
	buf_init(&utf8, 4 * IMAP_COMMAND_MAX_BYTES);
	mime_charset_convert(&conversion->charset, key->text, &utf8);
	mime_charset_end(&conversion->charset, &utf8);
	key->text = arena_copy(conversion->arena, buf_str(&utf8));
	conversion->failed |= key->text.p == NULL;
	buf_clear(&utf8);
}

/* False after a reply. */
static bool
convert_all(struct session *session, struct search *search)
{
	struct conversion conversion = {.arena = &session->imap.arena};

	if (search->charset.n == 0)
		return true;
	if (!is_charset(search->charset) || !mime_charset_open(&conversion.charset, search->charset)) {
		session_finish(session,
		    "NO [BADCHARSET (UTF-8 US-ASCII ISO-8859-1 ISO-8859-2 ISO-8859-15)] Unknown charset");
		return false;
	}
	search_walk(search->root, convert, &conversion);
	mime_charset_close(&conversion.charset);
	if (conversion.failed)
		session_fail_limit(session);
	return !conversion.failed;
}

static void
resolve(struct search_key *key, void *context)
{
	const struct view *view = context;

	if (key->kind == SEARCH_SEQUENCE)
		seqset_resolve(&key->set, (uint32_t)view->n);
	else if (key->kind == SEARCH_UIDS)
		seqset_resolve(&key->set, view_last_uid(view));
}

void
cmd_search(struct session *session)
{
	struct search *search = &session->imap.command.search;
	struct search_job *s;

	if (!convert_all(session, search))
		return;
	s = arena_alloc(&session->imap.arena, sizeof *s);
	if (s == NULL || !search_content_init(&s->content, &session->imap.arena, search)) {
		session_fail_limit(session);
		return;
	}
	search_walk(search->root, resolve, &session->view);
	(void)folder_look(session->folder); /* flags that others have changed count; who is told of them comes after */
	s->job = (struct job){search_step, search_stop};
	s->session = session;
	s->search = search;
	buf_adds(&session->stream.out, "* SEARCH");
	session_start_job(session, &s->job);
}
