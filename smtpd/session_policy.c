#include "smtpd/session_policy.h"

#include <bsd/stdlib.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "smtpd/session_filter.h"
#include "smtpd/session_guard.h"

#define RESULT_HEAD "Recipient address rejected: " /* what log tools look for */

/* --- what the rules look at --------------------------------------------------------------------------------------- */

/* Facts and what they borrow. */
struct seen {
	struct rule_facts facts;
	struct endpoint client;
	struct tls_client certificate;
};

static void
name_add(struct rule_facts *facts, const char *name)
{
	if (name[0] != '\0' && facts->ncertificate_names < RULE_CERTIFICATE_NAMES_MAX)
		facts->certificate_names[facts->ncertificate_names++] = str_from(name);
}

static void
certificate_see(const struct session *s, struct seen *seen)
{
	struct rule_facts *facts = &seen->facts;
	struct tls_client *c = &seen->certificate;

	if (!stream_tls_client(&s->stream, c))
		return;
	facts->is_verified = c->is_verified;
	facts->fingerprint = str_from(c->fingerprint);
	name_add(facts, c->subject);
	for (size_t i = 0; i < c->nemails; i++)
		name_add(facts, c->emails[i]);
	for (size_t i = 0; i < c->ndomains; i++)
		name_add(facts, c->domains[i]);
}

static const struct rule *
first_rule(const struct session *s)
{
	return conf_policy_first(s->worker->conf, s->listener->listener->kind);
}

static void
see(struct session *s, struct seen *seen)
{
	bool tls = stream_is_tls(&s->stream);

	seen->facts = (struct rule_facts){
	    .conf = s->worker->conf,
	    .client = endpoint_parse_address(str_from(s->remote), 0, &seen->client) ? &seen->client.address.any : NULL,
	    .in_networks = s->in_networks,
	    .client_name = {s->name, s->name_n},
	    .helo = str_from(s->smtp.helo),
	    .server = str_from(s->local),
	    .tls_version = tls ? str_from(stream_tls_version(&s->stream)) : STR_NONE,
	    .login = str_from(s->smtp.user),
	    .sender = &s->smtp.transaction.sender,
	    .recipient = &s->smtp.recipient->address,
	};
	if (tls && policy_needs_certificate(first_rule(s)))
		certificate_see(s, seen);
}

/* --- its memory --------------------------------------------------------------------------------------------------- */

/* NULL: memory is out. */
static struct session_policy *
policy_of(struct session *s)
{
	struct session_policy *p = s->policy;

	if (p != NULL)
		return p;
	p = calloc(1, sizeof *p);
	if (p == NULL)
		return NULL;
	p->session = s;
	buf_init(&p->fields, POLICY_FIELDS_MAX);
	(void)snprintf(p->instance, sizeof p->instance, "%08" PRIx32 ".%08" PRIx32 ".0", arc4random(), arc4random());
	s->policy = p;
	return p;
}

void
session_policy_clear(struct session *s)
{
	struct session_policy *p = s->policy;

	if (p == NULL)
		return;
	s->policy = NULL;
	loop_timer_cancel(&p->slow);
	policy_cancel(&p->query);
	buf_clear(&p->fields);
	free(p);
}

struct str
session_policy_fields(const struct session *s)
{
	return s->policy != NULL ? buf_str(&s->policy->fields) : STR_NONE;
}

/* --- what rules and servers do to the message --------------------------------------------------------------------- */

/* Once a message, however many of its recipients the rule applies to. */
static void
field_add(struct session_policy *p, struct str field)
{
	struct str rest = buf_str(&p->fields), line;

	while (str_token(&rest, '\n', &line))
		if (line.n > 0 && str_equal(str_sub(line, 0, line.n - 1), field))
			return;
	if (field.n + 2 > p->fields.max - p->fields.n)
		return; /* a server that has something new to say of each of many recipients */
	buf_add(&p->fields, field);
	buf_adds(&p->fields, "\r\n");
}

/* "Name: value" */
static bool
is_field(struct str s)
{
	size_t colon = str_find(s, ':');

	for (size_t i = 0; i < colon; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 127)
			return false;
	return colon > 0 && colon < s.n;
}

