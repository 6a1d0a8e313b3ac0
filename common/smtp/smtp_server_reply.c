#include "common/smtp/smtp_server_inner.h"

/* Whatever the text is made of, a line of a reply is printable ASCII (immunity rule 9). */
static void
add_text(struct buf *out, struct str text)
{
	text = str_sub(text, 0, SMTP_REPLY_TEXT_MAX);
	for (size_t i = 0; i < text.n; i++)
		buf_addc(out, ascii_is_print(text.p[i]) ? text.p[i] : '?');
}

static void
add_line(struct smtp_server *s, const struct smtp_reply *reply, struct str line, bool is_last)
{
	buf_addf(s->out, "%u%c", reply->code, is_last ? ' ' : '-');
	if (reply->status != NULL)
		buf_addf(s->out, "%s ", reply->status);
	if (reply->code == 421) /* RFC 5321 4.2.2: the domain is part of it */
		buf_addf(s->out, "%.*s ", STR_FMT(s->facts.hostname));
	add_text(s->out, line);
	buf_adds(s->out, "\r\n");
}

void
smtp_reply_write(struct smtp_server *s, const struct smtp_reply *reply)
{
	struct str rest = reply->text;
	size_t end;

	for (; (end = str_find(rest, SMTP_REPLY_BREAK)) < rest.n; rest = str_skip(rest, end + 1))
		add_line(s, reply, str_sub(rest, 0, end), false);
	add_line(s, reply, rest, true);
}

void
smtp_reply_own(struct smtp_server *s, unsigned code, const char *status, struct str text)
{
	struct smtp_reply reply = {code, status, text};

	smtp_reply_write(s, &reply);
	if (code >= 400) {
		s->refusal = reply;
		s->refused_verb = s->command == NULL ? "UNKNOWN" : s->command->verb.p;
	}
	smtp_count_outcome(s, code);
}

void
smtp_unknown_refuse(struct smtp_server *s)
{
	smtp_reply_own(s, 500, "5.5.2", STR("Command not recognised"));
}

static void
end_if_too_much(struct smtp_server *s)
{
	bool errors = s->counters->errors >= s->facts.errors_max;

	if (s->facts.is_trusted || s->mode == MODE_CLOSING || (!errors && s->counters->junk < SMTP_JUNK_MAX))
		return;
	smtp_server_goodbye(s, errors ? SMTP_REPLY(421, "4.7.0", "Too many errors") :
	    SMTP_REPLY(421, "4.7.0", "Too many commands without mail"));
}

/* A refusal that is for the time being is no fault of the client's. */
void
smtp_count_outcome(struct smtp_server *s, unsigned code)
{
	struct smtp_counters *c = s->counters;

	if (code < 400)
		c->commands[s->command_index].accepted++;
	else if (code >= 500)
		c->errors++;
	if (s->command != NULL && (s->command->flags & SMTP_IS_JUNK))
		c->junk++;
	end_if_too_much(s);
}

const char *
smtp_server_protocol_name(const struct smtp_server *s)
{
	/* By SMTPUTF8, TLS, authentication. */
	static const char *const names[2][2][2][2] = {
	    [SMTP_ESMTP] = {{{"ESMTP", "ESMTPA"}, {"ESMTPS", "ESMTPSA"}},
	        {{"UTF8SMTP", "UTF8SMTPA"}, {"UTF8SMTPS", "UTF8SMTPSA"}}},
	    [SMTP_LMTP] = {{{"LMTP", "LMTPA"}, {"LMTPS", "LMTPSA"}}, {{"UTF8LMTP", "UTF8LMTPA"}, {"UTF8LMTPS", "UTF8LMTPSA"}}},
	};

	if (s->facts.protocol == SMTP_ESMTP && !s->extended && !s->facts.tls)
		return "SMTP";
	return names[s->facts.protocol][s->transaction.smtputf8][s->facts.tls][s->user[0] != '\0'];
}

const char *
smtp_server_place(const struct smtp_server *s)
{
	if (s->mode == MODE_QUESTION && s->event == SMTP_MESSAGE)
		return "END-OF-MESSAGE";
	if (s->command != NULL)
		return s->command->verb.p;
	return s->counters == NULL || s->counters->commands[SMTP_COMMANDS_MAX].total == 0 ? "CONNECT" : "UNKNOWN";
}

static void
add_lower(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_addc(b, ascii_lower(s.p[i]));
}

static void
add_counter(struct buf *b, struct str name, unsigned total, unsigned accepted)
{
	if (total == 0)
		return;
	buf_addc(b, ' ');
	add_lower(b, name);
	if (accepted == total)
		buf_addf(b, "=%u", total);
	else
		buf_addf(b, "=%u/%u", accepted, total);
}

void
smtp_server_counters_add(struct buf *b, const struct smtp_counters *counters)
{
	unsigned total = counters->commands[SMTP_COMMANDS_MAX].total, accepted = 0;
	size_t n;
	const struct smtp_command *commands = smtp_server_commands(&n);

	for (size_t i = 0; i < n; i++) {
		add_counter(b, commands[i].verb, counters->commands[i].total, counters->commands[i].accepted);
		total += counters->commands[i].total;
		accepted += counters->commands[i].accepted;
	}
	add_counter(b, STR("unknown"), counters->commands[SMTP_COMMANDS_MAX].total, 0);
	if (total == 0)
		buf_adds(b, " commands=0");
	else
		add_counter(b, STR("commands"), total, accepted);
}
