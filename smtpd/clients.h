/*
 * How many connections each client address has, so that one cannot take all. Keyed by address only: bounded by the
 * number of sessions. IPv6 clients count by their /64, which is what one host has.
 */
#ifndef SMTPD_CLIENTS_H
#define SMTPD_CLIENTS_H

#include <sys/socket.h>

#include "common/str.h"
#include "common/tree.h"

struct client {
	unsigned char key[9]; /* family, then address or /64 */
	size_t count;
	RB_ENTRY(client) link;
};

RB_HEAD(client_tree, client);

struct clients {
	struct client_tree tree;
};

void clients_init(struct clients *clients);
/* Counts one more connection; NULL when it would be more than max (or memory is out). */
struct client *clients_add(struct clients *clients, const struct sockaddr *address, size_t max);
/* The connection is over; client may be NULL. */
void clients_remove(struct clients *clients, struct client *client);

#endif
