/*
 * What a session asks the guard: before the greeting, before a message, before more recipients, for greylisting. Clients in
 * `networks` and programs of this host are asked about only when they have authenticated, for the login's limits.
 */
#ifndef SMTPD_SESSION_GUARD_H
#define SMTPD_SESSION_GUARD_H

#include "smtpd/guard_client.h"

struct session;

struct session_guard {
	struct session *session;
	struct guard_link link;
	void (*next)(struct session *s); /* what waits for the answer under way */

	/* Before the greeting: */
	struct loop_timer pause;
	uint64_t begun_ms;
	uint16_t port; /* the client's */
	bool waiting;	 /* the client is still to be greeted */
	bool pause_over; /* or there was none */
	bool answered;	 /* nothing speaks against it, and known says whether it must wait */
	bool known;
	bool is_proxied; /* there is no pause */
	bool is_named;	 /* a proxy told its name */

	/* Whose message it is, and how many recipients are granted to it: */
	char *login, *sender; /* owned; NULL: not set */
	uint64_t granted;
	bool asked_of_messages; /* the guard counts them by its answers */
};

/* The connection was just accepted and the stream is open: next is called, now or later, if the client may be greeted.
 * Otherwise the session is ended here. */
void session_guard_connect(struct session *s, const struct sockaddr *peer, void (*next)(struct session *));
/* The same for another client of the connection, whom a proxy has named: there is no pause. is_named: so was its name. */
void session_guard_again(struct session *s, const struct sockaddr *peer, bool is_named, void (*next)(struct session *));
/* Is the client still to be greeted? What it sends then is for session_guard_early. */
bool session_guard_is_waiting(const struct session *s);
void session_guard_early(struct session *s);
/* It has left meanwhile: says so in the log. */
void session_guard_log_hangup(const struct session *s);

/*
 * To the core's question SENDER and RECIPIENT. False: nothing stands against it, go on. True: the guard is asked; next is
 * called later from the loop, or the question is answered here with 450; the session goes on afterwards.
 */
bool session_guard_sender(struct session *s, void (*next)(struct session *));
bool session_guard_recipient(struct session *s, void (*next)(struct session *));
/* The same for greylisting, whether or not it is on. */
bool session_guard_grey(struct session *s, void (*next)(struct session *));

/* What is asked is not awaited any more. */
void session_guard_cancel(struct session *s);
/* The session is over. Harmless when the guard was never asked. */
void session_guard_close(struct session *s);

#endif
