#include "tests/unit/rows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/net/stream.h"

/* An owner that writes down what it is told and does what the test says. */
struct owner {
	struct stream stream;
	struct loop *loop;
	void (*on_input)(struct owner *owner);
	void (*on_drained)(struct owner *owner);
	unsigned inputs, drains, closes;
	enum stream_end why;
	struct err err;
	struct buf got;
	bool on_heap; /* frees itself when it is closed */
	unsigned *closes_elsewhere;
};

static void
input(struct stream *stream)
{
	struct owner *owner = container_of(stream, struct owner, stream);

	owner->inputs++;
	if (owner->on_input != NULL)
		owner->on_input(owner);
}

static void
drained(struct stream *stream)
{
	struct owner *owner = container_of(stream, struct owner, stream);

	owner->drains++;
	if (owner->on_drained != NULL)
		owner->on_drained(owner);
}

static void
closed(struct stream *stream, enum stream_end why, const struct err *err)
{
	struct owner *owner = container_of(stream, struct owner, stream);

	assert_false(stream_is_open(stream));
	assert_int_equal(err != NULL, why == STREAM_BROKEN);
	owner->closes++;
	owner->why = why;
	if (err != NULL)
		owner->err = *err;
	if (owner->on_heap) {
		(*owner->closes_elsewhere)++;
		memset(owner, 0xa5, sizeof *owner);
		free(owner);
	}
}

static const struct stream_events events = {.input = input, .drained = drained, .closed = closed};

static void
take_all(struct owner *owner)
{
	buf_add(&owner->got, buf_str(&owner->stream.in));
	buf_consume(&owner->stream.in, owner->stream.in.n);
}

static void
echo(struct owner *owner)
{
	buf_add(&owner->stream.out, buf_str(&owner->stream.in));
	buf_consume(&owner->stream.in, owner->stream.in.n);
}

static void
turns(struct loop *loop, int n)
{
	while (n-- > 0)
		loop_once(loop, 5);
}

/* Opens owner on one end of a pair; returns the peer's end, non-blocking. */
static int
open_pair(struct owner *owner, int type, struct stream_limits limits)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	owner->loop = loop_new();
	buf_init(&owner->got, 1 << 20);
	stream_open(&owner->stream, owner->loop, fds[0], &events, &limits);
	return fds[1];
}

static void
close_pair(struct owner *owner, int peer)
{
	stream_close(&owner->stream);
	buf_clear(&owner->got);
	loop_free(owner->loop);
	if (peer >= 0)
		close(peer);
}

static void
say(int peer, const char *words)
{
	assert_int_equal(write(peer, words, strlen(words)), strlen(words));
}

static void
hear(int peer, const char *words)
{
	char bytes[256];
	ssize_t n = read(peer, bytes, sizeof bytes);

	assert_true(n >= 0);
	assert_str(((struct str){bytes, (size_t)n}), str_from(words));
}

static const struct stream_limits small = {.in_max = 64, .out_max = 64};

static void
the_replies_to_a_pipelined_group_are_one_write(void **state)
{
	struct owner owner = {.on_input = echo};
	int peer = open_pair(&owner, SOCK_SEQPACKET, small); /* keeps writes apart */

	(void)state;
	say(peer, "NOOP\r\nNOOP\r\nNOOP\r\n");
	turns(owner.loop, 2);
	hear(peer, "NOOP\r\nNOOP\r\nNOOP\r\n");
	assert_int_equal(owner.inputs, 1);
	assert_int_equal(owner.drains, 0);
	close_pair(&owner, peer);
}

static void
reading_stops_at_the_limit_and_goes_on_when_there_is_room(void **state)
{
	struct owner owner = {0};
	int peer = open_pair(&owner, SOCK_STREAM, small);
	char many[200];

	(void)state;
	memset(many, 'x', sizeof many);
	assert_int_equal(write(peer, many, sizeof many), sizeof many);
	turns(owner.loop, 5);
	assert_int_equal(owner.stream.in.n, 64);
	assert_int_equal(owner.inputs, 1);
	owner.on_input = take_all;
	take_all(&owner);
	stream_flush(&owner.stream);
	turns(owner.loop, 5);
	assert_int_equal(owner.got.n, sizeof many);
	close_pair(&owner, peer);
}

