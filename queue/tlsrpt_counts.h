/*
 * What came of sessions with other domains' exchangers, counted for the report of each domain (RFC 8460 4): by policy, and of
 * failures by result, hosts and addresses. Pure but for its memory, and bounded: what does not fit is not counted on its own.
 *
 * It is kept as text that can be read back and added up, a line each, fields with tabs between:
 *
 *     P  domain  policy type  sessions that were a success  failures  the policy, its lines with | between
 *     F  result type  sessions  exchanger  our address  its address  reason         (of the P before)
 */
#ifndef QUEUE_TLSRPT_COUNTS_H
#define QUEUE_TLSRPT_COUNTS_H

#include <bsd/sys/queue.h>

#include "common/base/buf.h"
#include "common/base/tree.h"
#include "queue/policy_message.h"

#define TLSRPT_DOMAINS_MAX 5000
#define TLSRPT_POLICIES_MAX 20	/* of a domain: it changes them seldom */
#define TLSRPT_FAILURES_MAX 200 /* kinds of failures of a policy; further ones count in the sum */
#define TLSRPT_BYTES_MAX (8 * 1024 * 1024)
#define TLSRPT_FIELD_MAX 256

struct tlsrpt_failure {
	TAILQ_ENTRY(tlsrpt_failure) link;
	enum tlsrpt_result result;
	uint64_t count;
	char *host, *sending_ip, *receiving_ip, *reason; /* "": not known */
};

struct tlsrpt_counted {
	TAILQ_ENTRY(tlsrpt_counted) link;
	enum tlsrpt_policy policy;
	char *text; /* lines with | between */
	uint64_t successes, failures;
	TAILQ_HEAD(, tlsrpt_failure) list;
	size_t nlist;
};

struct tlsrpt_domain {
	RB_ENTRY(tlsrpt_domain) link;
	char *name;
	TAILQ_HEAD(, tlsrpt_counted) policies;
	size_t npolicies;
};

RB_HEAD(tlsrpt_domain_tree, tlsrpt_domain);

struct tlsrpt_counts {
	struct tlsrpt_domain_tree domains;
	size_t n, bytes;
};

void tlsrpt_counts_init(struct tlsrpt_counts *counts);
void tlsrpt_counts_clear(struct tlsrpt_counts *counts);
void tlsrpt_counts_add(struct tlsrpt_counts *counts, const struct tlsrpt_outcome *outcome, uint64_t sessions);
/* The first by name, and the one that follows; NULL: none is left. */
struct tlsrpt_domain *tlsrpt_counts_first(struct tlsrpt_counts *counts);
struct tlsrpt_domain *tlsrpt_counts_next(struct tlsrpt_domain *domain);
struct tlsrpt_domain *tlsrpt_counts_find(struct tlsrpt_counts *counts, char *name);
void tlsrpt_counts_remove(struct tlsrpt_counts *counts, struct tlsrpt_domain *domain);

void tlsrpt_counts_format(struct buf *out, const struct tlsrpt_counts *counts);
/* Adds what the text says; lines that make no sense are passed over. */
void tlsrpt_counts_parse(struct tlsrpt_counts *counts, struct str text);

#endif
