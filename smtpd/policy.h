/*
 * May this client send to this recipient? The list of rules of its listener is played, step by step: what a pure
 * function of facts and configuration can say is said here, and what must be asked, waited for or written down is given
 * to the caller, who comes back.
 *
 *     policy_begin(&play, conf_policy_first(conf, kind));
 *     for (;;)
 *             switch (policy_step(&play, &facts)) { ... }
 *
 * Whatever the rules say, mail for other hosts is taken only from those whose mail we relay: clients in `networks`,
 * logins, and whom a rule with the action `relay` names. No other rule and no policy server can change that.
 */
#ifndef SMTPD_POLICY_H
#define SMTPD_POLICY_H

#include "common/smtp/address.h"
#include "common/conf/conf.h"
#include "common/smtp/smtp_server.h"
#include "smtpd/rule_match.h"

/* What a listener of this kind expects of its clients. */
struct policy_listener {
	bool is_submission;	/* mail is written here: what its header lacks is added */
	bool takes_passwords;	/* AUTH is offered, where passwords may be sent */
	bool must_authenticate; /* no mail without it */
	bool is_local;		/* the socket of this host's programs: the kernel says who it is */
};

/* Never NULL; for kinds that are not smtpd's the strictest. */
const struct policy_listener *policy_listener(enum listener_kind kind);

enum policy_step {
	POLICY_LOCAL,	 /* the end: ours; ask authd whether the recipient exists */
	POLICY_LOCAL_LATER, /* the end: the same, but if it does, play.reply puts it off */
	POLICY_RELAY,	 /* the end: accepted for another host */
	POLICY_REFUSE,	 /* the end: play.reply says so, for ever or for now */
	POLICY_ASK,	 /* the policy server of play.rule; then policy_answer_..., or nothing, and on */
	POLICY_ASK_LATER, /* the same when the content is there; on at once */
	POLICY_GREYLIST, /* then policy_refuse, or nothing, and on */
	POLICY_SLOW,	 /* wait as long as play.rule says; on */
	POLICY_TAG,	 /* write play.rule's field down; on */
	POLICY_WARN,	 /* write play.rule's words into the log; on */
};

/* One recipient on its way through the list. */
struct policy_play {
	const struct rule *next; /* NULL: behind the last one */
	const struct rule *rule; /* of the step at hand; at the end the one that decided, NULL: none of them */
	struct smtp_reply reply; /* its text is the rule's, or constant, or whoever gave it must keep it */
	bool answered, accepted; /* by somebody else than a rule */
	/* If the list's end says no, or yes, it is to be: later. */
	bool has_if_refused, has_if_accepted;
	struct smtp_reply if_accepted;
};

void policy_begin(struct policy_play *play, const struct rule *first);
/* Goes on to the next rule that applies. Not after an end. */
enum policy_step policy_step(struct policy_play *play, const struct rule_facts *facts);

/* What a policy server or the greylist says to the rule at hand. The reply's strings must live as long as the play. */
void policy_accept(struct policy_play *play);
void policy_refuse(struct policy_play *play, const struct smtp_reply *reply);
void policy_defer_if_accepted(struct policy_play *play, const struct smtp_reply *reply);
void policy_defer_if_refused(struct policy_play *play);

/* Does any rule look at the client's certificate? */
bool policy_needs_certificate(const struct rule *first);
/* The address of a login: the login, or that user at the origin. False, and *address is as it was: it
 * can be none, or the arena is full. */
bool policy_login_address(const struct conf *conf, struct arena *arena, struct str login, struct address *address);
/* The address's domain; for one without, the origin. */
struct str policy_domain(const struct conf *conf, const struct address *address);

#endif
