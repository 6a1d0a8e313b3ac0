/*
 * merpati-doctor: what is wrong with this server that cannot be seen at a glance, and what to do about it. Run as `merpati
 * doctor`. What only root may look at comes first; before it reads what comes over the network it becomes nobody in
 * particular, for good, and locks itself in.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/daemon/sandbox.h"
#include "queue/check.h"
#include "queue/doctor_address.h"
#include "queue/doctor_certificate.h"
#include "queue/doctor_daemons.h"
#include "queue/doctor_domain.h"
#include "queue/doctor_exchanger.h"
#include "queue/doctor_host.h"
#include "queue/doctor_postmaster.h"
#include "queue/doctor_print.h"
#include "queue/doctor_queue.h"
#include "queue/doctor_resolver.h"
#include "queue/doctor_sts.h"
#include "queue/doctor_system.h"

#define TIME_S 20
#define TIME_MAX_S 600
#define OUTPUT_MAX_BYTES (256UL * 1024 * 1024)
/* A question to DNS takes one. */
#define DESCRIPTORS_MAX 1024

struct options {
	const char *conf_path;
	struct doctor_style style;
	uint64_t time_s;
	bool is_offline;
};

/* ---- the configuration ----------------------------------------------------------------------------------------------- */

struct examination {
	struct check check;
	struct doctor *d;
};

/* The check's findings say themselves where and what. */
static void
configuration_found(struct check *check, bool is_error, const char *text)
{
	struct examination *e = container_of(check, struct examination, check);

	doctor_find(e->d, is_error ? DOCTOR_ERROR : DOCTOR_WARNING, "configuration-bad", STR(""), "%s", text);
}

static struct conf *
configuration(struct doctor *d, const char *path)
{
	struct examination e = {.check = {.found = configuration_found}, .d = d};
	struct str rest, line;
	struct buf problems;
	struct conf *conf;

	d->area = DOCTOR_CONFIGURATION;
	buf_init(&problems, CONF_PROBLEMS_MAX_BYTES);
	(void)conf_load_all(path, &conf, &problems);
	rest = buf_str(&problems);
	while (str_token(&rest, '\n', &line))
		if (line.n > 0)
			doctor_find(d, DOCTOR_ERROR, "configuration-bad", STR(""), "%.*s", STR_FMT(line));
	buf_clear(&problems);
	if (conf == NULL)
		return NULL;
	e.check.conf = conf;
	check_all(&e.check);
	if (d->counts[DOCTOR_ERROR] + d->counts[DOCTOR_WARNING] == 0)
		doctor_find(d, DOCTOR_OK, "configuration", str_from(path), "has no errors");
	return conf;
}

/* ---- the world ------------------------------------------------------------------------------------------------------- */

/* A stranger's bytes are read by a process that has nothing. */
static void
lock_in(void)
{
	struct sandbox_spec spec = {.promises = SANDBOX_STDIO | SANDBOX_LOOP | SANDBOX_INET, .descriptors_max = DESCRIPTORS_MAX,
	    .change_user = daemon_is_privileged()};
	struct daemon_user user;
	struct err err;

	if (spec.change_user) {
		if (!daemon_user_find("_remote", &user, &err))
			fatal("%s", err.text);
		spec.uid = user.uid;
		spec.gid = user.gid;
	}
	if (!sandbox_enter(&spec, &err))
		fatal("%s", err.text);
}

static void
ask_dns(const struct doctor *d, struct doctor_net *net, struct doctor_dns *dns, const struct doctor_addresses *own,
    struct doctor_sts *sts)
{
	for (unsigned step = 0; step < DOCTOR_HOST_STEPS || step <= DOCTOR_DOMAIN_STEPS; step++) {
		if (step < DOCTOR_HOST_STEPS)
			doctor_host_ask(d, dns, step);
		if (step < DOCTOR_DOMAIN_STEPS)
			doctor_domains_ask(d, dns, step);
		if (step == DOCTOR_DOMAIN_STEPS) {
			doctor_exchangers_ask(d, dns, own);
			doctor_sts_ask(sts, d, dns);
		}
		doctor_net_wait(net);
	}
}

