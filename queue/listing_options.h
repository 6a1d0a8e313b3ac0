/*
 * The command line of merpati-queue(8): options, which may stand before and behind the command, then IDs. Pure, but for
 * what getopt_long(3) writes.
 */
#ifndef QUEUE_LISTING_OPTIONS_H
#define QUEUE_LISTING_OPTIONS_H

#include "common/conf/conf.h"
#include "queue/listing_filter.h"
#include "queue/listing_print.h"
#include "queue/listing_sort.h"

struct listing_options {
	const char *conf_path;
	struct conf *conf; /* once it is loaded */
	struct listing_style style;
	struct listing_filter filter;
	enum listing_key key;
	bool reverse;
	uint64_t limit; /* 0: none */
	bool dry_run;
	bool with_body; /* of show */
	const char *reason; /* of a bounce; otherwise it is in the filter */
	const char *to;	    /* of a reroute */
	uint64_t interval_s, count; /* of top; 0: for ever */
	char **words;	    /* the command and the IDs; NULL behind the last */
};

/* False: why was told on standard error, or the usage is to be. */
bool listing_options_parse(struct listing_options *options, int argc, char **argv);

#endif
