#include "queue/remote_convert.h"

#define READ_BYTES 65536

/* False when it cannot be read to its end. */
static bool
pass(struct remote_content *content, struct downconvert *d, void (*each)(struct downconvert *, struct str))
{
	static char bytes[READ_BYTES];

	remote_content_rewind(content);
	while (!remote_content_is_read(content)) {
		size_t n = remote_content_read(content, bytes, sizeof bytes);

		if (n == 0)
			return false;
		each(d, (struct str){bytes, n});
	}
	return true;
}

/* One that cannot be read fails when its body is to be sent, as any other does: that is no fault of its content. */
static void
survey(struct remote_transaction *t, enum downconvert_target target)
{
	remote_convert_end(t);
	t->survey = downconvert_new(target);
	t->target = target;
	t->need = DOWNCONVERT_NOT_NEEDED;
	t->unreadable = !pass(&t->content, t->survey, downconvert_parse);
	downconvert_parse_end(t->survey);
	t->unreadable = t->unreadable || !pass(&t->content, t->survey, downconvert_look);
	if (!t->unreadable)
		t->need = downconvert_decide(t->survey, &t->why_not);
}

/* Is there something in the way? A message that is too large anyhow is refused for that. */
static bool
is_called_for(const struct smtp_mail *mail, const struct smtp_features *f)
{
	if (f->size && f->size_max > 0 && mail->size > f->size_max)
		return false;
	if (mail->flags & SMTP_MAIL_BINARY)
		return !(f->binary && f->chunking);
	return (mail->flags & SMTP_MAIL_8BIT) && !f->eightbit;
}

void
remote_convert(struct remote_transaction *t, const struct smtp_features *f)
{
	enum downconvert_target target = f->eightbit ? DOWNCONVERT_TO_8BIT : DOWNCONVERT_TO_7BIT;
	struct smtp_mail *mail = &t->mail;

	t->conversion = NULL;
	mail->unconvertible = STR_NONE;
	if (!is_called_for(mail, f))
		return;
	if (t->survey == NULL || t->target != target)
		survey(t, target);
	if (t->need == DOWNCONVERT_IMPOSSIBLE) {
		mail->unconvertible = str_from(t->why_not);
		return;
	}
	mail->flags &= ~(unsigned)(SMTP_MAIL_BINARY | SMTP_MAIL_8BIT);
	if (target == DOWNCONVERT_TO_8BIT)
		mail->flags |= SMTP_MAIL_8BIT;
	if (t->need == DOWNCONVERT_NOT_NEEDED)
		return;
	t->conversion = t->survey;
	mail->size = 0;
}

void
remote_convert_end(struct remote_transaction *t)
{
	downconvert_free(t->survey);
	t->survey = NULL;
	t->conversion = NULL;
}
