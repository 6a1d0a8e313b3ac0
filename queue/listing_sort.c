#include "queue/listing_sort.h"

#include <stdlib.h>
#include <string.h>

/* Of an address that is longer only the beginning sorts. */
#define TEXT_MAX_BYTES 128

bool
listing_key_parse(struct str word, enum listing_key *key)
{
	static const char *const words[LISTING_KEYS] = {"none", "age", "size", "next", "sender", "recipient", "site"};

	for (unsigned i = 0; i < LISTING_KEYS; i++)
		if (str_equal_nocase(word, str_from(words[i]))) {
			*key = (enum listing_key)i;
			return true;
		}
	return false;
}

static struct str
first_waiting(const struct envelope *e)
{
	for (size_t i = 0; i < e->nrecipients; i++)
		if (e->recipients[i].state == QUEUE_WAITING)
			return e->recipients[i].address;
	return STR("");
}

struct listing_entry
listing_sort_entry(enum listing_key key, const struct listed *m)
{
	struct listing_entry entry = {.seen = {.id = m->id, .place = m->place, .time = m->time}};
	struct str recipient = first_waiting(&m->envelope);

	switch (key) {
	case LISTING_KEY_AGE:
		entry.number = queue_id_time_us(&m->id);
		break;
	case LISTING_KEY_SIZE:
		entry.number = UINT64_MAX - m->envelope.head.message_size;
		break;
	case LISTING_KEY_NEXT:
		entry.number = m->due_s;
		break;
	case LISTING_KEY_SENDER:
		entry.text = str_dup(str_sub(m->envelope.sender, 0, TEXT_MAX_BYTES));
		break;
	case LISTING_KEY_RECIPIENT:
		entry.text = str_dup(str_sub(recipient, 0, TEXT_MAX_BYTES));
		break;
	case LISTING_KEY_SITE:
		recipient = str_skip(recipient, str_find_last(recipient, '@') + 1);
		entry.text = str_dup(str_sub(recipient, 0, TEXT_MAX_BYTES));
		break;
	case LISTING_KEY_NONE:
	case LISTING_KEYS:
		break;
	}
	return entry;
}

/* ---- order --------------------------------------------------------------------------------------------------------- */

/* Equal keys by the time of arrival. No two messages are equal, but one that was met twice. */
static int
compare(const void *a, const void *b)
{
	const struct listing_entry *x = a, *y = b;
	int order = 0;

	if (x->text != NULL && y->text != NULL)
		order = strcasecmp(x->text, y->text);
	else if (x->number != y->number)
		order = x->number < y->number ? -1 : 1;
	return order != 0 ? order : strcmp(x->seen.id.text, y->seen.id.text);
}

static int
compare_reverse(const void *a, const void *b)
{
	return compare(b, a);
}

static bool
is_before(const struct listing_sort *sort, const struct listing_entry *a, const struct listing_entry *b)
{
	return sort->reverse ? compare(b, a) < 0 : compare(a, b) < 0;
}

/* ---- those that come first ----------------------------------------------------------------------------------------- */

/* The heap below `at` is one, but for `at` itself. */
static void
sift_down(struct listing_sort *sort, size_t at)
{
	struct listing_entry moved = sort->entries[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < sort->n && is_before(sort, &sort->entries[child], &sort->entries[child + 1]))
			child++;
		if (child >= sort->n || !is_before(sort, &moved, &sort->entries[child]))
			break;
		sort->entries[at] = sort->entries[child];
		at = child;
	}
	sort->entries[at] = moved;
}

static bool
append(struct listing_sort *sort, const struct listing_entry *entry)
{
	if (sort->n == sort->cap) {
		size_t cap = sort->cap * 2 + 256;
		struct listing_entry *entries;

		if (cap > sort->most)
			cap = sort->most;
		entries = reallocarray(sort->entries, cap, sizeof *entries);
		if (entries == NULL)
			return false;
		sort->entries = entries;
		sort->cap = cap;
	}
	sort->entries[sort->n++] = *entry;
	if (sort->n == sort->most)
		for (size_t i = sort->n / 2; i > 0; i--)
			sift_down(sort, i - 1);
	return true;
}

bool
listing_sort_add(struct listing_sort *sort, struct listing_entry *entry)
{
	if (sort->has_last && !is_before(sort, &sort->last, entry)) {
		free(entry->text);
		return true;
	}
	if (sort->n < sort->most)
		return append(sort, entry);
	if (!is_before(sort, entry, &sort->entries[0])) {
		free(entry->text);
		return true;
	}
	free(sort->entries[0].text);
	sort->entries[0] = *entry;
	sift_down(sort, 0);
	return true;
}

void
listing_sort_do(struct listing_sort *sort)
{
	if (sort->n > 0)
		qsort(sort->entries, sort->n, sizeof *sort->entries, sort->reverse ? compare_reverse : compare);
}

bool
listing_sort_again(struct listing_sort *sort)
{
	bool more = sort->n == sort->most;

	if (!more)
		return false;
	free(sort->last.text);
	sort->last = sort->entries[--sort->n];
	sort->has_last = true;
	while (sort->n > 0)
		free(sort->entries[--sort->n].text);
	return true;
}

void
listing_sort_clear(struct listing_sort *sort)
{
	while (sort->n > 0)
		free(sort->entries[--sort->n].text);
	free(sort->entries);
	free(sort->last.text);
	*sort = (struct listing_sort){.key = sort->key};
}
