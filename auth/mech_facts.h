/*
 * What a mechanism may know of the client's connection, as the program that holds it has told.
 */
#ifndef AUTH_MECH_FACTS_H
#define AUTH_MECH_FACTS_H

#include "common/login/account.h"
#include "common/login/sasl.h"

struct mech_binding {
	char type[SASL_BINDING_TYPE_MAX + 1]; /* "tls-exporter" */
	unsigned char bytes[SASL_BINDING_MAX];
	size_t n;
};

struct mech_facts {
	/* Of its TLS connection. If there is one, the -PLUS mechanisms were offered to the client. */
	struct mech_binding bindings[SASL_BINDINGS_MAX];
	size_t nbindings;
	char certificate[ACCOUNT_NAME_MAX + 1]; /* the name in the client's verified certificate; empty: it has none */
};

#endif