static void
hold_on(struct owner *owner)
{
	stream_pause(&owner->stream);
}

static void
a_paused_stream_keeps_its_input_and_the_end_for_later(void **state)
{
	struct owner owner = {.on_input = hold_on};
	int peer = open_pair(&owner, SOCK_STREAM, small);

	(void)state;
	say(peer, "satu");
	turns(owner.loop, 3);
	say(peer, "dua");
	close(peer);
	turns(owner.loop, 3);
	assert_int_equal(owner.inputs, 1);
	assert_int_equal(owner.closes, 0);
	owner.on_input = take_all;
	stream_resume(&owner.stream);
	turns(owner.loop, 6);
	assert_str(buf_str(&owner.got), STR("satudua"));
	assert_int_equal(owner.closes, 1);
	assert_int_equal(owner.why, STREAM_EOF);
	close_pair(&owner, -1);
}

static void
a_hang_up_while_nobody_reads_costs_no_cpu(void **state)
{
	struct owner owner = {.on_input = hold_on};
	int peer = open_pair(&owner, SOCK_STREAM, small);
	uint64_t began;

	(void)state;
	say(peer, "satu");
	turns(owner.loop, 3);
	close(peer);
	turns(owner.loop, 3);
	began = loop_now_ms(owner.loop);
	for (int i = 0; i < 4; i++)
		loop_once(owner.loop, 25);
	assert_true(loop_now_ms(owner.loop) - began >= 90);
	close_pair(&owner, -1);
}

static void
a_peer_that_does_not_read_breaks_the_stream_at_the_limit(void **state)
{
	struct owner owner = {0};
	int peer = open_pair(&owner, SOCK_STREAM, small);

	(void)state;
	for (int i = 0; i < 100; i++)
		buf_adds(&owner.stream.out, "sepuluh...");
	stream_flush(&owner.stream);
	assert_int_equal(owner.closes, 0); /* not from inside */
	turns(owner.loop, 2);
	assert_int_equal(owner.closes, 1);
	assert_int_equal(owner.why, STREAM_BROKEN);
	assert_int_equal(owner.err.class, ERR_LIMIT);
	close_pair(&owner, peer);
}

static const struct stream_limits large = {.in_max = 1 << 20, .out_max = 1 << 23};

/* Fills the kernel's buffer; some output is left. */
static void
block(struct owner *owner)
{
	char *p = buf_reserve(&owner->stream.out, 1 << 22);

	assert_non_null(p);
	memset(p, 'y', 1 << 22);
	buf_commit(&owner->stream.out, 1 << 22);
	stream_flush(&owner->stream);
	assert_true(stream_pending(&owner->stream) > 0);
}

static size_t
read_all(struct owner *owner, int peer)
{
	static char bytes[1 << 16];
	size_t total = 0;
	ssize_t n;

	for (int idle = 0; idle < 3;) {
		n = read(peer, bytes, sizeof bytes);
		if (n > 0)
			total += (size_t)n;
		idle = n > 0 ? 0 : idle + 1;
		loop_once(owner->loop, 1);
	}
	return total;
}

static void
blocked_output_goes_on_when_the_peer_reads(void **state)
{
	struct owner owner = {0};
	int peer = open_pair(&owner, SOCK_STREAM, large);

	(void)state;
	block(&owner);
	assert_int_equal(read_all(&owner, peer), 1 << 22);
	assert_int_equal(owner.drains, 1);
	assert_int_equal(stream_pending(&owner.stream), 0);
	close_pair(&owner, peer);
}

static int fast_peer;

/* Writes until some of it is left; but the peer is fast, and there is room again before this returns. */
static void
block_a_fast_peer(struct owner *owner)
{
	static const char page[4096];
	static char bytes[1 << 16];

	while (owner->drains == 1 && stream_pending(&owner->stream) == 0) {
		buf_add(&owner->stream.out, (struct str){page, sizeof page});
		stream_flush(&owner->stream);
	}
	while (read(fast_peer, bytes, sizeof bytes) > 0)
		;
}

