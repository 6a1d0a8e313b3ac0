#include "queue/run_sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/daemon/daemon.h"
#include "common/daemon/listener.h"
#include "common/base/log.h"

#define BACKLOG 1024
#define ORDINARY_USER_PORTS 10000
#define BIND_TRIES 50
#define BIND_PAUSE_US 100000

/* Of one listener there may be two: IPv4 and IPv6. Our own come besides. */
#define SOCKETS_MAX (LISTENERS_MAX + 2 * CONF_LISTENERS_MAX + LISTENER_KINDS)

uint16_t
run_socket_port(const struct conf_listener *listener, bool privileged)
{
	unsigned port = (unsigned)listener->port;

	if (port == 0)
		port = listener_kind_facts(listener->kind)->port + (privileged ? 0U : ORDINARY_USER_PORTS);
	return (uint16_t)port;
}

static struct run_socket *
socket_add(struct run_sockets *sockets, const char *name, enum listener_kind kind, int fd)
{
	struct run_socket *s = &sockets->list[sockets->n++];

	*s = (struct run_socket){.kind = kind, .fd = fd};
	(void)str_copy(s->name, sizeof s->name, str_from(name));
	return s;
}

static bool
is_local(int fd)
{
	struct sockaddr address = {.sa_family = AF_UNSPEC};
	socklen_t length = sizeof address;

	return getsockname(fd, &address, &length) == 0 && address.sa_family == AF_UNIX;
}

/* Is there a socket of that name? `lmtp` may be one of our own and a listener of the configuration. */
static bool
is_there(const struct run_sockets *sockets, const char *name, bool local)
{
	for (size_t i = 0; i < sockets->n; i++)
		if (strcmp(sockets->list[i].name, name) == 0 && is_local(sockets->list[i].fd) == local)
			return true;
	return false;
}

static bool
take_passed(struct run_sockets *sockets, const struct conf *conf, struct err *err)
{
	struct listener_set set;

	if (!listener_take(&set, err) || !listener_kinds(&set, conf, err))
		return false;
	for (size_t i = 0; i < set.n; i++)
		(void)socket_add(sockets, set.list[i].name, set.list[i].kind, set.list[i].fd);
	free(set.list);
	return true;
}

/* bind(), with patience for a port that a predecessor is just giving up. */
static bool
bind_patiently(int fd, const struct endpoint *endpoint)
{
	for (int i = 0; i < BIND_TRIES; i++) {
		if (bind(fd, &endpoint->address.any, endpoint->length) == 0)
			return true;
		if (errno != EADDRINUSE)
			return false;
		if (i == 0)
			log_info("port %u is in use; waiting for it", ntohs(endpoint->address.v4.sin_port));
		(void)usleep(BIND_PAUSE_US);
	}
	return false;
}

static int
tcp_open(const struct endpoint *endpoint)
{
	int fd = socket(endpoint->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, errnum;

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
	    (endpoint->address.any.sa_family != AF_INET6 ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0) &&
	    bind_patiently(fd, endpoint) && listen(fd, BACKLOG) == 0)
		return fd;
	errnum = errno;
	(void)close(fd);
	errno = errnum;
	return -1;
}

/* IPv6 may be switched off on this host; then IPv4 alone is all addresses. */
static bool
is_without_ipv6(const struct endpoint *endpoint, int errnum)
{
	return endpoint->address.any.sa_family == AF_INET6 && (errnum == EAFNOSUPPORT || errnum == EADDRNOTAVAIL);
}

static bool
tcp_add(struct run_sockets *sockets, const struct conf *conf, const struct conf_listener *listener, struct err *err)
{
	static const char *const all[] = {"0.0.0.0", "::", NULL}, *const loopback[] = {"127.0.0.1", "::1", NULL};
	const char *const one[] = {listener->address, NULL};
	const char *const *standard = listener_kind_facts(listener->kind)->on_loopback ? loopback : all;
	uint16_t port = run_socket_port(listener, daemon_is_privileged());

	for (const char *const *address = listener->address[0] != '\0' ? one : standard; *address != NULL; address++) {
		struct endpoint endpoint;
		int fd;

		if (!endpoint_parse_address(str_from(*address), port, &endpoint))
			return err_set(err, ERR_PERM, "%s:%u: \"%s\" is not an IP address", conf->path, listener->line, *address);
		fd = tcp_open(&endpoint);
		if (fd >= 0)
			(void)socket_add(sockets, listener->name, listener->kind, fd);
		else if (listener->address[0] != '\0' || !is_without_ipv6(&endpoint, errno))
			return err_sys(err, "[listener %s]: cannot listen on %s port %u", listener->name, *address, port);
	}
	return true;
}

