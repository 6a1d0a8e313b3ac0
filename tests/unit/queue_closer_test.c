#include "tests/unit/rows.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "queue/closer.h"

/* A pipe shows it: its other end hears that nobody holds this one any more. */
static int
watched(struct closer *closer)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	closer_close(closer, ends[1]);
	return ends[0];
}

static bool
is_closed(int fd)
{
	struct pollfd p = {.fd = fd};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
}

static void
all_are_closed_at_the_end(void **state)
{
	struct loop *loop = loop_new();
	struct closer *closer = closer_new(loop);
	int fds[300];

	(void)state;
	for (size_t i = 0; i < 300; i++)
		fds[i] = watched(closer);
	closer_free(closer);
	for (size_t i = 0; i < 300; i++) {
		assert_true(is_closed(fds[i]));
		(void)close(fds[i]);
	}
	loop_free(loop);
}

static void
one_alone_does_not_wait_for_company(void **state)
{
	struct loop *loop = loop_new();
	struct closer *closer = closer_new(loop);
	int fd = watched(closer);

	(void)state;
	while (!is_closed(fd))
		loop_once(loop, 10);
	(void)close(fd);
	closer_free(closer);
	loop_free(loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_are_closed_at_the_end),
	    cmocka_unit_test(one_alone_does_not_wait_for_company),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
