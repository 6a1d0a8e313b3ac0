#include "tests/unit/rows.h"

#include "queue/destination.h"

static struct destinations destinations;
static struct destination_query first, second, third;
static uint32_t asked_id;
static unsigned asked;
static const struct destination *seen[2];

static bool
send_stub(struct destinations *ds, uint32_t id, struct str domain)
{
	(void)ds;
	(void)domain;
	asked_id = id;
	asked++;
	return true;
}

/* A message with many recipients goes on asking about the same domain while it is told. */
static void
first_answered(struct destination_query *query, const struct destination *d)
{
	(void)query;
	seen[0] = d;
	assert_ptr_equal(destination_ask(&destinations, &third, STR("dua.test"), 1000), d);
}

static void
second_answered(struct destination_query *query, const struct destination *d)
{
	(void)query;
	seen[1] = d;
	assert_string_equal(d->site, "mx.dua.test");
}

static void
an_answer_that_holds_for_no_time_lives_until_all_are_told(void **state)
{
	const struct job_site site = {.status = JOB_DELIVERED, .key = STR("mx.dua.test"), .ttl_s = 0};

	(void)state;
	destinations_init(&destinations, 10, send_stub);
	first.answered = first_answered;
	second.answered = second_answered;
	assert_null(destination_ask(&destinations, &first, STR("dua.test"), 1000));
	assert_null(destination_ask(&destinations, &second, STR("Dua.Test"), 1000));
	assert_int_equal(asked, 1);
	destination_answer(&destinations, asked_id, &site, 1000);
	assert_non_null(seen[0]);
	assert_ptr_equal(seen[0], seen[1]);
	assert_null(destination_ask(&destinations, &third, STR("dua.test"), 1000));
	assert_int_equal(asked, 2);
	destinations_clear(&destinations);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_answer_that_holds_for_no_time_lives_until_all_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
