/*
 * remote: sends mail, by SMTP to the exchangers of other domains and by LMTP to deliver. `worker` processes do that;
 * `policy` knows for them what domains want of TLS, `connector` connects to the sockets of relays.
 */
#include "common/daemon/daemon.h"
#include "queue/policy.h"
#include "queue/remote_connector.h"
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
	    {.name = "worker", .user = "_remote", .count = worker_count, .main = remote_worker_main,
		.peers = {[REMOTE_PEER_POLICY] = "policy", [REMOTE_PEER_CONNECTOR] = "connector"}},
	    {.name = "policy", .user = "_remote", .count = policy_count, .main = policy_main},
	    {.name = "connector", .user = "_remote", .count = remote_connector_count, .main = remote_connector_main,
		.keeps_root = true},
	};
	/* Looks for renewed tokens more often than they are renewed by far. */
	static struct daemon daemon = {
	    .name = "remote", .roles = roles,
	    .nroles = sizeof roles / sizeof roles[0], .logs_in = true, .ping_ms = RENEWED_LOOK_MS};

	return daemon_main(&daemon, argc, argv);
}
