#include "queue/listing_sort.h"

#include <stdlib.h>
#include <string.h>

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

static void
set_key(struct listing_entry *entry, enum listing_key key, const struct listed *m)
{
	struct str recipient = first_waiting(&m->envelope);

	switch (key) {
	case LISTING_KEY_AGE:
		entry->number = queue_id_time_us(&m->id);
		return;
	case LISTING_KEY_SIZE:
		entry->number = UINT64_MAX - m->envelope.head.message_size;
		return;
	case LISTING_KEY_NEXT:
		entry->number = m->due_s;
		return;
	case LISTING_KEY_SENDER:
		entry->text = str_dup(m->envelope.sender);
		return;
	case LISTING_KEY_RECIPIENT:
		entry->text = str_dup(recipient);
		return;
	case LISTING_KEY_SITE:
		entry->text = str_dup(str_skip(recipient, str_find_last(recipient, '@') + 1));
		return;
	case LISTING_KEY_NONE:
	case LISTING_KEYS:
		break;
	}
}

bool
listing_sort_add(struct listing_sort *sort, const struct listed *m)
{
	struct listing_entry *entry;

	if (sort->n == sort->cap) {
		size_t cap = sort->cap * 2 + 256;
		struct listing_entry *entries = reallocarray(sort->entries, cap, sizeof *entries);

		if (entries == NULL)
			return false;
		sort->entries = entries;
		sort->cap = cap;
	}
	entry = &sort->entries[sort->n++];
	*entry = (struct listing_entry){.id = m->id, .place = m->place, .time = m->time};
	set_key(entry, sort->key, m);
	return true;
}

/* Equal keys in the order in which they came. */
static int
compare(const void *a, const void *b)
{
	const struct listing_entry *x = a, *y = b;
	int order = 0;

	if (x->text != NULL && y->text != NULL)
		order = strcasecmp(x->text, y->text);
	else if (x->number != y->number)
		order = x->number < y->number ? -1 : 1;
	return order != 0 ? order : strcmp(x->id.text, y->id.text);
}

static int
compare_reverse(const void *a, const void *b)
{
	return compare(b, a);
}

void
listing_sort_do(struct listing_sort *sort)
{
	if (sort->n > 0 && sort->key != LISTING_KEY_NONE)
		qsort(sort->entries, sort->n, sizeof *sort->entries, sort->reverse ? compare_reverse : compare);
}

void
listing_sort_clear(struct listing_sort *sort)
{
	for (size_t i = 0; i < sort->n; i++)
		free(sort->entries[i].text);
	free(sort->entries);
	*sort = (struct listing_sort){.key = sort->key};
}
