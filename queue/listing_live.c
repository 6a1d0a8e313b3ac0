#include "queue/listing_live.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/base/json.h"
#include "common/base/loop.h"
#include "queue/listing_sites.h"
#include "queue/listing_time.h"
#include "queue/listing_view.h"
#include "queue/queue.h"

#define OUTPUT_MAX_BYTES (256UL * 1024 * 1024)
#define INTERVAL_S 2
#define LINES_STANDARD 24

/* ---- why ----------------------------------------------------------------------------------------------------------- */

struct asked {
	struct listing listing;
	const struct listing_options *options;
	struct control_client client;
	bool connected; /* queued answers; otherwise its file is all that is known */
	struct buf out;
};

/* The domains of those that wait, each once if they come in a row. */
static void
add_domains(struct buf *b, const struct envelope *e)
{
	struct str last = STR("");
	size_t n = 0;

	for (size_t i = 0; i < e->nrecipients && n < CONTROL_WHY_DOMAINS_MAX; i++) {
		const struct recipient *r = &e->recipients[i];
		struct str domain = str_skip(r->address, str_find_last(r->address, '@') + 1);

		if (r->state != QUEUE_WAITING || str_equal_nocase(domain, last))
			continue;
		if (n++ > 0)
			buf_addc(b, ' ');
		buf_add(b, domain);
		last = domain;
	}
}

static bool
ask_why(struct asked *asked, const struct listed *m, struct control_reply *reply)
{
	struct control_request request = {.verb = CONTROL_WHY, .id = queue_id_str(&m->id)};
	struct buf domains;
	struct err err;
	bool good;

	if (!asked->connected)
		return false;
	buf_init(&domains, MSG_MAX_BYTES / 2);
	add_domains(&domains, &m->envelope);
	request.text = buf_ok(&domains) ? buf_str(&domains) : STR("");
	good = control_client_ask(&asked->client, &request, reply, &err);
	buf_clear(&domains);
	return good;
}

/* What the place of its file says, to which queued may know more. */
static void
print_state(struct buf *b, const struct listed *m, struct str doing, uint64_t now_ms)
{
	char duration[16];

	buf_addf(b, "%s ", m->id.text);
	if (m->load == ENVELOPE_DAMAGED) {
		buf_adds(b, "is damaged, and is not touched: see the log\n");
	} else if (m->load == ENVELOPE_NEWER) {
		buf_adds(b, "was written by a newer Merpati, and waits for that to be started again\n");
	} else if (doing.n > 0) {
		buf_addf(b, "%.*s\n", STR_FMT(doing));
	} else if (m->place == SPOOL_HOLD) {
		buf_adds(b, "is on hold until `merpati queue release`");
		if (m->envelope.hold.n > 0)
			listing_print_cell(b, &(struct listing_style){.colour = false}, LISTING_PLAIN, 0, STR(": "));
		listing_print_cell(b, &(struct listing_style){.colour = false}, LISTING_PLAIN, 0, m->envelope.hold);
		buf_addc(b, '\n');
	} else if (m->place == SPOOL_DEFERRED && m->envelope.release_ms > now_ms) {
		buf_adds(b, "is not to be sent before ");
		listing_time_add(b, m->envelope.release_ms / 1000);
		buf_addc(b, '\n');
	} else if (m->place == SPOOL_DEFERRED) {
		listing_print_duration(duration, m->due_s * 1000 > now_ms ? m->due_s - now_ms / 1000 : 0);
		buf_adds(b, "is tried again at ");
		listing_time_add(b, m->due_s);
		buf_addf(b, " (in %s), after %llu tr%s\n", duration, (unsigned long long)m->envelope.deferrals,
		    m->envelope.deferrals == 1 ? "y" : "ies");
	} else {
		buf_addf(b, "is %s, and queued has not taken it yet\n", spool_place_name(m->place));
	}
}

