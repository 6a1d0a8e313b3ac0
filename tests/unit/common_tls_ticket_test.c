#include "tests/unit/rows.h"

#include "common/tls/tls_ticket.h"

#define PERIOD ((uint64_t)TLS_TICKET_PERIOD_S)
#define NOW (1000 * PERIOD + 17)

static void
workers_with_one_secret_have_the_same_keys(void **state)
{
	struct tls_ticket_secret secret;
	struct tls_tickets one, other;
	const struct tls_ticket_key *key;

	(void)state;
	tls_ticket_secret_make(&secret, NOW);
	tls_tickets_init(&one, &secret, STR("mx"), NOW);
	tls_tickets_init(&other, &secret, STR("mx"), NOW + 100);
	for (uint64_t now = NOW; now < NOW + 10 * PERIOD; now += PERIOD / 3) {
		key = tls_tickets_key(&one, now);
		assert_ptr_equal(tls_tickets_find(&other, key->name, now), &other.now);
		assert_memory_equal(key, &other.now, sizeof *key);
	}
}

/* The parent's secret goes on as well, so a worker that is forked late knows what the others know. */
static void
a_worker_that_was_forked_late_has_them_too(void **state)
{
	struct tls_ticket_secret secret;
	struct tls_tickets one, late;

	(void)state;
	tls_ticket_secret_make(&secret, NOW);
	tls_tickets_init(&one, &secret, STR("mx"), NOW);
	for (uint64_t i = 1; i < 5; i++) {
		tls_ticket_secret_advance(&secret, NOW + i * PERIOD);
		tls_tickets_init(&late, &secret, STR("mx"), NOW + i * PERIOD);
		(void)tls_tickets_key(&one, NOW + i * PERIOD);
		assert_memory_equal(&one.now, &late.now, sizeof one.now);
		assert_memory_equal(&one.before, &late.before, sizeof one.before);
	}
}

static void
a_key_decrypts_for_one_period_after_its_own(void **state)
{
	struct tls_ticket_secret secret;
	struct tls_tickets tickets;
	struct tls_ticket_key key;

	(void)state;
	tls_ticket_secret_make(&secret, NOW);
	tls_tickets_init(&tickets, &secret, STR("mx"), NOW);
	key = *tls_tickets_key(&tickets, NOW);
	assert_ptr_equal(tls_tickets_find(&tickets, key.name, NOW), &tickets.now);
	assert_ptr_equal(tls_tickets_find(&tickets, key.name, NOW + PERIOD), &tickets.before);
	assert_memory_equal(&tickets.before, &key, sizeof key);
	assert_null(tls_tickets_find(&tickets, key.name, NOW + 2 * PERIOD));
}

/* Nothing that is in memory now leads back to the keys of yesterday. */
static void
what_is_past_is_forgotten(void **state)
{
	struct tls_ticket_secret secret;
	struct tls_tickets tickets;
	struct tls_ticket_key key;

	(void)state;
	tls_ticket_secret_make(&secret, NOW);
	tls_tickets_init(&tickets, &secret, STR("mx"), NOW);
	key = *tls_tickets_key(&tickets, NOW);
	(void)tls_tickets_key(&tickets, NOW + 6 * PERIOD);
	assert_memory_not_equal(tickets.secret.bytes, secret.bytes, sizeof secret.bytes);
	assert_memory_not_equal(tickets.now.cipher, key.cipher, sizeof key.cipher);
	assert_memory_not_equal(tickets.before.cipher, key.cipher, sizeof key.cipher);
}

static void
listeners_have_nothing_in_common(void **state)
{
	struct tls_ticket_secret secret;
	struct tls_tickets mx, submission;

	(void)state;
	tls_ticket_secret_make(&secret, NOW);
	tls_tickets_init(&mx, &secret, STR("mx"), NOW);
	tls_tickets_init(&submission, &secret, STR("submission"), NOW);
	assert_null(tls_tickets_find(&submission, tls_tickets_key(&mx, NOW)->name, NOW));
	assert_memory_not_equal(mx.now.cipher, submission.now.cipher, sizeof mx.now.cipher);
	assert_memory_not_equal(mx.now.mac, submission.now.mac, sizeof mx.now.mac);
	assert_memory_not_equal(mx.now.mac, mx.now.cipher, sizeof mx.now.mac);
}

static void
a_host_that_has_just_booted_has_keys_too(void **state)
{
	struct tls_ticket_secret secret;
	struct tls_tickets tickets;
	struct tls_ticket_key key;

	(void)state;
	tls_ticket_secret_make(&secret, 3);
	tls_tickets_init(&tickets, &secret, STR("mx"), 4);
	key = *tls_tickets_key(&tickets, 5);
	assert_non_null(tls_tickets_find(&tickets, key.name, PERIOD + 1));
	assert_null(tls_tickets_find(&tickets, key.name, 4 * PERIOD));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(workers_with_one_secret_have_the_same_keys),
	    cmocka_unit_test(a_worker_that_was_forked_late_has_them_too),
	    cmocka_unit_test(a_key_decrypts_for_one_period_after_its_own),
	    cmocka_unit_test(what_is_past_is_forgotten),
	    cmocka_unit_test(listeners_have_nothing_in_common),
	    cmocka_unit_test(a_host_that_has_just_booted_has_keys_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
