#include "smtpd/guard_key.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

struct str
guard_address_bytes(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
		return (struct str){(const char *)&((const struct sockaddr_in *)(const void *)address)->sin_addr, 4};
	if (address->sa_family == AF_INET6) {
		const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
		struct str bytes = {(const char *)v6->s6_addr, 16};

		return IN6_IS_ADDR_V4MAPPED(v6) ? str_skip(bytes, 12) : bytes;
	}
	return STR_NONE;
}

/* One byte for the kind in front, so that no login is an address. */
static uint64_t
hash_of(const struct siphash_key *hash_key, enum guard_kind kind, struct str bytes)
{
	struct siphash_key key = {hash_key->k0 ^ (uint64_t)kind << 56, hash_key->k1};
	uint64_t hash = siphash(&key, bytes);

	return hash == 0 ? 1 : hash;
}

static size_t
bytes_that_count(enum guard_kind kind, size_t n)
{
	if (kind == GUARD_NETWORK)
		return n == 4 ? 3 : 6;
	return n == 4 ? 4 : 8;
}

struct guard_key
guard_key_address(const struct siphash_key *hash_key, enum guard_kind kind, struct str bytes)
{
	struct guard_key key = {.kind = kind};
	struct str part = str_sub(bytes, 0, bytes_that_count(kind, bytes.n));

	key.n = (unsigned char)part.n;
	memcpy(key.bytes, part.p, part.n);
	key.hash = hash_of(hash_key, kind, part);
	return key;
}

#define NAME_MAX_BYTES 512

struct guard_key
guard_key_name(const struct siphash_key *hash_key, enum guard_kind kind, struct str name)
{
	struct guard_key key = {.kind = kind};
	char lower[NAME_MAX_BYTES];

	name = str_sub(name, 0, sizeof lower);
	for (size_t i = 0; i < name.n; i++)
		lower[i] = ascii_lower(name.p[i]);
	key.n = (unsigned char)(name.n < sizeof key.bytes ? name.n : sizeof key.bytes);
	memcpy(key.bytes, lower, key.n);
	key.hash = hash_of(hash_key, kind, (struct str){lower, name.n});
	return key;
}

static void
address_format(enum guard_kind kind, struct str bytes, char text[GUARD_KEY_TEXT_MAX])
{
	bool v4 = bytes.n <= 4;
	unsigned char whole[16] = {0};
	char address[INET6_ADDRSTRLEN];
	const char *prefix = kind == GUARD_NETWORK ? (v4 ? "/24" : "/48") : (v4 ? "" : "/64");

	(void)snprintf(text, GUARD_KEY_TEXT_MAX, "?");
	if (bytes.n == 0 || bytes.n > sizeof whole)
		return;
	memcpy(whole, bytes.p, bytes.n);
	if (inet_ntop(v4 ? AF_INET : AF_INET6, whole, address, sizeof address) != NULL)
		(void)snprintf(text, GUARD_KEY_TEXT_MAX, "%s%s", address, prefix);
}

void
guard_key_format(enum guard_kind kind, struct str bytes, char text[GUARD_KEY_TEXT_MAX])
{
	switch (kind) {
	case GUARD_ADDRESS:
	case GUARD_NETWORK:
		address_format(kind, bytes, text);
		return;
	case GUARD_LOGIN:
	case GUARD_SENDER:
		(void)snprintf(text, GUARD_KEY_TEXT_MAX, "%.*s", STR_FMT(str_sub(bytes, 0, GUARD_KEY_MAX)));
		return;
	}
}

const char *
guard_kind_name(enum guard_kind kind)
{
	static const char *const names[GUARD_KINDS] = {"address", "network", "login", "sender"};

	return names[kind];
}
