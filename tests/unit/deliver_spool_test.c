#include "tests/unit/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "deliver/handoff.h"
#include "deliver/spool.h"

static char piece[10000];

static void
short_contents_stay_in_memory_long_ones_go_to_a_file(void **state)
{
	struct spool_budget budget = {.max = 1000000};
	struct spool spool;
	struct err err;
	char back[sizeof piece];

	(void)state;
	memset(piece, 'a', sizeof piece);
	spool_init(&spool, &budget);
	for (int i = 0; i < 4; i++)
		assert_true(spool_add(&spool, (struct str){piece, sizeof piece}, &err));
	assert_int_equal(spool.fd, -1);
	assert_int_equal(spool.head.n, 4 * sizeof piece);
	assert_true(spool_add(&spool, (struct str){piece, sizeof piece}, &err));
	assert_true(spool.fd >= 0);
	assert_int_equal(spool.size, 5 * sizeof piece);
	assert_int_equal(lseek(spool.fd, 0, SEEK_END), 5 * sizeof piece);
	assert_int_equal(pread(spool.fd, back, sizeof back, 4 * sizeof piece), sizeof back);
	assert_memory_equal(back, piece, sizeof back);
	assert_int_equal(budget.used, 5 * sizeof piece);
	spool_clear(&spool);
	spool_clear(&spool);
	assert_int_equal(budget.used, 0);
}

static void
a_sealed_file_changes_no_more(void **state)
{
	struct spool_budget budget = {.max = 1000000};
	struct spool spool;
	struct err err;

	(void)state;
	spool_init(&spool, &budget);
	assert_true(spool_add(&spool, STR("short"), &err));
	assert_true(spool_to_file(&spool, &err));
	assert_true(spool_to_file(&spool, &err)); /* for the next letter with the same content */
	assert_int_equal(write(spool.fd, "x", 1), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(spool.fd, 0), -1);
	spool_clear(&spool);
}

static void
the_budget_is_shared(void **state)
{
	struct spool_budget budget = {.max = 25000};
	struct spool a, b;
	struct err err;

	(void)state;
	spool_init(&a, &budget);
	spool_init(&b, &budget);
	assert_true(spool_add(&a, (struct str){piece, sizeof piece}, &err));
	assert_true(spool_add(&b, (struct str){piece, sizeof piece}, &err));
	assert_false(spool_add(&b, (struct str){piece, sizeof piece}, &err));
	assert_int_equal(err.class, ERR_TEMP);
	spool_clear(&b);
	assert_true(spool_add(&a, (struct str){piece, sizeof piece}, &err));
	assert_false(spool_add(&a, (struct str){piece, sizeof piece}, &err));
	assert_int_equal(err.class, ERR_LIMIT); /* it alone is too large */
	spool_clear(&a);
	assert_int_equal(budget.used, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(short_contents_stay_in_memory_long_ones_go_to_a_file),
	    cmocka_unit_test(a_sealed_file_changes_no_more),
	    cmocka_unit_test(the_budget_is_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
