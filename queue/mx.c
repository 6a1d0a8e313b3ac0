#include "queue/mx.h"

#include <stdlib.h>

struct exchanger {
	unsigned preference;
	uint32_t rank; /* random, among equals */
	struct str host;
};

static int
by_preference(const void *a, const void *b)
{
	const struct exchanger *x = a, *y = b;

	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static int
by_name(const void *a, const void *b)
{
	const struct exchanger *x = a, *y = b;

	return str_compare(x->host, y->host);
}

/* The exchangers of an answer; an empty name among others is an error of the zone and is passed over. */
static size_t
collect(const struct dns_answer *answer, struct str domain, uint32_t (*uniform)(uint32_t), struct exchanger *all)
{
	size_t n = 0;

	for (size_t i = 0; i < answer->n; i++)
		if (answer->records[i].text.n > 0)
			all[n++] = (struct exchanger){answer->records[i].preference, uniform(UINT32_MAX),
			    answer->records[i].text};
	if (answer->n == 0)
		all[n++] = (struct exchanger){.host = domain};
	return n;
}

static size_t
without_doubles(struct exchanger *sorted_by_name, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (kept > 0 && str_equal_nocase(sorted_by_name[kept - 1].host, sorted_by_name[i].host)) {
			if (sorted_by_name[i].preference < sorted_by_name[kept - 1].preference)
				sorted_by_name[kept - 1].preference = sorted_by_name[i].preference;
			continue;
		}
		sorted_by_name[kept++] = sorted_by_name[i];
	}
	return kept;
}

/* Cut at a name, not inside of one. The first name is there in any case. */
static struct str
site_name(const struct exchanger *sorted_by_name, size_t n, size_t max, struct arena *arena)
{
	struct buf name;
	struct str copy;

	buf_init(&name, max);
	for (size_t i = 0; i < n && sorted_by_name[i].host.n + 1 <= max - name.n; i++) {
		if (i > 0)
			buf_addc(&name, ' ');
		for (size_t j = 0; j < sorted_by_name[i].host.n; j++)
			buf_addc(&name, ascii_lower(sorted_by_name[i].host.p[j]));
	}
	copy = arena_copy(arena, buf_str(&name));
	buf_clear(&name);
	return copy;
}

/* RFC 5321 5.1: where we are one of them, only those that are better than we may be tried. */
static size_t
cut_at_own(const struct exchanger *sorted, size_t n, struct str own)
{
	unsigned limit = UINT32_MAX;
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (str_equal_nocase(sorted[i].host, own) && sorted[i].preference < limit)
			limit = sorted[i].preference;
	while (kept < n && sorted[kept].preference < limit)
		kept++;
	return kept;
}

static void
hosts_copy(const struct exchanger *sorted, size_t n, struct arena *arena, struct mx_list *list)
{
	if (n > MX_TRIED_MAX)
		n = MX_TRIED_MAX;
	list->hosts = arena_alloc(arena, n * sizeof *list->hosts);
	for (size_t i = 0; list->hosts != NULL && i < n; i++)
		list->hosts[i] = arena_copy(arena, sorted[i].host);
	list->n = arena->failed ? 0 : n;
}

enum mx_result
mx_make(const struct dns_answer *answer, struct str domain, struct str own, uint32_t (*uniform)(uint32_t),
    size_t site_max, struct arena *arena, struct mx_list *list)
{
	struct exchanger all[DNS_RECORDS_MAX + 1];
	size_t n = collect(answer, domain, uniform, all);

	*list = (struct mx_list){0};
	if (n == 0)
		return MX_NULL;
	qsort(all, n, sizeof all[0], by_name);
	n = without_doubles(all, n);
	list->site = site_name(all, n, site_max, arena);
	qsort(all, n, sizeof all[0], by_preference);
	n = cut_at_own(all, n, own);
	if (n == 0)
		return MX_LOOP;
	hosts_copy(all, n, arena, list);
	return MX_FOUND;
}
