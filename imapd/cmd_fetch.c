/*
 * FETCH: a message after the other, each opened only when its file is needed, its structure read in slices; large
 * sections are passed on in pieces as the client reads them.
 */
#include <stdlib.h>
#include <string.h>

#include "common/smtp/crlf.h"
#include "common/base/log.h"
#include "imapd/bodystructure.h"
#include "imapd/cmd.h"
#include "imapd/envelope.h"
#include "imapd/section.h"
#include "imapd/zone.h"

#define PIECE_BYTES 32768
#define FIELDS_MAX_BYTES (4 * MIME_HEADER_MAX) /* of a chosen header on the wire */
#define KEEP_ARENA_BYTES (256 * 1024)

enum phase {
	FETCH_NEXT,	/* message */
	FETCH_SCAN,	/* its structure */
	FETCH_SECTION,	/* the next section, or the end of the message */
	FETCH_STREAM,	/* the section's bytes */
};

struct fetch_job {
	struct job job;
	struct session *session;
	const struct fetch_items *items;
	struct session_messages messages;
	enum phase phase;
	bool needs_file, needs_body, sets_seen;
	struct view_entry *entry;
	bool say_flags; /* \Seen was set by this */
	bool item_written;
	const struct fetch_section *section; /* the next one */
	/* FETCH_STREAM: what is left of the section in the file and on the wire, and of the wire before <start>. */
	uint64_t offset, bytes, skip, octets;
	struct crlf crlf;
	unsigned missing; /* messages that are gone */
	bool failed;
	const char *failure;
};

static void
fetch_stop(struct job *job)
{
	struct fetch_job *f = container_of(job, struct fetch_job, job);

	/* A client that takes a large message in parts comes back for the next one. */
	if (f->session->message.arena.used > KEEP_ARENA_BYTES || f->session->message.root == NULL || f->failed)
		message_close(&f->session->message);
}

static enum job_progress
fetch_done(struct fetch_job *f)
{
	struct session *session = f->session;

	if (f->failed)
		session_finish(session, f->failure);
	else if (f->missing > 0 && !f->messages.uids)
		session_finish(session, "NO [EXPUNGEISSUED] Some messages are no more");
	else
		session_finish(session, "OK Fetched");
	return JOB_DONE;
}

static void
fail(struct fetch_job *f, const struct err *err)
{
	f->failed = true;
	f->failure = session_failure(f->session, err);
}

/* ---- items ----------------------------------------------------------------------------------------------------- */

static void
write_internal_date(struct fetch_job *f, struct buf *out)
{
	int64_t seconds = 0;
	struct err err;

	if (mailbox_date(f->session->folder->mailbox, f->entry->uid, &seconds, &err) == MAILBOX_FAILED)
		log_warning("date of message %u: %s", (unsigned)f->entry->uid, err.text);
	buf_adds(out, "INTERNALDATE ");
	respond_date_time(out, zone_local(seconds));
}

static void
write_structure(struct fetch_job *f, struct buf *out, const char *name, bool extended)
{
	buf_adds(out, name);
	bodystructure_write(out, f->session->message.root, extended);
}

/* A space in front of all items but the first. */
static void
separate(struct fetch_job *f, struct buf *out)
{
	if (f->item_written)
		buf_addc(out, ' ');
	f->item_written = true;
}

static void
write_record_items(struct fetch_job *f, const struct mailbox_record *record, struct buf *out)
{
	const struct view_source source = folder_source(f->session->folder);
	unsigned items = f->items->items;

	if ((items & FETCH_UID) != 0) {
		separate(f, out);
		buf_addf(out, "UID %u", (unsigned)f->entry->uid);
	}
	if ((items & FETCH_FLAGS) != 0 || f->say_flags) {
		separate(f, out);
		f->entry->flags = record->flags;
		f->entry->keywords = record->keywords;
		view_write_flags(f->entry, &source, out);
	}
	if ((items & FETCH_SIZE) != 0) {
		separate(f, out);
		buf_addf(out, "RFC822.SIZE %llu", (unsigned long long)record->wire_size);
	}
	if ((items & FETCH_INTERNALDATE) != 0) {
		separate(f, out);
		write_internal_date(f, out);
	}
}

