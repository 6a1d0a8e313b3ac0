#include "queue/listing_sites.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/json.h"
#include "queue/queue.h"

#define ARENA_MAX_BYTES (1024UL * 1024 * 1024)

void
listing_sites_init(struct listing_sites *sites)
{
	*sites = (struct listing_sites){.n = 0};
	arena_init(&sites->arena, ARENA_MAX_BYTES);
}

void
listing_sites_clear(struct listing_sites *sites)
{
	free(sites->list);
	arena_clear(&sites->arena);
	*sites = (struct listing_sites){.n = 0};
}

bool
listing_sites_put(struct listing_sites *sites, const struct listing_site *site)
{
	struct control_site *kept;

	if (sites->n == sites->cap) {
		size_t cap = sites->cap * 2 + 64;
		struct listing_site *list = reallocarray(sites->list, cap, sizeof *list);

		if (list == NULL)
			return false;
		sites->list = list;
		sites->cap = cap;
	}
	sites->list[sites->n] = *site;
	kept = &sites->list[sites->n++].site;
	kept->key = arena_copy(&sites->arena, site->site.key);
	kept->trouble = arena_copy(&sites->arena, site->site.trouble);
	kept->limit = arena_copy(&sites->arena, site->site.limit);
	kept->policy = arena_copy(&sites->arena, site->site.policy);
	return !sites->arena.failed;
}

/* One packet of them. *any: there was one, so there may be more. */
static bool
fetch_some(struct listing_sites *sites, struct control_client *client, bool *any, struct err *err)
{
	struct control_request request = {.verb = CONTROL_SITES};
	struct control_reply reply;
	struct listing_site site = {.queued = 0};

	if (sites->n > 0)
		request.id = sites->list[sites->n - 1].site.key;
	if (!control_client_ask(client, &request, &reply, err))
		return false;
	*any = false;
	while (control_site_take(&reply.text, &site.site)) {
		if (!listing_sites_put(sites, &site))
			return err_set(err, ERR_TEMP, "out of memory");
		*any = true;
	}
	return true;
}

bool
listing_sites_fetch(struct listing_sites *sites, struct control_client *client, struct err *err)
{
	bool any = true;

	listing_sites_clear(sites);
	listing_sites_init(sites);
	while (any && sites->n < LISTING_SITES_MAX)
		if (!fetch_some(sites, client, &any, err))
			return false;
	return true;
}

/* ---- order ------------------------------------------------------------------------------------------------------------- */

static int
by_key(const void *a, const void *b)
{
	const struct listing_site *x = a, *y = b;
	int order = str_compare(x->site.key, y->site.key);

	/* what queued knows of it is the first */
	return order != 0 ? order : x->is_unknown - y->is_unknown;
}

void
listing_sites_merge(struct listing_sites *sites)
{
	size_t n = 0;

	if (sites->n > 0)
		qsort(sites->list, sites->n, sizeof *sites->list, by_key);
	for (size_t i = 0; i < sites->n; i++) {
		const struct listing_site *site = &sites->list[i];

		if (n > 0 && str_equal(sites->list[n - 1].site.key, site->site.key))
			sites->list[n - 1].queued += site->queued;
		else
			sites->list[n++] = *site;
	}
	sites->n = n;
}

static int
busier(const void *a, const void *b)
{
	const struct listing_site *x = a, *y = b;
	uint64_t work_x = x->site.running + x->site.waiting, work_y = y->site.running + y->site.waiting;
	bool dead_x = x->site.dead_until_ms != 0, dead_y = y->site.dead_until_ms != 0;

	if (work_x != work_y)
		return work_x > work_y ? -1 : 1;
	if (x->queued != y->queued)
		return x->queued > y->queued ? -1 : 1;
	if (dead_x != dead_y)
		return dead_x ? -1 : 1;
	return str_compare(x->site.key, y->site.key);
}

void
listing_sites_sort(struct listing_sites *sites)
{
	if (sites->n > 0)
		qsort(sites->list, sites->n, sizeof *sites->list, busier);
}

void
listing_site_health(char text[64], const struct control_site *site, uint64_t now_ms)
{
	char duration[16];

	if (site->dead_until_ms > now_ms) {
		listing_print_duration(duration, (site->dead_until_ms - now_ms + 999) / 1000);
		(void)snprintf(text, 64, "left alone for %s", duration);
	} else if (site->dead_until_ms != 0 || site->probing) {
		(void)snprintf(text, 64, "to be tried with one");
	} else {
		(void)snprintf(text, 64, "%s", site->failing ? "has trouble" : "works");
	}
}

