/*
 * remote: sends mail, by SMTP to the exchangers of other domains and by LMTP to deliver.
 */
#include "common/daemon/daemon.h"
#include "queue/remote_worker.h"

#define RENEWED_LOOK_MS 15000

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
	/* Looks for renewed tokens more often than they are renewed by far. */
	static struct daemon daemon = {
	    .name = "remote", .roles = roles, .nroles = 1, .logs_in = true, .ping_ms = RENEWED_LOOK_MS};

	return daemon_main(&daemon, argc, argv);
}
