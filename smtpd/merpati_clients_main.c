/*
 * merpati-clients: who is connected, how much each did lately, and what smtpd's guard holds against it. Run as `merpati
 * clients`.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/conf/conf.h"
#include "common/daemon/daemon.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/net/unix_socket.h"
#include "smtpd/guard_message.h"
#include "smtpd/session_pace.h"

#define LINE_MAX_BYTES 4096

/* A row with its key as text. */
struct entry {
	struct guard_row row;
	char who[GUARD_KEY_TEXT_MAX];
};

struct entries {
	struct entry *list;
	size_t n, cap;
};

struct options {
	const char *conf_path;
	unsigned sort; /* column */
	bool json;
};

static int
fail(const struct err *err)
{
	(void)fprintf(stderr, "merpati clients: %s\n", err->text);
	if (err->errnum == EACCES || err->errnum == EPERM)
		return EX_NOPERM;
	return err->errnum == ENOENT || err->errnum == ECONNREFUSED ? EX_UNAVAILABLE : EX_TEMPFAIL;
}

/* ---- what is counted ------------------------------------------------------------------------------------------------------ */

static const struct column {
	const char *name; /* in JSON, and for --sort */
	const char *head;
} columns[] = {
    {"connections", "NOW"},
    {"connects", "CONN/MIN"},
    {"messages", "MSGS/H"},
    {"recipients", "RCPTS/H"},
    {"errors", "ERRORS/H"},
    {"refused", "REFUSED/H"},
};

#define COLUMNS (sizeof columns / sizeof columns[0])

_Static_assert(COLUMNS == 1 + GUARD_RATES, "a column for each rate");

static uint64_t
value_of(const struct guard_row *row, size_t column)
{
	return column == 0 ? row->connections : row->counts[column - 1];
}

/* The limit that is reached now, if there is one; else whether the client is known. */
static const char *
verdict_of(const struct guard_row *row, const struct guard_rules *rules)
{
	const struct guard_limits *limits = &rules->limits[row->kind];

	if (limits->connections > 0 && row->connections >= limits->connections)
		return "full";
	for (unsigned i = 0; i < GUARD_RATES; i++)
		if (limits->rates[i] > 0 && row->counts[i] >= limits->rates[i])
			return columns[1 + i].name;
	return row->known ? "known" : "-";
}

/* By how much each further error of the client is answered later than a stranger's. */
static uint64_t
penalty_ms(const struct guard_row *row, const struct conf *conf)
{
	struct session_pace pace = {.errors = 0};

	if (row->kind != GUARD_ADDRESS)
		return 0;
	session_pace_earlier(&pace, row->counts[GUARD_ERRORS]);
	return pace.earlier * conf->smtpd.error_delay_ms;
}

/* ---- asking ------------------------------------------------------------------------------------------------------------------ */

static void
entry_add(struct entries *entries, const struct guard_row *row)
{
	struct entry *entry;

	if (entries->n == entries->cap) {
		entries->cap = entries->cap == 0 ? 256 : entries->cap * 2;
		entries->list = reallocarray(entries->list, entries->cap, sizeof *entries->list);
		if (entries->list == NULL)
			fatal("out of memory for the list");
	}
	entry = &entries->list[entries->n++];
	entry->row = *row;
	guard_key_format(row->kind, row->bytes, entry->who);
}

static bool
rows_receive(int fd, struct entries *entries, struct err *err)
{
	struct buf packet;
	struct guard_row row;
	struct msg m = {.bad = false};
	bool good = true;

	buf_init(&packet, MSG_MAX_BYTES);
	while (good && m.type != GUARD_END) {
		good = msg_receive(fd, &packet, &m, err);
		while (good && m.type == GUARD_ROWS && guard_row_take(&m, &row))
			entry_add(entries, &row);
		if (good && m.bad)
			good = err_set(err, ERR_TEMP, "smtpd gave a senseless answer");
	}
	buf_clear(&packet);
	if (!good && err->class == ERR_NONE)
		return err_set(err, ERR_PERM, "smtpd does not answer: only root and smtpd's own user are told");
	return good;
}

static bool
entries_get(const struct conf *conf, struct entries *entries, struct err *err)
{
	int fd = unix_connect(daemon_socket_path(conf, "clients"), SOCK_SEQPACKET, err);
	struct buf request;
	bool good;

	if (fd < 0)
		return false;
	buf_init(&request, MSG_MAX_BYTES);
	msg_begin(&request, GUARD_LIST, 0);
	good = msg_send(fd, &request, -1, err) && rows_receive(fd, entries, err);
	buf_clear(&request);
	(void)close(fd);
	return good;
}

/* ---- printing ---------------------------------------------------------------------------------------------------------------- */

