#include "common/net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/tls/tls_client.h"

#define READ_BYTES 16384	/* at most, by one system call */
#define FINISH_TIMEOUT_MS 10000 /* for sending the rest */
#define LINGER_TIMEOUT_MS 2000	/* for the peer to close, so that no reset overtakes our last words */

/*
 * The stream whose callback runs, or NULL once that callback has closed (and perhaps freed) it. Callbacks are made from
 * the loop only, so they do not nest.
 */
static struct stream *current;

/* What one attempt at reading or writing came to. */
enum transfer {
	TRANSFER_SOME,
	TRANSFER_BLOCKED,
	TRANSFER_EOF,
	TRANSFER_FAILED,
};

static void stream_ready(struct loop_io *io, unsigned events);
static void run_later(struct loop_deferred *later);

/* Where to write what went wrong: made when something does, for most connections end well. Without memory nobody learns. */
static struct err *
error_of(struct stream *s)
{
	if (s->err == NULL)
		s->err = calloc(1, sizeof *s->err);
	return s->err;
}

/* --- one read, one write ------------------------------------------------------------------------------------------- */

static enum transfer
tls_result(struct stream *s, int result, const char *what)
{
	switch (SSL_get_error(s->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return TRANSFER_BLOCKED;
	case SSL_ERROR_ZERO_RETURN:
		return TRANSFER_EOF;
	case SSL_ERROR_SYSCALL:
		if (errno == 0)
			return TRANSFER_EOF;
		(void)err_sys(error_of(s), "%s", what);
		return TRANSFER_FAILED;
	default:
		(void)tls_error(error_of(s), what);
		return TRANSFER_FAILED;
	}
}

static enum transfer
plain_result(struct stream *s, ssize_t result, const char *what)
{
	if (result == 0)
		return TRANSFER_EOF;
	if (errno == EAGAIN || errno == EINTR)
		return TRANSFER_BLOCKED;
	(void)err_sys(error_of(s), "%s", what);
	return TRANSFER_FAILED;
}

static enum transfer
receive(struct stream *s, char *to, size_t max, size_t *got)
{
	ssize_t n;

	errno = 0;
	if (s->ssl != NULL) {
		int result;

		ERR_clear_error();
		result = SSL_read_ex(s->ssl, to, max, got);
		return result == 1 ? TRANSFER_SOME : tls_result(s, result, "TLS read");
	}
	n = recv(s->io.fd, to, max, 0);
	if (n <= 0)
		return plain_result(s, n, "read");
	*got = (size_t)n;
	return TRANSFER_SOME;
}

static enum transfer
transmit(struct stream *s, struct str bytes, size_t *sent)
{
	ssize_t n;

	errno = 0;
	if (s->ssl != NULL) {
		int result;

		ERR_clear_error();
		result = SSL_write_ex(s->ssl, bytes.p, bytes.n, sent);
		return result == 1 ? TRANSFER_SOME : tls_result(s, result, "TLS write");
	}
	n = send(s->io.fd, bytes.p, bytes.n, MSG_NOSIGNAL);
	if (n <= 0)
		return plain_result(s, n, "write");
	*sent = (size_t)n;
	return TRANSFER_SOME;
}

/* --- state --------------------------------------------------------------------------------------------------------- */

static bool
can_take_input(const struct stream *s)
{
	return s->phase == STREAM_OPEN && !s->ended && s->in.n < s->in.max && (!s->blocked || s->full_duplex);
}

static bool
wants_input(const struct stream *s)
{
	return can_take_input(s) && !s->paused;
}

static unsigned
wanted_events(const struct stream *s)
{
	switch (s->phase) {
	case STREAM_CLOSED:
		return 0;
	case STREAM_CONNECTING:
		return LOOP_WRITE;
	case STREAM_HANDSHAKE:
		return SSL_want_write(s->ssl) ? LOOP_WRITE : LOOP_READ;
	case STREAM_OPEN:
		return (can_take_input(s) && !s->deaf ? LOOP_READ : 0) | (s->blocked ? LOOP_WRITE : 0);
	case STREAM_FINISHING:
		return s->blocked ? LOOP_WRITE : 0;
	case STREAM_LINGERING:
		return LOOP_READ;
	}
	return 0;
}

/* Bytes may be waiting inside OpenSSL, of which epoll knows nothing. */
static bool
has_hidden_input(const struct stream *s)
{
	return s->ssl != NULL && wants_input(s) && SSL_has_pending(s->ssl);
}

static void
watch(struct stream *s)
{
	unsigned events = wanted_events(s);

	if (s->phase == STREAM_CLOSED)
		return;
	if (s->hung_up && events != 0) {
		s->hung_up = false;
		loop_io_add(s->loop, &s->io, s->io.fd, events, stream_ready);
		return;
	}
	loop_io_want(&s->io, events);
}

/* The connection is over: `closed` follows from the loop. */
static void
end(struct stream *s, enum stream_end why)
{
	if (s->ended)
		return;
	s->ended = true;
	s->why = why;
	loop_defer(s->loop, &s->later, run_later);
}

static void
deadline_expired(struct loop_timer *timer)
{
	struct stream *s = container_of(timer, struct stream, deadline);

	end(s, s->phase == STREAM_LINGERING || s->phase == STREAM_FINISHING ? STREAM_FINISHED : STREAM_DEADLINE);
}

static void
linger(struct stream *s)
{
	s->phase = STREAM_LINGERING;
	if (s->ssl != NULL) {
		ERR_clear_error();
		(void)SSL_shutdown(s->ssl); /* close_notify; the peer's is not waited for */
	}
	(void)shutdown(s->io.fd, SHUT_WR);
	stream_set_deadline(s, LINGER_TIMEOUT_MS);
}

/* The peer takes nothing any more, but what it said before (552 too big ...) may still be there to be read: reading comes
 * upon the end, or this error, by itself. */
static void
write_failed(struct stream *s)
{
	if (s->phase != STREAM_OPEN || s->paused || s->in.n >= s->in.max) {
		end(s, STREAM_BROKEN);
		return;
	}
	buf_reset(&s->out);
	s->blocked = false;
	s->write_broken = true;
}

/* Sends what the kernel takes; true when nothing is left. */
static bool
send_output(struct stream *s)
{
	if (s->write_broken)
		buf_reset(&s->out);
	if (!buf_ok(&s->out)) {
		(void)err_set(error_of(s), ERR_LIMIT, "the peer does not read: more than %zu bytes wait for it", s->out.max);
		end(s, STREAM_BROKEN);
		return false;
	}
	while (s->out.n > 0) {
		size_t sent = 0;

		switch (transmit(s, buf_str(&s->out), &sent)) {
		case TRANSFER_SOME:
			buf_consume(&s->out, sent);
			break;
		case TRANSFER_BLOCKED:
			s->blocked = true;
			return false;
		case TRANSFER_EOF:
			end(s, STREAM_EOF);
			return false;
		case TRANSFER_FAILED:
			write_failed(s);
			return false;
		}
	}
	s->blocked = false;
	buf_clear(&s->out); /* whoever only waits holds no buffer */
	return true;
}

/* After the peer's end it may still read our last words; after anything else nobody does. */
static void
output(struct stream *s)
{
	if ((s->ended && s->why != STREAM_EOF) || (s->phase != STREAM_OPEN && s->phase != STREAM_FINISHING))
		return;
	if (send_output(s) && s->phase == STREAM_FINISHING)
		linger(s);
}

/* What the owner has left to be sent. Once it had to wait, only traffic() goes on, which then tells the owner. */
static void
output_rest(struct stream *s)
{
	if (s->phase != STREAM_OPEN || !s->blocked)
		output(s);
}

/* --- callbacks from the loop --------------------------------------------------------------------------------------- */

/* Calls the owner; false when it has closed the stream, which may be freed by then. */
static bool
tell(struct stream *s, void (*callback)(struct stream *))
{
	current = s;
	if (callback != NULL)
		callback(s);
	if (current != s)
		return false;
	current = NULL;
	return true;
}

/* Reads once; true when the owner is to be told. */
static bool
input(struct stream *s)
{
	size_t room = s->in.max - s->in.n, got = 0;
	char *to = buf_reserve(&s->in, room < READ_BYTES ? room : READ_BYTES);

	if (to == NULL) {
		(void)err_set(error_of(s), ERR_TEMP, "out of memory");
		end(s, STREAM_BROKEN);
		return false;
	}
	switch (receive(s, to, room < READ_BYTES ? room : READ_BYTES, &got)) {
	case TRANSFER_SOME:
		buf_commit(&s->in, got);
		return true;
	case TRANSFER_BLOCKED:
		return false;
	case TRANSFER_EOF:
		end(s, s->write_broken ? STREAM_BROKEN : STREAM_EOF);
		return false;
	case TRANSFER_FAILED:
		end(s, STREAM_BROKEN);
		return false;
	}
	return false;
}

static bool
read_and_tell(struct stream *s)
{
	while (wants_input(s)) {
		if (input(s) && !tell(s, s->events->input))
			return false;
		if (!has_hidden_input(s))
			break;
	}
	return true;
}

static bool
handshake(struct stream *s)
{
	int result;

	ERR_clear_error();
	errno = 0;
	result = SSL_do_handshake(s->ssl);
	if (result == 1) {
		s->phase = STREAM_OPEN;
		return tell(s, s->events->secured) && (!has_hidden_input(s) || read_and_tell(s));
	}
	switch (tls_result(s, result, "TLS handshake")) {
	case TRANSFER_SOME:
	case TRANSFER_BLOCKED:
		break;
	case TRANSFER_EOF:
		(void)err_set(error_of(s), ERR_TEMP, "the peer closed during the TLS handshake");
		end(s, STREAM_BROKEN);
		break;
	case TRANSFER_FAILED:
		end(s, STREAM_BROKEN);
		break;
	}
	return true;
}

static bool
connected(struct stream *s)
{
	int errnum = 0;
	socklen_t n = sizeof errnum;

	if (getsockopt(s->io.fd, SOL_SOCKET, SO_ERROR, &errnum, &n) != 0)
		errnum = errno;
	if (errnum == EINPROGRESS)
		return true;
	if (errnum != 0) {
		errno = errnum;
		(void)err_sys(error_of(s), "connect");
		end(s, STREAM_BROKEN);
		return true;
	}
	s->phase = STREAM_OPEN;
	return tell(s, s->events->drained);
}

static void
discard_input(struct stream *s)
{
	char bytes[4096];

	/* In a lingering TLS connection the records do not matter any more. */
	ssize_t n = recv(s->io.fd, bytes, sizeof bytes, 0);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		end(s, STREAM_FINISHED);
}

static bool
traffic(struct stream *s, unsigned events)
{
	if ((events & LOOP_WRITE) && s->blocked) {
		output(s);
		if (!s->blocked && s->phase == STREAM_OPEN && !s->ended && !tell(s, s->events->drained))
			return false;
	}
	if (s->paused && (events & (LOOP_READ | LOOP_HANGUP)))
		s->deaf = true;
	return !(events & LOOP_READ) || read_and_tell(s);
}

/* A hang-up while nobody reads: epoll would report it without end, so it is looked at when reading goes on. */
static void
unwatch_if_deaf(struct stream *s, unsigned events)
{
	if (!(events & LOOP_HANGUP) || s->phase == STREAM_CLOSED || s->ended || wanted_events(s) != 0 || s->hung_up)
		return;
	if (s->phase == STREAM_FINISHING)
		return;
	loop_io_remove(&s->io);
	s->hung_up = true;
}

static void
stream_ready(struct loop_io *io, unsigned events)
{
	struct stream *s = container_of(io, struct stream, io);
	bool alive = true;

	if (s->ended)
		return;
	switch (s->phase) {
	case STREAM_CLOSED:
		return;
	case STREAM_CONNECTING:
		alive = connected(s);
		break;
	case STREAM_HANDSHAKE:
		alive = handshake(s);
		break;
	case STREAM_OPEN:
		alive = traffic(s, events);
		break;
	case STREAM_FINISHING:
		break;
	case STREAM_LINGERING:
		discard_input(s);
		break;
	}
	if (!alive)
		return;
	output_rest(s);
	unwatch_if_deaf(s, events);
	watch(s);
}

static void
run_later(struct loop_deferred *later)
{
	struct stream *s = container_of(later, struct stream, later);

	if (s->ended) {
		const struct stream_events *events = s->events;
		enum stream_end why = s->why;
		struct err *err = s->err;

		s->err = NULL;
		stream_close(s);
		events->closed(s, why, why == STREAM_BROKEN ? err : NULL);
		free(err);
		return;
	}
	if (s->phase == STREAM_HANDSHAKE && !handshake(s))
		return;
	if (s->phase == STREAM_OPEN && !s->paused && s->in.n > 0 && !tell(s, s->events->input))
		return;
	if (has_hidden_input(s) && !read_and_tell(s))
		return;
	output_rest(s);
	watch(s);
}

/* --- the owner's calls --------------------------------------------------------------------------------------------- */

void
stream_open(struct stream *stream, struct loop *loop, int fd, const struct stream_events *events,
    const struct stream_limits *limits)
{
	int flags = fcntl(fd, F_GETFL), on = 1;

	if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0))
		fatal("fcntl: %s", strerror(errno));
	*stream = (struct stream){
	    .loop = loop, .events = events, .phase = STREAM_OPEN, .full_duplex = limits->full_duplex};
	buf_init(&stream->in, limits->in_max);
	buf_init(&stream->out, limits->out_max);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* not every socket is TCP */
	loop_io_add(loop, &stream->io, fd, LOOP_READ, stream_ready);
}

