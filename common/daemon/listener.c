#include "common/daemon/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"

static bool
make_ready(int fd, struct err *err)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return err_sys(err, "descriptor %d, which LISTEN_FDS promises", fd);
	return true;
}

static bool
take_all(struct listener_set *set, size_t n, struct str names, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct listener *listener = &set->list[i];
		struct str name;

		if (!str_token(&names, ':', &name))
			return err_set(err, ERR_PERM, "LISTEN_FDNAMES has fewer names than the %zu of LISTEN_FDS", n);
		if (!str_copy(listener->name, sizeof listener->name, name))
			return err_set(err, ERR_PERM, "LISTEN_FDNAMES: the name \"%.*s\" is too long", STR_FMT(name));
		listener->fd = LISTENER_FIRST_FD + (int)i;
		if (!make_ready(listener->fd, err))
			return false;
	}
	set->n = n;
	return true;
}

static bool
take_from_environment(struct listener_set *set, struct err *err)
{
	struct str count = str_from(getenv("LISTEN_FDS")), pid = str_from(getenv("LISTEN_PID"));
	uint64_t n, whose;

	if (count.p == NULL)
		return true;
	if (pid.p != NULL && (!str_to_u64(pid, UINT64_MAX, &whose) || whose != (uint64_t)getpid()))
		return true;
	if (!str_to_u64(count, LISTENERS_MAX, &n))
		return err_set(err, ERR_PERM, "LISTEN_FDS is \"%.*s\", not a number up to %d", STR_FMT(count), LISTENERS_MAX);
	if (n == 0)
		return true;
	set->list = calloc(n, sizeof *set->list);
	if (set->list == NULL)
		fatal("out of memory for the listeners");
	return take_all(set, n, str_from(getenv("LISTEN_FDNAMES")), err);
}

bool
listener_take(struct listener_set *set, struct err *err)
{
	bool ok;

	*set = (struct listener_set){0};
	ok = take_from_environment(set, err);
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	(void)unsetenv("LISTEN_PID");
	return ok;
}

bool
listener_kind_of(const char *name, const struct conf *conf, enum listener_kind *kind)
{
	const struct conf_listener *section = conf_listener_find(conf, str_from(name));

	if (section == NULL)
		return listener_kind_parse(str_from(name), kind);
	*kind = section->kind;
	return true;
}

bool
listener_kinds(struct listener_set *set, const struct conf *conf, struct err *err)
{
	for (size_t i = 0; i < set->n; i++)
		if (!listener_kind_of(set->list[i].name, conf, &set->list[i].kind))
			return err_set(err, ERR_PERM, "a socket named \"%s\" was passed in, but there is no [listener %s]",
			    set->list[i].name, set->list[i].name);
	return true;
}

void
listener_set_clear(struct listener_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		(void)close(set->list[i].fd);
	free(set->list);
	*set = (struct listener_set){0};
}