/* The column to sort by; qsort has no room for it. */
static unsigned sort_column;

/* The busiest first; equals by kind and name, so that the order is always the same. */
static int
entry_compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (value_of(&x->row, sort_column) != value_of(&y->row, sort_column))
		return value_of(&x->row, sort_column) > value_of(&y->row, sort_column) ? -1 : 1;
	for (size_t i = 0; i < COLUMNS; i++)
		if (value_of(&x->row, i) != value_of(&y->row, i))
			return value_of(&x->row, i) > value_of(&y->row, i) ? -1 : 1;
	if (x->row.kind != y->row.kind)
		return x->row.kind < y->row.kind ? -1 : 1;
	return strcmp(x->who, y->who);
}

static void
print_text(const struct entry *entry, const struct conf *conf, const struct guard_rules *rules)
{
	char who[4 * GUARD_KEY_TEXT_MAX];

	(void)log_escape(who, sizeof who, str_from(entry->who));
	(void)printf("%-8s %-40s", guard_kind_name(entry->row.kind), who);
	for (size_t i = 0; i < COLUMNS; i++)
		(void)printf(" %9llu", (unsigned long long)value_of(&entry->row, i));
	(void)printf(" %7llums  %s\n", (unsigned long long)penalty_ms(&entry->row, conf), verdict_of(&entry->row, rules));
}

static void
print_json(const struct entry *entry, const struct conf *conf, const struct guard_rules *rules)
{
	struct buf b;

	buf_init(&b, LINE_MAX_BYTES);
	buf_addc(&b, '{');
	json_add_member(&b, "kind", str_from(guard_kind_name(entry->row.kind)));
	json_add_member(&b, "who", str_from(entry->who));
	for (size_t i = 0; i < COLUMNS; i++)
		json_add_number(&b, columns[i].name, value_of(&entry->row, i));
	json_add_number(&b, "penalty_ms", penalty_ms(&entry->row, conf));
	json_add_member(&b, "verdict", str_from(verdict_of(&entry->row, rules)));
	json_add_number(&b, "seen", entry->row.used_ms / 1000);
	buf_adds(&b, "}\n");
	(void)fwrite(b.p, 1, b.n, stdout);
	buf_clear(&b);
}

static void
print(struct entries *entries, const struct conf *conf, const struct options *options)
{
	struct guard_rules rules;

	guard_rules_set(&rules, conf);
	sort_column = options->sort;
	if (entries->n > 0)
		qsort(entries->list, entries->n, sizeof *entries->list, entry_compare);
	if (!options->json) {
		(void)printf("%-8s %-40s", "KIND", "WHO");
		for (size_t i = 0; i < COLUMNS; i++)
			(void)printf(" %9s", columns[i].head);
		(void)printf(" %9s  %s\n", "PENALTY", "VERDICT");
	}
	for (size_t i = 0; i < entries->n; i++)
		(options->json ? print_json : print_text)(&entries->list[i], conf, &rules);
}

/* ---- options ----------------------------------------------------------------------------------------------------------------- */

static int
usage(void)
{
	(void)fprintf(stderr, "usage: merpati clients [-c FILE] [--json] [--sort COLUMN]\n       COLUMN is one of");
	for (size_t i = 0; i < COLUMNS; i++)
		(void)fprintf(stderr, " %s", columns[i].name);
	(void)fputc('\n', stderr);
	return EX_USAGE;
}

static bool
sort_parse(const char *word, unsigned *sort)
{
	for (unsigned i = 0; i < COLUMNS; i++) {
		if (strcmp(word, columns[i].name) == 0) {
			*sort = i;
			return true;
		}
	}
	return false;
}

static bool
options_parse(struct options *options, int argc, char **argv)
{
	static const struct option words[] = {
	    {"json", no_argument, NULL, 'j'}, {"sort", required_argument, NULL, 's'}, {NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "c:", words, NULL)) != -1) {
		if (option == 'c')
			options->conf_path = optarg;
		else if (option == 'j')
			options->json = true;
		else if (option != 's' || !sort_parse(optarg, &options->sort))
			return false;
	}
	return optind == argc;
}

int
main(int argc, char **argv)
{
	struct options options = {.conf_path = conf_default_path()};
	struct entries entries = {.n = 0};
	struct conf *conf;
	struct err err;

	if (!options_parse(&options, argc, argv))
		return usage();
	if (!conf_load(options.conf_path, &conf, &err)) {
		(void)fprintf(stderr, "merpati clients: %s\n", err.text);
		return EX_CONFIG;
	}
	if (!entries_get(conf, &entries, &err)) {
		conf_free(conf);
		return fail(&err);
	}
	print(&entries, conf, &options);
	free(entries.list);
	conf_free(conf);
	return EX_OK;
}
