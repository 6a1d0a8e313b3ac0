/*
 * merpati-queue: looking at the queue and giving commands to it. Run as `merpati queue`.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/daemon.h"
#include "common/json.h"
#include "common/unix_socket.h"
#include "queue/control.h"
#include "queue/listing_print.h"

#define OUTPUT_MAX_BYTES (256UL * 1024 * 1024)

struct options {
	const char *conf_path;
	struct conf *conf;
	enum listing_format format;
	char *site; /* retry: of that site instead of IDs */
};

static int
fail(const struct err *err)
{
	(void)fprintf(stderr, "merpati queue: %s\n", err->text);
	if (err->errnum == EACCES || err->errnum == EPERM)
		return EX_NOPERM;
	return err->errnum == ENOENT || err->errnum == ECONNREFUSED ? EX_UNAVAILABLE : EX_TEMPFAIL;
}

static void
put(struct buf *b)
{
	if (b->n > 0)
		(void)fwrite(b->p, 1, b->n, stdout);
	buf_reset(b);
}

/* ---- looking --------------------------------------------------------------------------------------------------- */

struct view {
	struct listing listing;
	const struct options *options;
	struct buf out, history;
	uint64_t messages, bytes;
};

/* The view that is open, for the records that a source shows. */
static struct view *seeing;

static bool
visit_listed(struct listing *listing, const struct listed *message)
{
	struct view *view = container_of(listing, struct view, listing);

	view->messages++;
	view->bytes += message->envelope.head.message_size;
	listing_print(&view->out, view->options->format, message);
	if (view->out.n > 60000)
		put(&view->out);
	return true;
}

static bool
visit_shown(struct listing *listing, const struct listed *message)
{
	struct view *view = container_of(listing, struct view, listing);

	listing_print_whole(&view->out, view->options->format, message, &view->history);
	buf_reset(&view->history);
	put(&view->out);
	return true;
}

static void
saw_record(struct envelope_source *source, const struct queue_record *record)
{
	(void)source;
	listing_print_record(&seeing->history, seeing->options->format, record);
}

static bool
view_open(struct view *view, const struct options *options, struct err *err)
{
	*view = (struct view){.options = options};
	buf_init(&view->out, OUTPUT_MAX_BYTES);
	buf_init(&view->history, OUTPUT_MAX_BYTES);
	seeing = view;
	return listing_open(&view->listing, options->conf->spool_directory, err);
}

static void
view_close(struct view *view)
{
	listing_close(&view->listing);
	buf_clear(&view->out);
	buf_clear(&view->history);
}

static int
command_list(const struct options *options, char **ids)
{
	struct view view;
	struct err err;
	int status = EX_OK;

	(void)ids;
	if (!view_open(&view, options, &err))
		return fail(&err);
	view.listing.visit = visit_listed;
	listing_print_head(&view.out, options->format);
	if (!listing_walk(&view.listing, &err))
		status = fail(&err);
	listing_print_end(&view.out, options->format, view.messages, view.bytes);
	put(&view.out);
	view_close(&view);
	return status;
}

static int
command_show(const struct options *options, char **ids)
{
	struct view view;
	struct err err;
	int status = EX_OK;

	if (!view_open(&view, options, &err))
		return fail(&err);
	view.listing.visit = visit_shown;
	view.listing.saw = saw_record;
	for (; *ids != NULL; ids++) {
		struct queue_id id;

		if (queue_id_parse(&id, str_from(*ids)) && listing_find(&view.listing, &id))
			continue;
		(void)fprintf(stderr, "merpati queue: %s: there is no such message\n", *ids);
		status = EX_DATAERR;
	}
	view_close(&view);
	return status;
}

/* ---- commands to queued ---------------------------------------------------------------------------------------- */

static void
tell(const struct options *options, const char *id, const struct control_reply *reply)
{
	static const char *const words[CONTROL_STATUSES] = {"done", "no_message", "not_so", "failed"};
	struct buf b;

	if (options->format != LISTING_JSON) {
		if (reply->status != CONTROL_DONE)
			(void)fprintf(stderr, "merpati queue: %s: %.*s\n", id, STR_FMT(reply->text));
		return;
	}
	buf_init(&b, 4096);
	buf_addc(&b, '{');
	json_add_member(&b, "queue_id", str_from(id));
	json_add_member(&b, "result", str_from(words[reply->status]));
	buf_adds(&b, "}\n");
	put(&b);
	buf_clear(&b);
}

/* One request and its answer. */
static bool
ask(int fd, enum control_verb verb, const char *id, struct control_reply *reply, struct buf *packet, struct err *err)
{
	struct control_request request = {.verb = verb, .id = str_from(id)};
	struct msg m;

	control_request_encode(packet, 1, &request);
	if (!msg_send(fd, packet, -1, err) || !msg_receive(fd, packet, &m, err))
		return false;
	if (m.type != CONTROL_REPLY || !control_reply_decode(&m, reply))
		return err_set(err, ERR_TEMP, "queued gave a senseless answer");
	return true;
}

static int
connect_queue(const struct options *options, struct err *err)
{
	return unix_connect(daemon_socket_path(options->conf, "queue"), SOCK_SEQPACKET, err);
}

/* `all` is what there is when the command is given. */
struct all {
	struct listing listing;
	char **ids;
	size_t n, cap;
};

