/*
 * Connections from a proxy that has not said yet whose they are: the listener's `proxy_networks` name such hosts, and
 * nothing but a PROXY header is taken from them first. Exactly its bytes are read; the session begins behind it.
 */
#ifndef SMTPD_PROXY_WAIT_H
#define SMTPD_PROXY_WAIT_H

#include <sys/socket.h>

#include "smtpd/worker.h"

/* Is a header due from there? */
bool proxy_wait_is_due(const struct worker_listener *listener, const struct sockaddr *peer);
/* Takes the descriptor: a session comes of it, or it is closed. */
void proxy_wait_new(struct worker_listener *listener, int fd, const struct sockaddr_storage *peer);
/* Closes all of them. */
void proxy_wait_stop(struct worker *worker);

#endif
