#include "tests/unit/rows.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/msg.h"

static void
fields_come_out_as_they_went_in(void **state)
{
	struct buf b;
	struct msg m;

	(void)state;
	buf_init(&b, MSG_MAX_BYTES);
	msg_begin(&b, 3, 77);
	msg_add_u64(&b, UINT64_MAX);
	msg_add_str(&b, STR("sender"));
	msg_add_str(&b, STR(""));
	assert_true(msg_open(&m, buf_str(&b), -1));
	assert_int_equal(m.type, 3);
	assert_int_equal(m.id, 77);
	assert_true(msg_get_u64(&m) == UINT64_MAX);
	assert_str(msg_get_str(&m), STR("sender"));
	assert_false(msg_done(&m));
	assert_str(msg_get_str(&m), STR(""));
	assert_true(msg_done(&m));
	(void)msg_get_u64(&m);
	assert_true(m.bad);
	assert_false(msg_done(&m));
	buf_clear(&b);
}

static void
a_packet_cut_anywhere_is_bad_and_never_read_past(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, MSG_MAX_BYTES);
	msg_begin(&b, 1, 1);
	msg_add_str(&b, STR("abc"));
	msg_add_u64(&b, 5);
	for (size_t cut = 0; cut < b.n; cut++) {
		char *copy = malloc(cut + 1); /* so that AddressSanitizer sees an overrun */
		struct msg m;

		memcpy(copy, b.p, cut);
		if (msg_open(&m, (struct str){copy, cut}, -1)) {
			(void)msg_get_str(&m);
			(void)msg_get_u64(&m);
			assert_false(msg_done(&m));
		} else {
			assert_true(cut < 8);
		}
		free(copy);
	}
	buf_clear(&b);
}

static void
a_message_beyond_the_maximum_is_not_sent(void **state)
{
	static char large[MSG_MAX_BYTES];
	struct err err;
	struct buf b;

	(void)state;
	buf_init(&b, MSG_MAX_BYTES);
	msg_begin(&b, 1, 1);
	msg_add_str(&b, (struct str){large, sizeof large});
	assert_false(msg_send(-1, &b, -1, &err));
	assert_int_equal(err.class, ERR_LIMIT);
	buf_clear(&b);
}

struct end {
	struct channel channel;
	int received;
	int closed;
	uint64_t sum;
	int fd;
	bool close_at_once;
};

static void
on_message(struct channel *channel, struct msg *m)
{
	struct end *e = container_of(channel, struct end, channel);

	e->received++;
	e->sum += msg_get_u64(m);
	if (m->fd >= 0)
		e->fd = msg_take_fd(m);
	if (e->close_at_once)
		channel_close(channel);
}

static void
on_closed(struct channel *channel)
{
	container_of(channel, struct end, channel)->closed++;
}

static void
a_channel_queues_what_the_socket_does_not_take(void **state)
{
	struct loop *loop = loop_new();
	struct end a = {.fd = -1}, b = {.fd = -1};
	struct buf packet;
	uint64_t sent = 0;
	int fds[2];

	(void)state;
	msg_socketpair(fds);
	channel_open(&a.channel, loop, fds[0], on_message, on_closed);
	channel_open(&b.channel, loop, fds[1], on_message, on_closed);
	buf_init(&packet, MSG_MAX_BYTES);
	for (uint64_t i = 0; i < 3000; i++) {
		msg_begin(&packet, 1, 1);
		msg_add_u64(&packet, i);
		assert_true(channel_send(&a.channel, &packet, -1));
		sent += i;
	}
	assert_true(a.channel.queued_bytes > 0);
	for (int i = 0; i < 3000 && b.received < 3000; i++)
		loop_once(loop, 100);
	assert_int_equal(b.received, 3000);
	assert_true(b.sum == sent);
	channel_close(&a.channel);
	loop_once(loop, 100);
	assert_int_equal(b.closed, 1);
	assert_false(channel_is_open(&b.channel));
	buf_clear(&packet);
	loop_free(loop);
}