void
stream_connecting(struct stream *stream)
{
	stream->phase = STREAM_CONNECTING;
	watch(stream);
}

void
stream_close(struct stream *stream)
{
	if (stream->phase == STREAM_CLOSED)
		return;
	if (current == stream)
		current = NULL;
	stream->phase = STREAM_CLOSED;
	loop_timer_cancel(&stream->deadline);
	loop_defer_cancel(&stream->later);
	loop_io_remove(&stream->io);
	SSL_free(stream->ssl);
	stream->ssl = NULL;
	(void)close(stream->io.fd);
	free(stream->err);
	stream->err = NULL;
	buf_clear_secret(&stream->in);
	buf_clear_secret(&stream->out);
}

bool
stream_is_open(const struct stream *stream)
{
	return stream->phase != STREAM_CLOSED;
}

static bool
tls_begin(struct stream *stream, struct tls_context *context, const struct tls_expected *expected)
{
	if (stream->phase != STREAM_OPEN || stream->ssl != NULL || stream->in.n > 0 || stream->ended)
		return false;
	if (!send_output(stream))
		return false;
	stream->ssl = tls_is_server(context) ? tls_server_connection_new(context, stream->io.fd)
					     : tls_client_connection_new(context, stream->io.fd, expected);
	if (stream->ssl == NULL)
		return false;
	stream->phase = STREAM_HANDSHAKE;
	/* A client speaks first; and `secured` must not be called from inside here. */
	loop_defer(stream->loop, &stream->later, run_later);
	watch(stream);
	return true;
}

