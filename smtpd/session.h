/*
 * One SMTP connection: the stream, the protocol core, and the answers to the core's questions (policy, authd, the
 * drop box). It frees itself when the connection is over.
 */
#ifndef SMTPD_SESSION_H
#define SMTPD_SESSION_H

#include "common/date.h"
#include "common/smtp_server.h"
#include "common/stream.h"
#include "smtpd/content.h"
#include "smtpd/worker.h"

/* A message between 354 and its reply: on its own, because a commit that is under way outlives the session. */
struct session_message {
	struct intake_message intake;
	struct content content;
	struct session *session; /* NULL when the client is gone */
	struct worker *worker;
	char date[DATE_RFC5322_SIZE];
	char message_id[QUEUE_ID_LENGTH + 2 + 256];
};

struct session {
	struct worker *worker;
	const struct worker_listener *listener;
	TAILQ_ENTRY(session) link;
	struct stream stream;
	struct smtp_server smtp;
	struct smtp_counters counters;
	struct loop_timer idle;
	struct client *client; /* NULL: not counted */

	char remote[INET6_ADDRSTRLEN]; /* empty: a program of this host, at the submit socket */
	char local[INET6_ADDRSTRLEN];
	char local_user[64]; /* of that program */
	bool is_near;	     /* of this host: passwords may come in plain */
	bool in_networks;

	struct socketmap_query query;	   /* about a recipient */
	struct socketmap_query user_query; /* about the user of the submit socket */
	struct sasl_request sasl;
	char mechanism[21];
	struct session_message *message;
	bool start_tls, close; /* due when the step's input is used up */
	bool leaving;	       /* goodbye was said */
};

/* Takes the descriptor. */
void session_new(struct worker_listener *listener, int fd, const struct sockaddr_storage *address);
/* The session ends now; but a message that is on its way to the disk is still answered. */
void session_stop(struct session *s);

#endif