static bool
visit_all(struct listing *listing, const struct listed *message)
{
	struct all *all = container_of(listing, struct all, listing);

	if (all->n + 1 >= all->cap) {
		size_t cap = all->cap == 0 ? 64 : all->cap * 2;
		char **ids = reallocarray(all->ids, cap, sizeof *ids);

		if (ids == NULL)
			return false;
		all->ids = ids;
		all->cap = cap;
	}
	all->ids[all->n++] = str_dup(queue_id_str(&message->id));
	all->ids[all->n] = NULL;
	return true;
}

static char **
all_ids(const struct options *options, struct err *err)
{
	struct all all = {.listing = {.visit = visit_all}};
	bool good;

	if (!listing_open(&all.listing, options->conf->spool_directory, err))
		return NULL;
	good = listing_walk(&all.listing, err);
	listing_close(&all.listing);
	if (!good)
		return NULL;
	return all.ids != NULL ? all.ids : calloc(1, sizeof *all.ids);
}

static int
command_to_queued(const struct options *options, enum control_verb verb, char **ids)
{
	struct control_reply reply = {.status = CONTROL_FAILED};
	char **listed = NULL;
	struct buf packet;
	struct err err;
	int status = EX_OK, fd;

	if (strcmp(ids[0], "all") == 0 && ids[1] == NULL && verb != CONTROL_RETRY && verb != CONTROL_WAKE) {
		listed = ids = all_ids(options, &err);
		if (ids == NULL)
			return fail(&err);
	}
	fd = connect_queue(options, &err);
	if (fd < 0) {
		free(listed);
		return fail(&err);
	}
	buf_init(&packet, MSG_MAX_BYTES);
	for (; *ids != NULL; ids++) {
		/* Only for a retry does queued know `all`: its deferred directories become due. */
		const char *what = verb == CONTROL_RETRY && strcmp(*ids, "all") == 0 ? "" : *ids;

		if (!ask(fd, verb, what, &reply, &packet, &err)) {
			status = fail(&err);
			break;
		}
		tell(options, *ids, &reply);
		if (reply.status != CONTROL_DONE)
			status = EX_DATAERR;
	}
	buf_clear(&packet);
	(void)close(fd);
	free(listed);
	return status;
}

static int
command_retry(const struct options *options, char **ids)
{
	char *sites[] = {options->site, NULL};

	if (options->site != NULL)
		return command_to_queued(options, CONTROL_WAKE, sites);
	return command_to_queued(options, CONTROL_RETRY, ids);
}

static int
command_hold(const struct options *options, char **ids)
{
	return command_to_queued(options, CONTROL_HOLD, ids);
}

static int
command_release(const struct options *options, char **ids)
{
	return command_to_queued(options, CONTROL_RELEASE, ids);
}

static int
command_delete(const struct options *options, char **ids)
{
	return command_to_queued(options, CONTROL_DELETE, ids);
}

/* ---- options --------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int (*run)(const struct options *options, char **ids);
	bool takes_ids;
	const char *usage;
} commands[] = {
    {"list", command_list, false, "list [--json | --format text|json|mailq|postfix]"},
    {"show", command_show, true, "show [--json] ID ..."},
    {"retry", command_retry, true, "retry [--json] ID ...|all|--site DOMAIN|@DOMAIN|EXCHANGER"},
    {"hold", command_hold, true, "hold [--json] ID ...|all"},
    {"release", command_release, true, "release [--json] ID ...|all"},
    {"delete", command_delete, true, "delete [--json] ID ...|all"},
};

#define COMMANDS (sizeof commands / sizeof commands[0])

static int
usage(void)
{
	(void)fprintf(stderr, "usage:");
	for (size_t i = 0; i < COMMANDS; i++)
		(void)fprintf(stderr, "%s merpati queue [-c FILE] %s\n", i == 0 ? "" : "      ", commands[i].usage);
	return EX_USAGE;
}

static bool
format_parse(const char *word, enum listing_format *format)
{
	static const char *const words[] = {"text", "json", "mailq", "postfix"};

	for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(word, words[i]) == 0) {
			*format = (enum listing_format)i;
			return true;
		}
	return false;
}

/* Options may stand before and behind the command; what is left are the command and the IDs. */
static bool
options_parse(struct options *options, int argc, char **argv)
{
	static const struct option longs[] = {
	    {"json", no_argument, NULL, 'j'},
	    {"format", required_argument, NULL, 'f'},
	    {"site", required_argument, NULL, 's'},
	    {NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:", longs, NULL)) != -1) {
		if (option == 'c')
			options->conf_path = optarg;
		else if (option == 'j')
			options->format = LISTING_JSON;
		else if (option == 's')
			options->site = optarg;
		else if (option != 'f' || !format_parse(optarg, &options->format))
			return false;
	}
	return true;
}

static int
run(struct options *options, char **words)
{
	struct err err;

	for (size_t i = 0; words[0] != NULL && i < COMMANDS; i++) {
		int status;

		if (strcmp(words[0], commands[i].name) != 0)
			continue;
		if (commands[i].takes_ids != (words[1] != NULL || options->site != NULL))
			return usage();
		if (options->site != NULL && (commands[i].run != command_retry || words[1] != NULL))
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
	struct options options = {.conf_path = conf_default_path(), .format = LISTING_TEXT};

	if (!options_parse(&options, argc, argv))
		return usage();
	return run(&options, argv + optind);
}
