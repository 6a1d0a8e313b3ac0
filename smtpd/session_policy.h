/*
 * A session's recipients on their way through the policy (smtpd/policy.h): whatever cannot be said at once is asked,
 * waited for or written down here. It exists only while a rule needs it.
 */
#ifndef SMTPD_SESSION_POLICY_H
#define SMTPD_SESSION_POLICY_H

#include "smtpd/policy_client.h"
#include "smtpd/session.h"

#define POLICY_FIELDS_MAX 16384 /* bytes of header fields that rules and policy servers add to a message */
#define POLICY_TEXT_MAX 512

struct session_policy {
	struct session *session;
	struct policy_play play;
	struct loop_timer slow;
	struct policy_query query;
	size_t filter; /* that was asked last */
	void (*at_end)(struct session *s, const struct smtp_reply *refusal); /* END-OF-MESSAGE: who waits for it */

	/* What play's replies borrow: the one at hand, and the one of DEFER_IF_PERMIT. */
	char status[2][ENHANCED_STATUS_MAX + 1];
	char text[2][POLICY_TEXT_MAX];

	/* Of the transaction: */
	char instance[32];
	struct buf fields;
	uint32_t asked_at_end; /* bits: filters */
	bool hold, discard;
	char redirect[ADDRESS_TEXT_MAX + 1]; /* the recipient instead of all others; empty: none */
};

_Static_assert(CONF_FILTERS_MAX <= 32, "a set of filters is 32 bits");

/* Answers the core's question about s->smtp.recipient, now or later; all but whether a recipient of ours exists: for that
 * `local` is called, and if so session_policy_exists answers. */
void session_policy_recipient(struct session *s, void (*local)(struct session *s));
void session_policy_exists(struct session *s);
/* The header fields that are to stand above everything; may be empty. */
struct str session_policy_fields(const struct session *s);
/* The content is there. False: nothing is to be asked. True: done is called later, with NULL or with the refusal. */
bool session_policy_end(struct session *s, void (*done)(struct session *s, const struct smtp_reply *refusal));
/* The transaction is over, or the session. Nothing that was asked is answered any more. */
void session_policy_clear(struct session *s);

#endif
