/*
 * One line from a client of the Dovecot authentication protocol, taken apart. Pure.
 */
#ifndef AUTH_SASL_COMMAND_H
#define AUTH_SASL_COMMAND_H

#include "auth/mech_facts.h"

enum sasl_verb {
	SASL_VERB_VERSION,
	SASL_VERB_CPID,
	SASL_VERB_AUTH,
	SASL_VERB_CONT,
	SASL_VERB_CANCEL,
	SASL_VERB_UNKNOWN, /* of a later minor version: to be passed over */
};

#define SASL_TEXT_MAX 63 /* bytes of service and addresses */

struct sasl_command {
	enum sasl_verb verb;
	uint64_t number;     /* AUTH, CONT, CANCEL: the id; CPID: the process; VERSION: the major one */
	struct str mechanism; /* AUTH: borrowed from the line */
	bool has_response;    /* AUTH, CONT */
	struct str response;  /* Base64, borrowed */
	bool secured;
	struct mech_facts facts;
	char service[SASL_TEXT_MAX + 1];
	char local[SASL_TEXT_MAX + 1];
	char remote[SASL_TEXT_MAX + 1];
};

/* line: without its newline. False when a known verb is malformed. */
bool sasl_command_parse(struct sasl_command *command, struct str line);

#endif
