/*
 * May this client send to this recipient? A pure function of facts and configuration: local domains are open to
 * everybody (whether the recipient exists is authd's to say), all others only to those whose mail we relay.
 */
#ifndef SMTPD_POLICY_H
#define SMTPD_POLICY_H

#include "common/address.h"
#include "common/conf.h"
#include "common/smtp_server.h"

/* What a listener of this kind expects of its clients. */
struct policy_listener {
	bool is_submission;	/* mail is written here: what its header lacks is added */
	bool takes_passwords;	/* AUTH is offered, where passwords may be sent */
	bool must_authenticate; /* no mail without it */
	bool is_local;		/* the socket of this host's programs: the kernel says who it is */
};

/* Never NULL; for kinds that are not smtpd's the strictest. */
const struct policy_listener *policy_listener(enum listener_kind kind);

struct policy_facts {
	const struct conf *conf;
	bool authenticated;
	bool in_networks; /* the client's address is in `networks`, or it is a program of this host */
};

enum policy_verdict {
	POLICY_LOCAL,  /* ours: ask authd whether the recipient exists */
	POLICY_RELAY,  /* accepted for another host */
	POLICY_REFUSE, /* *reply says so */
};

/* *reply is set for REFUSE. */
enum policy_verdict policy_recipient(const struct policy_facts *facts, const struct address *recipient,
    struct smtp_reply *reply);
/* The address's domain; for one without, the origin. */
struct str policy_domain(const struct conf *conf, const struct address *address);

#endif
