#include "queue/listing_options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	OPTION_JSON = 256,
	OPTION_FORMAT,
	OPTION_SENDER,
	OPTION_RECIPIENT,
	OPTION_SITE,
	OPTION_AGE,
	OPTION_SIZE,
	OPTION_STATE,
	OPTION_REASON,
	OPTION_ANSWER,
	OPTION_SORT,
	OPTION_REVERSE,
	OPTION_LIMIT,
	OPTION_DRY_RUN,
	OPTION_TO,
	OPTION_INTERVAL,
	OPTION_COUNT,
	OPTION_COLOUR,
	OPTION_BODY,
};

static const struct option longs[] = {
    {"json", no_argument, NULL, OPTION_JSON},
    {"format", required_argument, NULL, OPTION_FORMAT},
    {"sender", required_argument, NULL, OPTION_SENDER},
    {"recipient", required_argument, NULL, OPTION_RECIPIENT},
    {"site", required_argument, NULL, OPTION_SITE},
    {"age", required_argument, NULL, OPTION_AGE},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"state", required_argument, NULL, OPTION_STATE},
    {"reason", required_argument, NULL, OPTION_REASON},
    {"answer", required_argument, NULL, OPTION_ANSWER},
    {"sort", required_argument, NULL, OPTION_SORT},
    {"reverse", no_argument, NULL, OPTION_REVERSE},
    {"limit", required_argument, NULL, OPTION_LIMIT},
    {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
    {"to", required_argument, NULL, OPTION_TO},
    {"interval", required_argument, NULL, OPTION_INTERVAL},
    {"count", required_argument, NULL, OPTION_COUNT},
    {"body", no_argument, NULL, OPTION_BODY},
    {"colour", no_argument, NULL, OPTION_COLOUR},
    {"color", no_argument, NULL, OPTION_COLOUR},
    {NULL, 0, NULL, 0},
};

static bool
format_parse(struct str word, enum listing_format *format)
{
	static const char *const words[] = {"text", "json", "mailq", "postfix"};

	for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
		if (str_equal(word, str_from(words[i]))) {
			*format = (enum listing_format)i;
			return true;
		}
	return false;
}

/* What is missing in an empty argument would mean everything: it means nothing. */
static bool
condition(struct str *field, struct str value, const char **problem)
{
	*problem = "a condition must not be empty (the null sender is \"<>\")";
	*field = value;
	return value.n > 0;
}

static bool
take(struct listing_options *o, int option, struct str value, const char **problem)
{
	struct listing_filter *f = &o->filter;

	switch (option) {
	case 'c':
		o->conf_path = value.p;
		return true;
	case OPTION_JSON:
		o->style.format = LISTING_JSON;
		return true;
	case OPTION_FORMAT:
		*problem = "the formats are text, json, mailq and postfix";
		return format_parse(value, &o->style.format);
	case OPTION_COLOUR:
		o->style.colour = true;
		return true;
	case OPTION_BODY:
		o->with_body = true;
		return true;
	case OPTION_SENDER:
		return condition(&f->sender, value, problem);
	case OPTION_RECIPIENT:
		return condition(&f->recipient, value, problem);
	case OPTION_SITE:
		return condition(&f->site, value, problem);
	case OPTION_REASON:
		o->reason = value.p; /* for a bounce it is not a condition: see below */
		return condition(&f->reason, value, problem);
	case OPTION_ANSWER:
		return condition(&f->reason, value, problem);
	case OPTION_AGE:
		return listing_filter_age(f, value, problem);
	case OPTION_SIZE:
		return listing_filter_size(f, value, problem);
	case OPTION_STATE:
		return listing_filter_state(f, value, problem);
	case OPTION_SORT:
		*problem = "the orders are age, size, next, sender, recipient and site";
		return listing_key_parse(value, &o->key);
	case OPTION_REVERSE:
		o->reverse = true;
		return true;
	case OPTION_LIMIT:
		*problem = "a limit is a number from 1 on";
		return str_to_u64(value, UINT64_MAX, &o->limit) && o->limit > 0;
	case OPTION_DRY_RUN:
		o->dry_run = true;
		return true;
	case OPTION_TO:
		o->to = value.p;
		return true;
	case OPTION_INTERVAL:
		*problem = "an interval is a number of seconds from 1 to 3600";
		return str_to_u64(value, 3600, &o->interval_s) && o->interval_s > 0;
	case OPTION_COUNT:
		*problem = "a count is a number";
		return str_to_u64(value, UINT64_MAX, &o->count);
	}
	*problem = NULL;
	return false;
}

/* `bounce --reason` is what the sender is told; a part of the last answer is --answer there. */
static void
sort_out_reason(struct listing_options *o, struct str answer)
{
	if (o->words[0] != NULL && strcmp(o->words[0], "bounce") == 0)
		o->filter.reason = answer;
	else
		o->reason = NULL;
}

bool
listing_options_parse(struct listing_options *o, int argc, char **argv)
{
	struct str answer = STR_NONE;
	const char *problem;
	int option;

	while ((option = getopt_long(argc, argv, "c:", longs, NULL)) != -1) {
		if (option == OPTION_ANSWER)
			answer = str_from(optarg);
		if (take(o, option, str_from(optarg), &problem))
			continue;
		if (problem != NULL)
			(void)fprintf(stderr, "merpati queue: %s\n", problem);
		return false;
	}
	o->words = argv + optind;
	sort_out_reason(o, answer);
	return true;
}
