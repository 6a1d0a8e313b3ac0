/*
 * What the files of the login worker share: login_worker.c (the process), login_client.c (a connection until it is
 * logged in), login_proxy.c (one under TLS afterwards).
 */
#ifndef COMMON_LOGIN_WORKER_H
#define COMMON_LOGIN_WORKER_H

#include "common/daemon/daemon.h"
#include "common/login/login_message.h"
#include "common/login/sasl_client.h"
#include "common/base/siphash.h"
#include "common/net/stream.h"

#define LOGIN_BUCKETS 1024 /* in which connections are counted by address */

struct tls_context;
struct login_worker;

struct login_listener {
	struct loop_io io;
	struct login_worker *worker;
	const struct listener *listener;
	struct tls_context *tls; /* NULL: none is offered */
};

enum login_state {
	LOGIN_HANDSHAKING,    /* TLS */
	LOGIN_TALKING,	      /* commands are taken */
	LOGIN_AUTHENTICATING, /* authd has the word */
	LOGIN_FLUSHING,	      /* logged in; the last reply is not quite sent */
	LOGIN_HANDING,	      /* the parent has the word */
	LOGIN_PROXYING,	      /* bytes go to and fro between the peer and its session */
	LOGIN_ENDING,	      /* the last words are on their way */
};

struct login_client {
	struct stream stream;
	struct login_worker *worker;
	const struct login_listener *listener;
	enum login_state state;
	struct login_core *core; /* NULL before the handshake and after the login */
	bool resumed;		 /* STARTTLS was given; the next core does not greet */
	struct sasl_request request;
	uint32_t exchange;	/* granted */
	uint32_t handover;	/* under which the parent has it */
	int inner_fd;		/* our end of the pair under TLS; -1 */
	struct stream inner;	/* PROXYING */
	unsigned errors, refusals;
	uint64_t hash; /* of its network: see addresses */
	char remote[LOGIN_ADDRESS_MAX + 1], local[LOGIN_ADDRESS_MAX + 1];
	char user[ACCOUNT_NAME_MAX + 1];
	struct loop_timer deadline;
	TAILQ_ENTRY(login_client) link;
};

TAILQ_HEAD(login_clients, login_client);

struct login_worker {
	struct daemon_self *self;
	const struct login_service *service;
	struct login_limits limits;
	struct loop *loop;
	struct sasl_client *sasl;
	struct login_listener *listeners;
	size_t nlisteners;
	struct login_clients guests; /* not logged in, oldest first */
	struct login_clients users;  /* PROXYING */
	size_t nclients;
	uint32_t last_handover;
	struct siphash_key key;
	uint16_t addresses[LOGIN_BUCKETS]; /* guests by the hash of their address */
	struct loop_timer pause, ending;
	struct buf message;
};

/* --- login_worker.c */

/* One more process main of login.c. */
void login_worker_main(struct daemon_self *self, const struct login_service *service);
/* A client is gone: perhaps the last that a draining process waited for. */
void login_worker_left(struct login_worker *worker);

/* --- login_client.c */

/* Takes the accepted socket. */
void login_client_open(struct login_worker *worker, const struct login_listener *listener, int fd);
/* The parent's answer to its handover. */
void login_client_handed(struct login_client *client, bool ok);
void login_client_goodbye(struct login_client *client, enum login_goodbye why);
/* Its streams are closed, or were never opened. */
void login_client_free(struct login_client *client);

/* --- login_proxy.c */

/* The peer's stream, and events, for as long as it lives: login_client.c's events pass on to these. */
void login_proxy_open(struct login_client *client);
void login_proxy_input(struct login_client *client);
void login_proxy_drained(struct login_client *client);
void login_proxy_closed(struct login_client *client);

#define LOGIN_STREAM_LIMITS \
	((struct stream_limits){.in_max = LOGIN_INPUT_MAX, .out_max = 4 * LOGIN_INPUT_MAX, .full_duplex = true})

#endif
