/*
 * One connection in the event loop: a stream socket, perhaps under TLS, with bounded buffers on both sides and one
 * deadline. The owner embeds it and finds itself by container_of. Any callback may call stream_close and may then free
 * what embeds the stream.
 *
 * Output is written when the callback that made it returns (or by stream_flush), so that the replies to a pipelined
 * group leave in one system call. Reading pauses by itself while `in` is full or output is blocked.
 */
#ifndef COMMON_STREAM_H
#define COMMON_STREAM_H

#include <sys/socket.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/loop.h"
#include "common/tls/tls_peer.h"

struct ssl_st;
struct tls_context;
struct tls_expected;
struct stream;

enum stream_end {
	STREAM_EOF,	 /* the peer closed, or its sending half. Noticed only when reading: whoever leaves input because it
			  * waits for something else calls stream_pause, and the end waits as well */
	STREAM_BROKEN,	 /* reset, TLS failure, output limit ...: err says which */
	STREAM_DEADLINE, /* the deadline passed */
	STREAM_FINISHED, /* what stream_finish had to send is sent */
};

enum stream_phase {
	STREAM_CLOSED,
	STREAM_CONNECTING,
	STREAM_HANDSHAKE,
	STREAM_OPEN,
	STREAM_FINISHING, /* sending what is left */
	STREAM_LINGERING, /* all is sent; waiting for the peer to close */
};

struct stream_events {
	/* There are bytes in stream->in, new ones or (after stream_resume) left ones: take them with buf_consume. */
	void (*input)(struct stream *stream);
	/* Everything in `out` has gone to the kernel, after a time in which it could not. May be NULL. */
	void (*drained)(struct stream *stream);
	/* The TLS handshake is over. May be NULL where there is no TLS. */
	void (*secured)(struct stream *stream);
	/* The connection is over and already closed. The last callback; never called from inside a function of this
	 * header, but from the loop. err is NULL unless BROKEN (and then too when memory was out). */
	void (*closed)(struct stream *stream, enum stream_end why, const struct err *err);
};

struct stream {
	struct buf in;	/* received, not yet taken */
	struct buf out; /* to be sent: append to it */
	struct loop *loop;

	/* stream.c's own: */
	const struct stream_events *events;
	struct loop_io io;
	struct loop_timer deadline; /* what the owner waits for */
	struct loop_deferred later; /* calls what must not be called from inside our functions */
	struct ssl_st *ssl;
	struct err *err; /* NULL: nothing went wrong so far */
	enum stream_end why;
	enum stream_phase phase;
	bool full_duplex;
	bool paused;	   /* by the owner */
	bool deaf;	   /* and not watched for input: a pause that ends before anything comes costs no system call */
	bool blocked;	   /* output waits for the kernel, or for OpenSSL */
	bool write_broken; /* the peer takes nothing any more; err says why, and reading will find the end */
	bool ended;   /* `closed` is due; why and err say how */
	bool hung_up; /* not watched, because the kernel would report nothing but the hang-up */
};

struct stream_limits {
	size_t in_max;	/* at which reading pauses */
	size_t out_max; /* past which the stream is broken: a peer that does not read */
	/* Reads on while output is blocked: for clients, whose peer may answer before it has read all. A server does not
	 * take the next command from one who does not read the replies. */
	bool full_duplex;
};

/*
 * Takes a connected (or, with stream_connecting, connecting) stream socket, makes it non-blocking and watches it.
 * *stream need not be initialised. TCP_NODELAY is set where it applies.
 */
void stream_open(struct stream *stream, struct loop *loop, int fd, const struct stream_events *events,
    const struct stream_limits *limits);
/* Says that connect() is under way: `drained` is called when it is through, `closed` when it failed. */
void stream_connecting(struct stream *stream);
/* Closes at once and calls nothing; output that was not sent is lost. Harmless when it is closed. */
void stream_close(struct stream *stream);
bool stream_is_open(const struct stream *stream);

/*
 * Begins TLS as a server or client; the context outlives the stream. Output already appended goes out in plain first
 * (at most what the kernel takes at once: the go-ahead of STARTTLS is short). Whatever is in `in` must have been dealt
 * with: false, and nothing happens, when there are bytes left (immunity rule 3). server_name is the SNI of a client;
 * may be NULL.
 */
bool stream_start_tls(struct stream *stream, struct tls_context *context, const char *server_name);
/* The same for a client that expects more than a name. */
bool stream_start_tls_to(struct stream *stream, struct tls_context *context, const struct tls_expected *expected);
bool stream_is_tls(const struct stream *stream);
/* "TLSv1.3", "TLS_AES_256_GCM_SHA384"; "" without TLS. Static strings of OpenSSL. */
const char *stream_tls_version(const struct stream *stream);
const char *stream_tls_cipher(const struct stream *stream);
/* The same as IANA calls it. */
const char *stream_tls_suite(const struct stream *stream);
/* Of a client under TLS: the certificate is trusted and has the name that was given to stream_start_tls, or is what was
 * expected otherwise; or was at the beginning of the session that is resumed. */
bool stream_tls_is_verified(const struct stream *stream);
/* Why not. Static. */
const char *stream_tls_doubt(const struct stream *stream);
/* It is, by one of tls_expected.other_names. */
bool stream_tls_is_by_other_name(const struct stream *stream);

/* And if not, why not. */
enum stream_trust {
	STREAM_TRUSTED,
	STREAM_WRONG_NAME,
	STREAM_EXPIRED, /* or not valid yet */
	STREAM_UNTRUSTED,
};

enum stream_trust stream_tls_trust(const struct stream *stream);
int stream_tls_bits(const struct stream *stream); /* of the cipher's key; 0 without TLS */
/* The name that the client asked for (SNI), "" when it named none. Valid until the stream is closed. */
const char *stream_tls_server_name(const struct stream *stream);
/* The bytes that bind an authentication to this connection; false where there is no such binding, or no TLS. */
bool stream_tls_channel_binding(const struct stream *stream, enum tls_binding binding, unsigned char out[TLS_BINDING_MAX],
    size_t *n);
/* The certificate that the client showed: false when it showed none, or there is no TLS. Not kept: each call reads it
 * from the handshake. Whoever goes by a name in it looks at is_verified first. */
bool stream_tls_client(const struct stream *stream, struct tls_client *client);

/* Sends what can be sent now, and reads on if `in` has room again. Only needed outside of the stream's own callbacks. */
void stream_flush(struct stream *stream);
/* Bytes that are in `out` and could not be sent yet. */
size_t stream_pending(const struct stream *stream);
/* Sends the rest of `out`, closes in good order (close_notify, shutdown, at most a few seconds of waiting for the
 * peer), then calls `closed` with FINISHED. Input is thrown away from now on. */
void stream_finish(struct stream *stream);

/* No more `input` until stream_resume: what comes stays in the kernel. */
void stream_pause(struct stream *stream);
/* `input` follows from the loop when there are bytes left in `in`. Harmless when it is not paused. */
void stream_resume(struct stream *stream);

/* The one deadline, from now; 0 takes it away. */
void stream_set_deadline(struct stream *stream, uint64_t after_ms);

#endif
