/*
 * XCLIENT: a proxy says who the client is, and the session begins anew with that client. What is checked of a client when
 * it connects is checked again, but it is not made to wait for the greeting: it has waited at the proxy.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "smtpd/session.h"
#include "smtpd/session_filter.h"

static bool
is_given(const struct smtp_attributes *a, enum smtp_attribute attribute)
{
	return a->given & 1U << attribute;
}

/* "[UNAVAILABLE]" is in no network. */
static void
client_set(struct session *s, struct str text)
{
	struct endpoint endpoint;

	if (!endpoint_parse_address(text.n > 0 ? text : STR("0.0.0.0"), 0, &endpoint))
		return;
	session_client(s, &endpoint.address.any);
	session_name(s, STR_NONE);
}

static void
port_set(struct str text, uint16_t *port)
{
	uint64_t value = 0;

	(void)str_to_u64(text, UINT16_MAX, &value);
	*port = (uint16_t)value;
}

static void
attributes_set(struct session *s, const struct smtp_attributes *a)
{
	if (is_given(a, SMTP_ATTR_ADDR))
		client_set(s, a->value[SMTP_ATTR_ADDR]);
	if (is_given(a, SMTP_ATTR_NAME))
		session_name(s, a->value[SMTP_ATTR_NAME]);
	if (is_given(a, SMTP_ATTR_PORT))
		port_set(a->value[SMTP_ATTR_PORT], &s->remote_port);
	if (is_given(a, SMTP_ATTR_DESTADDR))
		(void)str_copy(s->local, sizeof s->local, a->value[SMTP_ATTR_DESTADDR]);
	if (is_given(a, SMTP_ATTR_DESTPORT))
		port_set(a->value[SMTP_ATTR_DESTPORT], &s->local_port);
	if (is_given(a, SMTP_ATTR_LOGIN))
		(void)str_copy(s->mechanism, sizeof s->mechanism, STR("XCLIENT"));
}

/* The question is answered; if that came from the loop, the session goes on. */
static void
answered(struct session *s)
{
	if (!s->in_xclient)
		session_go_on(s);
}

/* A filter may refuse the new client as it may refuse one that connects: with the end of the session. */
static void
greet(struct session *s, const struct smtp_reply *refusal)
{
	struct smtp_reply reply;

	if (refusal != NULL) {
		reply = *refusal;
		reply.code = reply.code < 500 ? 421 : 554;
		smtp_server_goodbye(&s->smtp, &reply);
	} else {
		session_facts_renew(s);
		smtp_server_accept(&s->smtp);
	}
	answered(s);
}

/* The guard has nothing against it. */
static void
welcome(struct session *s)
{
	session_filters_free(s->filters);
	s->filters = session_filters_new(s);
	if (!session_filter_connect(s, greet))
		greet(s, NULL);
}

void
session_xclient(struct session *s)
{
	const struct smtp_attributes *a = s->smtp.attributes;
	char before[SESSION_NAME_MAX];
	struct endpoint endpoint;

	(void)str_copy(before, sizeof before, str_from(s->name));
	attributes_set(s, a);
	log_as(s->listener->facts->service, "XCLIENT from %s: client=%s", before, s->name);
	s->in_xclient = true;
	if (is_given(a, SMTP_ATTR_ADDR) && endpoint_parse_address(str_from(s->remote), s->remote_port, &endpoint)) {
		session_guard_close(s);
		session_guard_again(s, &endpoint.address.any, is_given(a, SMTP_ATTR_NAME), welcome);
	} else {
		welcome(s);
	}
	s->in_xclient = false;
}
