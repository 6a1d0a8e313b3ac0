#include "smtpd/policy.h"

const struct policy_listener *
policy_listener(enum listener_kind kind)
{
	static const struct policy_listener listeners[LISTENER_KINDS] = {
	    [LISTENER_MX] = {.is_submission = false},
	    [LISTENER_SUBMISSION] = {.is_submission = true, .takes_passwords = true, .must_authenticate = true},
	    [LISTENER_SUBMISSIONS] = {.is_submission = true, .takes_passwords = true, .must_authenticate = true},
	    [LISTENER_LOCAL] = {.is_submission = true, .is_local = true},
	};

	return &listeners[kind];
}

struct str
policy_domain(const struct conf *conf, const struct address *address)
{
	switch (address->kind) {
	case ADDRESS_NULL:
		return STR_NONE;
	case ADDRESS_LOCAL:
		return str_from(conf_origin(conf));
	case ADDRESS_DOMAIN:
	case ADDRESS_LITERAL_V4:
	case ADDRESS_LITERAL_V6:
		return address->domain;
	}
	return STR_NONE;
}

bool
policy_login_address(const struct conf *conf, struct arena *arena, struct str login, struct address *address)
{
	size_t at = str_find_last(login, '@');
	struct str domain = at < login.n ? str_skip(login, at + 1) : str_from(conf_origin(conf));
	struct address own;

	if (!address_make(arena, str_sub(login, 0, at), domain, ADDRESS_MAY_BE_UTF8, &own))
		return false;
	*address = own;
	return true;
}

void
policy_begin(struct policy_play *play, const struct rule *first)
{
	*play = (struct policy_play){.next = first};
}

/* An address without a domain is this host's, whether or not its name is among the domains (RFC 5321 4.5.1). */
static bool
is_ours(const struct rule_facts *facts)
{
	const struct address *recipient = facts->recipient;

	return recipient->kind == ADDRESS_LOCAL ||
	    (recipient->kind == ADDRESS_DOMAIN && conf_domain_find(facts->conf, recipient->domain) != NULL);
}

/* The rules from `next` on may still name the client. */
static bool
may_relay(const struct rule *next, const struct rule_facts *facts)
{
	if (facts->login.n > 0 || facts->in_networks)
		return true;
	for (; next != NULL; next = next->next)
		if (next->action == RULE_RELAY && rule_applies(next, facts, NULL))
			return true;
	return false;
}

static enum policy_step
end_with(struct policy_play *play, enum policy_step end)
{
	play->next = NULL;
	if (end != POLICY_REFUSE && play->has_if_accepted) {
		play->reply = play->if_accepted;
		end = end == POLICY_LOCAL ? POLICY_LOCAL_LATER : POLICY_REFUSE;
	} else if (end == POLICY_REFUSE && play->has_if_refused && play->reply.code >= 500) {
		play->reply = *SMTP_REPLY(450, "4.7.1", "Please try again later");
	}
	return end;
}

/* The question that no list can leave out. */
static enum policy_step
end_with_yes(struct policy_play *play, const struct rule_facts *facts)
{
	if (is_ours(facts))
		return end_with(play, POLICY_LOCAL);
	if ((play->rule != NULL && play->rule->action == RULE_RELAY) || may_relay(play->next, facts))
		return end_with(play, POLICY_RELAY);
	play->rule = NULL;
	play->reply = *SMTP_REPLY(554, "5.7.1", "Relay access denied");
	return end_with(play, POLICY_REFUSE);
}

/* Whom we do not relay for in any case costs nobody a question. */
static enum policy_step
ask(struct policy_play *play, const struct rule_facts *facts, enum policy_step question)
{
	return is_ours(facts) || may_relay(play->next, facts) ? question : end_with_yes(play, facts);
}

static enum policy_step
apply(struct policy_play *play, const struct rule_facts *facts)
{
	const struct rule *rule = play->rule;

	switch (rule->action) {
	case RULE_ACCEPT:
	case RULE_RELAY:
		return end_with_yes(play, facts);
	case RULE_REFUSE:
	case RULE_DEFER:
		play->reply = (struct smtp_reply){rule->code, rule->status, rule->words};
		return end_with(play, POLICY_REFUSE);
	case RULE_SLOW:
		return POLICY_SLOW;
	case RULE_ASK:
		return ask(play, facts, rule->at_end ? POLICY_ASK_LATER : POLICY_ASK);
	case RULE_GREYLIST:
		return ask(play, facts, POLICY_GREYLIST);
	case RULE_TAG:
		return POLICY_TAG;
	case RULE_WARN:
	case RULE_STANDARD:
		break;
	}
	return POLICY_WARN;
}

enum policy_step
policy_step(struct policy_play *play, const struct rule_facts *facts)
{
	if (play->answered)
		return play->accepted ? end_with_yes(play, facts) : end_with(play, POLICY_REFUSE);
	while (play->next != NULL) {
		play->rule = play->next;
		play->next = play->rule->next;
		if (rule_applies(play->rule, facts, NULL))
			return apply(play, facts);
	}
	play->rule = NULL;
	return end_with_yes(play, facts);
}

void
policy_accept(struct policy_play *play)
{
	play->answered = play->accepted = true;
}

void
policy_refuse(struct policy_play *play, const struct smtp_reply *reply)
{
	play->answered = true;
	play->accepted = false;
	play->reply = *reply;
}

void
policy_defer_if_accepted(struct policy_play *play, const struct smtp_reply *reply)
{
	if (!play->has_if_accepted)
		play->if_accepted = *reply;
	play->has_if_accepted = true;
}

void
policy_defer_if_refused(struct policy_play *play)
{
	play->has_if_refused = true;
}

bool
policy_needs_certificate(const struct rule *first)
{
	for (; first != NULL; first = first->next)
		for (size_t i = 0; i < first->nconditions; i++)
			if (first->conditions[i].subject == RULE_CERTIFICATE || first->conditions[i].subject == RULE_TLS)
				return true;
	return false;
}