static const struct conf_filter *
filter_of(const struct session_policy *p)
{
	return &p->session->worker->conf->filters[p->filter];
}

static void
log_action(const struct session_policy *p, const char *what, struct str text)
{
	session_log_policy(p->session, what, filter_of(p)->name, text);
}

static void
prepend(struct session_policy *p, struct str field)
{
	if (p->session->message != NULL)
		log_warning("policy server %s: PREPEND comes too late at the end of a message", filter_of(p)->name);
	else if (!is_field(field))
		log_warning("policy server %s: PREPEND of what is no header field", filter_of(p)->name);
	else
		field_add(p, field);
}

static void
redirect(struct session_policy *p, struct str address)
{
	struct arena arena;
	struct address to;

	arena_init(&arena, 4096);
	if (address.n > 2 && address.p[0] == '<' && address.p[address.n - 1] == '>')
		address = str_sub(address, 1, address.n - 2);
	if (p->session->message != NULL)
		log_warning("policy server %s: REDIRECT comes too late at the end of a message", filter_of(p)->name);
	else if (!address_parse(&arena, address, 0, &to) || !str_copy(p->redirect, sizeof p->redirect, to.text))
		log_warning("policy server %s: REDIRECT to what is no address", filter_of(p)->name);
	else
		log_action(p, "redirect", to.text);
	arena_clear(&arena);
}

/* What is done to the message, whoever its recipients are. */
static void
message_action(struct session_policy *p, const struct policy_reply *reply)
{
	switch (reply->action) {
	case POLICY_ACTION_PREPEND:
		prepend(p, reply->text);
		break;
	case POLICY_ACTION_HOLD:
		p->hold = true;
		log_action(p, "hold", reply->text);
		break;
	case POLICY_ACTION_DISCARD:
		p->discard = true;
		log_action(p, "discard", reply->text);
		break;
	case POLICY_ACTION_REDIRECT:
		redirect(p, reply->text);
		break;
	case POLICY_ACTION_WARN:
		log_action(p, "warn", reply->text);
		break;
	case POLICY_ACTION_UNSUPPORTED:
		log_warning("policy server %s: \"%.*s\" is not supported, and ignored", filter_of(p)->name,
		    STR_FMT(reply->text));
		break;
	case POLICY_ACTION_OK:
	case POLICY_ACTION_DUNNO:
	case POLICY_ACTION_REPLY:
	case POLICY_ACTION_DEFER_IF_PERMIT:
	case POLICY_ACTION_DEFER_IF_REJECT:
		break;
	}
}

/* --- policy servers ----------------------------------------------------------------------------------------------- */

/* The reply, its strings in slot i of the session's. */
static struct smtp_reply
reply_keep(struct session_policy *p, unsigned i, const char *head, const struct policy_reply *reply)
{
	struct str text = reply->text;
	int n;

	if (text.n == 0)
		text = reply->code < 500 ? STR("Please try again later") : STR("Access denied");
	n = snprintf(p->text[i], sizeof p->text[i], "%s%.*s", head, STR_FMT(text));
	(void)str_copy(p->status[i], sizeof p->status[i], str_from(reply->status));
	return (struct smtp_reply){reply->code, p->status[i],
	    {p->text[i], n < (int)sizeof p->text[i] ? (size_t)n : sizeof p->text[i] - 1}};
}

static struct policy_reply
failed(struct session_policy *p, const char *reason)
{
	log_warning("policy server %s: %s", filter_of(p)->name, reason);
	return policy_failure(filter_of(p));
}

static void
request_tls(const struct session *s, struct policy_request *r, struct tls_client *certificate)
{
	if (!stream_is_tls(&s->stream))
		return;
	r->encryption_protocol = str_from(stream_tls_version(&s->stream));
	r->encryption_cipher = str_from(stream_tls_cipher(&s->stream));
	if (!stream_tls_client(&s->stream, certificate))
		return;
	r->ccert_fingerprint = str_from(certificate->fingerprint);
	r->ccert_subject = str_from(certificate->subject);
}

