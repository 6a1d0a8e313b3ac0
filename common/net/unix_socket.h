/*
 * Local sockets by path: reaching one, and who is at the other end.
 */
#ifndef COMMON_UNIX_SOCKET_H
#define COMMON_UNIX_SOCKET_H

#include <sys/types.h>

#include "common/base/err.h"

/* type: SOCK_STREAM or SOCK_SEQPACKET, with SOCK_NONBLOCK or not; close-on-exec always. -1 fills err (errnum is EAGAIN
 * when the server's backlog is full and the socket non-blocking). */
int unix_connect(const char *path, int type, struct err *err);

/* Who connected, as the kernel saw it at connect(). */
struct unix_peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

bool unix_peer_get(int fd, struct unix_peer *peer, struct err *err);

#endif
