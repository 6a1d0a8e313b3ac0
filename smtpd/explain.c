#include "smtpd/explain.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define RESULT_HEAD "Recipient address rejected: "

void
explain_place(const struct conf *conf, const struct rule *rule, char *dst, size_t size)
{
	if (rule->line > 0)
		(void)snprintf(dst, size, "%s:%u", conf->path, rule->line);
	else
		(void)snprintf(dst, size, "standard");
}

void
explain_decision(const struct explain *explain, char *dst, size_t size)
{
	if (explain->play.rule != NULL)
		explain_place(explain->facts->conf, explain->play.rule, dst, size);
	else
		(void)snprintf(dst, size, "%s",
		    explain->end == POLICY_REFUSE
			? "nobody may relay but networks, logins and whom a rule with the action relay names"
			: "the end of the list");
}

static void note(struct explain_line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
note(struct explain_line *line, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(line->note, sizeof line->note, format, ap);
	va_end(ap);
}

/* The rules from `from` on that the play has passed over, up to and with `to`. */
static struct explain_line *
passed(struct explain *explain, const struct rule *from, const struct rule *to)
{
	struct explain_line *line = explain->lines;

	for (; from != NULL; from = from->next) {
		line = &explain->lines[explain->nlines++];
		*line = (struct explain_line){.rule = from};
		if (rule_applies(from, explain->facts, &line->failed) && from != to)
			note(line, "does not matter: this host does not relay for this client");
		if (line->failed == NULL)
			break;
	}
	return line;
}

static struct smtp_reply
reply_keep(struct explain *explain, unsigned i, const struct policy_reply *reply)
{
	int n = snprintf(explain->texts[i], EXPLAIN_TEXT_MAX, RESULT_HEAD "%.*s", STR_FMT(reply->text));

	(void)str_copy(explain->statuses[i], sizeof explain->statuses[i], str_from(reply->status));
	return (struct smtp_reply){reply->code, explain->statuses[i],
	    {explain->texts[i], n < EXPLAIN_TEXT_MAX ? (size_t)n : EXPLAIN_TEXT_MAX - 1}};
}

static void
ask(struct explain *explain, struct explain_line *line)
{
	struct policy_reply reply;
	struct smtp_reply smtp;

	assert(line != NULL); /* only an answered question has none */
	if (explain->ask == NULL) {
		note(line, "not asked (--ask does): as if it had no opinion");
		return;
	}
	explain->ask(explain, line->rule, &reply, line->note, sizeof line->note);
	smtp = reply_keep(explain, reply.action == POLICY_ACTION_REPLY ? 0 : 1, &reply);
	if (reply.action == POLICY_ACTION_OK)
		policy_accept(&explain->play);
	else if (reply.action == POLICY_ACTION_REPLY)
		policy_refuse(&explain->play, &smtp);
	else if (reply.action == POLICY_ACTION_DEFER_IF_PERMIT)
		policy_defer_if_accepted(&explain->play, &smtp);
	else if (reply.action == POLICY_ACTION_DEFER_IF_REJECT)
		policy_defer_if_refused(&explain->play);
}

/* False at the end. */
static bool
step(struct explain *explain)
{
	const struct rule *from = explain->play.answered ? NULL : explain->play.next;
	enum policy_step now = policy_step(&explain->play, explain->facts);
	struct explain_line *line = passed(explain, from, explain->play.rule);

	switch (now) {
	case POLICY_LOCAL:
	case POLICY_LOCAL_LATER:
	case POLICY_RELAY:
	case POLICY_REFUSE:
		explain->end = now;
		return false;
	case POLICY_ASK:
		ask(explain, line);
		return true;
	case POLICY_ASK_LATER:
		note(line, "is asked when the message is there");
		return true;
	case POLICY_GREYLIST:
		note(line, "not looked up: as if it had been here before");
		return true;
	case POLICY_SLOW:
	case POLICY_TAG:
	case POLICY_WARN:
		return true;
	}
	return false;
}

bool
explain_play(struct explain *explain, const struct rule *first)
{
	size_t n = 1;

	for (const struct rule *rule = first; rule != NULL; rule = rule->next)
		n++;
	explain->lines = calloc(n, sizeof *explain->lines);
	if (explain->lines == NULL)
		return false;
	policy_begin(&explain->play, first);
	while (step(explain))
		continue;
	return true;
}

void
explain_clear(struct explain *explain)
{
	free(explain->lines);
	explain->lines = NULL;
	explain->nlines = 0;
}
