/*
 * Whom the guard's tables are about: a client's address, its network, a login, a sender. An IPv6 client counts by its /64,
 * which is what one host has; networks are IPv4 /24 and IPv6 /48. Pure.
 */
#ifndef SMTPD_GUARD_KEY_H
#define SMTPD_GUARD_KEY_H

#include <sys/socket.h>

#include "common/base/siphash.h"

enum guard_kind {
	GUARD_ADDRESS,
	GUARD_NETWORK,
	GUARD_LOGIN,
	GUARD_SENDER,
};

#define GUARD_KINDS (GUARD_SENDER + 1)
#define GUARD_KEY_MAX 64

struct guard_key {
	enum guard_kind kind;
	uint64_t hash; /* of the whole; never 0 */
	unsigned char n;
	char bytes[GUARD_KEY_MAX]; /* of the address, or of the name in lower case (cut when it is longer) */
};

/* The address's 4 or 16 bytes (an IPv4 client of an IPv6 socket has 4); empty for other families. Borrowed. */
struct str guard_address_bytes(const struct sockaddr *address);

/* bytes: 4 or 16, as of guard_address_bytes; kind ADDRESS or NETWORK. */
struct guard_key guard_key_address(const struct siphash_key *hash_key, enum guard_kind kind, struct str bytes);
/* kind LOGIN or SENDER; case is not looked at. */
struct guard_key guard_key_name(const struct siphash_key *hash_key, enum guard_kind kind, struct str name);

#define GUARD_KEY_TEXT_MAX (GUARD_KEY_MAX + 1)

/* As people write it: "192.0.2.1", "2001:db8::/64", "192.0.2.0/24", "baru@satu.test". Bytes that make no sense give "?". */
void guard_key_format(enum guard_kind kind, struct str bytes, char text[GUARD_KEY_TEXT_MAX]);
const char *guard_kind_name(enum guard_kind kind);

#endif
