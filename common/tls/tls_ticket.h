/*
 * The keys of TLS session tickets (RFC 5077): of one secret, a ratchet. All workers of a daemon's generation have the
 * same secret and so the same keys, whichever of them a client comes back to. Every few hours the secret becomes its
 * own hash: who breaks in later can read no ticket, and so no recorded session, from before. The keys differ from
 * listener to listener, so that a ticket opens no other (immunity rule 8). Pure.
 */
#ifndef COMMON_TLS_TICKET_H
#define COMMON_TLS_TICKET_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/str.h"

#define TLS_TICKET_PERIOD_S (4 * 3600) /* how long new tickets get one key; it decrypts for another such time */
#define TLS_TICKET_NAME_BYTES 16
#define TLS_TICKET_SECRET_BYTES 32

/* Valid from the beginning of its period on; makes the keys of that period and of the next. */
struct tls_ticket_secret {
	unsigned char bytes[TLS_TICKET_SECRET_BYTES];
	uint64_t period;
};

struct tls_ticket_key {
	unsigned char name[TLS_TICKET_NAME_BYTES]; /* in the ticket, so that its key is found */
	unsigned char cipher[32];		   /* AES-256 */
	unsigned char mac[32];			   /* HMAC-SHA-256 */
};

/* What one listener needs. */
struct tls_tickets {
	struct tls_ticket_secret secret; /* a copy that goes on by itself */
	struct tls_ticket_key now, before;
	char listener[65];
};

/* A random one; now_s: of a clock that all who share it read alike (seconds since boot). */
void tls_ticket_secret_make(struct tls_ticket_secret *secret, uint64_t now_s);
/* Goes on to where the time is, one hash a period; harmless when it is there. */
void tls_ticket_secret_advance(struct tls_ticket_secret *secret, uint64_t now_s);

/* listener: at most 64 bytes of its name count. */
void tls_tickets_init(struct tls_tickets *tickets, const struct tls_ticket_secret *secret, struct str listener,
    uint64_t now_s);
void tls_tickets_wipe(struct tls_tickets *tickets);
/* The key for new tickets. */
const struct tls_ticket_key *tls_tickets_key(struct tls_tickets *tickets, uint64_t now_s);
/* The key of a ticket that came back; NULL when it is none of ours, or too old. */
const struct tls_ticket_key *tls_tickets_find(struct tls_tickets *tickets, const unsigned char name[TLS_TICKET_NAME_BYTES],
    uint64_t now_s);

#endif
