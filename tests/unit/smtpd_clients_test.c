#include "tests/unit/rows.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "smtpd/clients.h"

static struct sockaddr_storage
address_of(const char *text)
{
	struct sockaddr_storage address = {0};
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)&address;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&address;

	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		address.ss_family = AF_INET;
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
		address.ss_family = AF_INET6;
	}
	return address;
}

static struct client *
add(struct clients *clients, const char *text)
{
	struct sockaddr_storage address = address_of(text);

	return clients_add(clients, (const struct sockaddr *)(const void *)&address, 1);
}

static void
who_counts_as_one_client(void **state)
{
	static const struct {
		const char *first, *second;
		bool same;
	} rows[] = {
	    {"192.0.2.1", "192.0.2.1", true},
	    {"192.0.2.1", "192.0.2.2", false},
	    {"2001:db8::1", "2001:db8::2", true},
	    {"2001:db8::1", "2001:db8:0:1::1", false},
	    {"::ffff:192.0.2.1", "::ffff:192.0.2.1", true},
	    {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
	    {"::ffff:192.0.2.1", "192.0.2.1", true},
	    {"::ffff:192.0.2.1", "::1", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct clients clients;
		struct client *first, *second;

		clients_init(&clients);
		first = add(&clients, rows[i].first);
		assert_non_null(first);
		second = add(&clients, rows[i].second);
		if ((second == NULL) != rows[i].same)
			fail_msg("%s and %s", rows[i].first, rows[i].second);
		clients_remove(&clients, second);
		clients_remove(&clients, first);
		first = add(&clients, rows[i].second);
		assert_non_null(first);
		clients_remove(&clients, first);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(who_counts_as_one_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
