#include "deliver/delivery.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/mime/rfc5322.h"

#define MESSAGE_ID_MAX 250
#define HEAD_MAX_BYTES ((size_t)(HANDOFF_RECIPIENTS_MAX + 1) * (HANDOFF_ADDRESS_MAX + 32))

bool
delivery_is_loop(struct str content, struct str recipient)
{
	struct rfc5322_field field;

	while (rfc5322_next(&content, &field)) {
		struct str value;

		if (!str_equal_nocase(field.name, STR("Delivered-To")))
			continue;
		value = str_trim(field.value);
		if (value.n >= 2 && value.p[0] == '<' && value.p[value.n - 1] == '>')
			value = str_sub(value, 1, value.n - 2);
		if (str_equal_nocase(value, recipient))
			return true;
	}
	return false;
}

enum handoff_status
delivery_status_of(const struct err *err)
{
	switch (err->errnum) {
	case EDQUOT:
		return HANDOFF_QUOTA;
	case ENOSPC:
	case EFBIG:
		return HANDOFF_DISK_FULL;
	default:
		return HANDOFF_TROUBLE;
	}
}

/* The log's readers split its lines at blanks and commas, so an id with these does not appear there. */
static bool
is_loggable(struct str id)
{
	for (size_t i = 0; i < id.n; i++)
		if (!ascii_is_print(id.p[i]) || id.p[i] == ' ' || id.p[i] == ',')
			return false;
	return id.n <= MESSAGE_ID_MAX;
}

static char *
message_id_of(struct str content)
{
	struct rfc5322_field field;
	struct str id;

	while (rfc5322_next(&content, &field))
		if (str_equal_nocase(field.name, STR("Message-ID")))
			return rfc5322_message_id_next(&field.value, &id) && is_loggable(id) ? str_dup(id) : NULL;
	return NULL;
}

/* --- the form of what is written ------------------------------------------------------------------------------------------ */

enum form {
	FORM_WIRE,     /* CRLF lines, to become LF lines */
	FORM_LINES,    /* LF lines */
	FORM_VERBATIM, /* any bytes, in which CRLF ends a line of the header */
};

static bool
write_in_form(struct mailbox_file *file, struct str bytes, enum form form, struct err *err)
{
	if (form == FORM_WIRE)
		return mailbox_file_write(file, bytes, err);
	return mailbox_file_write_lines(file, bytes, err);
}

/* --- writing -------------------------------------------------------------------------------------------------------------- */

/* All Delivered-To fields are in the one text that the links share: the addresses are the same person's. */
static bool
write_head(struct delivery *delivery, struct mailbox_file *file, enum form form, struct err *err)
{
	const char *end = form == FORM_LINES ? "\n" : "\r\n";
	struct buf head;
	bool ok;

	buf_init(&head, HEAD_MAX_BYTES);
	buf_addf(&head, "Return-Path: <%s>%s", delivery->sender, end);
	for (size_t i = 0; i < delivery->result.n; i++)
		if (delivery->result.status[i] != HANDOFF_LOOP)
			buf_addf(&head, "Delivered-To: %s%s", delivery->recipients[i], end);
	if (!buf_ok(&head))
		ok = err_set(err, ERR_TEMP, "no memory for a header");
	else
		ok = write_in_form(file, buf_str(&head), form, err);
	buf_clear(&head);
	return ok;
}

static struct mailbox_file *
write_file(struct delivery *delivery, struct mailbox *mailbox, struct str content, enum form form, struct err *err)
{
	struct mailbox_file *file = mailbox_file_new(mailbox, err);

	if (file == NULL)
		return NULL;
	if (write_head(delivery, file, form, err) && write_in_form(file, content, form, err) &&
	    mailbox_file_finish(file, NULL, err))
		return file;
	mailbox_file_free(file);
	return NULL;
}

static void
fail(struct delivery *delivery, size_t i, const struct err *err)
{
	mailbox_file_free(delivery->files[i]);
	delivery->files[i] = NULL;
	delivery->result.status[i] = delivery_status_of(err);
	log_warning("to=<%s>: %s", delivery->recipients[i], err->text);
}

static void
write_all(struct delivery *delivery, struct mailbox *mailbox, struct str content, enum form form)
{
	struct mailbox_file *first = NULL;
	struct err err;

	for (size_t i = 0; i < delivery->result.n; i++) {
		if (delivery->result.status[i] == HANDOFF_LOOP)
			continue;
		if (first != NULL)
			delivery->files[i] = mailbox_file_link(first, &err);
		if (delivery->files[i] == NULL) /* the first, or a file system without links */
			delivery->files[i] = write_file(delivery, mailbox, content, form, &err);
		if (delivery->files[i] == NULL)
			fail(delivery, i, &err);
		else if (first == NULL)
			first = delivery->files[i];
	}
}

