#include "tests/unit/rows.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "common/tls/tls_client.h"

static char zeros[64];

static void
digests_of_the_right_length_are_usable(void **state)
{
	static const struct {
		uint8_t usage, selector, matching;
		size_t n;
		bool usable;
	} rows[] = {
	    {3, 1, 1, 32, true},
	    {3, 0, 1, 32, true},
	    {3, 1, 2, 64, true},
	    {2, 0, 1, 32, true},
	    {2, 1, 2, 64, true},
	    /* RFC 7672 3.1.3 */
	    {0, 1, 1, 32, false},
	    {1, 1, 1, 32, false},
	    /* what nobody knows */
	    {4, 1, 1, 32, false},
	    {255, 1, 1, 32, false},
	    {3, 2, 1, 32, false},
	    {3, 1, 3, 32, false},
	    /* other lengths */
	    {3, 1, 1, 31, false},
	    {3, 1, 1, 33, false},
	    {3, 1, 1, 64, false},
	    {3, 1, 2, 32, false},
	    {3, 1, 1, 0, false},
	    {3, 1, 0, 32, false},
	    {2, 0, 0, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct tls_dane_record record = {rows[i].usage, rows[i].selector, rows[i].matching, {zeros, rows[i].n}};

		assert_int_equal(tls_dane_is_usable(&record), rows[i].usable);
	}
}

/* The key itself, and a certificate, to their ends. */
static void
whole_things_are_usable_when_they_are_whole(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	unsigned char *bytes = NULL;
	int n;

	(void)state;
	assert_int_equal(X509_set_pubkey(certificate, key), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), 0));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), 60));
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	for (uint8_t selector = 0; selector < 2; selector++) {
		struct tls_dane_record record = {.usage = 3, .selector = selector};

		bytes = NULL;
		n = selector == 0 ? i2d_X509(certificate, &bytes) : i2d_PUBKEY(key, &bytes);
		assert_true(n > 0);
		record.association = (struct str){(const char *)bytes, (size_t)n};
		assert_true(tls_dane_is_usable(&record));
		record.association.n--;
		assert_false(tls_dane_is_usable(&record));
		record.association.n = (size_t)n;
		record.selector = !selector;
		assert_false(tls_dane_is_usable(&record));
		OPENSSL_free(bytes);
	}
	bytes = calloc(1, 1000);
	n = i2d_PUBKEY(key, &(unsigned char *){bytes});
	assert_false(tls_dane_is_usable(&(struct tls_dane_record){3, 1, 0, {(const char *)bytes, (size_t)n + 1}}));
	free(bytes);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(digests_of_the_right_length_are_usable),
	    cmocka_unit_test(whole_things_are_usable_when_they_are_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