static void
write_structure_items(struct fetch_job *f, struct buf *out)
{
	unsigned items = f->items->items;

	if ((items & FETCH_ENVELOPE) != 0) {
		separate(f, out);
		buf_adds(out, "ENVELOPE ");
		envelope_write(out, f->session->message.root->header_text);
	}
	if ((items & FETCH_BODY) != 0) {
		separate(f, out);
		write_structure(f, out, "BODY ", false);
	}
	if ((items & FETCH_BODYSTRUCTURE) != 0) {
		separate(f, out);
		write_structure(f, out, "BODYSTRUCTURE ", true);
	}
}

/* Everything but the sections. From here on the response must be brought to its end. */
static void
begin_response(struct fetch_job *f, const struct mailbox_record *record)
{
	struct buf *out = &f->session->stream.out;

	f->item_written = false;
	buf_addf(out, "* %u FETCH (", (unsigned)view_sequence(&f->session->view, f->entry));
	write_record_items(f, record, out);
	write_structure_items(f, out);
	f->section = f->items->sections;
	f->phase = FETCH_SECTION;
}

/* ---- sections -------------------------------------------------------------------------------------------------- */

/* <start.count> of a section of so many octets. */
static void
cut(const struct fetch_section *section, uint64_t octets, uint64_t *start, uint64_t *count)
{
	*start = 0;
	*count = octets;
	if (!section->partial)
		return;
	*start = section->start < octets ? section->start : octets;
	*count = octets - *start < section->count ? octets - *start : section->count;
}

/* RFC 3501 9: no string can hold a NUL. As other servers do, and sizes stay true. */
static void
replace_nuls(char *p, size_t n)
{
	char *end = p + n;

	while ((p = memchr(p, '\0', (size_t)(end - p))) != NULL)
		*p++ = '\x80';
}

static void
write_bytes(struct fetch_job *f, struct buf *out, struct buf *bytes)
{
	uint64_t start, count;

	cut(f->section, bytes->n, &start, &count);
	if (bytes->n > 0)
		replace_nuls(bytes->p, bytes->n);
	buf_addf(out, " {%llu}\r\n", (unsigned long long)count);
	buf_add(out, str_sub(buf_str(bytes), (size_t)start, (size_t)count));
	f->section = f->section->next;
}

static void
begin_stream(struct fetch_job *f, struct buf *out, const struct mime_span *span)
{
	cut(f->section, span->octets, &f->skip, &f->octets);
	buf_addf(out, " {%llu}\r\n", (unsigned long long)f->octets);
	f->offset = span->offset;
	f->bytes = span->bytes;
	f->crlf = (struct crlf){0};
	f->phase = FETCH_STREAM;
}

static void
write_section(struct fetch_job *f)
{
	struct buf *out = &f->session->stream.out, bytes;
	struct mime_span span;

	separate(f, out);
	section_write_name(out, f->section);
	buf_init(&bytes, FIELDS_MAX_BYTES);
	switch (section_find(f->session->message.root, f->section, &span, &bytes)) {
	case SECTION_MISSING:
		buf_adds(out, " NIL");
		f->section = f->section->next;
		break;
	case SECTION_SPAN:
		begin_stream(f, out, &span);
		break;
	case SECTION_BYTES:
		write_bytes(f, out, &bytes);
		break;
	}
	buf_clear(&bytes);
}

static void
next_section(struct fetch_job *f)
{
	if (f->section != NULL) {
		write_section(f);
		return;
	}
	buf_adds(&f->session->stream.out, ")\r\n");
	f->phase = FETCH_NEXT;
}

/* What was converted is passed over up to <start>, then given out up to the announced length. */
static void
give_out(struct fetch_job *f, char *wire, size_t n)
{
	size_t skipped = f->skip < n ? (size_t)f->skip : n;

	f->skip -= skipped;
	wire += skipped;
	n -= skipped;
	if (n > f->octets)
		n = (size_t)f->octets;
	replace_nuls(wire, n);
	buf_add(&f->session->stream.out, (struct str){wire, n});
	f->octets -= n;
}

/* One piece. False when the file lets us down within a literal: only the end of the connection can tell the client. */
static bool
stream_piece(struct fetch_job *f)
{
	char piece[PIECE_BYTES], wire[2 * PIECE_BYTES];
	size_t n = f->bytes < sizeof piece ? (size_t)f->bytes : sizeof piece, written;
	struct err err = {0};

	if (f->octets == 0) {
		f->section = f->section->next;
		f->phase = FETCH_SECTION;
		return true;
	}
	if (n == 0 || !message_read(&f->session->message, f->offset, piece, n, &err)) {
		log_error("mailbox of %s: %s", f->session->user->login->account->name,
		    n == 0 ? "a message changed while it was read" : err.text);
		return false;
	}
	(void)crlf_to_wire(&f->crlf, (struct str){piece, n}, wire, sizeof wire, &written);
	f->offset += n;
	f->bytes -= n;
	give_out(f, wire, written);
	return true;
}