/* Of the one recipient at hand, or of the message. */
static void
request_envelope(const struct session *s, struct policy_request *r)
{
	const struct smtp_transaction *t = &s->smtp.transaction;

	if (s->message == NULL) {
		r->protocol_state = STR("RCPT");
		r->recipient = s->smtp.recipient->address.text;
		r->size = t->size;
		return;
	}
	r->protocol_state = STR("END-OF-MESSAGE");
	r->recipient = t->nrecipients == 1 ? t->recipients->address.text : STR_NONE;
	r->recipient_count = t->nrecipients;
	r->size = t->content_bytes;
	r->queue_id = queue_id_str(&s->message->intake.id);
}

static void
ask(struct session_policy *p, size_t filter,
    void (*answered)(struct policy_query *, const struct policy_reply *, const char *))
{
	const struct session *s = p->session;
	struct tls_client certificate;
	struct policy_request r = {
	    .protocol_name = s->smtp.extended ? STR("ESMTP") : STR("SMTP"),
	    .client_address = str_from(s->remote),
	    .client_name = {s->name, s->name_n},
	    .client_port = s->remote_port,
	    .server_address = str_from(s->local),
	    .server_port = s->local_port,
	    .helo_name = str_from(s->smtp.helo),
	    .sender = s->smtp.transaction.sender.text,
	    .instance = str_from(p->instance),
	    .sasl_method = s->smtp.user[0] != '\0' ? str_from(s->mechanism) : STR_NONE,
	    .sasl_username = str_from(s->smtp.user),
	    .policy_context = str_from(s->worker->conf->filters[filter].name),
	};

	p->filter = filter;
	request_envelope(s, &r);
	request_tls(s, &r, &certificate);
	policy_ask(&s->worker->policies[filter], &p->query, &r, answered);
}

/* --- RCPT --------------------------------------------------------------------------------------------------------- */

static void play_on(struct session *s, struct policy_play *play);

static void
resume(struct session_policy *p)
{
	struct session *s = p->session;

	play_on(s, &p->play);
	session_go_on(s);
}

static void
recipient_reply(struct session_policy *p, const struct policy_reply *reply)
{
	struct smtp_reply smtp;

	switch (reply->action) {
	case POLICY_ACTION_OK:
		policy_accept(&p->play);
		return;
	case POLICY_ACTION_REPLY:
		smtp = reply_keep(p, 0, RESULT_HEAD, reply);
		policy_refuse(&p->play, &smtp);
		return;
	case POLICY_ACTION_DEFER_IF_PERMIT:
		smtp = reply_keep(p, 1, RESULT_HEAD, reply);
		policy_defer_if_accepted(&p->play, &smtp);
		return;
	case POLICY_ACTION_DEFER_IF_REJECT:
		policy_defer_if_refused(&p->play);
		return;
	case POLICY_ACTION_DUNNO:
	case POLICY_ACTION_PREPEND:
	case POLICY_ACTION_HOLD:
	case POLICY_ACTION_DISCARD:
	case POLICY_ACTION_REDIRECT:
	case POLICY_ACTION_WARN:
	case POLICY_ACTION_UNSUPPORTED:
		break;
	}
	message_action(p, reply);
}

static void
recipient_answered(struct policy_query *query, const struct policy_reply *reply, const char *reason)
{
	struct session_policy *p = container_of(query, struct session_policy, query);
	struct policy_reply failure;

	if (reply == NULL) {
		failure = failed(p, reason);
		reply = &failure;
	}
	recipient_reply(p, reply);
	resume(p);
}

static void
slow_over(struct loop_timer *timer)
{
	resume(container_of(timer, struct session_policy, slow));
}

static void
grey_over(struct session *s)
{
	play_on(s, &s->policy->play);
}

