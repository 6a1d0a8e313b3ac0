/*
 * Who waits for whom at a place. No connection is needed for that: a seat whose turn comes with none would open one.
 */
#include "tests/unit/rows.h"

#include "queue/remote_pool.h"

struct guest {
	struct remote_seat seat;
	int turns;
};

static void
on_turn(struct remote_seat *seat, struct remote_connection *connection)
{
	assert_null(connection);
	container_of(seat, struct guest, seat)->turns++;
}

static void
enter(struct remote_pool *pool, struct guest *guest, const char *key, bool may_wait)
{
	*guest = (struct guest){.seat = {.turn = on_turn}};
	remote_pool_enter(pool, key, &guest->seat, may_wait);
}

static void
as_many_wait_as_have_one_but_few(void **state)
{
	static const int turns[] = {1, 0, 1, 0, 1, 1};
	struct loop *loop = loop_new();
	struct remote_pool pool;
	struct guest guests[6], other;

	(void)state;
	remote_pool_init(&pool, loop);
	for (int i = 0; i < 6; i++) {
		enter(&pool, &guests[i], "a", true);
		assert_int_equal(guests[i].turns, turns[i]);
	}
	enter(&pool, &other, "b", true); /* another place */
	assert_int_equal(other.turns, 1);
	for (int i = 0; i < 6; i++)
		remote_pool_leave(&guests[i].seat, NULL);
	remote_pool_leave(&other.seat, NULL);
	assert_true(RB_EMPTY(&pool.places));
	loop_free(loop);
}

static void
who_may_not_wait_does_not(void **state)
{
	struct loop *loop = loop_new();
	struct remote_pool pool;
	struct guest first, second;

	(void)state;
	remote_pool_init(&pool, loop);
	enter(&pool, &first, "a", false);
	enter(&pool, &second, "a", false);
	assert_int_equal(first.turns + second.turns, 2);
	remote_pool_leave(&first.seat, NULL);
	remote_pool_leave(&second.seat, NULL);
	assert_true(RB_EMPTY(&pool.places));
	loop_free(loop);
}

static void
when_nothing_became_free_the_next_goes_to_look(void **state)
{
	struct loop *loop = loop_new();
	struct remote_pool pool;
	struct guest first, second;

	(void)state;
	remote_pool_init(&pool, loop);
	enter(&pool, &first, "a", true);
	enter(&pool, &second, "a", true);
	assert_int_equal(second.turns, 0);
	remote_pool_leave(&first.seat, NULL);
	assert_int_equal(second.turns, 1);
	remote_pool_leave(&second.seat, NULL);
	remote_pool_leave(&second.seat, NULL); /* harmless */
	assert_true(RB_EMPTY(&pool.places));
	loop_free(loop);
}

static void
who_left_while_waiting_has_no_turn(void **state)
{
	struct loop *loop = loop_new();
	struct remote_pool pool;
	struct guest first, second;

	(void)state;
	remote_pool_init(&pool, loop);
	enter(&pool, &first, "a", true);
	enter(&pool, &second, "a", true);
	remote_pool_leave(&second.seat, NULL);
	remote_pool_leave(&first.seat, NULL);
	assert_int_equal(second.turns, 0);
	assert_true(RB_EMPTY(&pool.places));
	loop_free(loop);
}

static void
patience_ends(void **state)
{
	struct loop *loop = loop_new();
	struct remote_pool pool;
	struct guest first, second;

	(void)state;
	remote_pool_init(&pool, loop);
	enter(&pool, &first, "a", true);
	enter(&pool, &second, "a", true);
	while (second.turns == 0)
		loop_once(loop, REMOTE_POOL_PATIENCE_MS);
	remote_pool_leave(&first.seat, NULL);
	assert_int_equal(second.turns, 1);
	remote_pool_leave(&second.seat, NULL);
	loop_free(loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(as_many_wait_as_have_one_but_few),
	    cmocka_unit_test(who_may_not_wait_does_not),
	    cmocka_unit_test(when_nothing_became_free_the_next_goes_to_look),
	    cmocka_unit_test(who_left_while_waiting_has_no_turn),
	    cmocka_unit_test(patience_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
