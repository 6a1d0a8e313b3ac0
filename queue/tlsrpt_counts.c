#include "queue/tlsrpt_counts.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

static int
domain_compare(struct tlsrpt_domain *a, struct tlsrpt_domain *b)
{
	return strcmp(a->name, b->name);
}

TREE_GENERATE(tlsrpt_domain_tree, tlsrpt_domain, link, domain_compare)

void
tlsrpt_counts_init(struct tlsrpt_counts *counts)
{
	*counts = (struct tlsrpt_counts){.n = 0};
	RB_INIT(&counts->domains);
}

/* --- memory --------------------------------------------------------------------------------------------------------------- */

static void *
allocate(size_t size)
{
	void *p = calloc(1, size);

	if (p == NULL)
		fatal("out of memory for what is to be reported");
	return p;
}

static size_t
cost_of_failure(const struct tlsrpt_failure *f)
{
	return sizeof *f + strlen(f->host) + strlen(f->sending_ip) + strlen(f->receiving_ip) + strlen(f->reason);
}

static void
policy_free(struct tlsrpt_counts *counts, struct tlsrpt_counted *policy)
{
	struct tlsrpt_failure *f;

	while ((f = TAILQ_FIRST(&policy->list)) != NULL) {
		TAILQ_REMOVE(&policy->list, f, link);
		counts->bytes -= cost_of_failure(f);
		free(f->host);
		free(f->sending_ip);
		free(f->receiving_ip);
		free(f->reason);
		free(f);
	}
	counts->bytes -= sizeof *policy + strlen(policy->text);
	free(policy->text);
	free(policy);
}

void
tlsrpt_counts_remove(struct tlsrpt_counts *counts, struct tlsrpt_domain *domain)
{
	struct tlsrpt_counted *policy;

	while ((policy = TAILQ_FIRST(&domain->policies)) != NULL) {
		TAILQ_REMOVE(&domain->policies, policy, link);
		policy_free(counts, policy);
	}
	(void)RB_REMOVE(tlsrpt_domain_tree, &counts->domains, domain);
	counts->bytes -= sizeof *domain + strlen(domain->name);
	counts->n--;
	free(domain->name);
	free(domain);
}

struct tlsrpt_domain *
tlsrpt_counts_first(struct tlsrpt_counts *counts)
{
	return RB_MIN(tlsrpt_domain_tree, &counts->domains);
}

struct tlsrpt_domain *
tlsrpt_counts_next(struct tlsrpt_domain *domain)
{
	return RB_NEXT(tlsrpt_domain_tree, NULL, domain);
}

struct tlsrpt_domain *
tlsrpt_counts_find(struct tlsrpt_counts *counts, char *name)
{
	struct tlsrpt_domain wanted = {.name = name};

	return RB_FIND(tlsrpt_domain_tree, &counts->domains, &wanted);
}

void
tlsrpt_counts_clear(struct tlsrpt_counts *counts)
{
	struct tlsrpt_domain *domain;

	while ((domain = tlsrpt_counts_first(counts)) != NULL)
		tlsrpt_counts_remove(counts, domain);
}

/* --- counting ------------------------------------------------------------------------------------------------------------- */

