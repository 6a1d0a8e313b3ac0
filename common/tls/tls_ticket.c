#include "common/tls/tls_ticket.h"

#include <bsd/stdlib.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "common/base/log.h"

static uint64_t
period_of(uint64_t now_s)
{
	return now_s / TLS_TICKET_PERIOD_S;
}

static void
derive(const struct tls_ticket_secret *secret, const char *purpose, const char *listener, unsigned char out[32])
{
	char text[128];
	size_t n = strlen(purpose) + 1; /* with its NUL: no purpose and listener make another pair */
	unsigned size = 0;

	memcpy(text, purpose, n);
	memcpy(text + n, listener, strlen(listener));
	n += strlen(listener);
	if (HMAC(EVP_sha256(), secret->bytes, sizeof secret->bytes, (const unsigned char *)text, n, out, &size) == NULL ||
	    size != 32)
		fatal("cannot make a key for TLS tickets");
}

static void
key_derive(const struct tls_ticket_secret *secret, const char *listener, struct tls_ticket_key *key)
{
	unsigned char name[32];

	derive(secret, "name", listener, name);
	memcpy(key->name, name, sizeof key->name);
	derive(secret, "cipher", listener, key->cipher);
	derive(secret, "mac", listener, key->mac);
}

static void
step(struct tls_ticket_secret *secret)
{
	unsigned char next[TLS_TICKET_SECRET_BYTES];

	derive(secret, "next", "", next);
	memcpy(secret->bytes, next, sizeof secret->bytes);
	explicit_bzero(next, sizeof next);
	secret->period++;
}

void
tls_ticket_secret_make(struct tls_ticket_secret *secret, uint64_t now_s)
{
	arc4random_buf(secret->bytes, sizeof secret->bytes);
	/* It stands at the period before: see tls_tickets_init. */
	secret->period = period_of(now_s) > 0 ? period_of(now_s) - 1 : 0;
}

void
tls_ticket_secret_advance(struct tls_ticket_secret *secret, uint64_t now_s)
{
	while (secret->period + 1 < period_of(now_s))
		step(secret);
}

/* The secret stays one period behind, for the tickets of that period; the one of now is its hash. */
static void
keys_make(struct tls_tickets *tickets)
{
	struct tls_ticket_secret next = tickets->secret;

	step(&next);
	key_derive(&tickets->secret, tickets->listener, &tickets->before);
	key_derive(&next, tickets->listener, &tickets->now);
	explicit_bzero(&next, sizeof next);
}

static void
advance(struct tls_tickets *tickets, uint64_t now_s)
{
	uint64_t period = tickets->secret.period;

	tls_ticket_secret_advance(&tickets->secret, now_s);
	if (tickets->secret.period != period)
		keys_make(tickets);
}

void
tls_tickets_init(struct tls_tickets *tickets, const struct tls_ticket_secret *secret, struct str listener, uint64_t now_s)
{
	memset(tickets, 0, sizeof *tickets);
	tickets->secret = *secret;
	(void)str_copy(tickets->listener, sizeof tickets->listener, str_sub(listener, 0, sizeof tickets->listener - 1));
	tls_ticket_secret_advance(&tickets->secret, now_s);
	keys_make(tickets);
}

void
tls_tickets_wipe(struct tls_tickets *tickets)
{
	explicit_bzero(tickets, sizeof *tickets);
}

const struct tls_ticket_key *
tls_tickets_key(struct tls_tickets *tickets, uint64_t now_s)
{
	advance(tickets, now_s);
	return &tickets->now;
}

const struct tls_ticket_key *
tls_tickets_find(struct tls_tickets *tickets, const unsigned char name[TLS_TICKET_NAME_BYTES], uint64_t now_s)
{
	advance(tickets, now_s);
	if (memcmp(name, tickets->now.name, TLS_TICKET_NAME_BYTES) == 0)
		return &tickets->now;
	if (memcmp(name, tickets->before.name, TLS_TICKET_NAME_BYTES) == 0)
		return &tickets->before;
	return NULL;
}
