#include "queue/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/daemon/sandbox.h"
#include "common/dns/resolver.h"
#include "common/tls/tls.h"
#include "queue/sts_lookup.h"
#include "queue/tlsrpt_collect.h"
#include "queue/tlsrpt_send.h"

#define DESCRIPTORS_MORE 64
#define STOP_MS 100

/* One worker. */
struct policy_peer {
	struct policy *policy;
	struct channel channel;
};

struct policy {
	const struct conf *conf;
	struct loop *loop;
	struct sts_lookups sts;
	struct loop_timer end;
	bool reports; /* there are some */
	struct tlsrpt_collector collector;
	struct tlsrpt_sender sender;
	struct policy_peer *peers;
	struct buf packet;
};

static struct policy policy;

/* --- workers -------------------------------------------------------------------------------------------------------------- */

/* A worker that does not read goes on without us. */
static void
answered(struct sts_lookups *lookups, void *asker, uint32_t id, const struct policy_answer *answer)
{
	struct policy_peer *peer = asker;

	(void)lookups;
	policy_answer_encode(&policy.packet, id, answer);
	if (channel_is_open(&peer->channel) && !channel_send(&peer->channel, &policy.packet, -1))
		log_warning("a worker does not take its answers");
}

static bool
asked(struct policy_peer *peer, struct msg *m)
{
	struct str domain;

	if (!policy_ask_decode(m, &domain))
		return false;
	if (policy.conf->queue.mta_sts)
		sts_lookups_ask(&policy.sts, domain, peer, m->id);
	else
		answered(&policy.sts, peer, m->id, &(const struct policy_answer){.holds_s = 0});
	return true;
}

static bool
told(struct msg *m)
{
	struct tlsrpt_outcome outcome;

	if (!tlsrpt_outcome_decode(m, &outcome))
		return false;
	if (policy.reports)
		tlsrpt_collector_tell(&policy.collector, &outcome);
	return true;
}

static void
received(struct channel *channel, struct msg *m)
{
	struct policy_peer *peer = container_of(channel, struct policy_peer, channel);
	bool good = false;

	if (m->type == POLICY_ASK)
		good = asked(peer, m);
	else if (m->type == POLICY_OUTCOME)
		good = told(m);
	if (!good)
		log_warning("a worker sent a senseless message %u", m->type);
}

/* The parent keeps the pairs, so this is the end of everything. */
static void
closed(struct channel *channel)
{
	(void)channel;
}

static void
peers_open(const struct daemon_self *self)
{
	policy.peers = calloc(self->npeers + 1, sizeof *policy.peers);
	if (policy.peers == NULL)
		fatal("out of memory for %zu workers", self->npeers);
	for (size_t i = 0; i < self->npeers; i++) {
		policy.peers[i].policy = &policy;
		channel_open(&policy.peers[i].channel, policy.loop, self->peers[i], received, closed);
	}
}

/* --- reports -------------------------------------------------------------------------------------------------------------- */

/* Mail went on without it; for the report that is a failure of its own (RFC 8460 4.3.2.2). */
static void
fetch_failed(struct sts_lookups *lookups, struct str domain, enum tlsrpt_result result, const char *why)
{
	const struct tlsrpt_outcome outcome = {.policy = TLSRPT_STS, .result = result, .domain = domain,
	    .reason = str_from(why)};

	(void)lookups;
	if (policy.reports)
		tlsrpt_collector_tell(&policy.collector, &outcome);
}

static void
files_are_read(struct tlsrpt_sender *sender)
{
	(void)sender;
	tlsrpt_collector_flush(&policy.collector);
}

struct str
policy_report_sender(const struct conf *conf)
{
	if (!conf->queue.tlsrpt)
		return STR("");
	return str_from(conf->queue.tlsrpt_from[0] != '\0' ? conf->queue.tlsrpt_from : conf->postmaster);
}