static void
print_answers(struct buf *b, const struct listing_style *style, const struct envelope *e)
{
	for (size_t i = 0; i < e->nrecipients; i++) {
		const struct recipient *r = &e->recipients[i];

		if (r->state != QUEUE_WAITING)
			continue;
		buf_adds(b, "  <");
		listing_print_cell(b, style, LISTING_PLAIN, 0, r->address);
		buf_adds(b, ">: ");
		if (r->reply.n == 0) {
			buf_adds(b, "not tried yet\n");
			continue;
		}
		listing_print_cell(b, style, LISTING_YELLOW, 0, r->reply);
		buf_adds(b, " (");
		listing_print_cell(b, style, LISTING_PLAIN, 0, r->relay);
		buf_adds(b, ", ");
		listing_time_add(b, r->tried_ms / 1000);
		buf_adds(b, ")\n");
	}
}

static void
print_why(struct buf *b, const struct listing_style *style, const struct listed *m, struct str doing, struct str sites)
{
	uint64_t now_ms = queue_now_ms();
	struct control_site site;
	char health[64];

	print_state(b, m, doing, now_ms);
	print_answers(b, style, &m->envelope);
	while (control_site_take(&sites, &site)) {
		listing_site_health(health, &site, now_ms);
		buf_adds(b, "  site ");
		listing_print_cell(b, style, LISTING_BOLD, 0, site.key);
		buf_addf(b, ": %s; %llu of at most %llu deliveries run, %llu wait", health, (unsigned long long)site.running,
		    (unsigned long long)site.window, (unsigned long long)site.waiting);
		if (site.limit.n > 0)
			buf_addf(b, ", the next for %.*s", STR_FMT(site.limit));
		if (site.trouble.n > 0) {
			buf_adds(b, "; last trouble: ");
			listing_print_cell(b, style, LISTING_DIM, 0, site.trouble);
		}
		buf_addc(b, '\n');
	}
}

static void
print_why_json(struct buf *b, const struct listed *m, struct str doing, struct str sites)
{
	struct listing_style style = {.format = LISTING_JSON};
	struct control_site site;

	listing_print(b, &style, m);
	buf_truncate(b, b->n - 2); /* without its end: there is more */
	json_add_number(b, "deferrals", m->envelope.deferrals);
	if (doing.n > 0)
		json_add_member(b, "doing", doing);
	json_add_key(b, "sites");
	buf_addc(b, '[');
	for (size_t n = 0; control_site_take(&sites, &site); n++) {
		if (n > 0)
			buf_adds(b, ", ");
		listing_site_print(b, &style, &site, 0);
		buf_truncate(b, b->n - 1);
	}
	buf_adds(b, "]}\n");
}

static void
visit_why(struct listing *listing, const struct listed *m)
{
	struct asked *asked = container_of(listing, struct asked, listing);
	struct control_why why = {.doing = STR("")};
	struct control_reply reply = {.text = STR("")};

	if (ask_why(asked, m, &reply))
		(void)control_why_take(&reply.text, &why);
	if (asked->options->style.format == LISTING_JSON)
		print_why_json(&asked->out, m, why.doing, reply.text);
	else
		print_why(&asked->out, &asked->options->style, m, why.doing, reply.text);
	listing_view_put(&asked->out);
}

int
listing_live_why(const struct listing_options *options, char **ids)
{
	struct asked asked = {.options = options, .listing = {.visit = visit_why}};
	struct err err;
	int status = EX_OK;

	if (!listing_open(&asked.listing, options->conf->spool_directory, &err))
		return listing_view_fail(&err);
	buf_init(&asked.out, OUTPUT_MAX_BYTES);
	asked.connected = control_client_open(&asked.client, options->conf, &err);
	if (!asked.connected)
		(void)fprintf(stderr, "merpati queue: queued is not running, so nothing is tried: %s\n", err.text);
	for (; *ids != NULL; ids++) {
		struct queue_id id;

		if (queue_id_parse(&id, str_from(*ids)) && listing_find(&asked.listing, &id))
			continue;
		(void)fprintf(stderr, "merpati queue: %s: there is no such message\n", *ids);
		status = EX_DATAERR;
	}
	control_client_close(&asked.client);
	buf_clear(&asked.out);
	listing_close(&asked.listing);
	return status;
}

