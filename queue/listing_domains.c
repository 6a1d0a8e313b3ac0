#include "queue/listing_domains.h"

#include <stdlib.h>
#include <string.h>

#include "common/smtp/address.h"

/* Younger than this many seconds, and not than the one before; the last: older. */
static const uint64_t ages_s[LISTING_AGES] = {300, 900, 3600, 4 * 3600, 12 * 3600, 86400, 3 * 86400, UINT64_MAX};

const char *
listing_domains_age(size_t i)
{
	static const char *const names[LISTING_AGES] = {"5m", "15m", "1h", "4h", "12h", "1d", "3d", "more"};

	return names[i];
}

static int
domain_compare(struct listing_domain *a, struct listing_domain *b)
{
	return strcasecmp(a->name, b->name);
}

TREE_GENERATE(listing_domain_tree, listing_domain, link, domain_compare)

void
listing_domains_init(struct listing_domains *domains, uint64_t now_s)
{
	static char all[] = "all", others[] = "others";

	*domains = (struct listing_domains){.now_s = now_s, .all = {.name = all}, .others = {.name = others}};
	RB_INIT(&domains->tree);
}

void
listing_domains_clear(struct listing_domains *domains)
{
	struct listing_domain *domain;

	while ((domain = RB_MIN(listing_domain_tree, &domains->tree)) != NULL) {
		(void)RB_REMOVE(listing_domain_tree, &domains->tree, domain);
		free(domain->name);
		free(domain);
	}
}

/* NULL when there are too many. */
static struct listing_domain *
domain_add(struct listing_domains *domains, struct str name)
{
	struct listing_domain *domain = domains->n < LISTING_DOMAINS_MAX ? calloc(1, sizeof *domain) : NULL;

	if (domain == NULL)
		return NULL;
	domain->name = str_dup(name);
	if (RB_INSERT(listing_domain_tree, &domains->tree, domain) != NULL) { /* not after it was looked for */
		free(domain->name);
		free(domain);
		return NULL;
	}
	domains->n++;
	return domain;
}

static struct listing_domain *
domain_find(struct listing_domains *domains, struct str address)
{
	struct str domain = str_skip(address, str_find_last(address, '@') + 1);
	char name[ADDRESS_DOMAIN_MAX + 1];
	struct listing_domain probe = {.name = name}, *found;

	if (!str_copy(name, sizeof name, domain))
		return &domains->others;
	found = RB_FIND(listing_domain_tree, &domains->tree, &probe);
	if (found == NULL)
		found = domain_add(domains, domain);
	return found != NULL ? found : &domains->others;
}

static void
count_recipient(struct listing_domain *domain, size_t age)
{
	domain->recipients++;
	domain->by_age[age]++;
}

uint64_t
listing_domains_count(struct listing_domains *domains, const struct listed *message)
{
	uint64_t arrival_s = queue_id_time_us(&message->id) / 1000000, n = 0;
	size_t age = 0;

	while (domains->now_s > arrival_s && domains->now_s - arrival_s >= ages_s[age])
		age++;
	for (size_t i = 0; i < message->envelope.nrecipients; i++) {
		const struct recipient *r = &message->envelope.recipients[i];

		if (r->state != QUEUE_WAITING)
			continue;
		n++;
		count_recipient(domain_find(domains, r->address), age);
		count_recipient(&domains->all, age);
	}
	return n;
}

static int
more_recipients(const void *a, const void *b)
{
	const struct listing_domain *x = *(struct listing_domain *const *)a, *y = *(struct listing_domain *const *)b;

	if (x->recipients != y->recipients)
		return x->recipients > y->recipients ? -1 : 1;
	return strcmp(x->name, y->name);
}

struct listing_domain **
listing_domains_sorted(struct listing_domains *domains)
{
	struct listing_domain **list = calloc(domains->n + 1, sizeof(struct listing_domain *)), *domain;
	size_t n = 0;

	if (list == NULL)
		return NULL;
	RB_FOREACH(domain, listing_domain_tree, &domains->tree)
		list[n++] = domain;
	qsort(list, n, sizeof(struct listing_domain *), more_recipients);
	return list;
}
