/*
 * smtpd: the SMTP server. `worker` processes speak with clients and may create files in the queue's drop box; `key`
 * holds the TLS private key and signs for them; `connector` connects to filters for them; `guard` knows who connects how
 * often, and asks DNS about them.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/daemon/daemon.h"
#include "common/daemon/daemon_key.h"
#include "common/base/log.h"
#include "smtpd/filter_connector.h"
#include "smtpd/guard.h"
#include "smtpd/worker.h"

/* Read rights are for syncing the directory; getdents is not among the promises of the worker's sandbox. */
static int
incoming_open(const struct conf *conf)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof path, "%s/incoming", conf->spool_directory);
	int fd = n < (int)sizeof path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd < 0)
		fatal("cannot open %s: %s; \"merpati run\" makes it", path, strerror(errno));
	return fd;
}

/* What the rules name, before the file system is out of reach; `merpati reload' reads it anew. */
static void
rule_files_open(const struct daemon_self *self)
{
	struct buf problems;
	struct str rest, line;
	struct err err;

	buf_init(&problems, CONF_PROBLEMS_MAX_BYTES);
	if (!rule_files_load(self->conf->rule_files, &problems, &err))
		fatal("a file of [policy]: %s", err.text);
	rest = buf_str(&problems);
	while (self->index == 0 && str_token(&rest, '\n', &line))
		if (line.n > 0)
			log_warning("%.*s", STR_FMT(line));
	buf_clear(&problems);
}

static void
worker_main(struct daemon_self *self)
{
	(void)umask(0); /* the queue's group must be able to read what is dropped */
	rule_files_open(self);
	worker_run(self, incoming_open(self->conf));
}

static unsigned
worker_count(const struct conf *conf)
{
	return (unsigned)conf->smtpd.workers;
}

int
main(int argc, char **argv)
{
	static const struct daemon_role roles[] = {
	    {.name = "worker", .user = "_smtpd", .count = worker_count, .main = worker_main,
	        .peers = {[WORKER_PEER_KEY] = "key", [WORKER_PEER_CONNECTOR] = "connector",
	            [WORKER_PEER_GUARD] = "guard"},
	        .listeners = LISTENER_BIT(LISTENER_MX) | LISTENER_BIT(LISTENER_SUBMISSION) |
	            LISTENER_BIT(LISTENER_SUBMISSIONS) | LISTENER_BIT(LISTENER_LOCAL)},
	    DAEMON_KEY_ROLE,
	    {.name = "connector", .user = "_filter", .count = filter_connector_count, .main = filter_connector_main, .keeps_root = true},
	    {.name = "guard", .user = "_smtpd", .main = guard_main, .listeners = LISTENER_BIT(LISTENER_CLIENTS)},
	};
	static struct daemon daemon = {.name = "smtpd", .roles = roles, .nroles = sizeof roles / sizeof roles[0]};

	return daemon_main(&daemon, argc, argv);
}