/* What a step leaves to be done. True: the play goes on when somebody has answered. */
static bool
step_takes_time(struct session_policy *p, const struct policy_play *play, enum policy_step step)
{
	if (play != &p->play)
		p->play = *play;
	switch (step) {
	case POLICY_ASK:
		ask(p, p->play.rule->filter_index, recipient_answered);
		return true;
	case POLICY_SLOW:
		loop_timer_set(p->session->worker->loop, &p->slow, p->play.rule->slow_ms, slow_over);
		return true;
	case POLICY_ASK_LATER:
		p->asked_at_end |= 1U << play->rule->filter_index;
		break;
	case POLICY_TAG:
		field_add(p, play->rule->words);
		break;
	case POLICY_GREYLIST:
		return session_guard_grey(p->session, grey_over);
	case POLICY_WARN:
	case POLICY_LOCAL:
	case POLICY_LOCAL_LATER:
	case POLICY_RELAY:
	case POLICY_REFUSE:
		break;
	}
	return false;
}

/* False: the recipient is through, or it goes on later. */
static bool
step_take(struct session *s, struct policy_play *play, enum policy_step step)
{
	struct session_policy *p;

	switch (step) {
	case POLICY_LOCAL:
	case POLICY_LOCAL_LATER:
		/* With the parameter everybody is greylisted whom no rule has accepted. */
		s->recipient_is_late = step == POLICY_LOCAL_LATER;
		s->recipient_is_grey = s->worker->conf->smtpd.greylist && play->rule == NULL;
		s->recipient_is_ours(s);
		return false;
	case POLICY_RELAY:
		session_filter_recipient(s);
		return false;
	case POLICY_REFUSE:
		session_recipient_refuse(s, &play->reply);
		return false;
	case POLICY_WARN:
		session_log_policy(s, "warn", NULL, play->rule->words);
		return true;
	case POLICY_ASK:
	case POLICY_ASK_LATER:
	case POLICY_GREYLIST:
	case POLICY_SLOW:
	case POLICY_TAG:
		break;
	}
	p = policy_of(s);
	if (p != NULL)
		return !step_takes_time(p, play, step);
	session_recipient_refuse(s, SMTP_REPLY(452, "4.3.1", "Out of memory, please try again later"));
	return false;
}

static void
play_on(struct session *s, struct policy_play *play)
{
	struct seen seen;

	see(s, &seen);
	while (step_take(s, play, policy_step(play, &seen.facts)))
		continue;
}

void
session_policy_recipient(struct session *s, void (*local)(struct session *s))
{
	struct policy_play play;

	s->recipient_is_ours = local;
	policy_begin(&play, first_rule(s));
	play_on(s, &play);
}

/* Only now, so that whoever guesses names learns that there are none, and nothing is remembered of them. */
void
session_policy_exists(struct session *s)
{
	if (s->recipient_is_late)
		session_recipient_refuse(s, &s->policy->play.reply);
	else if (!s->recipient_is_grey || !session_guard_grey(s, session_filter_recipient))
		session_filter_recipient(s);
}

/* --- the end of the message --------------------------------------------------------------------------------------- */

static void end_next(struct session_policy *p);

static void
end_answered(struct policy_query *query, const struct policy_reply *reply, const char *reason)
{
	struct session_policy *p = container_of(query, struct session_policy, query);
	struct policy_reply failure;
	struct smtp_reply smtp;

	if (reply == NULL) {
		failure = failed(p, reason);
		reply = &failure;
	}
	if (reply->action == POLICY_ACTION_REPLY || reply->action == POLICY_ACTION_DEFER_IF_PERMIT) {
		smtp = reply_keep(p, 0, "", reply);
		p->at_end(p->session, &smtp);
		return;
	}
	message_action(p, reply);
	end_next(p);
}

static void
end_next(struct session_policy *p)
{
	unsigned filter = 0;

	if (p->asked_at_end == 0) {
		p->at_end(p->session, NULL);
		return;
	}
	while ((p->asked_at_end >> filter & 1) == 0)
		filter++;
	p->asked_at_end &= ~(1U << filter);
	ask(p, filter, end_answered);
}

bool
session_policy_end(struct session *s, void (*done)(struct session *s, const struct smtp_reply *refusal))
{
	if (s->policy == NULL || s->policy->asked_at_end == 0)
		return false;
	s->policy->at_end = done;
	end_next(s->policy);
	return true;
}
