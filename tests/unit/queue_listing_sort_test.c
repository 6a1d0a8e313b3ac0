#include "tests/unit/rows.h"

#include "queue/listing_sort.h"

#define MESSAGES 500

/* Numbers that look shuffled, the same each time. */
static uint64_t
shuffled(uint64_t n)
{
	return n * 7919 % 1009;
}

static struct listing_entry
entry_of(uint64_t n, bool by_text)
{
	struct listing_entry entry = {.number = shuffled(n) % 50};
	char text[32];

	queue_id_make(&entry.seen.id, 1700000000000000 + n, 0);
	(void)snprintf(text, sizeof text, "u%lu@satu.test", (unsigned long)(shuffled(n) % 50));
	if (by_text)
		entry.text = str_dup(str_from(text));
	return entry;
}

static void
add_all(struct listing_sort *sort, bool by_text)
{
	for (uint64_t n = 0; n < MESSAGES; n++) {
		struct listing_entry entry = entry_of(n, by_text);

		assert_true(listing_sort_add(sort, &entry));
	}
}

/* All of them, by as many passes as it takes; how many there were. */
static size_t
in_passes(size_t most, bool reverse, bool by_text, struct queue_id *ids)
{
	struct listing_sort sort = {.key = by_text ? LISTING_KEY_SENDER : LISTING_KEY_SIZE, .reverse = reverse, .most = most};
	size_t n = 0;

	do {
		add_all(&sort, by_text);
		assert_true(sort.n <= most && sort.cap <= most);
		listing_sort_do(&sort);
		for (size_t i = 0; i < sort.n; i++) {
			assert_true(n < MESSAGES);
			ids[n++] = sort.entries[i].seen.id;
		}
	} while (listing_sort_again(&sort));
	listing_sort_clear(&sort);
	return n;
}

static void
several_passes_give_what_one_gives(void **state)
{
	static const size_t mosts[] = {1, 2, 3, 7, 64, 249, 250, 499, 500, 501};
	static struct queue_id whole[MESSAGES], parts[MESSAGES];

	(void)state;
	for (int way = 0; way < 4; way++) {
		bool reverse = (way & 1) != 0, by_text = (way & 2) != 0;

		assert_int_equal(in_passes(MESSAGES + 1, reverse, by_text, whole), MESSAGES);
		for (size_t i = 0; i < ROWS(mosts); i++) {
			assert_int_equal(in_passes(mosts[i], reverse, by_text, parts), MESSAGES);
			for (size_t k = 0; k < MESSAGES; k++)
				assert_string_equal(parts[k].text, whole[k].text);
		}
	}
}

static void
order_is_by_key_and_then_by_arrival(void **state)
{
	struct listing_sort sort = {.key = LISTING_KEY_SIZE, .most = MESSAGES};

	(void)state;
	add_all(&sort, false);
	listing_sort_do(&sort);
	for (size_t i = 1; i < sort.n; i++) {
		const struct listing_entry *a = &sort.entries[i - 1], *b = &sort.entries[i];

		assert_true(a->number < b->number || (a->number == b->number && strcmp(a->seen.id.text, b->seen.id.text) < 0));
	}
	listing_sort_clear(&sort);
}

static void
what_is_met_twice_in_a_later_pass_is_listed_once(void **state)
{
	struct listing_sort sort = {.key = LISTING_KEY_SIZE, .most = 10};
	struct queue_id id;

	(void)state;
	add_all(&sort, false);
	listing_sort_do(&sort);
	id = sort.entries[sort.n - 1].seen.id;
	assert_true(listing_sort_again(&sort));
	add_all(&sort, false);
	for (size_t i = 0; i < sort.n; i++)
		assert_string_not_equal(sort.entries[i].seen.id.text, id.text);
	listing_sort_clear(&sort);
}

static void
keys_are_taken_from_the_message(void **state)
{
	struct recipient recipients[2] = {{.address = STR("dia@dua.test"), .state = QUEUE_DELIVERED},
	    {.address = STR("lama@tiga.test"), .state = QUEUE_WAITING}};
	struct listed m = {.place = SPOOL_DEFERRED, .due_s = 77, .envelope = {.sender = STR("baru@satu.test"),
	    .recipients = recipients, .nrecipients = 2, .head = {.message_size = 5}}};
	static const struct {
		enum listing_key key;
		const char *text;
		uint64_t number;
	} rows[] = {
	    {LISTING_KEY_NEXT, NULL, 77},
	    {LISTING_KEY_SIZE, NULL, UINT64_MAX - 5},
	    {LISTING_KEY_AGE, NULL, 1700000000000000},
	    {LISTING_KEY_SENDER, "baru@satu.test", 0},
	    {LISTING_KEY_RECIPIENT, "lama@tiga.test", 0},
	    {LISTING_KEY_SITE, "tiga.test", 0},
	};

	(void)state;
	queue_id_make(&m.id, 1700000000000000, 1);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct listing_entry entry = listing_sort_entry(rows[i].key, &m);

		assert_string_equal(entry.seen.id.text, m.id.text);
		assert_int_equal(entry.number, rows[i].number);
		if (rows[i].text == NULL)
			assert_null(entry.text);
		else
			assert_string_equal(entry.text, rows[i].text);
		free(entry.text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(several_passes_give_what_one_gives),
	    cmocka_unit_test(order_is_by_key_and_then_by_arrival),
	    cmocka_unit_test(what_is_met_twice_in_a_later_pass_is_listed_once),
	    cmocka_unit_test(keys_are_taken_from_the_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
