#include "common/login/login.h"

#include <sys/resource.h>

#include "common/daemon/daemon.h"
#include "common/daemon/daemon_key.h"
#include "common/base/log.h"
#include "common/login/login_parent.h"
#include "common/login/login_worker.h"

static const struct login_service *service; /* of this program; roles have no room for it */

static unsigned
worker_count(const struct conf *conf)
{
	struct login_limits limits;

	service->limits(conf, &limits);
	return (unsigned)limits.workers;
}

static void
worker_main(struct daemon_self *self)
{
	login_worker_main(self, service);
}

/* The parent has a channel to each session, and every connection that is on its way. Its children set their own limits. */
static bool
parent_started(struct daemon *daemon)
{
	struct login_limits limits;
	struct rlimit files, before;

	service->limits(daemon->conf, &limits);
	if (getrlimit(RLIMIT_NOFILE, &before) != 0)
		return true;
	files.rlim_cur = files.rlim_max = 2 * limits.users + 8192;
	if (before.rlim_cur >= files.rlim_cur || setrlimit(RLIMIT_NOFILE, &files) == 0)
		return true;
	files.rlim_cur = files.rlim_max = before.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) != 0 || before.rlim_max < limits.users)
		log_warning("at most %llu descriptors: too few for as many users as are allowed",
		    (unsigned long long)before.rlim_max);
	return true;
}

int
login_main(int argc, char **argv, const struct login_service *of)
{
	static struct daemon_role roles[] = {
	    {.name = "login", .user = "_login", .count = worker_count, .main = worker_main, .peers = {"key"},
		.received = login_parent_worker_received, .ended = login_parent_worker_ended},
	    DAEMON_KEY_ROLE,
	    {.name = "session", .on_demand = true, .keeps_root = true, .main = login_session_main,
		.received = login_parent_session_received, .ended = login_parent_session_ended},
	};
	static struct daemon daemon = {.roles = roles, .nroles = sizeof roles / sizeof roles[0], .started = parent_started,
	    .reloaded = login_parent_reloaded};

	service = of;
	daemon.name = service->program;
	roles[0].listeners = LISTENER_BIT(service->kind) | LISTENER_BIT(service->kind_tls);
	login_parent_init(&daemon, service, &roles[2]);
	return daemon_main(&daemon, argc, argv);
}
