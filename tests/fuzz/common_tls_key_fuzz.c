/* Any record as a request to the key process: it answers, with a signature or a refusal, and stays. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/tls/tls_key.h"
#include "common/tls/tls_key_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static struct tls_keys *
keys_new(void)
{
	char path[] = "/tmp/mkeyXXXXXX";
	const char *paths[] = {path, path};
	int fd = mkstemp(path);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	EVP_PKEY *pkey = EVP_RSA_gen(2048);
	struct tls_keys *keys;

	if (file == NULL || pkey == NULL || PEM_write_PrivateKey(file, pkey, NULL, NULL, 0, NULL, NULL) != 1)
		abort();
	(void)fclose(file);
	EVP_PKEY_free(pkey);
	keys = tls_keys_load(paths, 2, NULL);
	(void)unlink(path);
	if (keys == NULL)
		abort();
	return keys;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static struct tls_keys *keys;
	static int fds[2];
	struct tls_key_answer answer;

	if (keys == NULL) {
		keys = keys_new();
		if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) != 0)
			abort();
	}
	if (n == 0 || n > 2 * sizeof(struct tls_key_request) || send(fds[0], bytes, n, 0) != (ssize_t)n)
		return 0;
	if (!tls_keys_answer(keys, fds[1]) ||
	    recv(fds[0], &answer, sizeof answer, MSG_DONTWAIT) != (ssize_t)TLS_KEY_ANSWER_SIZE(answer.n) ||
	    answer.n > TLS_KEY_BYTES_MAX)
		abort();
	return 0;
}
