/*
 * VRFY on the socket of this host's programs: `sendmail -bv` asks what would become of mail for an address. Where the
 * parameter `vrfy` says so our own users are told as well; strangers never are (RFC 5321 7.3).
 */
#include <stdio.h>

#include "smtpd/policy.h"
#include "smtpd/session.h"

#define ADDRESS_SHOWN_MAX 256
#define KEY_MAX (ADDRESS_TEXT_MAX + 1 + ADDRESS_DOMAIN_MAX + 1)

static void
answer(struct session *s, unsigned code, const char *status, const char *what)
{
	char text[SMTP_REPLY_TEXT_MAX];
	int n = snprintf(text, sizeof text, "<%.*s> %s",
	    STR_FMT(str_sub(s->smtp.recipient->address.text, 0, ADDRESS_SHOWN_MAX)), what);
	struct smtp_reply reply = {.code = code, .status = status, .text = {text, n < (int)sizeof text ? (size_t)n : sizeof text - 1}};

	smtp_server_answer(&s->smtp, &reply);
}

static void
verified(struct socketmap_query *query, enum socketmap_status status, struct str value)
{
	struct session *s = container_of(query, struct session, query);

	(void)value;
	switch (status) {
	case SOCKETMAP_OK:
		answer(s, 250, "2.1.5", "is a mailbox or an alias here");
		break;
	case SOCKETMAP_NOTFOUND:
		answer(s, 550, "5.1.1", "User unknown");
		break;
	case SOCKETMAP_PERM:
		answer(s, 550, "5.1.3", "Malformed address");
		break;
	case SOCKETMAP_TEMP:
		answer(s, 451, "4.3.0", "Cannot look it up now");
		break;
	}
	session_go_on(s);
}

void
session_verify(struct session *s)
{
	const struct address *address = &s->smtp.recipient->address;
	const struct conf *conf = s->worker->conf;
	bool bare = address->kind == ADDRESS_LOCAL;
	struct str domain = policy_domain(conf, address);
	char key[KEY_MAX];
	int n;

	if (!s->rules->is_local && !s->in_networks && s->smtp.user[0] == '\0') {
		smtp_server_accept(&s->smtp); /* in the words that tell nothing */
		return;
	}
	if (!bare && (address->kind != ADDRESS_DOMAIN || conf_domain_find(conf, domain) == NULL)) {
		answer(s, 252, "2.1.5", "is for another host");
		return;
	}
	n = snprintf(key, sizeof key, "%.*s%s%.*s", STR_FMT(address->text), bare ? "@" : "", STR_FMT(bare ? domain : STR("")));
	socketmap_ask(&s->worker->map, &s->query, STR("recipient"),
	    (struct str){key, n < (int)sizeof key ? (size_t)n : sizeof key - 1}, verified);
}
