#include "queue/tlsrpt_send.h"

#include <bsd/stdlib.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/cache_file.h"
#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "queue/tlsrpt_collect.h"
#include "queue/tlsrpt_record.h"
#include "queue/tlsrpt_report.h"

#define TAKEN "sending."
#define LOOK_EVERY_MS 60000
#define LEFT_S 600 /* RFC 8460 5.4: not in quick succession */
#define SAVE_EVERY_MS 60000
#define ARENA_MAX 65536
/* A report is as good as lost if its message is too large for others; and base64 makes it longer by a third. */
#define COMPRESSED_MAX (512 * 1024)

/* One domain's report on its way. */
struct delivery {
	struct tlsrpt_sender *sender;
	struct tlsrpt_domain *domain;
	struct arena arena;
	struct dns_query query;
	struct tlsrpt_place places[TLSRPT_PLACES_MAX];
	size_t nplaces, place; /* the one that is under way, or next */
	struct buf compressed;
	bool handed_over; /* to one of them at least */
	bool put_off;	  /* one of them may take it later */
	struct loop_deferred later;

	struct http_call call;
	struct remote_owner owner;
	struct remote_transaction transaction;
	struct smtp_recipient recipient;
	struct queue_piece piece;
	int fd;
};

static void look_later(struct tlsrpt_sender *sender);
static void deliveries_start(struct tlsrpt_sender *sender);

static uint64_t
now_s(void)
{
	return (uint64_t)time(NULL);
}

/* --- one report: the end -------------------------------------------------------------------------------------------------- */

static void
delivery_over(struct delivery *d)
{
	struct tlsrpt_sender *sender = d->sender;

	if (d->handed_over || !d->put_off)
		tlsrpt_counts_remove(&sender->counts, d->domain);
	loop_defer_cancel(&d->later);
	buf_clear(&d->compressed);
	arena_clear(&d->arena);
	free(d);
	sender->sending--;
	deliveries_start(sender);
}

/* --- one report: to a place ----------------------------------------------------------------------------------------------- */

static void place_next(struct delivery *d);

static void
later_run(struct loop_deferred *deferred)
{
	place_next(container_of(deferred, struct delivery, later));
}

/* why NULL: taken. */
static void
place_over(struct delivery *d, bool may_be_later, const char *why)
{
	struct str place = d->places[d->place].text;

	if (why == NULL) {
		log_info("report on TLS for %s: handed over for %.*s", d->domain->name, STR_FMT(place));
		d->handed_over = true;
	} else {
		log_info("report on TLS for %s: not taken for %.*s: %s", d->domain->name, STR_FMT(place), why);
		d->put_off = d->put_off || may_be_later;
	}
	d->place++;
	loop_defer(d->sender->http.loop, &d->later, later_run);
}

/* RFC 8460 5.4: any success will do; what a server refuses for good is not tried again. */
static void
posted(struct http_call *call, const struct http_response *response, const char *why)
{
	struct delivery *d = container_of(call, struct delivery, call);
	char status[32];

	if (response != NULL)
		(void)snprintf(status, sizeof status, "status %u", response->status);
	if (response != NULL && response->status >= 200 && response->status < 300)
		place_over(d, false, NULL);
	else
		place_over(d, response == NULL || response->status >= 500, response != NULL ? status : why);
}

static void
post(struct delivery *d)
{
	struct http_url url;

	if (!http_url_parse(&url, d->places[d->place].text)) {
		place_over(d, false, "no URL that we can post to");
		return;
	}
	http_call_init(&d->call);
	http_post_document(&d->call.request, &url, "application/tlsrpt+gzip", buf_str(&d->compressed));
	http_call_start(&d->call, &d->sender->http, &url, TLSRPT_POST_MS, posted);
}

static void
mail_over(struct delivery *d, struct remote_connection *connection, const struct smtp_verdict *verdict)
{
	char why[256];
	bool taken = verdict->outcome == SMTP_DELIVERED, failed = verdict->outcome == SMTP_FAILED;

	(void)snprintf(why, sizeof why, "%.*s", STR_FMT(verdict->words));
	remote_connection_release(connection);
	(void)close(d->fd);
	place_over(d, !failed, taken ? NULL : why);
}

static void
opened(struct remote_owner *owner, struct remote_connection *connection, const struct smtp_verdict *failure)
{
	struct delivery *d = container_of(owner, struct delivery, owner);

	if (failure != NULL)
		mail_over(d, connection, failure);
	else
		remote_connection_send(connection, &d->transaction);
}

static void
result(struct remote_owner *owner, struct remote_connection *connection, const struct smtp_recipient *recipient)
{
	(void)owner;
	(void)connection;
	(void)recipient; /* is ours: looked at when all is over */
}

static void
ended(struct remote_owner *owner, struct remote_connection *connection)
{
	struct delivery *d = container_of(owner, struct delivery, owner);

	mail_over(d, connection, &d->recipient.verdict);
}