bool
stream_start_tls(struct stream *stream, struct tls_context *context, const char *server_name)
{
	return tls_begin(stream, context, &(struct tls_expected){.server_name = server_name});
}

bool
stream_start_tls_to(struct stream *stream, struct tls_context *context, const struct tls_expected *expected)
{
	return tls_begin(stream, context, expected);
}

bool
stream_is_tls(const struct stream *stream)
{
	return stream->ssl != NULL && stream->phase != STREAM_HANDSHAKE;
}

const char *
stream_tls_version(const struct stream *stream)
{
	return stream->ssl != NULL ? SSL_get_version(stream->ssl) : "";
}

const char *
stream_tls_cipher(const struct stream *stream)
{
	return stream->ssl != NULL ? SSL_get_cipher_name(stream->ssl) : "";
}

const char *
stream_tls_suite(const struct stream *stream)
{
	const SSL_CIPHER *cipher = stream->ssl != NULL ? SSL_get_current_cipher(stream->ssl) : NULL;

	return cipher != NULL ? SSL_CIPHER_standard_name(cipher) : "";
}

bool
stream_tls_is_verified(const struct stream *stream)
{
	return stream->ssl != NULL && tls_client_is_proven(stream->ssl);
}

const char *
stream_tls_doubt(const struct stream *stream)
{
	return stream->ssl != NULL ? tls_client_doubt(stream->ssl) : "there is no TLS";
}