static void
a_descriptor_travels_and_a_callback_may_close_the_channel(void **state)
{
	struct loop *loop = loop_new();
	struct end a = {.fd = -1}, b = {.fd = -1, .close_at_once = true};
	struct buf packet;
	int fds[2], file = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	msg_socketpair(fds);
	channel_open(&a.channel, loop, fds[0], on_message, on_closed);
	channel_open(&b.channel, loop, fds[1], on_message, on_closed);
	buf_init(&packet, MSG_MAX_BYTES);
	msg_begin(&packet, 9, 1);
	msg_add_u64(&packet, 1);
	assert_true(channel_send(&a.channel, &packet, file));
	assert_true(channel_send(&a.channel, &packet, -1));
	loop_once(loop, 1000);
	assert_int_equal(b.received, 1);
	assert_true(b.fd >= 0);
	assert_true(fcntl(b.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(b.closed, 0);
	loop_once(loop, 1000);
	assert_int_equal(a.closed, 1);
	(void)close(b.fd);
	(void)close(file);
	buf_clear(&packet);
	loop_free(loop);
}

static void
garbage_from_a_peer_is_dropped_and_the_channel_goes_on(void **state)
{
	struct loop *loop = loop_new();
	struct end b = {.fd = -1};
	struct buf packet;
	int fds[2];

	(void)state;
	msg_socketpair(fds);
	channel_open(&b.channel, loop, fds[1], on_message, on_closed);
	assert_int_equal(send(fds[0], "abc", 3, 0), 3);
	buf_init(&packet, MSG_MAX_BYTES);
	msg_begin(&packet, 9, 1);
	msg_add_u64(&packet, 4);
	assert_true(msg_send(fds[0], &packet, -1, NULL));
	for (int i = 0; i < 3; i++)
		loop_once(loop, 10);
	assert_int_equal(b.received, 1);
	assert_true(b.sum == 4);
	assert_int_equal(b.closed, 0);
	channel_close(&b.channel);
	(void)close(fds[0]);
	buf_clear(&packet);
	loop_free(loop);
}

static void
what_gathers_leaves_in_order_at_the_end_of_the_turn(void **state)
{
	struct loop *loop = loop_new();
	struct end a = {.fd = -1}, b = {.fd = -1};
	struct buf packet;
	int fds[2], file = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	msg_socketpair(fds);
	channel_open(&a.channel, loop, fds[0], on_message, on_closed);
	channel_open(&b.channel, loop, fds[1], on_message, on_closed);
	channel_gather(&a.channel);
	buf_init(&packet, MSG_MAX_BYTES);
	for (uint64_t i = 0; i < 20; i++) {
		msg_begin(&packet, 1, 1);
		msg_add_u64(&packet, i);
		assert_true(channel_send(&a.channel, &packet, i == 10 ? file : -1));
	}
	assert_true(a.channel.queued_bytes > 0);
	loop_once(loop, 0);
	assert_int_equal(a.channel.queued_bytes, 0);
	loop_once(loop, 100);
	assert_int_equal(b.received, 20);
	assert_true(b.sum == 190);
	assert_true(b.fd >= 0);
	assert_true(channel_send(&a.channel, &packet, -1));
	channel_flush(&a.channel);
	assert_int_equal(a.channel.queued_bytes, 0);
	assert_true(channel_send(&a.channel, &packet, -1));
	channel_close(&a.channel); /* with something waiting */
	loop_once(loop, 100);
	assert_int_equal(b.received, 21);
	assert_int_equal(b.closed, 1);
	(void)close(b.fd);
	(void)close(file);
	buf_clear(&packet);
	loop_free(loop);
}

static void
on_descriptor(struct channel *channel, struct msg *m)
{
	struct end *e = container_of(channel, struct end, channel);

	e->received++;
	assert_true(m->fd >= 0);
	assert_true(lseek(m->fd, 0, SEEK_CUR) == 7);
}

/* More than the socket takes: the rest has descriptors of its own. */
static void
under_a_cork_descriptors_are_borrowed_until_it_is_drawn(void **state)
{
	struct loop *loop = loop_new();
	struct end a = {.fd = -1}, b = {.fd = -1};
	FILE *file = tmpfile();
	struct buf packet;
	int fds[2];

	(void)state;
	assert_non_null(file);
	assert_true(lseek(fileno(file), 7, SEEK_SET) == 7);
	msg_socketpair(fds);
	channel_open(&a.channel, loop, fds[0], on_message, on_closed);
	channel_open(&b.channel, loop, fds[1], on_descriptor, on_closed);
	buf_init(&packet, MSG_MAX_BYTES);
	msg_begin(&packet, 1, 1);
	channel_cork(&a.channel);
	for (int i = 0; i < 400; i++)
		assert_true(channel_send(&a.channel, &packet, fileno(file)));
	channel_flush(&a.channel);
	assert_true(a.channel.queued_bytes > 0);
	(void)fclose(file);
	for (int i = 0; i < 400 && b.received < 400; i++)
		loop_once(loop, 100);
	assert_int_equal(b.received, 400);
	channel_close(&a.channel);
	channel_close(&b.channel);
	buf_clear(&packet);
	loop_free(loop);
}

static void
descriptors_that_came_after_the_channel_was_closed_are_closed(void **state)
{
	struct loop *loop = loop_new();
	struct end b = {.fd = -1, .close_at_once = true};
	struct buf packet;
	int fds[2], ends[2];
	char byte;

	(void)state;
	msg_socketpair(fds);
	assert_int_equal(pipe(ends), 0);
	channel_open(&b.channel, loop, fds[1], on_message, on_closed);
	buf_init(&packet, MSG_MAX_BYTES);
	msg_begin(&packet, 9, 1);
	msg_add_u64(&packet, 4);
	for (int i = 0; i < 3; i++)
		assert_true(msg_send(fds[0], &packet, ends[1], NULL));
	(void)close(ends[1]);
	loop_once(loop, 100);
	assert_int_equal(b.received, 1);
	(void)close(b.fd);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	(void)close(ends[0]);
	(void)close(fds[0]);
	buf_clear(&packet);
	loop_free(loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fields_come_out_as_they_went_in),
	    cmocka_unit_test(a_packet_cut_anywhere_is_bad_and_never_read_past),
	    cmocka_unit_test(a_message_beyond_the_maximum_is_not_sent),
	    cmocka_unit_test(a_channel_queues_what_the_socket_does_not_take),
	    cmocka_unit_test(a_descriptor_travels_and_a_callback_may_close_the_channel),
	    cmocka_unit_test(garbage_from_a_peer_is_dropped_and_the_channel_goes_on),
	    cmocka_unit_test(what_gathers_leaves_in_order_at_the_end_of_the_turn),
	    cmocka_unit_test(under_a_cork_descriptors_are_borrowed_until_it_is_drawn),
	    cmocka_unit_test(descriptors_that_came_after_the_channel_was_closed_are_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
