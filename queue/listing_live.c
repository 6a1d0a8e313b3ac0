#include "queue/listing_live.h"

#include <stdio.h>
#include <sysexits.h>

#include "common/base/json.h"
#include "common/base/loop.h"
#include "queue/listing_queued.h"
#include "queue/listing_sites.h"
#include "queue/listing_time.h"
#include "queue/listing_view.h"
#include "queue/queue.h"

#define OUTPUT_MAX_BYTES (256UL * 1024 * 1024)

/* ---- why ----------------------------------------------------------------------------------------------------------- */

struct asked {
	struct listing listing;
	const struct listing_options *options;
	struct control_client client;
	bool connected; /* queued answers; otherwise its file is all that is known */
	struct control_state state;
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

static void
print_held(struct buf *b, const struct envelope *e)
{
	const struct listing_style plain = {.colour = false};

	buf_adds(b, "is on hold until `merpati queue release`");
	if (e->hold.n > 0)
		buf_adds(b, ": ");
	listing_print_cell(b, &plain, LISTING_PLAIN, 0, e->hold);
}

/* One that came from there without a try found no room: its turn to be read comes again. */
static void
print_deferred(struct buf *b, const struct listed *m, uint64_t now_ms)
{
	const struct envelope *e = &m->envelope;
	char duration[16];

	if (e->release_ms > now_ms) {
		buf_adds(b, "is not to be sent before ");
		listing_time_add(b, e->release_ms / 1000);
		return;
	}
	listing_print_duration(duration, m->due_s * 1000 > now_ms ? m->due_s - now_ms / 1000 : 0);
	buf_adds(b, e->deferrals > 0 ? "is tried again at " : "waits for room (`active_limit`, `active_share`), and is looked at again at ");
	listing_time_add(b, m->due_s);
	buf_addf(b, " (in %s)", duration);
	if (e->deferrals > 0)
		buf_addf(b, ", after %llu tr%s", (unsigned long long)e->deferrals, e->deferrals == 1 ? "y" : "ies");
}

/* How much queued is at work on says whether there is room for one more. */
static void
print_untaken(struct buf *b, const struct asked *asked, enum spool_place place)
{
	buf_addf(b, "is %s, and queued has not taken it yet", spool_place_name(place));
	if (asked->connected)
		buf_addf(b, ": it is at work on %llu messages of at most %llu (`active_limit`)",
		    (unsigned long long)asked->state.messages, (unsigned long long)asked->options->conf->queue.active_limit);
}

/* What the place of its file says, to which queued may know more. */
static void
print_state(struct buf *b, const struct asked *asked, const struct listed *m, struct str doing)
{
	buf_addf(b, "%s ", m->id.text);
	if (m->load == ENVELOPE_DAMAGED)
		buf_adds(b, "is damaged, and is not touched: see the log");
	else if (m->load == ENVELOPE_NEWER)
		buf_adds(b, "was written by a newer Merpati, and waits for that to be started again");
	else if (doing.n > 0)
		buf_addf(b, "%.*s", STR_FMT(doing));
	else if (m->place == SPOOL_HOLD)
		print_held(b, &m->envelope);
	else if (m->place == SPOOL_DEFERRED)
		print_deferred(b, m, queue_now_ms());
	else
		print_untaken(b, asked, m->place);
	buf_addc(b, '\n');
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
print_why(struct buf *b, const struct asked *asked, const struct listed *m, struct str doing, struct str sites)
{
	const struct listing_style *style = &asked->options->style;
	uint64_t now_ms = queue_now_ms();
	struct control_site site;
	char health[64];

	print_state(b, asked, m, doing);
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
		listing_site_print_json(b, &site);
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
		print_why(&asked->out, asked, m, why.doing, reply.text);
	listing_view_put(&asked->out);
}

static bool
ask_state(struct asked *asked, struct err *err)
{
	struct control_request request = {.verb = CONTROL_STATE};
	struct control_reply reply;
	struct str text;

	if (!control_client_open(&asked->client, asked->options->conf, err) ||
	    !control_client_ask(&asked->client, &request, &reply, err))
		return false;
	text = reply.text;
	return control_state_take(&text, &asked->state) || err_set(err, ERR_TEMP, "it gave a senseless answer");
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
	asked.connected = ask_state(&asked, &err);
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

/* ---- sites ------------------------------------------------------------------------------------------------------------ */

int
listing_live_sites(const struct listing_options *options, char **ids)
{
	size_t most = options->limit > 0 ? options->limit : SIZE_MAX;
	struct listing_sites sites;
	struct control_client client;
	struct buf out;
	struct err err;
	bool good;

	(void)ids;
	listing_sites_init(&sites);
	buf_init(&out, OUTPUT_MAX_BYTES);
	good = control_client_open(&client, options->conf, &err) &&
	    listing_sites_fetch(&sites, &client, &err) && listing_queued_add(&sites, options, &client, &err);
	if (good)
		listing_sites_add(&out, &options->style, &sites, most);
	listing_view_put(&out);
	buf_clear(&out);
	control_client_close(&client);
	listing_sites_clear(&sites);
	return good ? EX_OK : listing_view_fail(&err);
}
