/*
 * SipHash-2-4: a keyed hash for tables whose keys strangers choose. Who does not know the key cannot make keys collide.
 */
#ifndef COMMON_SIPHASH_H
#define COMMON_SIPHASH_H

#include "common/base/str.h"

struct siphash_key {
	uint64_t k0, k1;
};

/* A random key; one a process or a table. */
struct siphash_key siphash_key_new(void);
uint64_t siphash(const struct siphash_key *key, struct str s);

#endif
