#include "tests/unit/rows.h"

#include "queue/share.h"

static void
a_sender_may_have_so_many_and_a_few_in_any_case(void **state)
{
	struct shares shares;
	struct share *share = NULL;

	(void)state;
	shares_init(&shares);
	for (int i = 0; i < 100; i++)
		share = share_enter(&shares, 7);
	assert_false(share_is_over(share, 100));
	assert_true(share_is_over(share, 99));
	assert_false(share_is_over(share_enter(&shares, 8), 0));
	for (int i = 0; i < 80; i++)
		share_leave(&shares, share, true, 1000);
	assert_false(share_is_over(share, 0));
	shares_clear(&shares);
}

static void
what_is_over_comes_as_fast_as_the_others_go(void **state)
{
	struct shares shares;
	struct share *share = NULL;
	uint64_t now_ms = 1000, first, second;

	(void)state;
	shares_init(&shares);
	for (int i = 0; i < 300; i++)
		share = share_enter(&shares, 7);
	for (int i = 0; i < 200; i++)
		share_leave(&shares, share, true, now_ms += 250);
	first = share_again_ms(share, 900000, now_ms, 0);
	second = share_again_ms(share, 900000, now_ms, 0);
	/* A hundred are there, of which half go before: four a second. */
	assert_in_range(first, 12000, 13000);
	assert_in_range(second - first, 240, 260);
	shares_clear(&shares);
}

/* None is finished yet: they must not all come again after a second, and again. */
static void
what_is_over_is_spread_before_anything_is_known(void **state)
{
	struct shares shares;
	struct share *share = NULL;
	uint64_t last = 0;

	(void)state;
	shares_init(&shares);
	for (int i = 0; i < 1000; i++)
		share = share_enter(&shares, 7);
	for (int i = 0; i < 1000; i++)
		last = share_again_ms(share, 900000, 1000, 0);
	assert_in_range(last, 20000, 40000);
	shares_clear(&shares);
}

static void
a_sender_without_messages_is_forgotten(void **state)
{
	struct shares shares;

	(void)state;
	shares_init(&shares);
	share_leave(&shares, share_enter(&shares, 7), false, 1);
	assert_true(RB_EMPTY(&shares.tree));
	shares_clear(&shares);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_sender_may_have_so_many_and_a_few_in_any_case),
	    cmocka_unit_test(what_is_over_comes_as_fast_as_the_others_go),
	    cmocka_unit_test(what_is_over_is_spread_before_anything_is_known),
	    cmocka_unit_test(a_sender_without_messages_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
