/*
 * The keys of SCRAM (RFC 5802, RFC 7677): what is stored instead of a password. They prove a password that is sent as it
 * is (PLAIN) as well as a client's proof that it knows it, and cannot be used to log in themselves. Pure.
 */
#ifndef COMMON_SCRAM_H
#define COMMON_SCRAM_H

#include "common/base/buf.h"

enum scram_hash {
	SCRAM_SHA_1,
	SCRAM_SHA_256,
};

#define SCRAM_HASHES (SCRAM_SHA_256 + 1)
#define SCRAM_DIGEST_MAX 32 /* bytes */
#define SCRAM_SALT_MAX 64
#define SCRAM_SALT_BYTES 16 /* of new ones */
#define SCRAM_ITERATIONS_MAX 1000000 /* about half a second of work for a password that is sent as it is */
#define SCRAM_KEYS_TEXT_MAX 255

struct scram_keys {
	enum scram_hash hash;
	unsigned iterations;
	size_t salt_bytes;
	unsigned char salt[SCRAM_SALT_MAX];
	unsigned char stored[SCRAM_DIGEST_MAX]; /* digest of the client key: a proof is checked against it */
	unsigned char server[SCRAM_DIGEST_MAX]; /* with it the server proves that it knows this entry */
};

size_t scram_digest_bytes(enum scram_hash hash);

/* `iterations,salt,stored key,server key`, the last three in Base64, as Dovecot writes it behind {SCRAM-SHA-256}. */
bool scram_keys_parse(struct scram_keys *keys, enum scram_hash hash, struct str text);
/* Appends the same. */
void scram_keys_format(struct buf *out, const struct scram_keys *keys);

/* Fills in the keys for hash, iterations and salt that are there. The password is prepared as saslprep.h says; false
 * when it cannot be. Takes the time of so many iterations. */
bool scram_keys_make(struct scram_keys *keys, struct str password);
/* Whether that is the password. Takes the same time whatever the answer. */
bool scram_keys_match(const struct scram_keys *keys, struct str password);

/* What a client makes of its password and one salt: with these it proves that it knows the password, and that the server
 * does. As secret as the password. */
struct scram_client_keys {
	unsigned char client[SCRAM_DIGEST_MAX];
	unsigned char server[SCRAM_DIGEST_MAX];
};

/* False when the password cannot be prepared. Takes the time of so many iterations. */
bool scram_client_keys_make(struct scram_client_keys *keys, enum scram_hash hash, struct str password, struct str salt,
    unsigned iterations);
/* The proof of a client that has seen these messages, and the signature that a server which knows the account answers. */
bool scram_client_prove(const struct scram_client_keys *keys, enum scram_hash hash, struct str messages,
    unsigned char proof[SCRAM_DIGEST_MAX], unsigned char signature[SCRAM_DIGEST_MAX]);

/*
 * Whether the proof (of scram_digest_bytes) is that of a client which knows the password and has seen the same exchange
 * of messages; then signature gets what the server answers to prove itself. Takes the same time whatever the answer.
 */
bool scram_keys_verify(const struct scram_keys *keys, struct str messages, struct str proof,
    unsigned char signature[SCRAM_DIGEST_MAX]);

#endif
