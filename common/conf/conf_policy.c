#include "common/conf/conf_policy.h"

#include <stdio.h>

#include "common/conf/conf_finish.h"
#include "common/base/log.h"

_Static_assert(LISTENER_MX == 0 && LISTENER_SUBMISSION == 1 && LISTENER_SUBMISSIONS == 2 && CONF_POLICIES == 3,
    "the lists stand in the order of the kinds");

#define ASK_MAX (sizeof "ask " + RULE_NAME_MAX)

struct rule_list *
conf_policy_begin(struct conf *conf, struct str name, unsigned line, struct buf *problems)
{
	enum listener_kind kind = LISTENER_MX;
	struct rule_list *list;

	if (name.n > 0 && (!listener_kind_parse(name, &kind) || kind >= CONF_POLICIES)) {
		conf_problem(conf, line, problems, "there is no [policy %.*s]: [policy] or [policy mx] is for mail of other servers, "
		    "[policy submission] and [policy submissions] for that of users", STR_FMT(name));
		return NULL;
	}
	list = &conf->policies[kind];
	if (list->line > 0) {
		conf_problem(conf, line, problems, "[policy %s] is there already, in line %u", listener_kind_facts(kind)->name,
		    list->line);
		return NULL;
	}
	rule_list_init(list, line);
	return list;
}

void
conf_policy_line(struct conf *conf, struct rule_list *list, struct str directory, struct str text, unsigned line,
    struct buf *problems)
{
	struct rule_maker maker = {.arena = &conf->arena, .directory = directory, .files = conf->rule_files};
	struct err err;

	if (!rule_list_add(list, &maker, text, line, &err))
		conf_problem(conf, line, problems, "%s", err.text);
	conf->rule_files = maker.files;
}

static const struct conf_filter *
filter_find(const struct conf *conf, struct str name, size_t *index)
{
	for (*index = 0; *index < conf->nfilters; ++*index)
		if (str_equal(name, str_from(conf->filters[*index].name)))
			return &conf->filters[*index];
	return NULL;
}

static void
filter_resolve(const struct conf *conf, struct rule *rule, struct buf *problems)
{
	const struct conf_filter *filter = filter_find(conf, rule->filter, &rule->filter_index);

	if (filter == NULL)
		conf_problem(conf, rule->line, problems, "ask %.*s: there is no section [filter %.*s]", STR_FMT(rule->filter),
		    STR_FMT(rule->filter));
	else if (filter->kind != CONF_FILTER_POLICY)
		conf_problem(conf, rule->line, problems, "ask %s: [filter %s] is a milter, which sees all mail of its listeners and "
		    "is not asked; did you forget \"kind = policy\" there?", filter->name, filter->name);
	if (filter == NULL || filter->kind != CONF_FILTER_POLICY)
		rule->filter_index = 0;
}

static bool
is_asked(const struct conf *conf, size_t filter)
{
	for (size_t i = 0; i < CONF_POLICIES; i++)
		for (const struct rule *rule = conf->policies[i].first; rule != NULL; rule = rule->next)
			if (rule->action == RULE_ASK && str_equal(rule->filter, str_from(conf->filters[filter].name)))
				return true;
	return false;
}

/* A policy server that no rule mentions is asked behind the standard list: two lines of configuration put it to work. */
static void
standard_make(struct conf *conf, enum listener_kind kind, const bool *asked,
    struct buf *problems)
{
	struct rule_maker maker = {.arena = &conf->arena};
	struct rule_list *list = &conf->policies[kind];
	struct err err;

	rule_list_init(list, 0);
	if (!rule_list_add_standard(list, &maker, 0, &err))
		fatal("the standard policy: %s", err.text);
	for (size_t i = 0; i < conf->nfilters; i++) {
		const struct conf_filter *filter = &conf->filters[i];
		char text[ASK_MAX];
		int n = snprintf(text, sizeof text, "ask %s", filter->name);

		if (filter->kind == CONF_FILTER_POLICY && (filter->listeners & LISTENER_BIT(kind)) && !asked[i])
			if (!rule_list_add(list, &maker, (struct str){text, (size_t)n}, filter->line, &err))
				conf_problem(conf, filter->line, problems, "[filter %s]: %s", filter->name, err.text);
	}
}

void
conf_policy_finish(struct conf *conf, struct buf *problems)
{
	bool asked[CONF_FILTERS_MAX] = {false};

	for (size_t i = 0; i < conf->nfilters; i++)
		asked[i] = is_asked(conf, i);
	if (conf->policies[LISTENER_SUBMISSIONS].line == 0 && conf->policies[LISTENER_SUBMISSION].line > 0)
		conf->policies[LISTENER_SUBMISSIONS] = conf->policies[LISTENER_SUBMISSION];
	for (unsigned i = 0; i < CONF_POLICIES; i++)
		if (conf->policies[i].line == 0)
			standard_make(conf, (enum listener_kind)i, asked, problems);
	for (size_t i = 0; i < CONF_POLICIES; i++)
		for (struct rule *rule = conf->policies[i].first; rule != NULL; rule = rule->next)
			if (rule->action == RULE_ASK)
				filter_resolve(conf, rule, problems);
}
