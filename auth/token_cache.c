#include "auth/token_cache.h"

#include <string.h>

#include <bsd/stdlib.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

void
token_cache_init(struct token_cache *cache, uint64_t keep_s)
{
	memset(cache, 0, sizeof *cache);
	cache->keep_s = keep_s;
	arc4random_buf(cache->key, sizeof cache->key);
}

/* The place of a token; false when there is no telling. */
static bool
place_of(const struct token_cache *cache, struct str token, unsigned char digest[TOKEN_CACHE_DIGEST], size_t *place)
{
	if (HMAC(EVP_sha256(), cache->key, sizeof cache->key, (const unsigned char *)token.p, token.n, digest, NULL) == NULL)
		return false;
	*place = (digest[0] * 256U + digest[1]) % TOKEN_CACHE_PLACES;
	return true;
}

const char *
token_cache_find(const struct token_cache *cache, struct str token, uint64_t now_s)
{
	unsigned char digest[TOKEN_CACHE_DIGEST];
	const struct token_cache_place *p;
	size_t place;

	if (!place_of(cache, token, digest, &place))
		return NULL;
	p = &cache->places[place];
	return p->until_s > now_s && CRYPTO_memcmp(p->digest, digest, sizeof digest) == 0 ? p->name : NULL;
}

void
token_cache_store(struct token_cache *cache, struct str token, const struct token_owner *owner, uint64_t now_s)
{
	struct token_cache_place p = {.until_s = now_s + cache->keep_s};
	size_t place;

	if (owner->expires_s < p.until_s)
		p.until_s = owner->expires_s;
	if (p.until_s <= now_s || !place_of(cache, token, p.digest, &place))
		return;
	memcpy(p.name, owner->name, sizeof p.name);
	cache->places[place] = p;
}
