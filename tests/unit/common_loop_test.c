#include "tests/unit/rows.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/loop.h"

struct probe {
	struct loop_io io;
	struct loop_timer timer;
	struct loop_signal signal;
	struct loop_child child;
	struct loop_deferred deferred;
	struct probe *other;
	struct loop *own_loop;
	int calls;
	unsigned events;
	int status;
};

static void
on_ready(struct loop_io *io, unsigned events)
{
	struct probe *p = container_of(io, struct probe, io);

	p->calls++;
	p->events = events;
	if (p->other != NULL)
		loop_io_remove(&p->other->io);
}

static void
on_timer(struct loop_timer *timer)
{
	struct probe *p = container_of(timer, struct probe, timer);

	p->calls++;
	if (p->other != NULL)
		loop_timer_cancel(&p->other->timer);
}

static void
on_signal(struct loop_signal *signal)
{
	container_of(signal, struct probe, signal)->calls++;
}

static void
on_exit_of_child(struct loop_child *child, int status)
{
	struct probe *p = container_of(child, struct probe, child);

	p->calls++;
	p->status = status;
}

static void
on_deferred(struct loop_deferred *deferred)
{
	struct probe *p = container_of(deferred, struct probe, deferred);
	struct loop *loop = p->other->own_loop;

	p->calls++;
	loop_defer(loop, deferred, on_deferred);
	loop_defer_cancel(&p->other->deferred);
}

static void
a_ready_descriptor_calls_its_owner(void **state)
{
	struct loop *loop = loop_new();
	struct probe p = {0};
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	loop_io_add(loop, &p.io, fds[0], LOOP_READ, on_ready);
	loop_once(loop, 0);
	assert_int_equal(p.calls, 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	loop_once(loop, 1000);
	assert_int_equal(p.calls, 1);
	assert_int_equal(p.events, LOOP_READ);
	loop_io_want(&p.io, 0);
	loop_once(loop, 0);
	assert_int_equal(p.calls, 1);
	(void)close(fds[1]);
	loop_io_want(&p.io, LOOP_READ);
	loop_once(loop, 1000);
	assert_int_equal(p.events, LOOP_READ | LOOP_HANGUP);
	loop_io_remove(&p.io);
	loop_io_remove(&p.io);
	(void)close(fds[0]);
	loop_free(loop);
}

static void
what_a_callback_removes_is_not_called_in_the_same_turn(void **state)
{
	struct loop *loop = loop_new();
	struct probe a = {0}, b = {0};
	int first[2], second[2];

	(void)state;
	a.other = &b;
	b.other = &a;
	assert_int_equal(pipe(first), 0);
	assert_int_equal(pipe(second), 0);
	assert_int_equal(write(first[1], "x", 1), 1);
	assert_int_equal(write(second[1], "x", 1), 1);
	loop_io_add(loop, &a.io, first[0], LOOP_READ, on_ready);
	loop_io_add(loop, &b.io, second[0], LOOP_READ, on_ready);
	loop_once(loop, 1000);
	assert_int_equal(a.calls + b.calls, 1);
	loop_io_remove(&a.io);
	loop_io_remove(&b.io);
	for (int i = 0; i < 2; i++) {
		(void)close(first[i]);
		(void)close(second[i]);
	}
	loop_free(loop);
}

static void
timers_expire_in_order_and_a_cancelled_one_never(void **state)
{
	struct loop *loop = loop_new();
	struct probe early = {0}, late = {0};

	(void)state;
	early.other = &late;
	loop_timer_set(loop, &late.timer, 2, on_timer);
	loop_timer_set(loop, &early.timer, 1, on_timer);
	loop_timer_set(loop, &early.timer, 1, on_timer);
	(void)usleep(5000);
	loop_once(loop, 0);
	assert_int_equal(early.calls, 1);
	assert_int_equal(late.calls, 0);
	assert_null(early.timer.loop);
	loop_timer_cancel(&late.timer);
	loop_free(loop);
}

static void
what_is_deferred_runs_once_at_the_end_of_the_turn(void **state)
{
	struct loop *loop = loop_new();
	struct probe first = {0}, second = {.own_loop = loop};

	(void)state;
	first.other = &second;
	loop_defer(loop, &first.deferred, on_deferred);
	loop_defer(loop, &first.deferred, on_deferred);
	loop_defer(loop, &second.deferred, on_deferred);
	loop_once(loop, 1000);
	assert_int_equal(first.calls, 1); /* it deferred itself again: for the next turn */
	assert_int_equal(second.calls, 0); /* the first one took it back */
	loop_once(loop, 1000);
	assert_int_equal(first.calls, 2);
	loop_defer_cancel(&first.deferred);
	loop_defer_cancel(&first.deferred);
	loop_free(loop);
}

static void
signals_and_children_are_told(void **state)
{
	struct loop *loop = loop_new();
	struct probe s = {0}, c = {0};
	pid_t pid;

	(void)state;
	loop_signal_add(loop, &s.signal, SIGUSR1, on_signal);
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	loop_once(loop, 1000);
	assert_int_equal(s.calls, 1);
	pid = fork();
	if (pid == 0)
		_exit(7);
	loop_child_add(loop, &c.child, pid, on_exit_of_child);
	for (int i = 0; i < 100 && c.calls == 0; i++)
		loop_once(loop, 100);
	assert_int_equal(c.calls, 1);
	assert_true(WIFEXITED(c.status));
	assert_int_equal(WEXITSTATUS(c.status), 7);
	loop_free(loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_ready_descriptor_calls_its_owner),
	    cmocka_unit_test(what_a_callback_removes_is_not_called_in_the_same_turn),
	    cmocka_unit_test(timers_expire_in_order_and_a_cancelled_one_never),
	    cmocka_unit_test(what_is_deferred_runs_once_at_the_end_of_the_turn),
	    cmocka_unit_test(signals_and_children_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
