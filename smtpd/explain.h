/*
 * Plays one client, sender and recipient through a policy and notes what each rule does: what `merpati explain` prints.
 * Pure: whoever calls it answers the questions.
 */
#ifndef SMTPD_EXPLAIN_H
#define SMTPD_EXPLAIN_H

#include "smtpd/policy.h"
#include "smtpd/policy_protocol.h"

#define EXPLAIN_TEXT_MAX 512

struct explain_line {
	const struct rule *rule;
	const struct rule_condition *failed; /* NULL: it applies */
	char note[EXPLAIN_TEXT_MAX];	     /* what came of it; may be empty */
};

struct explain {
	const struct rule_facts *facts;
	struct policy_play play;
	struct explain_line *lines;
	size_t nlines;
	enum policy_step end; /* LOCAL, LOCAL_LATER, RELAY or REFUSE */
	/* What the policy server of a rule answers, and a word about it. NULL: it is not asked. */
	void (*ask)(struct explain *explain, const struct rule *rule, struct policy_reply *reply, char *note, size_t size);

	/* What replies borrow. */
	char texts[2][EXPLAIN_TEXT_MAX];
	char statuses[2][ENHANCED_STATUS_MAX + 1];
};

/* facts and rules outlive it. False: memory is out. */
bool explain_play(struct explain *explain, const struct rule *first);
void explain_clear(struct explain *explain);
/* The rule that decided, as "PATH:LINE" or "the standard list", or what else did. */
void explain_decision(const struct explain *explain, char *dst, size_t size);
/* Where a rule stands: "PATH:LINE", or "standard". */
void explain_place(const struct conf *conf, const struct rule *rule, char *dst, size_t size);

#endif
