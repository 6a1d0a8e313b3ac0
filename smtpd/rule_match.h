/*
 * Does a rule apply? A pure function of what is known of a client and its envelope. What it costs is bounded by the
 * list's bounds (common/conf/rule.h): each value is looked at once, and a file takes a few probes whatever its length.
 */
#ifndef SMTPD_RULE_MATCH_H
#define SMTPD_RULE_MATCH_H

#include "common/smtp/address.h"
#include "common/conf/conf.h"

#define RULE_CERTIFICATE_NAMES_MAX 17 /* as many as a tls_client has */

/* All borrowed. Names and addresses may be in any case. */
struct rule_facts {
	const struct conf *conf;
	const struct sockaddr *client; /* NULL: none, a program of this host */
	bool in_networks;	       /* `networks` has it */
	struct str client_name;	       /* verified by DNS in both directions; empty: unknown */
	struct str helo;
	struct str server;	/* the address that the client came to, as inet_ntop writes it; may be empty */
	struct str tls_version; /* "TLSv1.3"; empty: in plain */
	/* A client certificate: verified, with its names; or only shown, then there is just its SHA-256 fingerprint, as
	 * hexadecimal digits in lower case. */
	bool is_verified;
	struct str certificate_names[RULE_CERTIFICATE_NAMES_MAX];
	size_t ncertificate_names;
	struct str fingerprint;
	struct str login; /* empty: not authenticated */
	const struct address *sender, *recipient;
};

bool rule_condition_holds(const struct rule_condition *condition, const struct rule_facts *facts);
/* All of its conditions. *failed, unless NULL, gets the first one that does not hold. */
bool rule_applies(const struct rule *rule, const struct rule_facts *facts, const struct rule_condition **failed);

#endif
