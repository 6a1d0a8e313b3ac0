/*
 * What macros stand for: names and values as Sendmail and Postfix have them, so that filters work as they are.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "smtpd/session_filter_inner.h"

#define TEXT_MAX 1024

/* Borrowed from the session, or from this. */
static char text[TEXT_MAX];

static struct str __attribute__((format(printf, 1, 2)))
made(const char *format, ...)
{
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	return (struct str){text, n < (int)sizeof text ? (size_t)n : sizeof text - 1};
}

/* ---- host and client ------------------------------------------------------------------------------------------------------- */

static struct str
hostname(const struct session *s)
{
	return str_from(s->worker->conf->hostname);
}

static struct str
version(const struct session *s)
{
	(void)s;
	return STR("Merpati " MERPATI_VERSION);
}

static struct str
daemon_name(const struct session *s)
{
	return str_from(s->listener->listener->name);
}

static struct str
local_address(const struct session *s)
{
	return str_from(s->local);
}

static struct str
local_port(const struct session *s)
{
	return s->local_port > 0 ? made("%u", s->local_port) : STR_NONE;
}

static struct str
client_address(const struct session *s)
{
	return str_from(s->remote);
}

static struct str
client_port(const struct session *s)
{
	return s->remote_port > 0 ? made("%u", s->remote_port) : STR_NONE;
}

static struct str
client_name(const struct session *s)
{
	struct str name = session_client_name(s);

	return name.n > 0 ? name : STR("unknown");
}

static struct str
client_both(const struct session *s)
{
	return s->remote[0] == '\0' ? STR("localhost") : made("%.*s [%s]", STR_FMT(client_name(s)), s->remote);
}

static struct str
date(const struct session *s)
{
	return s->message != NULL ? str_from(s->message->date) : STR_NONE;
}

/* ---- TLS and login ----------------------------------------------------------------------------------------------------------- */

static struct str
tls_version(const struct session *s)
{
	return str_from(stream_tls_version(&s->stream));
}

static struct str
cipher(const struct session *s)
{
	return str_from(stream_tls_cipher(&s->stream));
}

static struct str
cipher_bits(const struct session *s)
{
	int bits = stream_tls_bits(&s->stream);

	return bits > 0 ? made("%d", bits) : STR_NONE;
}

static struct str
certificate_subject(const struct session *s)
{
	struct tls_client client;

	return stream_tls_client(&s->stream, &client) && client.is_verified ? made("%s", client.subject) : STR_NONE;
}

static struct str
certificate_issuer(const struct session *s)
{
	struct tls_client client;

	return stream_tls_client(&s->stream, &client) && client.is_verified ? made("%s", client.issuer) : STR_NONE;
}

static struct str
login(const struct session *s)
{
	return str_from(s->smtp.user);
}

static struct str
mechanism(const struct session *s)
{
	return s->smtp.user[0] != '\0' ? str_from(s->mechanism) : STR_NONE;
}

/* ---- the message ------------------------------------------------------------------------------------------------------------- */

static struct str
queue_id(const struct session *s)
{
	return s->message != NULL ? queue_id_str(&s->message->intake.id) : STR_NONE;
}

static struct str
message_id(const struct session *s)
{
	return s->message != NULL ? str_from(s->message->content.message_id) : STR_NONE;
}

/* As Postfix says it: what a next hop may be called before it is known. */
static struct str
mailer_of(const struct session *s, const struct address *address)
{
	return address->kind == ADDRESS_LOCAL ||
	        (address->kind == ADDRESS_DOMAIN && conf_domain_find(s->worker->conf, address->domain) != NULL) ? STR("local") : STR("smtp");
}

static struct str
sender(const struct session *s)
{
	return s->smtp.transaction.sender.kind == ADDRESS_NULL ? STR("<>") : s->smtp.transaction.sender.text;
}

static struct str
sender_host(const struct session *s)
{
	const struct address *address = &s->smtp.transaction.sender;

	return address->kind == ADDRESS_NULL ? hostname(s) : policy_domain(s->worker->conf, address);
}

static struct str
sender_mailer(const struct session *s)
{
	return mailer_of(s, &s->smtp.transaction.sender);
}

/* The recipient of the question at hand; of one that is refused the macros say how. */
static struct str
recipient(const struct session *s)
{
	if (s->filters->stage == FILTER_REFUSED_RCPT)
		return s->filters->refusal.text;
	return s->filters->stage == FILTER_RCPT ? s->smtp.recipient->address.text : STR_NONE;
}

static struct str
recipient_host(const struct session *s)
{
	if (s->filters->stage == FILTER_REFUSED_RCPT)
		return str_from(s->filters->refusal.status);
	return s->filters->stage == FILTER_RCPT ? policy_domain(s->worker->conf, &s->smtp.recipient->address) : STR_NONE;
}

static struct str
recipient_mailer(const struct session *s)
{
	if (s->filters->stage == FILTER_REFUSED_RCPT)
		return STR("error");
	return s->filters->stage == FILTER_RCPT ? mailer_of(s, &s->smtp.recipient->address) : STR_NONE;
}

static const struct {
	struct str name;
	struct str (*value)(const struct session *s);
} values[] = {
    {STR("j"), hostname},
    {STR("v"), version},
    {STR("b"), date},
    {STR("i"), queue_id},
    {STR("_"), client_both},
    {STR("{daemon_name}"), daemon_name},
    {STR("{daemon_addr}"), local_address},
    {STR("{daemon_port}"), local_port},
    {STR("{if_name}"), hostname},
    {STR("{if_addr}"), local_address},
    {STR("{client_addr}"), client_address},
    {STR("{client_port}"), client_port},
    {STR("{client_name}"), client_name},
    {STR("{client_ptr}"), client_name},
    {STR("{tls_version}"), tls_version},
    {STR("{cipher}"), cipher},
    {STR("{cipher_bits}"), cipher_bits},
    {STR("{cert_subject}"), certificate_subject},
    {STR("{cert_issuer}"), certificate_issuer},
    {STR("{auth_type}"), mechanism},
    {STR("{auth_authen}"), login},
    {STR("{auth_author}"), login},
    {STR("{mail_addr}"), sender},
    {STR("{mail_host}"), sender_host},
    {STR("{mail_mailer}"), sender_mailer},
    {STR("{rcpt_addr}"), recipient},
    {STR("{rcpt_host}"), recipient_host},
    {STR("{rcpt_mailer}"), recipient_mailer},
    {STR("{msg_id}"), message_id},
};

/* A long name may be asked for without its braces, a short one with them. */
static bool
is_named(struct str name, struct str wanted)
{
	if (str_equal(name, wanted))
		return true;
	if (wanted.n > 2 && wanted.p[0] == '{' && wanted.p[wanted.n - 1] == '}')
		return str_equal(name, str_sub(wanted, 1, wanted.n - 2));
	return name.n > 2 && name.p[0] == '{' && str_equal(str_sub(name, 1, name.n - 2), wanted);
}

struct str
filter_macro(const struct milter_macros *macros, struct str name)
{
	const struct session *s =
	    container_of((struct milter_macros *)(uintptr_t)macros, struct session_filters, macros)->session;

	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
		if (is_named(values[i].name, name))
			return values[i].value(s);
	return STR_NONE;
}
