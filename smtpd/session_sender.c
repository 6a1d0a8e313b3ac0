/*
 * Does the envelope sender belong to the login (RFC 6409 6.1)? authd knows whose addresses and aliases they are.
 */
#include <stdio.h>

#include "smtpd/session.h"
#include "smtpd/session_filter.h"

#define SUBJECT_MAX (SMTP_USER_MAX + 1 + ADDRESS_TEXT_MAX + 1 + ADDRESS_DOMAIN_MAX + 1)

static void
refuse(struct session *s, unsigned code, const char *status, const char *why)
{
	char text[SMTP_REPLY_TEXT_MAX];
	struct smtp_reply reply = {.code = code, .status = status};
	int n = snprintf(text, sizeof text, "Sender address rejected: %s %s", why, s->smtp.user);

	reply.text = (struct str){text, n < (int)sizeof text ? (size_t)n : sizeof text - 1};
	session_log_reject(s, "MAIL", &reply, STR_NONE);
	smtp_server_answer(&s->smtp, &reply);
}

/* The account's own address takes the sender's place. */
static void
rewrite(struct session *s)
{
	struct smtp_transaction *t = &s->smtp.transaction;

	if (!policy_login_address(s->worker->conf, &t->arena, str_from(s->smtp.user), &t->sender)) {
		refuse(s, 553, "5.7.1", "not owned by user");
		return;
	}
	s->sender_is_rewritten = true;
	session_filter_sender(s);
}

static void
not_owned(struct session *s)
{
	if (s->worker->conf->smtpd.submission_sender == CONF_SENDER_REWRITE)
		rewrite(s);
	else
		refuse(s, 553, "5.7.1", "not owned by user");
}

static void
sender_known(struct socketmap_query *query, enum socketmap_status status, struct str value)
{
	struct session *s = container_of(query, struct session, query);

	(void)value;
	switch (status) {
	case SOCKETMAP_OK:
		session_filter_sender(s);
		break;
	case SOCKETMAP_NOTFOUND:
	case SOCKETMAP_PERM:
		not_owned(s);
		break;
	case SOCKETMAP_TEMP:
		refuse(s, 451, "4.3.0", "cannot look up now what belongs to user");
		break;
	}
	session_go_on(s);
}

static void
ask(struct session *s)
{
	const struct address *sender = &s->smtp.transaction.sender;
	char subject[SUBJECT_MAX];
	int n = sender->kind == ADDRESS_LOCAL
		    ? snprintf(subject, sizeof subject, "%s %.*s@%s", s->smtp.user, STR_FMT(sender->text),
			  conf_origin(s->worker->conf))
		    : snprintf(subject, sizeof subject, "%s %.*s", s->smtp.user, STR_FMT(sender->text));

	socketmap_ask(&s->worker->map, &s->query, STR("sender"),
	    (struct str){subject, n < (int)sizeof subject ? (size_t)n : sizeof subject - 1}, sender_known);
}

void
session_sender_check(struct session *s)
{
	const struct address *sender = &s->smtp.transaction.sender;

	/* Notifications of a user's program come from nobody (RFC 3798); and most users send as themselves. */
	if (s->worker->conf->smtpd.submission_sender == CONF_SENDER_ALLOW || sender->kind == ADDRESS_NULL ||
	    str_equal_nocase(sender->text, str_from(s->smtp.user)))
		session_filter_sender(s);
	else
		ask(s);
}