static void
whoever_had_to_wait_is_told_even_if_it_was_for_a_moment(void **state)
{
	struct owner owner = {.on_drained = block_a_fast_peer};

	(void)state;
	fast_peer = open_pair(&owner, SOCK_STREAM, large);
	block(&owner);
	(void)read_all(&owner, fast_peer);
	assert_int_equal(owner.drains, 2);
	close_pair(&owner, fast_peer);
}

static void
a_server_takes_no_command_from_one_who_does_not_read(void **state)
{
	struct owner owner = {.on_input = take_all};
	int peer = open_pair(&owner, SOCK_STREAM, large);

	(void)state;
	block(&owner);
	say(peer, "NOOP\r\n");
	turns(owner.loop, 3);
	assert_int_equal(owner.inputs, 0);
	(void)read_all(&owner, peer);
	assert_int_equal(owner.inputs, 1);
	close_pair(&owner, peer);
}

static void
a_client_hears_the_reply_while_it_still_sends(void **state)
{
	struct owner owner = {.on_input = take_all};
	struct stream_limits limits = large;
	int peer;

	(void)state;
	limits.full_duplex = true;
	peer = open_pair(&owner, SOCK_STREAM, limits);
	block(&owner);
	say(peer, "552 too big\r\n");
	turns(owner.loop, 3);
	assert_str(buf_str(&owner.got), STR("552 too big\r\n"));
	close_pair(&owner, peer);
}

static void
what_the_peer_said_before_it_hung_up_is_heard(void **state)
{
	struct owner owner = {.on_input = take_all};
	int peer = open_pair(&owner, SOCK_STREAM, large);

	(void)state;
	block(&owner);
	say(peer, "421 bye\r\n");
	close(peer);
	turns(owner.loop, 5);
	assert_str(buf_str(&owner.got), STR("421 bye\r\n"));
	assert_int_equal(owner.closes, 1);
	assert_int_equal(owner.why, STREAM_BROKEN);
	close_pair(&owner, -1);
}

static void
the_deadline_ends_the_stream(void **state)
{
	struct owner owner = {0};
	int peer = open_pair(&owner, SOCK_STREAM, small);

	(void)state;
	stream_set_deadline(&owner.stream, 5);
	stream_set_deadline(&owner.stream, 0);
	turns(owner.loop, 4);
	assert_int_equal(owner.closes, 0);
	stream_set_deadline(&owner.stream, 5);
	turns(owner.loop, 6);
	assert_int_equal(owner.closes, 1);
	assert_int_equal(owner.why, STREAM_DEADLINE);
	close_pair(&owner, peer);
}

static void
say_bye(struct owner *owner)
{
	take_all(owner);
	buf_adds(&owner->stream.out, "221 bye\r\n");
	stream_finish(&owner->stream);
}

static void
finish_sends_the_rest_and_waits_for_the_peer_to_close(void **state)
{
	struct owner owner = {.on_input = say_bye};
	int peer = open_pair(&owner, SOCK_STREAM, small);

	(void)state;
	say(peer, "QUIT\r\n");
	turns(owner.loop, 2);
	hear(peer, "221 bye\r\n");
	hear(peer, ""); /* our half is closed */
	say(peer, "MAIL FROM:<>\r\n"); /* is not looked at */
	turns(owner.loop, 2);
	assert_int_equal(owner.inputs, 1);
	assert_int_equal(owner.closes, 0);
	close(peer);
	turns(owner.loop, 3);
	assert_int_equal(owner.closes, 1);
	assert_int_equal(owner.why, STREAM_FINISHED);
	close_pair(&owner, -1);
}

static void
finish_does_not_wait_for_ever(void **state)
{
	struct owner owner = {.on_input = say_bye};
	int peer = open_pair(&owner, SOCK_STREAM, small);

	(void)state;
	say(peer, "QUIT\r\n");
	for (int i = 0; i < 200 && owner.closes == 0; i++)
		loop_once(owner.loop, 50);
	assert_int_equal(owner.closes, 1);
	assert_int_equal(owner.why, STREAM_FINISHED);
	close_pair(&owner, peer);
}

static void
close_and_free(struct owner *owner)
{
	stream_close(&owner->stream);
	buf_clear(&owner->got);
	memset(owner, 0xa5, sizeof *owner);
	free(owner);
}

