/*
 * One SMTP connection: the stream, the protocol core, and the answers to the core's questions (policy, authd, the
 * drop box). It frees itself when the connection is over.
 *
 *     session.c            its life: stream, TLS, time-out, the loop over the core's events
 *     session_envelope.c   who may send to whom: policy, authd's maps, passwords
 *     session_sender.c     whether a user may send under that address
 *     session_policy.c     the rules of the configuration, and policy servers
 *     session_message.c    the content, on its way into the queue
 *     session_xclient.c    a proxy says who the client is
 *     session_guard.c      what it asks the guard: limits, lists, names, greylisting
 *     session_pace.c       how fast it may go
 *     session_filter.c     its milters
 *     session_log.c        its lines in the log
 */
#ifndef SMTPD_SESSION_H
#define SMTPD_SESSION_H

#include "common/base/date.h"
#include "common/smtp/smtp_server.h"
#include "common/net/stream.h"
#include "smtpd/content.h"
#include "smtpd/policy.h"
#include "smtpd/session_guard.h"
#include "smtpd/session_pace.h"
#include "smtpd/worker.h"

/* A message between 354 and its reply: on its own, because a commit that is under way outlives the session. */
struct session_message {
	struct intake_message intake;
	struct content content;
	uint64_t trace_offset; /* of our own trace field in the file */
	struct session *session; /* NULL when the client is gone */
	struct worker *worker;
	char date[DATE_RFC5322_SIZE];
	char message_id[QUEUE_ID_LENGTH + 2 + 256];
};

#define SESSION_NAME_MAX (253 + INET6_ADDRSTRLEN + 3)
struct session_policy;

struct session_filters;

struct session {
	struct worker *worker;
	const struct worker_listener *listener;
	const struct policy_listener *rules;
	TAILQ_ENTRY(session) link;
	struct stream stream;
	struct smtp_server smtp;
	struct smtp_counters counters;
	struct buf replies; /* the core's; they leave when the client is to speak next */
	struct loop_timer idle;
	struct session_guard *guard; /* NULL: it was asked nothing */
	struct session_pace pace;

	struct str address; /* the client's 4 or 16 bytes, in address_bytes; empty: a program of this host */
	char address_bytes[16];
	char remote[INET6_ADDRSTRLEN]; /* empty: a program of this host, at the submit socket */
	char local[INET6_ADDRSTRLEN];
	uint16_t remote_port, local_port;
	char name[SESSION_NAME_MAX]; /* for the log: "mail.example.net[192.0.2.1]", or "unknown[192.0.2.1]" */
	size_t name_n;		     /* of the verified name in it; 0: there is none */
	char local_user[64]; /* of the program at the submit socket */
	bool is_near;	     /* of this host: passwords may come in plain */
	bool in_networks;
	bool is_exempt; /* of the limits on strangers: it is in networks or exempt_clients, or a program of this host */
	bool in_xclient; /* inside of session_xclient */
	bool may_xclient, may_xforward; /* whoever is at the other end of the connection, not the client it speaks for */

	struct socketmap_query query; /* about a recipient, or the user of the submit socket */
	void (*local_user_known)(struct session *s);
	bool sender_is_rewritten; /* it was not the login's */
	struct session_policy *policy; /* NULL while no rule needs it */
	void (*recipient_is_ours)(struct session *s);
	bool recipient_is_late, recipient_is_grey; /* if it exists: policy->play.reply puts it off; the guard is asked */
	struct sasl_request sasl;
	char mechanism[21];
	struct session_message *message;
	struct session_filters *filters; /* NULL: no milter looks at its mail */
	bool start_tls, close; /* due when the step's input is used up */
	bool leaving;	       /* goodbye was said, or QUIT */
};

/* --- session.c */

/* Takes the descriptor. local: this host's address as the client sees it; NULL: the connection's. */
void session_new(struct worker_listener *listener, int fd, const struct sockaddr *peer, const struct sockaddr *local);
/* The client is at this address; its name is not known. */
void session_client(struct session *s, const struct sockaddr *peer);
/* What the core knows of the client follows from the session's facts again. */
void session_facts_renew(struct session *s);
/* The session ends now; but a message that is on its way to the disk is still answered. */
void session_stop(struct session *s);
/* The client's verified name is this (empty: it has none). */
void session_name(struct session *s, struct str host);
/* Its verified name; empty: it has none. */
struct str session_client_name(const struct session *s);
/* Goes on after a question was answered from the loop. */
void session_go_on(struct session *s);

/* --- session_envelope.c: answers the core's question of that name, now or later */

void session_sender(struct session *s);
void session_recipient(struct session *s);
/* The core's question about a recipient is answered with this, the address in front of its text. */
void session_recipient_refuse(struct session *s, const struct smtp_reply *reply);
void session_verify(struct session *s);
/* On offer to this client, on its connection as it is now. */
struct str session_mechanisms(const struct session *s);
void session_authenticate(struct session *s);
void session_respond(struct session *s);
/* Finds out who is at the submit socket, then calls back. */
void session_local_user(struct session *s, int fd, void (*known)(struct session *s));

/* --- session_sender.c */

/* Answers SENDER, now or later: belongs the sender to the login? */
void session_sender_check(struct session *s);

/* --- session_xclient.c: answers the core's question of that name */

void session_xclient(struct session *s);

/* --- session_log.c */

/* "connect from unknown[192.0.2.1]" and `more`. */
void session_log(const struct session *s, const char *what, const char *more);
/* The connection ended, or is being ended, without QUIT: "lost connection after DATA from ..." */
void session_log_broken(const struct session *s, const char *what);
void session_log_reject(const struct session *s, const char *verb, const struct smtp_reply *reply, struct str recipient);
/* What the policy did without refusing: "warn", "hold" ...; server: whose answer it was, NULL: a rule. */
void session_log_policy(const struct session *s, const char *what, const char *server, struct str text);
/* "disconnect from ... ehlo=1 ..." */
void session_log_end(const struct session *s);

#endif
