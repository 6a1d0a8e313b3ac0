/*
 * The messages of SCRAM, client side (RFC 5802 7, RFC 7677), with channel binding and without; the server's side is
 * auth/mech_scram.h. The server is not believed: what it says is checked, its work for us is bounded, and it must prove
 * that it knows the password too. Pure: the nonce is given.
 *
 * In order: first, final with what the server answered, check with its answer to that. Each function that reads what the
 * server says returns NULL when that is in order, else what is wrong with it: static words, or the server's own, cut and
 * made printable, which live as long as the exchange.
 */
#ifndef QUEUE_SCRAM_CLIENT_H
#define QUEUE_SCRAM_CLIENT_H

#include "common/base/buf.h"
#include "common/login/sasl.h"
#include "common/login/scram.h"

/* Fewer would make a listener's guesses cheap (RFC 7677 4); for more see SCRAM_ITERATIONS_MAX. */
#define SCRAM_CLIENT_ITERATIONS_MIN 4096
/* Bytes that the server must add to the nonce; half of what is usual. */
#define SCRAM_CLIENT_SERVER_NONCE_MIN 8
#define SCRAM_CLIENT_PROBLEM_MAX 160

/* The keys of the salt that a server named last: it will name it again, and they cost so many iterations. As secret as the
 * password. All zero: none. */
struct scram_client_memory {
	enum scram_hash hash;
	unsigned iterations; /* 0: none */
	size_t salt_bytes;
	unsigned char salt[SCRAM_SALT_MAX];
	struct scram_client_keys keys;
};

enum scram_client_step {
	SCRAM_CLIENT_FIRST,
	SCRAM_CLIENT_FINAL,
	SCRAM_CLIENT_CHECK,
	SCRAM_CLIENT_PROVED, /* the server knows the password */
	SCRAM_CLIENT_OVER,   /* or not */
};

struct scram_client {
	enum scram_hash hash;
	enum scram_client_step step;
	struct buf binding;  /* what `c=` says: the first message's header, and the channel's binding */
	struct buf messages; /* AuthMessage, as far as it is known */
	char nonce[64];
	unsigned char signature[SCRAM_DIGEST_MAX]; /* the server's, if it knows the password */
	char problem[SCRAM_CLIENT_PROBLEM_MAX + 1];
};

void scram_client_init(struct scram_client *scram, enum scram_hash hash);
/* Harmless when all is zero. */
void scram_client_clear(struct scram_client *scram);

/*
 * Appends the first message. nonce: printable without comma, fresh and unpredictable, under 64 bytes. binding: that of
 * the channel, for a mechanism with -PLUS; NULL: none. could_bind: then says that we would have, had it been offered, so
 * that nobody between can hide the offer (RFC 5802 6). False when the name cannot be a user's.
 */
bool scram_client_first(struct scram_client *scram, struct str user, struct str nonce, const struct sasl_binding *binding,
    bool could_bind, struct buf *out);
/* Appends the final message. memory: read and written. */
const char *scram_client_final(struct scram_client *scram, struct str password, struct scram_client_memory *memory,
    struct str server_first, struct buf *out);
const char *scram_client_check(struct scram_client *scram, struct str server_final);

#endif
