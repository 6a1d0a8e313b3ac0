/*
 * A TLSA record: three bytes of numbers, then the association. What counts as usable must be of use to OpenSSL, or a host
 * with such a record could not be reached; what is not must not be.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

#include "common/tls/tls_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	static struct tls_context *context;
	struct tls_dane_record record;
	struct tls_expected expected = {.server_name = "mx.dua.test", .other_names = {"dua.test"}, .dane = &record, .ndane = 1};
	SSL *ssl;

	if (context == NULL && (context = tls_client_new(NULL)) == NULL)
		abort();
	if (n < 4)
		return 0;
	record = (struct tls_dane_record){input[0], input[1], input[2], {(const char *)input + 3, n - 3}};
	if (!tls_dane_is_usable(&record))
		return 0;
	ssl = tls_client_connection_new(context, 0, &expected);
	if (ssl == NULL)
		abort();
	SSL_free(ssl);
	return 0;
}
