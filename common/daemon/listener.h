/*
 * The listening sockets of a daemon. It never binds: they come from `merpati run` or systemd as LISTEN_FDS and
 * LISTEN_FDNAMES, from descriptor 3 on. A socket's name says what it is for: the NAME of a [listener NAME] section, or
 * the name of a kind (one of our own sockets such as "sasl", or a .socket unit's "imap"). Several may share a name.
 */
#ifndef COMMON_LISTENER_H
#define COMMON_LISTENER_H

#include "common/conf/conf.h"

#define LISTENERS_MAX 512
#define LISTENER_FIRST_FD 3

struct listener {
	char name[65];
	enum listener_kind kind;
	int fd;
};

struct listener_set {
	struct listener *list;
	size_t n;
};

/*
 * Reads the variables, removes them from the environment, and makes the descriptors close-on-exec and non-blocking.
 * Those that are for another process (LISTEN_PID) are left alone. The kinds are set by listener_kinds. fds and names
 * that do not fit together are an error.
 */
bool listener_take(struct listener_set *set, struct err *err);
/* The kind of the sockets of that name; false when neither the configuration nor the kinds know it. */
bool listener_kind_of(const char *name, const struct conf *conf, enum listener_kind *kind);
/* Sets each one's kind; a name that is not known is an error. */
bool listener_kinds(struct listener_set *set, const struct conf *conf, struct err *err);
void listener_set_clear(struct listener_set *set);

#endif