/* ---- messages -------------------------------------------------------------------------------------------------- */

/* RFC 3501 6.4.5: fetching a text sets \Seen, and the change is told with it. */
static bool
set_seen(struct fetch_job *f)
{
	struct folder *folder = f->session->folder;
	const struct mailbox_record *record = mailbox_find(folder->mailbox, f->entry->uid);
	struct err err;

	f->say_flags = false;
	if (!f->sets_seen || !folder->writable || record == NULL || (record->flags & MAILDIR_SEEN) != 0)
		return true;
	if (mailbox_store(folder->mailbox, f->entry->uid, MAILBOX_INCLUDE, MAILDIR_SEEN, 0, &err) == MAILBOX_FAILED) {
		fail(f, &err);
		return false;
	}
	f->say_flags = true;
	user_folder_changed(f->session->user, folder);
	return true;
}

static void
respond(struct fetch_job *f)
{
	const struct mailbox_record *record;

	if (!set_seen(f))
		return;
	record = mailbox_find(f->session->folder->mailbox, f->entry->uid);
	if (record != NULL) {
		begin_response(f, record);
	} else {
		f->missing++;
		f->phase = FETCH_NEXT;
	}
}

/* Is the file open already, and is enough known of it? */
static bool
has_message(const struct fetch_job *f)
{
	const struct message *message = &f->session->message;

	return message->uid == f->entry->uid && message->root != NULL && (!message->header_only || !f->needs_body);
}

static void
next_message(struct fetch_job *f)
{
	struct session *session = f->session;
	struct err err;

	if (f->entry->gone) {
		f->missing++;
		return;
	}
	if (!f->needs_file || has_message(f)) {
		respond(f);
		return;
	}
	switch (message_open(&session->message, session->folder->mailbox, f->entry->uid, !f->needs_body, &err)) {
	case MAILBOX_DONE:
		f->phase = FETCH_SCAN;
		break;
	case MAILBOX_GONE:
		f->missing++;
		break;
	case MAILBOX_FAILED:
		fail(f, &err);
		break;
	}
}

static void
scan(struct fetch_job *f)
{
	struct err err;

	switch (message_scan(&f->session->message, &err)) {
	case PARSE_MORE:
		break;
	case PARSE_OK:
		respond(f);
		break;
	case PARSE_BAD:
		fail(f, &err);
		break;
	}
}

/* False when the command is over. */
static bool
advance(struct fetch_job *f)
{
	switch (f->phase) {
	case FETCH_NEXT:
		f->entry = session_messages_next(&f->messages);
		if (f->entry == NULL)
			return false;
		next_message(f);
		return !f->failed;
	case FETCH_SCAN:
		scan(f);
		return !f->failed;
	case FETCH_SECTION:
		next_section(f);
		return true;
	case FETCH_STREAM:
		break;
	}
	if (stream_piece(f))
		return true;
	session_abort(f->session);
	return false;
}

static enum job_progress
fetch_step(struct session *session, struct job *job, uint64_t begin_ms)
{
	struct fetch_job *f = container_of(job, struct fetch_job, job);

	while (advance(f))
		if (session_is_full(session) || user_slice_is_over(session->user, begin_ms))
			return JOB_AGAIN;
	return fetch_done(f);
}

static void
find_needs(struct fetch_job *f)
{
	f->sets_seen = fetch_items_set_seen(f->items);
	f->needs_body = (f->items->items & (FETCH_BODY | FETCH_BODYSTRUCTURE)) != 0;
	f->needs_file = f->needs_body || (f->items->items & FETCH_ENVELOPE) != 0 || f->items->sections != NULL;
	for (const struct fetch_section *section = f->items->sections; section != NULL; section = section->next)
		if (!section_is_of_header(section))
			f->needs_body = true;
}

void
cmd_fetch(struct session *session)
{
	struct fetch_job *f = arena_alloc(&session->imap.arena, sizeof *f);

	if (f == NULL) {
		session_fail_limit(session);
		return;
	}
	f->job = (struct job){fetch_step, fetch_stop};
	f->session = session;
	f->items = &session->imap.command.fetch;
	find_needs(f);
	if (session_messages_init(session, &f->messages))
		session_start_job(session, &f->job);
}
