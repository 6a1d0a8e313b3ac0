#include "queue/doctor_queue.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "common/base/loop.h"
#include "queue/listing_sites.h"
#include "queue/listing_source.h"

/* What smtpd has handed over should be taken within seconds. */
#define INCOMING_LATE_S 120
/* Sites that are named; of the others the number is told. */
#define SITES_NAMED 20
#define ANSWER_S 5

struct place {
	uint64_t n;
	uint64_t oldest_s; /* when it came; 0: there is none */
};

static void
count(struct place *place, const struct queue_id *id)
{
	uint64_t time_s = queue_id_time_us(id) / 1000000;

	place->n++;
	if (place->oldest_s == 0 || time_s < place->oldest_s)
		place->oldest_s = time_s;
}

/* Every name is looked at, and no file opened but in incoming/, where a message counts only when smtpd is done with it. */
static bool
look_at_all(struct place *place, struct listing *listing, enum spool_place which, struct err *err)
{
	struct listing_source source;
	struct listing_names names;
	struct listed m;
	bool good;

	listing_source_init(&source, &listing->spool, 1U << which);
	listed_init(&m, listing);
	while ((good = listing_source_next(&source, &names, err)) && names.n > 0) {
		for (size_t i = 0; i < names.n; i++)
			if (which != SPOOL_INCOMING || listing_read(listing, names.directory, &names.ids[i], &m))
				count(place, &names.ids[i]);
		listing_source_release(&names);
	}
	listed_clear(&m);
	listing_source_clear(&source);
	return good;
}

static bool
look(struct place *place, const char *spool_directory, enum spool_place which, struct err *err)
{
	struct listing listing = {.visit = NULL};
	bool good;

	*place = (struct place){.n = 0};
	if (!listing_open(&listing, spool_directory, err))
		return false;
	good = look_at_all(place, &listing, which, err);
	listing_close(&listing);
	return good;
}

static uint64_t
seconds_of(const struct place *place)
{
	uint64_t now_s = (uint64_t)time(NULL);

	return place->n > 0 && now_s > place->oldest_s ? now_s - place->oldest_s : 0;
}

static void
age_of(char text[16], const struct place *place)
{
	listing_print_duration(text, seconds_of(place));
}

static void
report_waiting(struct doctor *d, const struct place *places)
{
	const struct place *incoming = &places[SPOOL_INCOMING], *deferred = &places[SPOOL_DEFERRED];
	char age[16];

	age_of(age, incoming);
	if (seconds_of(incoming) > INCOMING_LATE_S) {
		doctor_find(d, DOCTOR_ERROR, "incoming-late", STR("incoming"), "holds %llu message%s, the oldest for %s: queued does not "
		    "take them", (unsigned long long)incoming->n, incoming->n == 1 ? "" : "s", age);
		doctor_advise(d, "See the log of queued; when it has too much at work (merpati queue top), `active_limit` is too low");
	}
	age_of(age, deferred);
	if (seconds_of(deferred) > d->conf->queue.expire_s) {
		doctor_find(d, DOCTOR_WARNING, "deferred-old", STR("deferred"), "holds a message for %s, which is longer than `expire`", age);
		doctor_advise(d, "merpati queue list --sort age --limit 10, then merpati queue why ID");
	} else if (deferred->n > 0) {
		doctor_find(d, DOCTOR_OK, "deferred", STR("deferred"), "holds %llu message%s, the oldest for %s",
		    (unsigned long long)deferred->n, deferred->n == 1 ? "" : "s", age);
	}
}

static void
report_places(struct doctor *d, const struct place *places)
{
	const struct place *hold = &places[SPOOL_HOLD], *corrupt = &places[SPOOL_CORRUPT];
	uint64_t all = 0;
	char age[16];

	report_waiting(d, places);
	age_of(age, hold);
	if (hold->n > 0) {
		doctor_find(d, DOCTOR_NOTE, "held", STR("hold"), "holds %llu message%s, the oldest for %s", (unsigned long long)hold->n,
		    hold->n == 1 ? "" : "s", age);
		doctor_advise(d, "merpati queue list --state hold; then merpati queue release, delete or bounce");
	}
	if (corrupt->n > 0) {
		doctor_find(d, DOCTOR_WARNING, "corrupt", STR("corrupt"), "holds %llu damaged message%s", (unsigned long long)corrupt->n,
		    corrupt->n == 1 ? "" : "s");
		doctor_advise(d, "The log says what is wrong with each; read them with less, and delete them: merpati queue delete "
		    "--state corrupt");
	}
	for (unsigned i = 0; i < SPOOL_PLACES; i++)
		all += places[i].n;
	if (all == 0)
		doctor_find(d, DOCTOR_OK, "empty", STR("The queue"), "is empty");
}

/* ---- sites --------------------------------------------------------------------------------------------------------- */

static void
report_sites(struct doctor *d, const struct listing_sites *sites)
{
	uint64_t dead = 0;

	for (size_t i = 0; i < sites->n; i++) {
		const struct control_site *site = &sites->list[i].site;

		if ((site->dead_until_ms == 0 && !site->probing) || dead++ >= SITES_NAMED)
			continue;
		doctor_find(d, DOCTOR_WARNING, "site-dead", site->key, "does not take mail: %.*s", STR_FMT(site->trouble));
		doctor_advise(d, "merpati queue sites shows how much waits for it");
	}
	if (dead > SITES_NAMED)
		doctor_find(d, DOCTOR_WARNING, "sites-dead", STR("Another"), "%llu sites do not take mail",
		    (unsigned long long)(dead - SITES_NAMED));
}

static void
ask_sites(struct doctor *d)
{
	const struct timeval time = {.tv_sec = ANSWER_S};
	struct listing_sites sites;
	struct control_client client;
	struct err err;

	listing_sites_init(&sites);
	if (control_client_open(&client, d->conf, &err)) {
		(void)setsockopt(client.fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
		if (listing_sites_fetch(&sites, &client, &err)) {
			listing_sites_sort(&sites);
			report_sites(d, &sites);
		}
	}
	control_client_close(&client);
	listing_sites_clear(&sites);
}

void
doctor_queue(struct doctor *d, bool has_queued)
{
	struct place places[SPOOL_PLACES];
	struct err err;

	d->area = DOCTOR_QUEUE;
	for (unsigned i = 0; i < SPOOL_PLACES; i++) {
		if (look(&places[i], d->conf->spool_directory, (enum spool_place)i, &err))
			continue;
		doctor_find(d, err.errnum == EACCES ? DOCTOR_NOTE : DOCTOR_ERROR, "queue-unreadable", str_from(d->conf->spool_directory),
		    "cannot be looked into: %s", err.text);
		return;
	}
	report_places(d, places);
	if (has_queued)
		ask_sites(d);
}