static void
reports_start(const struct daemon_self *self, int directory)
{
	const struct conf *conf = self->conf;

	policy.reports = conf->queue.tlsrpt && directory >= 0;
	if (!policy.reports)
		return;
	policy.collector = (struct tlsrpt_collector){.loop = policy.loop, .dns = policy.sts.http.dns, .directory = directory,
	    .period_s = conf->queue.tlsrpt_interval_s};
	tlsrpt_collector_start(&policy.collector);
	policy.sender = (struct tlsrpt_sender){.conf = conf, .http = policy.sts.http, .directory = directory,
	    .period_s = conf->queue.tlsrpt_interval_s, .from = policy_report_sender(conf), .before = files_are_read};
	tlsrpt_sender_start(&policy.sender);
}

static void
stop_now(struct loop_timer *timer)
{
	(void)timer;
	tlsrpt_collector_flush(&policy.collector);
	tlsrpt_sender_save(&policy.sender);
	loop_stop(policy.loop);
}

/* The workers have ended; what they said last is still to be read. */
static void
stop(struct daemon_self *self)
{
	if (policy.reports)
		loop_timer_set(self->loop, &policy.end, STOP_MS, stop_now);
	else
		loop_stop(self->loop);
}

/* --- the process ---------------------------------------------------------------------------------------------------------- */

/* As root, or as the one user of all: the directories are made by `merpati run` or systemd-tmpfiles. */
static int
directory_open(const struct conf *conf, const char *name)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof path, "%s/%s", conf->cache_directory, name), fd = -1;

	if (n > 0 && (size_t)n < sizeof path)
		fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	else
		errno = ENAMETOOLONG;
	if (fd < 0)
		log_warning("%s/%s: %s; what belongs there is kept until this process ends", conf->cache_directory, name,
		    strerror(errno));
	return fd;
}

static void
directory_allow(struct sandbox_spec *spec, int fd)
{
	size_t n = 0;

	while (spec->paths[n].access != 0)
		n++;
	spec->paths[n] = (struct sandbox_path){.fd = fd, .access = SANDBOX_READ | SANDBOX_WRITE | SANDBOX_REMOVE};
}

static struct tls_context *
authorities_read(const struct conf *conf)
{
	struct err err;
	struct tls_context *tls = tls_client_new(&err);

	if (tls == NULL || !tls_client_trust(tls, conf->queue.tls_authorities, &err))
		log_warning("no MTA-STS policy can be had: %s", err.text);
	return tls;
}

unsigned
policy_count(const struct conf *conf)
{
	return conf->queue.mta_sts || conf->queue.tlsrpt ? 1 : 0;
}

void
policy_main(struct daemon_self *self)
{
	struct sandbox_spec spec = {
	    .promises = SANDBOX_STDIO | SANDBOX_LOOP | SANDBOX_SERVE | SANDBOX_UNIX | SANDBOX_INET | SANDBOX_OPEN | SANDBOX_CREATE |
		SANDBOX_CHANGE,
	    .descriptors_max = 2 * DNS_LOOKUPS_MAX + STS_FETCHES_MAX + 2 * TLSRPT_SENDING_MAX + self->npeers + DESCRIPTORS_MORE,
	};
	struct resolver_servers servers;
	int directory = -1;

	policy.conf = self->conf;
	resolver_find(self->conf, &servers);
	buf_init(&policy.packet, MSG_MAX_BYTES);
	policy.sts.directory = directory_open(self->conf, "mta-sts");
	policy.sts.http.tls = authorities_read(self->conf);
	if (policy.sts.directory >= 0)
		directory_allow(&spec, policy.sts.directory);
	if (self->conf->queue.tlsrpt)
		directory = directory_open(self->conf, "tlsrpt");
	if (directory >= 0)
		directory_allow(&spec, directory);
	daemon_confine(self, &spec);
	policy.loop = loop_new();
	policy.sts.http.loop = policy.loop;
	policy.sts.http.dns = resolver_new(policy.loop, &servers);
	policy.sts.port = (uint16_t)self->conf->queue.mta_sts_port;
	policy.sts.answered = answered;
	policy.sts.failed = fetch_failed;
	sts_lookups_start(&policy.sts);
	reports_start(self, directory);
	peers_open(self);
	self->stop = stop; /* to drain is the same: it is told so when its workers have ended */
	daemon_self_open(self, policy.loop);
	loop_run(policy.loop);
}
