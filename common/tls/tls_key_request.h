/*
 * What goes between the key process and those that ask it: one record a request and one an answer. Both sides are the
 * same program, so the structs travel as they are. For tls_key.c and tls_signer.c only.
 */
#ifndef COMMON_TLS_KEY_REQUEST_H
#define COMMON_TLS_KEY_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#define TLS_KEY_BYTES_MAX 1024 /* an RSA block of 8192 bits */

enum tls_key_kind {
	TLS_KEY_RSA_PKCS1 = 1, /* bytes: a digest */
	TLS_KEY_RSA_PSS,       /* bytes: a block in PSS encoding, as long as the modulus */
	TLS_KEY_EC,	       /* bytes: a digest */
};

struct tls_key_request {
	uint32_t number; /* comes back in the answer */
	uint32_t key;	 /* which one: the number of its certificate */
	uint32_t kind;
	uint32_t digest; /* RSA_PKCS1: NID of its algorithm */
	uint32_t n;
	unsigned char bytes[TLS_KEY_BYTES_MAX];
};

struct tls_key_answer {
	uint32_t number;
	uint32_t n; /* of the signature; 0: refused */
	unsigned char bytes[TLS_KEY_BYTES_MAX];
};

#define TLS_KEY_REQUEST_SIZE(n) (offsetof(struct tls_key_request, bytes) + (n))
#define TLS_KEY_ANSWER_SIZE(n) (offsetof(struct tls_key_answer, bytes) + (n))

#endif
