/*
 * Asking authd (or Dovecot) to authenticate a peer: the client side of the Dovecot authentication protocol 1.2. One
 * connection to the server a process, any number of exchanges on it. What the peer wrote and what it is to be sent
 * stay in Base64: they are checked here and passed through, so that a protocol front never holds a password in clear
 * any longer than its own input buffer does.
 */
#ifndef COMMON_SASL_CLIENT_H
#define COMMON_SASL_CLIENT_H

#include "common/base/buf.h"
#include "common/base/loop.h"
#include "common/login/sasl.h"

enum sasl_result {
	SASL_CONTINUE, /* send the challenge, then sasl_continue with what the peer answers */
	SASL_OK,
	SASL_FAIL, /* wrong: 535 */
	SASL_TEMP, /* could not be told, or too many attempts at present: 454 */
};

struct sasl_answer {
	enum sasl_result result;
	struct str challenge; /* CONTINUE: Base64, may be empty */
	struct str user;      /* OK: the account's name as authd knows it; FAIL: perhaps the name that was tried */
	struct str reason;    /* FAIL, TEMP: for the log; may be empty */
	/* OK: with sasl_client_cookie and the own pid this lets the privileged parent ask authd for itself, once. */
	uint32_t id;
};

/* What the server is told of the peer. Borrowed during sasl_start. */
struct sasl_peer {
	struct str service; /* "smtp", "imap", "pop3" */
	struct str local;   /* IP addresses as text, without port and brackets; may be empty */
	struct str remote;
	bool secured; /* TLS */
	const struct sasl_binding *bindings;
	size_t nbindings;
	struct str certificate; /* the name in its verified certificate; may be empty */
};

/* Which mechanisms may be offered to a peer. */
enum {
	SASL_OFFER_PLAIN = 1,	/* those that send a password or token as it is: nobody can listen */
	SASL_OFFER_SCRAM = 2,	/* those that do not */
	SASL_OFFER_BINDING = 4, /* those that bind to the channel: sasl_start tells its bindings */
	SASL_OFFER_CERTIFICATE = 8, /* EXTERNAL: sasl_start tells the name in the certificate */
};

#define SASL_OFFERS 16 /* combinations */

struct sasl_client;

struct sasl_request {
	/* Called once for each sasl_start and sasl_continue, never from inside them; the answer's strings live during
	 * the call. After anything but CONTINUE the request is over and may be freed or used anew. */
	void (*answered)(struct sasl_request *request, const struct sasl_answer *answer);
	struct sasl_client *client; /* NULL when nothing is under way */
	uint32_t id;
	bool failed; /* is to be answered with TEMP at the next turn */
	struct loop_timer timer;
	LIST_ENTRY(sasl_request) link;
};

/* path: the server's socket; copied. Connects from the loop, and again after a loss, so that it knows what the server
 * offers. Fatal when memory is out. */
struct sasl_client *sasl_client_new(struct loop *loop, const char *path);
/* Requests under way are forgotten without a call. Not from inside a callback. */
void sasl_client_free(struct sasl_client *client);

/* The mechanisms that the server offers and such a peer may use, such as "PLAIN LOGIN": for EHLO and CAPABILITY. Lives as
 * long as the client. Before the server was ever reached that is what authd always offers. */
struct str sasl_client_mechanisms(const struct sasl_client *client, unsigned offers);
/* The connection's cookie (hexadecimal); empty while there is no connection. */
struct str sasl_client_cookie(const struct sasl_client *client);

/*
 * Begins an exchange. mechanism: as the peer wrote it, any case. initial: NULL when the peer sent no initial response,
 * else its Base64 text ("=" stands for an empty one). False, and nothing is begun, when that is not Base64 or too
 * long: a syntax error of the peer (501, BAD). A mechanism that is not on offer is the caller's to refuse (504);
 * should it come, the answer is FAIL.
 */
bool sasl_start(struct sasl_client *client, struct sasl_request *request, const struct sasl_peer *peer,
    struct str mechanism, const struct str *initial,
    void (*answered)(struct sasl_request *, const struct sasl_answer *));
/* After CONTINUE: the peer's line ("*" is the caller's: sasl_cancel). False as above; the exchange still waits. */
bool sasl_continue(struct sasl_request *request, struct str response);
/* The peer gave up or went away. Harmless when nothing is under way. */
void sasl_cancel(struct sasl_request *request);

#endif
