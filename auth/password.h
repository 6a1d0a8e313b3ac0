/*
 * Passwords as they are stored: `{SCHEME}hash`, or a bare crypt(3) hash. A hash is one of crypt(3), or the keys of SCRAM
 * (auth/scram.h), with which a client need not send its password; there is no scheme that stores a password in clear.
 */
#ifndef AUTH_PASSWORD_H
#define AUTH_PASSWORD_H

#include "common/login/scram.h"
#include "common/base/err.h"

#define PASSWORD_MAX 512      /* bytes of a password; crypt(3) takes no more */
#define PASSWORD_HASH_MAX 383 /* bytes of a stored password, scheme included */

/* The schemes by which new passwords are stored. */
enum password_scheme {
	PASSWORD_SCRAM, /* SHA-256 */
	PASSWORD_YESCRYPT,
	PASSWORD_SHA512,
	PASSWORD_BLOWFISH,
};

struct password_method {
	enum password_scheme scheme;
	unsigned iterations; /* of SCRAM */
};

/* False when the scheme is unknown, does not fit the hash, or crypt(3) does not know such a hash. An entry that is
 * empty or locked (a hash that begins with ! or *) is good: it fits no password. */
bool password_is_known(struct str stored);
/* Begins with ! or *, behind the scheme or without one. */
bool password_is_locked(struct str stored);
/* The keys, when it is stored so. */
bool password_keys(struct str stored, enum scram_hash hash, struct scram_keys *keys);

/* Whether the password is the one stored. Always takes the time of one hash, whatever is stored: when that is
 * locked or unusable, a hash is made for nothing. */
bool password_matches(struct str stored, struct str password);
/* Takes as long as password_matches with such a stored one. STR_NONE: as one by which this host's passwords are made. */
void password_waste(struct str like, struct str password);

/* Stores a hash with its {SCHEME} into dst (of PASSWORD_HASH_MAX + 1 bytes). */
bool password_make(const struct password_method *method, struct str password, char *dst, size_t size, struct err *err);
/* "scram", "yescrypt", "sha512", "bcrypt", any case. */
bool password_scheme_parse(struct str word, enum password_scheme *scheme);

#endif