bool
stream_tls_is_by_other_name(const struct stream *stream)
{
	return stream->ssl != NULL && tls_client_is_by_other_name(stream->ssl);
}

enum stream_trust
stream_tls_trust(const struct stream *stream)
{
	if (stream_tls_is_verified(stream))
		return STREAM_TRUSTED;
	switch (stream->ssl != NULL ? SSL_get_verify_result(stream->ssl) : X509_V_OK) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
		return STREAM_WRONG_NAME;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return STREAM_EXPIRED;
	default:
		return STREAM_UNTRUSTED;
	}
}

int
stream_tls_bits(const struct stream *stream)
{
	return stream->ssl != NULL ? SSL_get_cipher_bits(stream->ssl, NULL) : 0;
}

const char *
stream_tls_server_name(const struct stream *stream)
{
	const char *name =
	    stream_is_tls(stream) ? SSL_get_servername(stream->ssl, TLSEXT_NAMETYPE_host_name) : NULL;

	return name != NULL ? name : "";
}

bool
stream_tls_channel_binding(const struct stream *stream, enum tls_binding binding, unsigned char out[TLS_BINDING_MAX],
    size_t *n)
{
	return stream_is_tls(stream) && tls_channel_binding(stream->ssl, binding, out, n);
}

bool
stream_tls_client(const struct stream *stream, struct tls_client *client)
{
	return stream_is_tls(stream) && tls_client_certificate(stream->ssl, client);
}