/* The message in a file of no directory; -1: err says why not. */
static int
message_write(struct str message, struct err *err)
{
	int fd = memfd_create("report", MFD_CLOEXEC);

	if (fd < 0) {
		(void)err_sys(err, "memfd");
		return -1;
	}
	while (message.n > 0) {
		ssize_t n = write(fd, message.p, message.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			(void)err_sys(err, "memfd");
			(void)close(fd);
			return -1;
		}
		message = str_skip(message, (size_t)n);
	}
	return fd;
}

static struct tlsrpt_report
report_of(const struct delivery *d)
{
	const struct tlsrpt_sender *sender = d->sender;

	return (struct tlsrpt_report){.domain = d->domain, .submitter = str_from(sender->conf->hostname), .from = sender->from,
	    .begin_s = sender->begin_s, .end_s = sender->end_s};
}

static bool
message_make(struct delivery *d, struct err *err)
{
	struct tlsrpt_report report = report_of(d);
	struct buf message;

	buf_init(&message, 2 * COMPRESSED_MAX);
	tlsrpt_report_message(&message, &report, d->places[d->place].text, buf_str(&d->compressed), now_s());
	d->piece = (struct queue_piece){.length = message.n};
	d->fd = buf_ok(&message) ? message_write(buf_str(&message), err) : -1;
	buf_clear(&message);
	return d->fd >= 0;
}

static void
mail(struct delivery *d)
{
	struct tlsrpt_sender *sender = d->sender;
	struct remote_target target = {.host = STR("submit"), .path = daemon_socket_path(sender->conf, "submit"),
	    .policy = {.need = TLS_NEED_PLAIN}};
	struct err err = {.text = "it is too large"};

	if (!message_make(d, &err)) {
		place_over(d, false, err.text);
		return;
	}
	d->owner = (struct remote_owner){.opened = opened, .result = result, .ended = ended};
	d->recipient = (struct smtp_recipient){.address = d->places[d->place].text};
	d->transaction = (struct remote_transaction){.content = {.fd = d->fd, .pieces = &d->piece, .npieces = 1}};
	d->transaction.mail = (struct smtp_mail){.sender = sender->from, .size = d->piece.length, .recipients = &d->recipient,
	    .nrecipients = 1, .arena = &d->arena};
	if (remote_connection_open(&sender->mail, &target, &d->owner, &err) != NULL)
		return;
	(void)close(d->fd);
	place_over(d, true, err.text);
}

static void
place_next(struct delivery *d)
{
	if (d->place >= d->nplaces)
		delivery_over(d);
	else if (d->places[d->place].kind == TLSRPT_HTTPS)
		post(d);
	else
		mail(d);
}

/* --- one report: the beginning -------------------------------------------------------------------------------------------- */

static bool
compressed_make(struct delivery *d)
{
	struct tlsrpt_report report = report_of(d);
	struct buf json;
	struct err err;
	bool good;

	buf_init(&json, TLSRPT_JSON_MAX);
	tlsrpt_report_json(&json, &report);
	good = buf_ok(&json) && tlsrpt_report_compress(&d->compressed, buf_str(&json), &err);
	buf_clear(&json);
	if (!good)
		log_warning("report on TLS for %s: it is too large", d->domain->name);
	return good;
}

static void
answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct delivery *d = container_of(query, struct delivery, query);
	struct str texts[DNS_RECORDS_MAX];

	d->put_off = answer->status == DNS_TEMP;
	for (size_t i = 0; i < answer->n; i++)
		texts[i] = answer->records[i].text;
	if (answer->status == DNS_FOUND)
		d->nplaces = tlsrpt_record_find(texts, answer->n, &d->arena, d->places);
	if (d->nplaces > 0 && !compressed_make(d))
		d->nplaces = 0;
	place_next(d);
}

static void
delivery_start(struct tlsrpt_sender *sender, struct tlsrpt_domain *domain)
{
	struct delivery *d = calloc(1, sizeof *d);
	char name[DNS_NAME_MAX + 1];

	if (d == NULL)
		fatal("out of memory for a report");
	d->sender = sender;
	d->domain = domain;
	arena_init(&d->arena, ARENA_MAX);
	buf_init(&d->compressed, COMPRESSED_MAX);
	sender->sending++;
	if (tlsrpt_question(name, domain->name))
		dns_ask(sender->http.dns, &d->query, str_from(name), DNS_TXT, answered);
	else
		loop_defer(sender->http.loop, &d->later, later_run);
}

/* --- a period's file ------------------------------------------------------------------------------------------------------ */

void
tlsrpt_sender_save(struct tlsrpt_sender *sender)
{
	struct buf text;
	struct err err;

	if (sender->name[0] == '\0')
		return;
	buf_init(&text, TLSRPT_FILE_MAX);
	tlsrpt_counts_format(&text, &sender->counts);
	if (sender->counts.n == 0)
		cache_file_remove(sender->directory, sender->name);
	else if (!cache_file_replace(sender->directory, sender->name, buf_str(&text), &err))
		log_warning("reports on TLS may be sent again: %s", err.text);
	buf_clear(&text);
	sender->saved_ms = loop_now_ms(sender->http.loop);
}

