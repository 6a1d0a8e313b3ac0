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

enum policy_verdict
policy_recipient(const struct policy_facts *facts, const struct address *recipient, struct smtp_reply *reply)
{
	/* An address without a domain is this host's, whether or not its name is among the domains (RFC 5321 4.5.1). */
	if (recipient->kind == ADDRESS_LOCAL)
		return POLICY_LOCAL;
	if (recipient->kind == ADDRESS_DOMAIN && conf_domain_find(facts->conf, recipient->domain) != NULL)
		return POLICY_LOCAL;
	if (facts->authenticated || facts->in_networks)
		return POLICY_RELAY;
	*reply = *SMTP_REPLY(554, "5.7.1", "Relay access denied");
	return POLICY_REFUSE;
}
