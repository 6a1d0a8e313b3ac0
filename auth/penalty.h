/*
 * How long a client that guesses passwords waits. For each client (its address, an IPv6 one by its /64) the number of
 * wrong guesses is kept: after the first the next attempt may begin `base` later, after the second twice that, and so
 * on up to a maximum; attempts that come side by side queue up behind each other. Every quiet minute takes one guess
 * off. The same wrong guess again is no guess: a telephone with an old password does not slow its household down.
 *
 * Pure: time is given. The memory is fixed; the table is keyed, and forgets who has been quiet for longest.
 */
#ifndef AUTH_PENALTY_H
#define AUTH_PENALTY_H

#include "common/base/siphash.h"

#define PENALTY_SETS 1024
#define PENALTY_WAYS 8
#define PENALTY_GUESSES 4 /* that are recognised when they come again */

struct penalty_client {
	uint64_t hash; /* of who it is; 0: unused */
	uint64_t last_ms, free_ms;
	unsigned level;
	uint64_t guesses[PENALTY_GUESSES];
};

struct penalty {
	struct siphash_key key;
	uint64_t base_ms, max_ms;
	struct penalty_client clients[PENALTY_SETS][PENALTY_WAYS];
};

/* base_ms 0: nobody ever waits. */
void penalty_init(struct penalty *penalty, uint64_t base_ms, uint64_t max_ms);

/*
 * An attempt of this client (an address as text, or whatever else tells who it is) wants to begin: *wait_ms says when it
 * may, and that time is then taken. False when so many wait already that it is to be refused.
 */
bool penalty_begin(struct penalty *penalty, struct str client, uint64_t now_ms, uint64_t *wait_ms);
/* An attempt was wrong. */
void penalty_wrong(struct penalty *penalty, struct str client, struct str login, struct str password, uint64_t now_ms);

#endif
