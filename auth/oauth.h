/*
 * Bearer tokens: what authd's front asks its oauth process, as messages of common/base/msg.h. That process reads tokens, has the
 * keys by which they are signed and the password for the server that knows the others, and speaks with that server; it can
 * read no account.
 *
 *     request  type OAUTH_ASK, id, token (text)
 *     answer   type OAUTH_ANSWER, id, found (enum found), value (text: the name; or, if not FOUND, why, for the log)
 *     hello    type OAUTH_HELLO: a new process serves from here; what its predecessor had begun gets no answer
 *     goodbye  type OAUTH_GOODBYE: the front has nothing more to ask
 */
#ifndef AUTH_OAUTH_H
#define AUTH_OAUTH_H

#include "auth/system.h"
#include "auth/token.h"
#include "common/daemon/daemon.h"

enum oauth_message {
	OAUTH_HELLO = 1,
	OAUTH_GOODBYE,
	OAUTH_ASK,
	OAUTH_ANSWER,
};

struct oauth_answer {
	enum found found;
	struct str value;
};

/* Whether clients may log in with tokens. */
bool oauth_is_configured(const struct conf *conf);

/* False when it is not what it says; strings are borrowed from the message. */
bool oauth_ask_read(struct msg *m, struct str *token);
void oauth_answer_write(struct buf *b, uint32_t id, const struct oauth_answer *answer);
bool oauth_answer_read(struct msg *m, struct oauth_answer *answer);

/* --- in the front: oauth_client.c */

#define OAUTH_ASKED_MAX 1000 /* tokens under way; further ones fail at once */

struct oauth_request;
TAILQ_HEAD(oauth_requests, oauth_request);

struct oauth_client {
	struct loop *loop;
	struct channel channel;
	uint32_t last_id;
	size_t n;
	struct oauth_requests requests;
};

struct oauth_request {
	/* Called once, never from inside oauth_ask. May free the request. */
	void (*answered)(struct oauth_request *request, const struct oauth_answer *answer);
	struct oauth_client *client; /* NULL: nothing is under way */
	uint32_t id;
	struct loop_timer timer;
	TAILQ_ENTRY(oauth_request) link;
};

/* fd: of the pair to the process, which the client takes; -1: there is none, and every request fails. */
void oauth_client_open(struct oauth_client *client, struct loop *loop, int fd);
void oauth_ask(struct oauth_client *client, struct oauth_request *request, struct str token,
    void (*answered)(struct oauth_request *, const struct oauth_answer *));
/* Harmless when nothing is under way. */
void oauth_cancel(struct oauth_request *request);
/* Nothing more will be asked. */
void oauth_client_release(struct oauth_client *client);

/* --- oauth_role.c: the process */

unsigned oauth_count(const struct conf *conf);
void oauth_main(struct daemon_self *self);

#endif
