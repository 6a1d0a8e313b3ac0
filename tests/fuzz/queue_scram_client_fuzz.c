/*
 * Any server against SCRAM's client: its first message, then, behind a newline, its final one. Whatever comes, memory holds,
 * no proof is given for iterations or a nonce that are not in order, and no server is believed, since none of these knows the
 * password. The first byte picks hash, binding, and what is remembered.
 */
#include <stdlib.h>
#include <string.h>

#include "queue/sasl_login.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const struct sasl_binding binding = {.type = "tls-exporter", .bytes = "0123", .n = 4};

static void
proof_check(const struct buf *out, size_t before)
{
	struct str said = str_skip(buf_str(out), before);

	if (!str_starts(said, STR("c=")) || str_search(said, STR(",r=abc")) == said.n || str_search(said, STR(",p=")) == said.n)
		abort();
	for (size_t i = 0; i < said.n; i++)
		if (!ascii_is_print(said.p[i]))
			abort();
}

static void
exchange(unsigned how, struct str first, struct str final)
{
	static struct scram_client_memory memory;
	struct scram_client scram;
	struct buf out;
	size_t before;

	buf_init(&out, 8192);
	scram_client_init(&scram, how & 1 ? SCRAM_SHA_1 : SCRAM_SHA_256);
	if (!scram_client_first(&scram, STR("baru"), STR("abc"), how & 2 ? &binding : NULL, (how & 4) != 0, &out))
		abort();
	before = out.n;
	if (scram_client_final(&scram, STR("rahasia"), &memory, first, &out) == NULL) {
		proof_check(&out, before);
		if (memory.iterations < SCRAM_CLIENT_ITERATIONS_MIN || memory.iterations > SCRAM_ITERATIONS_MAX)
			abort();
		if (scram_client_check(&scram, final) == NULL)
			abort();
	} else if (out.n != before) {
		abort();
	}
	scram_client_clear(&scram);
	buf_clear(&out);
}

/* The same bytes as what a server says in SMTP. */
static void
login(unsigned how, struct str first, struct str final)
{
	static struct sasl_credentials credentials = {{"baru", 4}, {"rahasia", 7}, {"token", 5}, SASL_ALL, {0}};
	struct sasl_login sasl;
	struct buf out;

	buf_init(&out, 65536);
	sasl_login_begin(&sasl, (enum sasl_mechanism)(how % SASL_MECHANISMS), &credentials);
	if (sasl_login_command(&sasl, how, &binding, STR("abc"), &out) != NULL)
		abort();
	if (sasl_login_answer(&sasl, first, &out) == NULL && sasl_login_answer(&sasl, final, &out) == NULL &&
	    how % SASL_MECHANISMS <= SASL_SCRAM_SHA_1 && str_find(buf_str(&out), '*') < out.n)
		abort();
	if (!buf_ok(&out))
		abort();
	sasl_login_clear(&sasl);
	buf_clear(&out);
}

/* Many iterations are allowed, and only slow. */
static bool
is_slow(struct str all)
{
	struct str number = str_skip(all, str_search(all, STR("i=")) + 2);
	uint64_t iterations = 0;

	for (size_t i = 0; i < number.n && i < 9 && ascii_is_digit(number.p[i]); i++)
		iterations = 10 * iterations + (uint64_t)(number.p[i] - '0');
	return iterations > 5000 && iterations <= SCRAM_ITERATIONS_MAX;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str all = {(const char *)bytes + 1, n - 1}, first, final;

	if (n < 1 || is_slow(all))
		return 0;
	first = str_sub(all, 0, str_find(all, '\n'));
	final = str_skip(all, first.n + 1);
	exchange(bytes[0], first, final);
	login(bytes[0], first, final);
	return 0;
}
