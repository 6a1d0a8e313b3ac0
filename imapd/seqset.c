#include "imapd/seqset.h"

#include <stdlib.h>

static bool
parse_one(struct parse_text *t, uint32_t *n)
{
	if (parse_skip(t, '*')) {
		*n = SEQSET_STAR;
		return true;
	}
	return parse_nz_number(t, n);
}

/* Every range but the last has a comma behind it. */
static size_t
count_ranges(struct str s)
{
	size_t n = 1;

	for (size_t i = 0; i < s.n && (ascii_is_digit(s.p[i]) || s.p[i] == ':' || s.p[i] == '*' || s.p[i] == ','); i++)
		n += s.p[i] == ',';
	return n;
}

bool
seqset_parse(struct parse_text *t, struct seqset *set)
{
	size_t max = count_ranges(t->rest);

	set->n = 0;
	set->ranges = arena_alloc(t->arena, max * sizeof *set->ranges);
	if (set->ranges == NULL)
		return parse_fail(t, "Command too long");
	do {
		struct seqset_range range;

		if (!parse_one(t, &range.first))
			return false;
		range.last = range.first;
		if (parse_skip(t, ':') && !parse_one(t, &range.last))
			return false;
		set->ranges[set->n++] = range;
	} while (parse_skip(t, ','));
	return true;
}

static int
compare_ranges(const void *a, const void *b)
{
	const struct seqset_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* 4:2 is 2:4, and also *:2 may be 2:* (RFC 3501 9). */
static void
resolve_range(struct seqset_range *range, uint32_t largest)
{
	uint32_t first = range->first == SEQSET_STAR ? largest : range->first;
	uint32_t last = range->last == SEQSET_STAR ? largest : range->last;

	*range = first <= last ? (struct seqset_range){first, last} : (struct seqset_range){last, first};
}

void
seqset_resolve(struct seqset *set, uint32_t largest)
{
	size_t kept = 0;

	for (size_t i = 0; i < set->n; i++)
		resolve_range(&set->ranges[i], largest);
	if (set->n > 1)
		qsort(set->ranges, set->n, sizeof *set->ranges, compare_ranges);
	for (size_t i = 0; i < set->n; i++) {
		struct seqset_range *last = kept > 0 ? &set->ranges[kept - 1] : NULL;

		if (last != NULL && set->ranges[i].first <= last->last) {
			if (set->ranges[i].last > last->last)
				last->last = set->ranges[i].last;
		} else {
			set->ranges[kept++] = set->ranges[i];
		}
	}
	set->n = kept;
}

bool
seqset_contains(const struct seqset *set, uint32_t n)
{
	size_t low = 0, high = set->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (n < set->ranges[middle].first)
			high = middle;
		else if (n > set->ranges[middle].last)
			low = middle + 1;
		else
			return true;
	}
	return false;
}

uint32_t
seqset_greatest(const struct seqset *set)
{
	return set->n == 0 ? 0 : set->ranges[set->n - 1].last;
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

void
seqset_writer_init(struct seqset_writer *w, struct buf *out)
{
	*w = (struct seqset_writer){.out = out};
}

static void
write_range(struct seqset_writer *w)
{
	if (w->first == 0)
		return;
	if (w->written)
		buf_addc(w->out, ',');
	if (w->first == w->last)
		buf_addf(w->out, "%u", (unsigned)w->first);
	else
		buf_addf(w->out, "%u:%u", (unsigned)w->first, (unsigned)w->last);
	w->written = true;
}

void
seqset_writer_add(struct seqset_writer *w, uint32_t n)
{
	if (w->first != 0 && n == w->last + 1) {
		w->last = n;
		return;
	}
	write_range(w);
	w->first = w->last = n;
}

void
seqset_writer_end(struct seqset_writer *w)
{
	write_range(w);
	w->first = 0;
}
