#include "common/net/unix_socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/str.h"

int
unix_connect(const char *path, int type, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (!str_copy(address.sun_path, sizeof address.sun_path, str_from(path))) {
		(void)err_set(err, ERR_PERM, "%s: too long for the path of a socket", path);
		return -1;
	}
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		(void)err_sys(err, "socket");
		return -1;
	}
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
		(void)err_sys(err, "cannot connect to %s", path);
		(void)close(fd);
		return -1;
	}
	return fd;
}

bool
unix_peer_get(int fd, struct unix_peer *peer, struct err *err)
{
	struct ucred credentials;
	socklen_t n = sizeof credentials;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &n) != 0)
		return err_sys(err, "SO_PEERCRED");
	peer->pid = credentials.pid;
	peer->uid = credentials.uid;
	peer->gid = credentials.gid;
	return true;
}