struct delivery *
delivery_new(struct mailbox *mailbox, uint32_t id, const struct handoff_letter *letter, bool lines)
{
	struct delivery *delivery = calloc(1, sizeof *delivery);

	if (delivery == NULL)
		fatal("out of memory for a letter");
	delivery->id = id;
	delivery->sender = str_dup(letter->sender);
	delivery->message_id = message_id_of(letter->content);
	delivery->size = letter->size;
	delivery->result.n = letter->nrecipients;
	for (size_t i = 0; i < letter->nrecipients; i++) {
		delivery->recipients[i] = str_dup(letter->recipients[i]);
		if (delivery_is_loop(letter->content, letter->recipients[i]))
			delivery->result.status[i] = HANDOFF_LOOP;
	}
	write_all(delivery, mailbox, letter->content, lines ? FORM_LINES : letter->verbatim ? FORM_VERBATIM : FORM_WIRE);
	return delivery;
}

void
delivery_free(struct delivery *delivery)
{
	for (size_t i = 0; i < delivery->result.n; i++) {
		mailbox_file_free(delivery->files[i]);
		free(delivery->recipients[i]);
	}
	free(delivery->sender);
	free(delivery->message_id);
	free(delivery);
}

/* --- the commit ----------------------------------------------------------------------------------------------------------- */

struct batch {
	struct mailbox_file **files;
	size_t n;
};

static void
batch_collect(struct batch *batch, const struct deliveries *list)
{
	const struct delivery *delivery;
	size_t n = 0;

	STAILQ_FOREACH(delivery, list, link)
		n += delivery->result.n;
	batch->n = 0;
	batch->files = calloc(n + 1, sizeof(struct mailbox_file *));
	if (batch->files == NULL)
		fatal("out of memory for %zu letters", n);
	STAILQ_FOREACH(delivery, list, link)
		for (size_t i = 0; i < delivery->result.n; i++)
			if (delivery->files[i] != NULL)
				batch->files[batch->n++] = delivery->files[i];
}

static void
log_result(const struct delivery *delivery, size_t i)
{
	static const char *const words[] = {
	    [HANDOFF_TROUBLE] = "deferred (trouble with the mailbox)",
	    [HANDOFF_DELIVERED] = "sent (delivered to maildir)",
	    [HANDOFF_LOOP] = "bounced (mail forwarding loop)",
	    [HANDOFF_QUOTA] = "deferred (mailbox full)",
	    [HANDOFF_DISK_FULL] = "deferred (disk full)",
	};
	enum handoff_status status = delivery->result.status[i];

	log_info("message-id=%s, from=<%s>, to=<%s>, size=%llu, uid=%u, status=%s",
	    delivery->message_id ? delivery->message_id : "<>", delivery->sender, delivery->recipients[i],
	    (unsigned long long)delivery->size, status == HANDOFF_DELIVERED ? mailbox_file_uid(delivery->files[i]) : 0,
	    words[status]);
}

/* What has no UID was not published; without the directories on disk nothing counts. */
static void
settle(struct delivery *delivery, bool durable, const struct err *err)
{
	for (size_t i = 0; i < delivery->result.n; i++) {
		if (delivery->files[i] == NULL)
			continue;
		if (durable && mailbox_file_uid(delivery->files[i]) != 0)
			delivery->result.status[i] = HANDOFF_DELIVERED;
		else
			fail(delivery, i, err);
	}
	for (size_t i = 0; i < delivery->result.n; i++)
		log_result(delivery, i);
}

bool
deliveries_commit(struct deliveries *list, struct mailbox *mailbox)
{
	struct err err = {ERR_TEMP, 0, "not delivered"};
	struct delivery *delivery;
	struct batch batch;
	bool durable = true, published = true;

	batch_collect(&batch, list);
	if (batch.n > 0) {
		published = mailbox_files_sync(batch.files, batch.n, &err) &&
			    mailbox_publish(mailbox, batch.files, batch.n, &err);
		/* Of those that were published before one failed, some may be delivered all the same. */
		durable = mailbox_sync(mailbox, published ? &err : NULL);
	}
	STAILQ_FOREACH(delivery, list, link)
		settle(delivery, durable, &err);
	free(batch.files);
	return (published && durable) || delivery_status_of(&err) != HANDOFF_TROUBLE;
}