/* All of them were tried. */
static void
file_over(struct tlsrpt_sender *sender)
{
	if (now_s() > sender->end_s + TLSRPT_GIVE_UP_S && sender->counts.n > 0) {
		log_warning("%zu reports on TLS could not be sent within a day", sender->counts.n);
		tlsrpt_counts_clear(&sender->counts);
	}
	tlsrpt_sender_save(sender);
	tlsrpt_counts_clear(&sender->counts);
	sender->name[0] = '\0';
	look_later(sender);
}

static void
deliveries_start(struct tlsrpt_sender *sender)
{
	if (loop_now_ms(sender->http.loop) - sender->saved_ms > SAVE_EVERY_MS)
		tlsrpt_sender_save(sender);
	while (sender->next != NULL && sender->sending < TLSRPT_SENDING_MAX) {
		struct tlsrpt_domain *domain = sender->next;

		sender->next = tlsrpt_counts_next(domain);
		delivery_start(sender, domain);
	}
	if (sender->next == NULL && sender->sending == 0)
		file_over(sender);
}

static bool
name_parse(struct str name, uint64_t *begin_s, uint64_t *end_s)
{
	size_t dash = str_find(name, '-');

	return str_to_u64(str_sub(name, 0, dash), UINT32_MAX, begin_s) && dash < name.n &&
	    str_to_u64(str_skip(name, dash + 1), UINT32_MAX, end_s) && *begin_s < *end_s;
}

static bool
is_left(const struct tlsrpt_sender *sender, const char *name)
{
	struct stat st;
	uint64_t now = now_s();

	return fstatat(sender->directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (now < (uint64_t)st.st_mtime || now - (uint64_t)st.st_mtime > LEFT_S);
}

/* One that somebody took and has not finished comes first. */
static void
file_found(void *owner, const char *name)
{
	struct tlsrpt_sender *sender = owner;
	struct str rest = str_from(name);
	bool taken = str_starts(rest, STR(TAKEN));
	uint64_t begin_s, end_s;

	if (taken)
		rest = str_skip(rest, sizeof TAKEN - 1);
	if (!name_parse(rest, &begin_s, &end_s)) {
		cache_file_remove(sender->directory, name);
		return;
	}
	if (taken ? !is_left(sender, name) : end_s + sender->delay_s > now_s())
		return;
	if ((sender->name[0] == '\0' || taken) && str_copy(sender->name, sizeof sender->name, str_from(name))) {
		sender->begin_s = begin_s;
		sender->end_s = end_s;
	}
}

/* False: it is gone meanwhile. */
static bool
file_take(struct tlsrpt_sender *sender)
{
	char taken[sizeof sender->name + sizeof TAKEN];
	struct buf text;
	struct err err;
	bool good;

	if (!str_starts(str_from(sender->name), STR(TAKEN))) {
		(void)snprintf(taken, sizeof taken, TAKEN "%s", sender->name);
		if (renameat(sender->directory, sender->name, sender->directory, taken) != 0 ||
		    !str_copy(sender->name, sizeof sender->name, str_from(taken)))
			return false;
	}
	buf_init(&text, TLSRPT_FILE_MAX);
	good = cache_file_read(sender->directory, sender->name, &text, &err);
	if (good)
		tlsrpt_counts_parse(&sender->counts, buf_str(&text));
	buf_clear(&text);
	return good;
}

static void look_due(struct loop_timer *timer);

/* When the present period is over, or soon: there may be one that was left. */
static void
look_later(struct tlsrpt_sender *sender)
{
	struct timespec now;
	uint64_t now_ms, over_ms, after_ms;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	over_ms = (((uint64_t)now.tv_sec / sender->period_s + 1) * sender->period_s + sender->delay_s) * 1000;
	after_ms = over_ms - now_ms;
	loop_timer_set(sender->http.loop, &sender->look, after_ms < LOOK_EVERY_MS ? after_ms : LOOK_EVERY_MS, look_due);
}

static void
file_next(struct tlsrpt_sender *sender)
{
	struct err err;
	bool good;

	sender->before(sender);
	tlsrpt_directory_lock(sender->directory);
	good = cache_file_list(sender->directory, file_found, sender, &err) && sender->name[0] != '\0' && file_take(sender);
	tlsrpt_directory_unlock(sender->directory);
	if (!good) {
		sender->name[0] = '\0';
		look_later(sender);
		return;
	}
	sender->next = tlsrpt_counts_first(&sender->counts);
	sender->saved_ms = loop_now_ms(sender->http.loop);
	deliveries_start(sender);
}

static void
look_due(struct loop_timer *timer)
{
	file_next(container_of(timer, struct tlsrpt_sender, look));
}

void
tlsrpt_sender_start(struct tlsrpt_sender *sender)
{
	tlsrpt_counts_init(&sender->counts);
	sender->mail = (struct remote_context){.loop = sender->http.loop, .conf = sender->conf};
	/* RFC 8460 4.1: within four hours. A period's last minute may still be on its way. */
	sender->delay_s = TLSRPT_FLUSH_S * sender->period_s / 86400 + arc4random_uniform((uint32_t)(sender->period_s / 6) + 1);
	look_later(sender);
}
