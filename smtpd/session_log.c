#include "common/base/log.h"
#include "smtpd/session.h"

#define COUNTERS_MAX 1024

void
session_log(const struct session *s, const char *what, const char *more)
{
	log_as(s->listener->facts->service, "%s %s%s", what, s->name, more);
}

void
session_log_broken(const struct session *s, const char *what)
{
	const char *place = s->smtp.out == NULL ? "STARTTLS" : smtp_server_place(&s->smtp);

	log_as(s->listener->facts->service, "%s after %s from %s", what, place, s->name);
}

void
session_log_reject(const struct session *s, const char *verb, const struct smtp_reply *reply, struct str recipient)
{
	log_as(s->listener->facts->service, "NOQUEUE: reject: %s from %s: %u %s%s%.*s; from=<%.*s> to=<%.*s> proto=%s helo=<%s>",
	    verb, s->name, reply->code, reply->status != NULL ? reply->status : "", reply->status != NULL ? " " : "",
	    STR_FMT(reply->text), STR_FMT(s->smtp.transaction.sender.text), STR_FMT(recipient),
	    smtp_server_protocol_name(&s->smtp), s->smtp.helo);
}

void
session_log_policy(const struct session *s, const char *what, const char *server, struct str text)
{
	struct str recipient = s->message == NULL ? s->smtp.recipient->address.text : STR_NONE;

	log_as(s->listener->facts->service, "%s: %s: %s from %s: <%.*s>: %.*s%s%s; from=<%.*s> to=<%.*s> proto=%s helo=<%s>",
	    s->message == NULL ? "NOQUEUE" : s->message->intake.id.text, what, s->message == NULL ? "RCPT" : "END-OF-MESSAGE",
	    s->name, STR_FMT(recipient), STR_FMT(text), server != NULL ? ", says " : "", server != NULL ? server : "",
	    STR_FMT(s->smtp.transaction.sender.text), STR_FMT(recipient), smtp_server_protocol_name(&s->smtp), s->smtp.helo);
}

void
session_log_end(const struct session *s)
{
	struct buf counters;

	buf_init(&counters, COUNTERS_MAX);
	smtp_server_counters_add(&counters, &s->counters);
	buf_addc(&counters, '\0');
	session_log(s, "disconnect from", buf_ok(&counters) ? counters.p : "");
	buf_clear(&counters);
}
