#include "common/daemon/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/str.h"

static int notify_fd = -1;
static uint64_t watchdog_ms;

static uint64_t
number_in(const char *name, uint64_t otherwise)
{
	uint64_t value;

	return str_to_u64(str_from(getenv(name)), UINT64_MAX, &value) ? value : otherwise;
}

/* A path, or a name in the abstract space when it begins with @. */
static bool
address_of(const char *path, struct sockaddr_un *address, socklen_t *length)
{
	size_t n = strlen(path);

	memset(address, 0, sizeof *address);
	address->sun_family = AF_UNIX;
	if ((path[0] != '/' && path[0] != '@') || n < 2 || n >= sizeof address->sun_path)
		return false;
	memcpy(address->sun_path, path, n);
	if (path[0] == '@')
		address->sun_path[0] = '\0';
	*length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (path[0] == '/'));
	return true;
}

void
notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address;
	socklen_t length;

	if (path != NULL && address_of(path, &address, &length)) {
		notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (notify_fd >= 0 && connect(notify_fd, (struct sockaddr *)&address, length) != 0)
			notify_close();
	}
	if (number_in("WATCHDOG_PID", (uint64_t)getpid()) == (uint64_t)getpid())
		watchdog_ms = number_in("WATCHDOG_USEC", 0) / 1000;
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_PID");
	(void)unsetenv("WATCHDOG_USEC");
}

/* Not being heard is the manager's trouble: it will act on the silence. */
void
notify_send(const char *lines)
{
	if (notify_fd >= 0)
		(void)send(notify_fd, lines, strlen(lines), MSG_NOSIGNAL);
}

uint64_t
notify_watchdog_ms(void)
{
	return watchdog_ms;
}

void
notify_close(void)
{
	if (notify_fd >= 0)
		(void)close(notify_fd);
	notify_fd = -1;
}