/* Under ASan and valgrind this shows what is touched afterwards. */
static void
a_callback_may_free_the_stream(void **state)
{
	unsigned closes = 0;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct owner *owner = calloc(1, sizeof *owner);
		int peer = open_pair(owner, SOCK_STREAM, large);
		struct loop *loop = owner->loop;

		owner->on_heap = i == 2;
		owner->closes_elsewhere = &closes;
		if (i == 0)
			owner->on_input = close_and_free;
		if (i == 1) {
			owner->on_drained = close_and_free;
			block(owner);
			while (read(peer, (char[65536]){0}, 65536) > 0)
				;
			for (int n = 0; n < 200; n++) {
				loop_once(loop, 1);
				while (read(peer, (char[65536]){0}, 65536) > 0)
					;
			}
		} else {
			say(peer, "halo");
		}
		turns(loop, 3);
		close(peer);
		turns(loop, 3);
		loop_free(loop);
	}
	assert_int_equal(closes, 1);
}

static void
tls_is_refused_while_input_is_left(void **state)
{
	struct owner owner = {0};
	int peer = open_pair(&owner, SOCK_STREAM, small);

	(void)state;
	say(peer, "STARTTLS\r\nMAIL FROM:<>\r\n");
	turns(owner.loop, 2);
	buf_consume(&owner.stream.in, 10);
	assert_false(stream_start_tls(&owner.stream, NULL, NULL));
	assert_false(stream_is_tls(&owner.stream));
	assert_string_equal(stream_tls_version(&owner.stream), "");
	close_pair(&owner, peer);
}

/* --- connecting ----------------------------------------------------------------------------------------------------- */

static int
listen_on_loopback(struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t n = sizeof *address;

	*address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof *address), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)address, &n), 0);
	return fd;
}

static void
connect_to(struct owner *owner, const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EINPROGRESS);
	owner->loop = loop_new();
	buf_init(&owner->got, 1024);
	stream_open(&owner->stream, owner->loop, fd, &events, &small);
	stream_connecting(&owner->stream);
	turns(owner->loop, 3);
}

static void
a_connection_tells_when_it_stands(void **state)
{
	struct owner owner = {0};
	struct sockaddr_in address;
	int listener = listen_on_loopback(&address);

	(void)state;
	connect_to(&owner, &address);
	assert_int_equal(owner.drains, 1);
	assert_int_equal(owner.closes, 0);
	close_pair(&owner, -1);
	close(listener);
}

static void
a_refused_connection_tells_why(void **state)
{
	struct owner owner = {0};
	struct sockaddr_in address;
	int listener = listen_on_loopback(&address);

	(void)state;
	close(listener);
	connect_to(&owner, &address);
	assert_int_equal(owner.drains, 0);
	assert_int_equal(owner.closes, 1);
	assert_int_equal(owner.err.errnum, ECONNREFUSED);
	close_pair(&owner, -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_replies_to_a_pipelined_group_are_one_write),
	    cmocka_unit_test(reading_stops_at_the_limit_and_goes_on_when_there_is_room),
	    cmocka_unit_test(a_paused_stream_keeps_its_input_and_the_end_for_later),
	    cmocka_unit_test(a_hang_up_while_nobody_reads_costs_no_cpu),
	    cmocka_unit_test(a_peer_that_does_not_read_breaks_the_stream_at_the_limit),
	    cmocka_unit_test(blocked_output_goes_on_when_the_peer_reads),
	    cmocka_unit_test(whoever_had_to_wait_is_told_even_if_it_was_for_a_moment),
	    cmocka_unit_test(a_server_takes_no_command_from_one_who_does_not_read),
	    cmocka_unit_test(a_client_hears_the_reply_while_it_still_sends),
	    cmocka_unit_test(what_the_peer_said_before_it_hung_up_is_heard),
	    cmocka_unit_test(the_deadline_ends_the_stream),
	    cmocka_unit_test(finish_sends_the_rest_and_waits_for_the_peer_to_close),
	    cmocka_unit_test(finish_does_not_wait_for_ever),
	    cmocka_unit_test(a_callback_may_free_the_stream),
	    cmocka_unit_test(tls_is_refused_while_input_is_left),
	    cmocka_unit_test(a_connection_tells_when_it_stands),
	    cmocka_unit_test(a_refused_connection_tells_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
