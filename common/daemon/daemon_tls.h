/*
 * TLS in a worker of a daemon: the certificates of the configuration, with the daemon's key process behind them
 * (common/daemon/daemon_key.h), and a context for each listener.
 */
#ifndef COMMON_DAEMON_TLS_H
#define COMMON_DAEMON_TLS_H

#include "common/daemon/daemon.h"

struct daemon_tls;
struct tls_context;

/* Reads the certificates, so before daemon_confine; the role must have "key" among its peers. Fatal when one cannot be
 * used. NULL: none is configured. */
struct daemon_tls *daemon_tls_open(const struct daemon_self *self);
/* As its section of the configuration wants it. Before daemon_confine as well, and fatal likewise. NULL when tls is. */
struct tls_context *daemon_tls_listener(const struct daemon_tls *tls, const struct listener *listener);

#endif
