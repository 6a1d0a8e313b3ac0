/*
 * The sockets on which the suite listens, opened by the supervisor before any program runs: those of the configuration,
 * and our own in run_directory. Those that its caller passes in by LISTEN_FDS take the place of the ones so named.
 */
#ifndef QUEUE_RUN_SOCKETS_H
#define QUEUE_RUN_SOCKETS_H

#include <sys/un.h>

#include "common/conf/conf.h"

struct run_socket {
	char name[65];
	enum listener_kind kind;
	int fd;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* to be removed at the end; "" for TCP and passed ones */
};

struct run_sockets {
	struct run_socket *list;
	size_t n;
};

/* The port of a listener: its own, else the standard one, to which an ordinary user adds 10000. */
uint16_t run_socket_port(const struct conf_listener *listener, bool privileged);

/* Waits a few seconds for ports that a dying predecessor still holds. */
bool run_sockets_open(struct run_sockets *sockets, const struct conf *conf, struct err *err);
/* Closes them and removes the unix ones. */
void run_sockets_close(struct run_sockets *sockets);

#endif
