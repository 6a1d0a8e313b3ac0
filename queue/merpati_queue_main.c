/*
 * merpati-queue: looking at the queue and giving commands to it. Run as `merpati queue`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "queue/listing_live.h"
#include "queue/listing_orders.h"
#include "queue/listing_stats.h"
#include "queue/listing_top.h"
#include "queue/listing_view.h"

#define CONDITIONS "[CONDITION ...]"
#define WHICH "[--dry-run] [--json] ID ...|all|CONDITION ..."

enum ids {
	IDS_NONE,
	IDS_SOME, /* at least one */
	IDS_WHICH, /* or conditions: the command looks for itself */
};

static const struct {
	const char *name;
	int (*run)(const struct listing_options *options, char **ids);
	enum ids ids;
	const char *usage;
} commands[] = {
    {"list", listing_view_list, IDS_NONE, "list [--json|--format FORMAT] [--sort KEY] [--reverse] [--limit N] " CONDITIONS},
    {"show", listing_view_show, IDS_SOME, "show [--json] [--body] ID ..."},
    {"why", listing_live_why, IDS_SOME, "why [--json] ID ..."},
    {"stats", listing_stats, IDS_NONE, "stats [--json] [--limit N] " CONDITIONS},
    {"sites", listing_live_sites, IDS_NONE, "sites [--json] [--limit N]"},
    {"top", listing_top, IDS_NONE, "top [--interval SECONDS] [--count N]"},
    {"retry", listing_orders_retry, IDS_WHICH, "retry " WHICH},
    {"hold", listing_orders_hold, IDS_WHICH, "hold " WHICH},
    {"release", listing_orders_release, IDS_WHICH, "release " WHICH},
    {"delete", listing_orders_delete, IDS_WHICH, "delete " WHICH},
    {"bounce", listing_orders_bounce, IDS_WHICH, "bounce --reason TEXT " WHICH},
    {"reroute", listing_orders_reroute, IDS_WHICH, "reroute --to ROUTE|[HOST]:PORT " WHICH},
};

#define COMMANDS (sizeof commands / sizeof commands[0])

static int
usage(void)
{
	(void)fprintf(stderr, "usage:");
	for (size_t i = 0; i < COMMANDS; i++)
		(void)fprintf(stderr, "%s merpati queue [-c FILE] %s\n", i == 0 ? "" : "      ", commands[i].usage);
	(void)fprintf(stderr, "conditions: --sender --recipient --site --age --size --state --reason (of a bounce: --answer)\n");
	return EX_USAGE;
}

static int
run(struct listing_options *options)
{
	char **words = options->words;
	struct err err;

	for (size_t i = 0; words[0] != NULL && i < COMMANDS; i++) {
		int status;

		if (strcmp(words[0], commands[i].name) != 0)
			continue;
		if (commands[i].ids != IDS_WHICH && (commands[i].ids == IDS_SOME) != (words[1] != NULL))
			return usage();
		if (!conf_load(options->conf_path, &options->conf, &err)) {
			(void)fprintf(stderr, "merpati queue: %s\n", err.text);
			return EX_CONFIG;
		}
		status = commands[i].run(options, words + 1);
		conf_free(options->conf);
		if (fflush(stdout) != 0 && status == EX_OK)
			status = EX_IOERR;
		return status;
	}
	return usage();
}

int
main(int argc, char **argv)
{
	struct listing_options options = {.conf_path = conf_default_path()};

	options.style.colour = isatty(STDOUT_FILENO) != 0 && getenv("NO_COLOR") == NULL;
	if (!listing_options_parse(&options, argc, argv))
		return usage();
	return run(&options);
}