void
stream_flush(struct stream *stream)
{
	if (stream->phase == STREAM_CLOSED)
		return;
	output_rest(stream);
	if (has_hidden_input(stream))
		loop_defer(stream->loop, &stream->later, run_later);
	watch(stream);
}

size_t
stream_pending(const struct stream *stream)
{
	return stream->out.n;
}

void
stream_finish(struct stream *stream)
{
	if (stream->phase == STREAM_HANDSHAKE || stream->phase == STREAM_CONNECTING)
		end(stream, STREAM_FINISHED);
	if (stream->phase != STREAM_OPEN)
		return;
	stream->phase = STREAM_FINISHING;
	stream_set_deadline(stream, FINISH_TIMEOUT_MS);
	output(stream);
	watch(stream);
}

void
stream_pause(struct stream *stream)
{
	stream->paused = true;
}

void
stream_resume(struct stream *stream)
{
	if (stream->phase == STREAM_CLOSED || stream->ended || !stream->paused)
		return;
	stream->paused = stream->deaf = false;
	if (stream->in.n > 0 || has_hidden_input(stream))
		loop_defer(stream->loop, &stream->later, run_later);
	watch(stream);
}

void
stream_set_deadline(struct stream *stream, uint64_t after_ms)
{
	if (after_ms == 0)
		loop_timer_cancel(&stream->deadline);
	else if (stream->phase != STREAM_CLOSED)
		loop_timer_set(stream->loop, &stream->deadline, after_ms, deadline_expired);
}
