/*
 * One connection to a server: the socket and TLS around the client core of smtp_client.h, from connect() to QUIT. At a
 * time it has one owner: a job, or the pool in which it waits for the next one.
 */
#ifndef QUEUE_REMOTE_CONNECTION_H
#define QUEUE_REMOTE_CONNECTION_H

#include "common/conf/conf.h"
#include "common/daemon/connector_client.h"
#include "common/dns/dns_message.h"
#include "common/net/stream.h"
#include "queue/downconvert.h"
#include "queue/job.h"
#include "queue/remote_content.h"
#include "queue/smtp_client.h"
#include "queue/remote_tls.h"

/* What all connections of a process share. */
struct remote_context {
	struct loop *loop;
	const struct conf *conf;
	struct tls_context *tls; /* NULL: never TLS */
	struct connector_client connector; /* to the sockets of routes, by the route's number */
	size_t connections;	 /* open ones, those in the pool too */
};

struct remote_connection;
struct remote_place;

/* Who uses a connection. No callback comes from inside remote_connection_open; each may release the connection. */
struct remote_owner {
	/* It is connected, and greeting, EHLO and TLS follow; for who raced it with others. May be NULL. Must not release
	 * this connection. */
	void (*connected)(struct remote_owner *owner, struct remote_connection *connection);
	/* The first thing that it hears: failure is NULL when a transaction can begin, else why not. */
	void (*opened)(struct remote_owner *owner, struct remote_connection *connection,
	    const struct smtp_verdict *failure);
	/* A recipient's verdict. Must not release the connection. */
	void (*result)(struct remote_owner *owner, struct remote_connection *connection,
	    const struct smtp_recipient *recipient);
	/* The transaction is over and each recipient had its result, unless connection->stale. */
	void (*ended)(struct remote_owner *owner, struct remote_connection *connection);
	/* It was idle and is gone. */
	void (*lost)(struct remote_owner *owner, struct remote_connection *connection);
};

struct remote_target {
	struct str host;	   /* of the log; borrowed during the call */
	struct remote_identity identity; /* what is borrowed by it outlives the connection's opening */
	const struct endpoint *to; /* NULL: path, or a descriptor */
	const char *path;	   /* of a socket of our own suite, which is trusted; NULL: a descriptor */
	int fd;			   /* connected; taken */
	const struct endpoint *from; /* our own address; NULL: the system's choice */
	bool lmtp;
	struct tls_policy policy; /* that does not refuse the host */
	bool implicit_tls;
	struct sasl_credentials *credentials; /* to log in with; NULL: not. They outlive the connection */
	bool must_keep_tls; /* a server that cannot promise REQUIRETLS is as good as none */
};

/* A message. The caller's until `ended`. */
struct remote_transaction {
	struct smtp_mail mail;
	struct remote_content content;
	bool unreadable; /* as is known already: its body must not begin */
	struct downconvert *conversion; /* what it goes through; NULL: nothing */
	/* queue/remote_convert.c's: what came of looking at it for a target. */
	struct downconvert *survey;
	enum downconvert_target target;
	enum downconvert_need need;
	const char *why_not;
};

struct remote_connection {
	struct stream stream;
	struct smtp_client client;
	struct remote_context *context;
	struct remote_owner *owner; /* NULL: released, closing */
	struct remote_transaction *transaction;
	unsigned transactions; /* begun */
	uint64_t opened_ms;
	bool opening;
	bool connected;
	bool must_keep_tls;
	bool implicit_tls; /* and the handshake is still to come */
	bool opening_failed; /* it did not get so far that a transaction could begin */
	enum stream_trust trust; /* under TLS */
	bool tls_failed; /* `opened` failed because of TLS: worth another try without */
	bool stale;	 /* `ended`: the server had closed before it heard of the message */
	bool unreadable; /* the message could not be read from its file */
	bool is_alone;	 /* only for the domain that it was opened for: not to be kept for others */
	struct remote_identity identity;
	char relay[JOB_RELAY_MAX + 1];
	char tls[JOB_TEXT_MAX + 1];
	struct tls_policy policy; /* by which it was opened */
	char words[1024]; /* ours, for a verdict */
	struct loop_timer later; /* more of the body, after others had their turn */

	/* The pool's. */
	TAILQ_ENTRY(remote_connection) idle, place_link;
	struct loop_timer expiry;
	struct remote_place *place;
};

/* NULL and err: the connection cannot even be begun (no route, no such socket). */
struct remote_connection *remote_connection_open(struct remote_context *context, const struct remote_target *target,
    struct remote_owner *owner, struct err *err);
/* Only when it is usable. The callbacks may come from inside. */
void remote_connection_send(struct remote_connection *connection, struct remote_transaction *transaction);
/* A transaction can begin: it is between two, and the server takes another one in this session. */
bool remote_connection_is_usable(const struct remote_connection *connection);
/* The owner is done with it: QUIT if it is between transactions, an abrupt end otherwise. Frees it, now or later. */
void remote_connection_release(struct remote_connection *connection);

#endif