/* As a field of a line can have it; lines of a policy get | between. */
static char *
field_make(struct str s, size_t max)
{
	char *field = str_dup(str_sub(s, 0, max));
	size_t n = strlen(field);

	while (n > 0 && field[n - 1] == '\n')
		field[--n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (field[i] == '\n')
			field[i] = '|';
		else if (!ascii_is_print(field[i]))
			field[i] = '?';
	return field;
}

static struct tlsrpt_domain *
domain_of(struct tlsrpt_counts *counts, struct str name)
{
	char *key = field_make(name, POLICY_DOMAIN_MAX);
	struct tlsrpt_domain wanted = {.name = key}, *domain = RB_FIND(tlsrpt_domain_tree, &counts->domains, &wanted);

	if (domain != NULL || counts->n >= TLSRPT_DOMAINS_MAX || counts->bytes >= TLSRPT_BYTES_MAX || key[0] == '\0') {
		free(key);
		return domain;
	}
	domain = allocate(sizeof *domain);
	domain->name = key;
	TAILQ_INIT(&domain->policies);
	(void)RB_INSERT(tlsrpt_domain_tree, &counts->domains, domain);
	counts->n++;
	counts->bytes += sizeof *domain + strlen(key);
	return domain;
}

static struct tlsrpt_counted *
policy_of(struct tlsrpt_counts *counts, struct tlsrpt_domain *domain, const struct tlsrpt_outcome *outcome)
{
	char *text = field_make(outcome->text, POLICY_TEXT_MAX);
	struct tlsrpt_counted *policy;

	TAILQ_FOREACH(policy, &domain->policies, link)
		if (policy->policy == outcome->policy && strcmp(policy->text, text) == 0)
			break;
	if (policy != NULL || domain->npolicies >= TLSRPT_POLICIES_MAX || counts->bytes >= TLSRPT_BYTES_MAX) {
		free(text);
		return policy;
	}
	policy = allocate(sizeof *policy);
	policy->policy = outcome->policy;
	policy->text = text;
	TAILQ_INIT(&policy->list);
	TAILQ_INSERT_TAIL(&domain->policies, policy, link);
	domain->npolicies++;
	counts->bytes += sizeof *policy + strlen(text);
	return policy;
}

static void
failure_free(struct tlsrpt_failure *f)
{
	free(f->host);
	free(f->sending_ip);
	free(f->receiving_ip);
	free(f->reason);
	free(f);
}

static struct tlsrpt_failure *
failure_make(const struct tlsrpt_outcome *outcome)
{
	struct tlsrpt_failure *f = allocate(sizeof *f);

	f->result = outcome->result;
	f->host = field_make(outcome->host, TLSRPT_FIELD_MAX);
	f->sending_ip = field_make(outcome->sending_ip, TLSRPT_FIELD_MAX);
	f->receiving_ip = field_make(outcome->receiving_ip, TLSRPT_FIELD_MAX);
	f->reason = field_make(outcome->reason, TLSRPT_FIELD_MAX);
	return f;
}

static bool
is_same(const struct tlsrpt_failure *a, const struct tlsrpt_failure *b)
{
	return a->result == b->result && strcmp(a->host, b->host) == 0 && strcmp(a->sending_ip, b->sending_ip) == 0 &&
	    strcmp(a->receiving_ip, b->receiving_ip) == 0 && strcmp(a->reason, b->reason) == 0;
}

static void
failure_count(struct tlsrpt_counts *counts, struct tlsrpt_counted *policy, const struct tlsrpt_outcome *outcome,
    uint64_t sessions)
{
	struct tlsrpt_failure *made = failure_make(outcome), *f;

	TAILQ_FOREACH(f, &policy->list, link)
		if (is_same(f, made))
			break;
	if (f == NULL && policy->nlist < TLSRPT_FAILURES_MAX && counts->bytes < TLSRPT_BYTES_MAX) {
		TAILQ_INSERT_TAIL(&policy->list, made, link);
		policy->nlist++;
		counts->bytes += cost_of_failure(made);
		made->count = sessions;
		return;
	}
	if (f != NULL)
		f->count += sessions;
	failure_free(made);
}

void
tlsrpt_counts_add(struct tlsrpt_counts *counts, const struct tlsrpt_outcome *outcome, uint64_t sessions)
{
	struct tlsrpt_domain *domain = domain_of(counts, outcome->domain);
	struct tlsrpt_counted *policy = domain != NULL ? policy_of(counts, domain, outcome) : NULL;

	if (policy == NULL)
		return;
	if (outcome->result == TLSRPT_SUCCESS) {
		policy->successes += sessions;
		return;
	}
	policy->failures += sessions;
	failure_count(counts, policy, outcome, sessions);
}

/* --- as text -------------------------------------------------------------------------------------------------------------- */

static void
policy_format(struct buf *out, const struct tlsrpt_domain *domain, const struct tlsrpt_counted *policy)
{
	const struct tlsrpt_failure *f;

	buf_addf(out, "P\t%s\t%s\t%llu\t%llu\t%s\n", domain->name, tlsrpt_policy_word(policy->policy),
	    (unsigned long long)policy->successes, (unsigned long long)policy->failures, policy->text);
	TAILQ_FOREACH(f, &policy->list, link)
		buf_addf(out, "F\t%s\t%llu\t%s\t%s\t%s\t%s\n", tlsrpt_result_word(f->result), (unsigned long long)f->count,
		    f->host, f->sending_ip, f->receiving_ip, f->reason);
}

void
tlsrpt_counts_format(struct buf *out, const struct tlsrpt_counts *counts)
{
	struct tlsrpt_domain_tree domains = counts->domains;
	struct tlsrpt_domain *domain;
	const struct tlsrpt_counted *policy;

	RB_FOREACH(domain, tlsrpt_domain_tree, &domains)
		TAILQ_FOREACH(policy, &domain->policies, link)
			policy_format(out, domain, policy);
}

#define FIELDS 7

static size_t
fields_split(struct str line, struct str fields[FIELDS])
{
	size_t n = 0;

	while (n < FIELDS && str_token(&line, '\t', &fields[n]))
		n++;
	return line.n == 0 ? n : 0;
}

/* The policy that the F lines after it belong to; failures are there without their kinds at first. */
static struct tlsrpt_counted *
policy_line(struct tlsrpt_counts *counts, const struct str fields[FIELDS])
{
	struct tlsrpt_outcome outcome = {.domain = fields[1], .text = fields[5]};
	struct tlsrpt_domain *domain;
	struct tlsrpt_counted *policy = NULL;
	uint64_t successes, failures;

	if (!tlsrpt_policy_parse(fields[2], &outcome.policy) || !str_to_u64(fields[3], UINT32_MAX, &successes) ||
	    !str_to_u64(fields[4], UINT32_MAX, &failures))
		return NULL;
	domain = domain_of(counts, outcome.domain);
	if (domain != NULL)
		policy = policy_of(counts, domain, &outcome);
	if (policy != NULL) {
		policy->successes += successes;
		policy->failures += failures;
	}
	return policy;
}

static void
failure_line(struct tlsrpt_counts *counts, struct tlsrpt_counted *policy, const struct str fields[FIELDS])
{
	struct tlsrpt_outcome outcome = {.host = fields[3], .sending_ip = fields[4], .receiving_ip = fields[5],
	    .reason = fields[6]};
	uint64_t sessions;

	if (tlsrpt_result_parse(fields[1], &outcome.result) && outcome.result != TLSRPT_SUCCESS &&
	    str_to_u64(fields[2], UINT32_MAX, &sessions))
		failure_count(counts, policy, &outcome, sessions);
}

void
tlsrpt_counts_parse(struct tlsrpt_counts *counts, struct str text)
{
	struct tlsrpt_counted *policy = NULL;
	struct str line, fields[FIELDS];

	while (str_token(&text, '\n', &line)) {
		size_t n = fields_split(line, fields);

		if (n == 6 && str_equal(fields[0], STR("P")))
			policy = policy_line(counts, fields);
		else if (n == 7 && str_equal(fields[0], STR("F")) && policy != NULL)
			failure_line(counts, policy, fields);
	}
}
