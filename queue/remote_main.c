/*
 * remote: sends mail, by SMTP to the exchangers of other domains and by LMTP to deliver.
 */
#include "common/daemon/daemon.h"
#include "queue/remote_worker.h"

static unsigned
worker_count(const struct conf *conf)
{
	return (unsigned)conf->queue.remote_workers;
}

int
main(int argc, char **argv)
{
	static const struct daemon_role roles[] = {
	    {.name = "worker", .user = "_remote", .count = worker_count, .main = remote_worker_main},
	};
	static struct daemon daemon = {.name = "remote", .roles = roles, .nroles = 1};

	return daemon_main(&daemon, argc, argv);
}