/* own: the one in run_directory. */
static bool
unix_permit(const char *path, const struct listener_kind_facts *kind, bool own, struct err *err)
{
	struct daemon_user owner;

	if (chmod(path, own ? kind->mode : LISTENER_PATH_MODE) != 0)
		return err_sys(err, "cannot change the mode of %s", path);
	if (!own || kind->owner == NULL || !daemon_is_privileged())
		return true;
	if (!daemon_user_find(kind->owner, &owner, err))
		return false;
	if (lchown(path, owner.uid, (gid_t)-1) != 0)
		return err_sys(err, "cannot change the owner of %s", path);
	return true;
}

/* The lock on run_directory makes sure that a socket which is there already is a dead instance's. */
static bool
unix_bind(int fd, const char *path, const struct listener_kind_facts *kind, bool own, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat st;

	if (!str_copy(address.sun_path, sizeof address.sun_path, str_from(path)))
		return err_set(err, ERR_PERM, "the path of the socket %s is too long", path);
	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return err_set(err, ERR_PERM, "%s is there and is not a socket", path);
	if (unlink(path) != 0 && errno != ENOENT)
		return err_sys(err, "cannot remove the old socket %s", path);
	if (bind(fd, (const struct sockaddr *)&address, sizeof address) != 0)
		return err_sys(err, "cannot create the socket %s", path);
	if (kind->socket_type != SOCK_DGRAM && listen(fd, BACKLOG) != 0)
		return err_sys(err, "cannot listen on %s", path);
	return unix_permit(path, kind, own, err);
}

static bool
unix_add(struct run_sockets *sockets, const char *name, enum listener_kind kind, const char *path, struct err *err)
{
	const struct listener_kind_facts *facts = listener_kind_facts(kind);
	bool own = facts->socket != NULL && strcmp(name, facts->socket) == 0;
	int fd = socket(AF_UNIX, facts->socket_type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct run_socket *s;

	if (fd < 0)
		return err_sys(err, "cannot create the socket %s", path);
	if (!unix_bind(fd, path, facts, own, err)) {
		(void)close(fd);
		return false;
	}
	s = socket_add(sockets, name, kind, fd);
	(void)str_copy(s->path, sizeof s->path, str_from(path));
	return true;
}

static bool
open_configured(struct run_sockets *sockets, const struct conf *conf, struct err *err)
{
	for (size_t i = 0; i < conf->nlisteners; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		if (is_there(sockets, l->name, l->path[0] != '\0'))
			continue;
		if (l->path[0] != '\0' ? !unix_add(sockets, l->name, l->kind, l->path, err) : !tcp_add(sockets, conf, l, err))
			return false;
	}
	return true;
}

static bool
open_own(struct run_sockets *sockets, const struct conf *conf, struct err *err)
{
	for (unsigned kind = 0; kind < LISTENER_KINDS; kind++) {
		const struct listener_kind_facts *facts = listener_kind_facts((enum listener_kind)kind);

		if (facts->socket == NULL || is_there(sockets, facts->socket, true))
			continue;
		if (!unix_add(sockets, facts->socket, (enum listener_kind)kind, daemon_socket_path(conf, facts->socket), err))
			return false;
	}
	return true;
}

bool
run_sockets_open(struct run_sockets *sockets, const struct conf *conf, struct err *err)
{
	*sockets = (struct run_sockets){.list = calloc(SOCKETS_MAX, sizeof *sockets->list)};
	if (sockets->list == NULL)
		fatal("out of memory for the sockets");
	if (take_passed(sockets, conf, err) && open_configured(sockets, conf, err) && open_own(sockets, conf, err))
		return true;
	run_sockets_close(sockets);
	return false;
}

void
run_sockets_close(struct run_sockets *sockets)
{
	for (size_t i = 0; i < sockets->n; i++) {
		const char *path = sockets->list[i].path;

		(void)close(sockets->list[i].fd);
		if (path[0] != '\0' && unlink(path) != 0 && errno != ENOENT)
			log_warning("cannot remove the socket %s: %s", path, strerror(errno));
	}
	free(sockets->list);
	*sockets = (struct run_sockets){0};
}
