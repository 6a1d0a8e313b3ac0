#include "auth/penalty.h"

#include <arpa/inet.h>
#include <string.h>

#define FORGET_MS 60000 /* a quiet time that takes one guess off */
#define LEVEL_MAX 20

void
penalty_init(struct penalty *penalty, uint64_t base_ms, uint64_t max_ms)
{
	memset(penalty, 0, sizeof *penalty);
	penalty->key = siphash_key_new();
	penalty->base_ms = base_ms;
	penalty->max_ms = max_ms < base_ms ? base_ms : max_ms;
}

static void
forget(struct penalty_client *client, uint64_t now_ms)
{
	uint64_t quiet = now_ms > client->last_ms ? (now_ms - client->last_ms) / FORGET_MS : 0;

	if (quiet == 0)
		return;
	client->level = quiet >= client->level ? 0 : client->level - (unsigned)quiet;
	client->last_ms += quiet * FORGET_MS;
}

static uint64_t
hash_of(const struct penalty *penalty, struct str s)
{
	uint64_t hash = siphash(&penalty->key, s);

	return hash == 0 ? 1 : hash;
}

/* Of an IPv6 address the network, since whoever has one has 2^64. */
static uint64_t
client_hash(const struct penalty *penalty, struct str client)
{
	struct in6_addr v6;
	char text[64];

	if (!str_copy(text, sizeof text, client) || inet_pton(AF_INET6, text, &v6) != 1 || IN6_IS_ADDR_V4MAPPED(&v6))
		return hash_of(penalty, client);
	return hash_of(penalty, (struct str){(const char *)v6.s6_addr, 8});
}

static struct penalty_client *
client_find(struct penalty *penalty, uint64_t hash)
{
	struct penalty_client *set = penalty->clients[hash % PENALTY_SETS];

	for (size_t i = 0; i < PENALTY_WAYS; i++)
		if (set[i].hash == hash)
			return &set[i];
	return NULL;
}

/* In the place of whoever has been quiet for longest. */
static struct penalty_client *
client_new(struct penalty *penalty, uint64_t hash, uint64_t now_ms)
{
	struct penalty_client *set = penalty->clients[hash % PENALTY_SETS];
	struct penalty_client *oldest = &set[0];

	for (size_t i = 1; i < PENALTY_WAYS; i++)
		if (set[i].last_ms < oldest->last_ms)
			oldest = &set[i];
	*oldest = (struct penalty_client){.hash = hash, .last_ms = now_ms};
	return oldest;
}

static uint64_t
delay_ms(const struct penalty *penalty, unsigned level)
{
	uint64_t delay = penalty->base_ms;

	if (level == 0)
		return 0;
	while (--level > 0 && delay < penalty->max_ms)
		delay *= 2;
	return delay < penalty->max_ms ? delay : penalty->max_ms;
}

bool
penalty_begin(struct penalty *penalty, struct str who, uint64_t now_ms, uint64_t *wait_ms)
{
	struct penalty_client *client = client_find(penalty, client_hash(penalty, who));

	*wait_ms = 0;
	if (client == NULL)
		return true;
	forget(client, now_ms);
	if (client->free_ms > now_ms)
		*wait_ms = client->free_ms - now_ms;
	if (*wait_ms > 2 * penalty->max_ms)
		return false;
	client->free_ms = now_ms + *wait_ms + delay_ms(penalty, client->level);
	return true;
}

/* Whether this guess is among the last few; if not it is now. */
static bool
is_known_guess(struct penalty_client *client, uint64_t guess)
{
	for (size_t i = 0; i < PENALTY_GUESSES; i++)
		if (client->guesses[i] == guess)
			return true;
	memmove(client->guesses + 1, client->guesses, sizeof client->guesses - sizeof client->guesses[0]);
	client->guesses[0] = guess;
	return false;
}

void
penalty_wrong(struct penalty *penalty, struct str who, struct str login, struct str password, uint64_t now_ms)
{
	uint64_t hash = client_hash(penalty, who);
	struct penalty_client *client = client_find(penalty, hash);
	/* Both hashes are keyed and of full width: the combination tells nothing of the password. */
	uint64_t guess = siphash(&penalty->key, login) * 31 ^ siphash(&penalty->key, password);

	if (client == NULL)
		client = client_new(penalty, hash, now_ms);
	forget(client, now_ms);
	if (is_known_guess(client, guess))
		return;
	client->last_ms = now_ms;
	if (client->level < LEVEL_MAX)
		client->level++;
	if (client->free_ms < now_ms + delay_ms(penalty, client->level))
		client->free_ms = now_ms + delay_ms(penalty, client->level);
}