/* ---- sites, top ------------------------------------------------------------------------------------------------------ */

struct live {
	const struct listing_options *options;
	struct control_client client;
	struct listing_sites sites;
	struct buf out;
};

static bool
live_open(struct live *live, const struct listing_options *options, struct err *err)
{
	*live = (struct live){.options = options};
	listing_sites_init(&live->sites);
	buf_init(&live->out, OUTPUT_MAX_BYTES);
	return control_client_open(&live->client, options->conf, err);
}

static void
live_close(struct live *live)
{
	control_client_close(&live->client);
	listing_sites_clear(&live->sites);
	buf_clear(&live->out);
}

/* The busiest first, at most so many. */
static bool
add_sites(struct live *live, size_t most, struct err *err)
{
	const struct listing_style *style = &live->options->style;
	uint64_t now_ms = queue_now_ms();

	if (!listing_sites_fetch(&live->sites, &live->client, err))
		return false;
	listing_sites_sort(&live->sites);
	listing_sites_print_head(&live->out, style);
	for (size_t i = 0; i < live->sites.n && i < most; i++)
		listing_site_print(&live->out, style, &live->sites.list[i], now_ms);
	return true;
}

int
listing_live_sites(const struct listing_options *options, char **ids)
{
	struct live live;
	struct err err;
	bool good = live_open(&live, options, &err) && add_sites(&live, options->limit > 0 ? options->limit : SIZE_MAX, &err);

	(void)ids;
	listing_view_put(&live.out);
	live_close(&live);
	return good ? EX_OK : listing_view_fail(&err);
}

static size_t
lines_of_terminal(void)
{
	struct winsize size;

	if (isatty(STDOUT_FILENO) == 0)
		return SIZE_MAX;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : LINES_STANDARD;
}

static bool
add_state(struct live *live, struct err *err)
{
	struct control_request request = {.verb = CONTROL_STATE};
	struct control_reply reply;
	struct control_state state;
	struct str text;

	if (!control_client_ask(&live->client, &request, &reply, err))
		return false;
	text = reply.text;
	if (!control_state_take(&text, &state))
		return err_set(err, ERR_TEMP, "queued gave a senseless answer");
	listing_time_add(&live->out, queue_now_ms() / 1000);
	buf_addf(&live->out, "  at work on %llu messages (%llu of them again), %llu recipients; %llu deliveries under way\n\n",
	    (unsigned long long)state.messages, (unsigned long long)state.retries, (unsigned long long)state.recipients,
	    (unsigned long long)state.deliveries);
	return true;
}

static bool
draw(struct live *live, struct err *err)
{
	size_t lines = lines_of_terminal();

	if (lines != SIZE_MAX)
		buf_adds(&live->out, "\033[H\033[2J");
	if (!add_state(live, err) || !add_sites(live, lines > 5 && lines != SIZE_MAX ? lines - 5 : lines, err))
		return false;
	listing_view_put(&live->out);
	return fflush(stdout) == 0 || err_sys(err, "cannot write");
}

/* True when somebody pressed a key, which ends it as ^C does. */
static bool
pause_or_key(uint64_t seconds)
{
	struct pollfd key = {.fd = isatty(STDIN_FILENO) != 0 ? STDIN_FILENO : -1, .events = POLLIN};

	return poll(&key, 1, (int)(seconds * 1000)) != 0;
}

int
listing_live_top(const struct listing_options *options, char **ids)
{
	uint64_t interval_s = options->interval_s > 0 ? options->interval_s : INTERVAL_S;
	struct live live;
	struct err err;
	bool good = live_open(&live, options, &err);

	(void)ids;
	for (uint64_t i = 0; good && (options->count == 0 || i < options->count); i++) {
		if (i > 0 && pause_or_key(interval_s))
			break;
		good = draw(&live, &err);
	}
	live_close(&live);
	return good ? EX_OK : listing_view_fail(&err);
}
