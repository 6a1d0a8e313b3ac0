/*
 * Logging in at another server: which SASL mechanism is taken, and its messages (RFC 4422, as SMTP carries them: RFC 4954).
 * Pure.
 *
 *     chosen = sasl_login_choose(credentials, offered, binding);   SASL_MECHANISMS: there is none
 *     sasl_login_begin(&login, ...), sasl_login_command            AUTH and, where it fits, the initial response
 *     sasl_login_answer                                            for each 334
 *     sasl_login_finish                                            at 235: did the server keep its side?
 *     sasl_login_clear
 *
 * The strongest mechanism is taken that both sides have and the credentials fit: those that bind to the TLS connection
 * first, then those in which the password does not leave this host, then what sends it or a token as it is.
 */
#ifndef QUEUE_SASL_LOGIN_H
#define QUEUE_SASL_LOGIN_H

#include "queue/scram_client.h"

/* Strongest first. */
enum sasl_mechanism {
	SASL_SCRAM_SHA_256_PLUS,
	SASL_SCRAM_SHA_1_PLUS,
	SASL_SCRAM_SHA_256,
	SASL_SCRAM_SHA_1,
	SASL_OAUTHBEARER, /* RFC 7628 */
	SASL_XOAUTH2,	  /* what Google and Microsoft made of it before */
	SASL_PLAIN,	  /* RFC 4616 */
	SASL_LOGIN,
	SASL_MECHANISMS,
};

#define SASL_BIT(mechanism) (1U << (mechanism))
#define SASL_ALL (SASL_BIT(SASL_MECHANISMS) - 1)

/* The mechanisms that we know of a list with blanks between, any case, as SASL_BITs. */
unsigned sasl_mechanisms_read(struct str words);
const char *sasl_mechanism_name(enum sasl_mechanism mechanism);

/* What there is to log in with; strings borrowed. */
struct sasl_credentials {
	struct str user;     /* .n is 0: no login */
	struct str password; /* .p NULL: none */
	struct str token;    /* of OAuth; .p NULL: none */
	unsigned allowed;    /* SASL_BITs */
	struct scram_client_memory memory;
};

struct sasl_login {
	enum sasl_mechanism mechanism;
	struct sasl_credentials *credentials;
	unsigned step;
	bool initial; /* the initial response is said by the first answer: the command would be too long with it */
	struct scram_client scram;
	char problem[200]; /* what the server said of a token */
};

/* binding: NULL: the connection has none. */
enum sasl_mechanism sasl_login_choose(const struct sasl_credentials *credentials, unsigned offered,
    const struct sasl_binding *binding);
/* nonce as scram_client.h wants it. */
void sasl_login_begin(struct sasl_login *login, enum sasl_mechanism mechanism, struct sasl_credentials *credentials);
/* Harmless when all is zero. */
void sasl_login_clear(struct sasl_login *login);

/* Appends the AUTH command with its line end. NULL, or why there can be none; nothing is appended then. offered and binding as
 * they were chosen by. */
const char *sasl_login_command(struct sasl_login *login, unsigned offered, const struct sasl_binding *binding,
    struct str nonce, struct buf *out);
/* challenge: the Base64 of a 334. Appends a line. NULL, or why the exchange is to be given up; nothing is appended then. */
const char *sasl_login_answer(struct sasl_login *login, struct str challenge, struct buf *out);
/* The server says that we are in. NULL, or why that is not believed. */
const char *sasl_login_finish(const struct sasl_login *login);
/* What the server said of the token that it refused, printable; empty when it said nothing. */
struct str sasl_login_problem(const struct sasl_login *login);

#endif
