#include "smtpd/envelope.h"

#include <stdio.h>

static void
number_write(struct queue_writer *w, enum queue_key key, long long number)
{
	char text[24];
	int n = snprintf(text, sizeof text, "%lld", number);

	queue_writer_record(w, key, (struct str){text, (size_t)n});
}

static void
body_write(struct queue_writer *w, enum smtp_body body)
{
	switch (body) {
	case SMTP_BODY_7BIT:
		return;
	case SMTP_BODY_8BITMIME:
		queue_writer_record(w, QUEUE_BODY, STR("8BITMIME"));
		return;
	case SMTP_BODY_BINARYMIME:
		queue_writer_record(w, QUEUE_BODY, STR("BINARYMIME"));
		return;
	}
}

static void
deliver_by_write(struct queue_writer *w, const struct smtp_transaction *t)
{
	const struct queue_deliver_by by = {.time_ms = t->deliver_by_ms, .mode = t->returns_late ? 'R' : 'N', .trace = t->traces_relays};
	struct buf value;

	buf_init(&value, 64);
	queue_deliver_by_format(&value, &by);
	queue_writer_record(w, QUEUE_DELIVER_BY, buf_str(&value));
	buf_clear(&value);
}

void
envelope_mail_write(struct queue_writer *w, const struct smtp_transaction *t)
{
	body_write(w, t->body);
	if (t->smtputf8)
		queue_writer_record(w, QUEUE_SMTPUTF8, STR(""));
	if (t->ret != SMTP_RET_UNSAID)
		queue_writer_record(w, QUEUE_RET, t->ret == SMTP_RET_FULL ? STR("FULL") : STR("HDRS"));
	if (t->envid.p != NULL)
		queue_writer_record(w, QUEUE_ENVID, t->envid);
	if (t->requiretls)
		queue_writer_record(w, QUEUE_REQUIRETLS, STR(""));
	if (t->release_ms != 0)
		number_write(w, QUEUE_RELEASE, (long long)t->release_ms);
	if (t->deliver_by_ms != 0)
		deliver_by_write(w, t);
	if (t->priority != 0)
		number_write(w, QUEUE_PRIORITY, t->priority);
}

/* RFC 3461 4.1, in one order. */
static void
notify_write(struct queue_writer *w, unsigned notify)
{
	static const struct {
		unsigned bit;
		const char *word;
	} words[] = {{SMTP_NOTIFY_NEVER, "NEVER"}, {SMTP_NOTIFY_SUCCESS, "SUCCESS"}, {SMTP_NOTIFY_FAILURE, "FAILURE"},
	    {SMTP_NOTIFY_DELAY, "DELAY"}};
	struct buf value;

	buf_init(&value, 64);
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (notify & words[i].bit)
			buf_addf(&value, "%s%s", value.n > 0 ? "," : "", words[i].word);
	queue_writer_record(w, QUEUE_NOTIFY, buf_str(&value));
	buf_clear(&value);
}

void
envelope_rcpt_write(struct queue_writer *w, const struct smtp_recipient *recipient)
{
	if (recipient->orcpt.p != NULL)
		queue_writer_record(w, QUEUE_ORCPT, recipient->orcpt);
	if (recipient->notify != 0)
		notify_write(w, recipient->notify);
}
