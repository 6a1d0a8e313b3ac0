/*
 * Tokens that their server has lately said yes to. Of fixed size; a token is known by a keyed digest, so that what is kept
 * lets nobody in, and who brings many cannot aim at others' places. Pure: time is given.
 */
#ifndef AUTH_TOKEN_CACHE_H
#define AUTH_TOKEN_CACHE_H

#include "auth/token.h"

#define TOKEN_CACHE_PLACES 1024
#define TOKEN_CACHE_DIGEST 32

struct token_cache {
	unsigned char key[TOKEN_CACHE_DIGEST];
	uint64_t keep_s;
	struct token_cache_place {
		unsigned char digest[TOKEN_CACHE_DIGEST];
		uint64_t until_s; /* 0: nothing is here */
		char name[ACCOUNT_NAME_MAX + 1];
	} places[TOKEN_CACHE_PLACES];
};

/* keep_s: for how long at most; 0: nothing is kept. */
void token_cache_init(struct token_cache *cache, uint64_t keep_s);
/* NULL when it is not there any more. */
const char *token_cache_find(const struct token_cache *cache, struct str token, uint64_t now_s);
/* Takes the place of whatever has the same one. */
void token_cache_store(struct token_cache *cache, struct str token, const struct token_owner *owner, uint64_t now_s);

#endif
