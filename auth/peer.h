/*
 * Programs on this host that are connected to one of authd's sockets: accepting them, who they are, how many. What they
 * speak is in peer_kind: one for each of sasl_front, map_front and master_front.
 */
#ifndef AUTH_PEER_H
#define AUTH_PEER_H

#include "common/net/stream.h"
#include "common/net/unix_socket.h"

#define PEER_LISTENERS_MAX 8

struct peer;
struct front;

struct peer_kind {
	const char *name; /* of the socket, for the log */
	size_t size;	  /* of the struct that embeds the peer as its first member; it comes zeroed */
	struct stream_limits limits;
	/* Whether that user may connect. */
	bool (*is_welcome)(const struct front *front, const struct unix_peer *who);
	/* Says hello. May be NULL. */
	void (*opened)(struct peer *peer);
	/* Takes what it can from peer->stream.in. False: the peer breaks the rules and is closed. */
	bool (*input)(struct peer *peer);
	/* It is gone: drops what it had under way. The memory is freed afterwards. */
	void (*closed)(struct peer *peer);
	/* Nothing is under way: it may be closed while draining. */
	bool (*is_idle)(struct peer *peer);
};

struct peer {
	struct stream stream;
	struct unix_peer who;
	bool is_stranger; /* none of the suite's programs */
	struct peer_server *server;
	TAILQ_ENTRY(peer) link;
};

struct peer_listener {
	struct loop_io io;
	struct peer_server *server;
};

struct peer_server {
	const struct peer_kind *kind;
	struct front *front;
	struct loop *loop;
	struct peer_listener listeners[PEER_LISTENERS_MAX];
	size_t nlisteners, npeers, peers_max;
	size_t nstrangers; /* at most a quarter of peers_max, so that nobody on this host can lock the suite out */
	struct loop_timer pause; /* after accept() failed */
	bool draining;
	TAILQ_HEAD(peers, peer) peers;
};

void peer_server_init(struct peer_server *server, const struct peer_kind *kind, struct front *front,
    struct loop *loop, size_t peers_max);
/* A further socket to accept from; non-blocking, borrowed. */
void peer_server_listen(struct peer_server *server, int fd);
/* Accepts nothing more and closes who is idle (in haste: everybody); true when nobody is left. */
bool peer_server_drain(struct peer_server *server, bool haste);
/* Closes it at once, from wherever: what embeds it is freed. */
void peer_close(struct peer *peer);

#endif
