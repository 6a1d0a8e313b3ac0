#include "common/base/siphash.h"

#include <bsd/stdlib.h>
#include <endian.h>
#include <string.h>

struct state {
	uint64_t v0, v1, v2, v3;
};

struct siphash_key
siphash_key_new(void)
{
	struct siphash_key key;

	arc4random_buf(&key, sizeof key);
	return key;
}

static uint64_t
rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void
rounds(struct state *s, unsigned n)
{
	while (n-- > 0) {
		s->v0 += s->v1;
		s->v1 = rotate(s->v1, 13) ^ s->v0;
		s->v0 = rotate(s->v0, 32);
		s->v2 += s->v3;
		s->v3 = rotate(s->v3, 16) ^ s->v2;
		s->v0 += s->v3;
		s->v3 = rotate(s->v3, 21) ^ s->v0;
		s->v2 += s->v1;
		s->v1 = rotate(s->v1, 17) ^ s->v2;
		s->v2 = rotate(s->v2, 32);
	}
}

static void
word(struct state *s, uint64_t m)
{
	s->v3 ^= m;
	rounds(s, 2);
	s->v0 ^= m;
}

uint64_t
siphash(const struct siphash_key *key, struct str in)
{
	/* "somepseudorandomlygeneratedbytes", as the paper has it. */
	struct state s = {
	    .v0 = key->k0 ^ 0x736f6d6570736575U,
	    .v1 = key->k1 ^ 0x646f72616e646f6dU,
	    .v2 = key->k0 ^ 0x6c7967656e657261U,
	    .v3 = key->k1 ^ 0x7465646279746573U,
	};
	uint64_t m, last = (uint64_t)in.n << 56;
	size_t whole = in.n - in.n % 8;

	for (size_t i = 0; i < whole; i += 8) {
		memcpy(&m, in.p + i, 8);
		word(&s, le64toh(m));
	}
	for (size_t i = whole; i < in.n; i++)
		last |= (uint64_t)(unsigned char)in.p[i] << (8 * (i - whole));
	word(&s, last);
	s.v2 ^= 0xff;
	rounds(&s, 4);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
