/*
 * What a listening socket is for: who speaks what on it. The one table of them, from which the configuration, the
 * supervisor and the daemons' intake of sockets follow.
 */
#ifndef COMMON_LISTENER_KIND_H
#define COMMON_LISTENER_KIND_H

#include <sys/types.h>

#include "common/base/str.h"

enum listener_kind {
	/* those of [listener NAME] sections, in the order of the words of its key `kind` */
	LISTENER_MX,
	LISTENER_SUBMISSION,
	LISTENER_SUBMISSIONS,
	LISTENER_LOCAL,
	LISTENER_POP3,
	LISTENER_POP3S,
	LISTENER_IMAP,
	LISTENER_IMAPS,
	LISTENER_LMTP,
	/* those between our own programs */
	LISTENER_SASL,
	LISTENER_MAP,
	LISTENER_MASTER,
	LISTENER_QUEUE,
	LISTENER_POKE,
	LISTENER_CLIENTS,
};

#define LISTENER_KINDS (LISTENER_CLIENTS + 1)
/* Those of smtpd, which are the first ones. */
#define LISTENER_SMTP_WORDS "mx submission submissions local"
#define LISTENER_KIND_WORDS "mx submission submissions local pop3 pop3s imap imaps lmtp"
/* A kind as a member of a set of kinds. */
#define LISTENER_BIT(kind) (1U << (kind))

struct listener_kind_facts {
	const char *name;	 /* also of the standard listener of this kind */
	const char *program;	 /* who serves it */
	const char *service;	 /* for log_as: "submission" in merpati/submission/smtpd; NULL = the program itself */
	uint16_t port;		 /* the standard TCP port, or 0 */
	bool on_loopback;	 /* without an address it is only for this host */
	bool tls_at_once;	 /* TLS from the first byte */
	/* The unix socket in run_directory, if the kind has one; its name is also that in LISTEN_FDNAMES. */
	const char *socket; /* NULL: none */
	int socket_type;
	mode_t mode;
	const char *owner; /* user of the suite to whom the socket belongs, NULL = root */
};

/* Of a configured unix socket: whoever its directory lets in may connect. */
#define LISTENER_PATH_MODE 0666

/* Never NULL. */
const struct listener_kind_facts *listener_kind_facts(enum listener_kind kind);
/* By the kind's name or its socket's. */
bool listener_kind_parse(struct str name, enum listener_kind *kind);
/* Is it the name of one of our own sockets? */
bool listener_kind_is_socket(struct str name);

#endif
