/*
 * A connection to one of authd's sockets that speak in lines (common/login/sasl_client.h, master_client.h): made when it is
 * needed, from the loop, with bounded buffers. What was sent is wiped, since it may be a secret.
 */
#ifndef COMMON_AUTHD_LINK_H
#define COMMON_AUTHD_LINK_H

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/loop.h"

struct authd_link {
	/* A line, without its end. False: it cannot be meant for us, and the connection is given up. */
	bool (*line)(struct authd_link *link, struct str line);
	/* The connection is gone, and closed. Called from the loop only. */
	void (*lost)(struct authd_link *link);
	struct buf out; /* append to it, then authd_link_flush; its memory stays where it is */

	/* Its own: */
	struct loop *loop;
	char *path;
	struct loop_io io;
	struct buf in;
};

/* path: copied. Fatal when memory is out. */
void authd_link_init(struct authd_link *link, struct loop *loop, const char *path, size_t in_max, size_t out_max);
/* Closes, calls nothing, and frees. */
void authd_link_clear(struct authd_link *link);

bool authd_link_is_open(const struct authd_link *link);
/* Fine when it is open already. Both sides may begin without waiting for the other's words: `greeting` is the first of ours. */
bool authd_link_open(struct authd_link *link, const char *greeting, struct err *err);
/* Sends what can be sent. False: the connection broke; whoever asks closes it. */
bool authd_link_flush(struct authd_link *link);
/* Closes and calls nothing; harmless when it is closed. */
void authd_link_close(struct authd_link *link);

#endif