static void
print_head(struct buf *b, const struct listing_style *style, bool is_counted)
{
	if (style->format != LISTING_TEXT)
		return;
	listing_print_cell(b, style, LISTING_BOLD, 0, is_counted ? STR("  QUEUED") : STR(""));
	listing_print_cell(b, style, LISTING_BOLD, 0, STR(" RUNNING  WINDOW  WAITING  HEALTH                SUCCESS  ERROR  POLICY          SITE"));
	buf_addc(b, '\n');
}

static void
add_members(struct buf *b, const struct control_site *site)
{
	json_add_member(b, "site", site->key);
	json_add_number(b, "running", site->running);
	json_add_number(b, "window", site->window);
	json_add_number(b, "waiting", site->waiting);
	if (site->dead_until_ms != 0)
		json_add_number(b, "dead_until", site->dead_until_ms / 1000);
	json_add_key(b, "failing");
	buf_adds(b, site->failing ? "true" : "false");
	json_add_key(b, "probing");
	buf_adds(b, site->probing ? "true" : "false");
	if (site->good_ms > 0)
		json_add_number(b, "last_success", site->good_ms / 1000);
	if (site->failed_ms > 0)
		json_add_number(b, "last_error", site->failed_ms / 1000);
	if (site->policy.n > 0)
		json_add_member(b, "policy", site->policy);
	if (site->trouble.n > 0)
		json_add_member(b, "last_trouble", site->trouble);
	if (site->limit.n > 0)
		json_add_member(b, "waits_for", site->limit);
}

void
listing_site_print_json(struct buf *b, const struct control_site *site)
{
	buf_addc(b, '{');
	add_members(b, site);
	buf_addc(b, '}');
}

static void
print_json(struct buf *b, const struct listing_site *site)
{
	buf_addc(b, '{');
	add_members(b, &site->site);
	json_add_number(b, "queued", site->queued);
	buf_adds(b, "}\n");
}

static enum listing_colour
colour_of(const struct control_site *site, uint64_t now_ms)
{
	if (site->dead_until_ms > now_ms)
		return LISTING_RED;
	return site->probing || site->failing ? LISTING_YELLOW : LISTING_GREEN;
}

/* How long ago. */
static void
print_ago(struct buf *b, uint64_t then_ms, uint64_t now_ms)
{
	char text[16] = "-";

	if (then_ms > 0)
		listing_print_duration(text, now_ms > then_ms ? (now_ms - then_ms) / 1000 : 0);
	buf_addf(b, "%7s", text);
}

static void
print_trouble(struct buf *b, const struct listing_style *style, const struct control_site *site)
{
	if (site->trouble.n > 0 && (site->dead_until_ms != 0 || site->probing || site->failing)) {
		buf_adds(b, "  ");
		listing_print_cell(b, style, LISTING_DIM, 0, site->trouble);
	}
	if (site->limit.n > 0) {
		buf_adds(b, "  waits for ");
		listing_print_cell(b, style, LISTING_PLAIN, 0, site->limit);
	}
}

/* Of what queued does not know there is nothing to say but how much waits for it. */
static void
print_text(struct buf *b, const struct listing_style *style, const struct listing_site *s, uint64_t now_ms)
{
	const struct control_site *site = &s->site;
	char health[64] = "not tried lately";

	if (!s->is_unknown)
		listing_site_health(health, site, now_ms);
	buf_addf(b, "%8llu %7llu %8llu  ", (unsigned long long)site->running, (unsigned long long)site->window,
	    (unsigned long long)site->waiting);
	listing_print_cell(b, style, s->is_unknown ? LISTING_DIM : colour_of(site, now_ms), 22, str_from(health));
	print_ago(b, site->good_ms, now_ms);
	print_ago(b, site->failed_ms, now_ms);
	buf_adds(b, "  ");
	listing_print_cell(b, style, LISTING_PLAIN, 16, site->policy.n > 0 ? site->policy : STR("-"));
	listing_print_cell(b, style, LISTING_PLAIN, 0, site->key);
	print_trouble(b, style, site);
	buf_addc(b, '\n');
}

void
listing_sites_add(struct buf *b, const struct listing_style *style, struct listing_sites *sites, size_t most)
{
	uint64_t now_ms = queue_now_ms();

	listing_sites_sort(sites);
	print_head(b, style, sites->is_counted);
	for (size_t i = 0; i < sites->n && i < most; i++) {
		const struct listing_site *site = &sites->list[i];

		if (style->format != LISTING_TEXT) {
			print_json(b, site);
			continue;
		}
		if (sites->is_counted)
			buf_addf(b, "%8llu", (unsigned long long)site->queued);
		print_text(b, style, site, now_ms);
	}
}