static void
the_world(struct doctor *d, const struct doctor_certificates *certificates, uint64_t time_s)
{
	struct doctor_resolvers resolvers;
	struct doctor_addresses own;
	struct doctor_net net;
	struct doctor_dns dns;
	struct doctor_sts sts;

	doctor_net_init(&net, time_s * 1000);
	doctor_addresses_own(&own, d->conf);
	doctor_resolvers_init(&resolvers, d->conf, &net);
	doctor_dns_init(&dns, &net, resolvers.servers.list, resolvers.servers.n);
	doctor_sts_init(&sts, d, &net, &dns);
	lock_in();
	doctor_resolvers_ask(d, &resolvers);
	ask_dns(d, &net, &dns, &own, &sts);
	doctor_resolvers_report(d, &resolvers);
	doctor_host_report(d, &dns, &own);
	doctor_domains_report(d, &dns, &own);
	doctor_sts_report(&sts, d, &dns);
	doctor_exchangers_report(d, &dns, &own, certificates, doctor_resolvers_validate(d, &resolvers));
	doctor_sts_clear(&sts);
	doctor_dns_clear(&dns);
	doctor_resolvers_clear(&resolvers);
	doctor_net_clear(&net);
}

/* ---- all of it ------------------------------------------------------------------------------------------------------- */

static void
this_host(struct doctor *d, uint64_t time_s)
{
	struct doctor_net net;
	bool has_queued;

	doctor_net_init(&net, time_s * 1000);
	has_queued = doctor_daemons(d, &net);
	doctor_net_clear(&net);
	doctor_postmasters(d);
	doctor_disk(d);
	doctor_clock(d);
	doctor_queue(d, has_queued);
}

static void
examine(struct doctor *d, const struct options *options)
{
	struct conf *conf = configuration(d, options->conf_path);
	struct doctor_certificates certificates;

	if (conf == NULL)
		return;
	d->conf = conf;
	this_host(d, options->time_s);
	doctor_certificates_load(&certificates, d);
	if (!options->is_offline)
		the_world(d, &certificates, options->time_s);
	doctor_certificates_clear(&certificates);
	conf_free(conf);
}

static int
print(const struct options *options, const struct doctor *d)
{
	struct buf b;
	bool good;

	buf_init(&b, OUTPUT_MAX_BYTES);
	doctor_print(&b, &options->style, d);
	good = fwrite(b.p != NULL ? b.p : "", 1, b.n, stdout) == b.n && fflush(stdout) == 0;
	buf_clear(&b);
	return good ? doctor_status(d) : EX_IOERR;
}

static int
usage(void)
{
	(void)fprintf(stderr, "usage: merpati doctor [-c FILE] [--json] [--quiet] [--offline] [--time SECONDS] [--colour]\n");
	return EX_USAGE;
}

static bool
options_parse(struct options *options, int argc, char **argv)
{
	static const struct option words[] = {{"json", no_argument, NULL, 'j'}, {"quiet", no_argument, NULL, 'q'},
	    {"offline", no_argument, NULL, 'o'}, {"time", required_argument, NULL, 't'}, {"colour", no_argument, NULL, 'C'}, {0}};
	int option;

	while ((option = getopt_long(argc, argv, "c:", words, NULL)) != -1) {
		if (option == 'c')
			options->conf_path = optarg;
		else if (option == 'j')
			options->style.style.format = LISTING_JSON;
		else if (option == 'q')
			options->style.least = DOCTOR_WARNING;
		else if (option == 'o')
			options->is_offline = true;
		else if (option == 'C')
			options->style.style.colour = true;
		else if (option != 't' || !str_to_u64(str_from(optarg), TIME_MAX_S, &options->time_s) || options->time_s == 0)
			return false;
	}
	return optind == argc;
}

/* 0: it is no terminal, or one that does not tell. */
static size_t
columns_of_terminal(void)
{
	struct winsize size;

	return isatty(STDOUT_FILENO) != 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

int
main(int argc, char **argv)
{
	struct options options = {.conf_path = conf_default_path(), .time_s = TIME_S};
	struct doctor d;
	int status;

	options.style.style.colour = isatty(STDOUT_FILENO) != 0 && getenv("NO_COLOR") == NULL;
	options.style.columns = columns_of_terminal();
	if (!options_parse(&options, argc, argv))
		return usage();
	tzset();
	doctor_init(&d);
	examine(&d, &options);
	status = print(&options, &d);
	doctor_clear(&d);
	/* All is written, and what looks at a process at its end, as a sanitizer does, cannot look into one that is locked in. */
	_exit(status);
}
