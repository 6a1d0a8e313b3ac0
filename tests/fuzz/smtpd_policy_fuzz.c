/*
 * Any list of rules, any envelope: for a stranger nothing relays but a rule `relay` that applies, whatever servers answer.
 *
 *     first line: recipient; second: sender; third: HELO; then the lines of [policy]
 */
#include <stdlib.h>
#include <string.h>

#include "smtpd/policy.h"

#define STEPS_MAX (RULES_MAX + 2)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static bool
path_parse(struct arena *arena, struct str text, struct address *address)
{
	struct str path = arena_printf(arena, "<%.*s>", STR_FMT(text));

	return path.p != NULL &&
	    address_path_parse(arena, &path, ADDRESS_MAY_BE_NULL | ADDRESS_MAY_LACK_DOMAIN | ADDRESS_MAY_BE_UTF8, address) &&
	    path.n == 0;
}

static struct conf *
conf_make(struct str rules)
{
	static const char head[] = "networks = 127.0.0.0/8\n[domain satu.test]\n[filter p]\nkind = policy\nsocket = unix:/s\n[policy]\n";
	struct buf text, problems;
	struct conf *conf;

	buf_init(&text, sizeof head + rules.n);
	buf_init(&problems, CONF_PROBLEMS_MAX_BYTES);
	buf_adds(&text, head);
	buf_add(&text, rules);
	conf = conf_parse(buf_str(&text), "/c", "mx.satu.test", &problems);
	buf_clear(&text);
	buf_clear(&problems);
	return conf;
}

static bool
a_relay_rule_applies(const struct rule *rule, const struct rule_facts *facts)
{
	for (; rule != NULL; rule = rule->next)
		if (rule->action == RULE_RELAY && rule_applies(rule, facts, NULL))
			return true;
	return false;
}

/* What a server says at step i. */
static void
answer(struct policy_play *play, size_t i)
{
	if (i % 3 == 0)
		policy_accept(play);
	else if (i % 3 == 1)
		policy_defer_if_accepted(play, SMTP_REPLY(450, "4.7.1", "later"));
}

static void
play_all(const struct rule *first, const struct rule_facts *facts)
{
	struct policy_play play;
	enum policy_step step = POLICY_WARN;

	policy_begin(&play, first);
	for (size_t i = 0; step != POLICY_LOCAL && step != POLICY_LOCAL_LATER && step != POLICY_RELAY && step != POLICY_REFUSE; i++) {
		if (i == STEPS_MAX)
			abort();
		step = policy_step(&play, facts);
		if (step == POLICY_ASK)
			answer(&play, i);
	}
	if (step == POLICY_RELAY && !a_relay_rule_applies(first, facts))
		abort();
	if ((step == POLICY_LOCAL || step == POLICY_LOCAL_LATER) && facts->recipient->kind != ADDRESS_LOCAL &&
	    conf_domain_find(facts->conf, facts->recipient->domain) == NULL)
		abort();
	if ((step == POLICY_REFUSE || step == POLICY_LOCAL_LATER) && (play.reply.code < 400 || play.reply.code > 599))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str rest = {(const char *)bytes, n}, recipient = STR_NONE, sender = STR_NONE, helo = STR_NONE;
	struct address to, from;
	struct endpoint client;
	struct arena arena;
	struct conf *conf;

	(void)str_token(&rest, '\n', &recipient);
	(void)str_token(&rest, '\n', &sender);
	(void)str_token(&rest, '\n', &helo);
	arena_init(&arena, 65536);
	(void)endpoint_parse_address(STR("192.0.2.1"), 0, &client);
	if (path_parse(&arena, recipient, &to) && path_parse(&arena, sender, &from) && to.kind != ADDRESS_NULL) {
		conf = conf_make(rest);
		const struct rule_facts facts = {.conf = conf, .client = &client.address.any, .helo = helo, .sender = &from,
		    .recipient = &to, .server = STR("198.51.100.7")};

		for (unsigned kind = 0; kind < CONF_POLICIES; kind++)
			play_all(conf_policy_first(conf, (enum listener_kind)kind), &facts);
		conf_free(conf);
	}
	arena_clear(&arena);
	return 0;
}
