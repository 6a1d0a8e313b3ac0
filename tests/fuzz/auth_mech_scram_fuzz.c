/*
 * SCRAM: any first and final message, divided by a newline, of a client on a channel with a binding and on one without.
 * Whatever comes, memory holds, only the messages' own nonce is taken, and no message proves what was not proved.
 */
#include <stdlib.h>
#include <string.h>

#include "auth/mech_scram.h"
#include "common/login/saslprep.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Keys that no client knows. */
static const struct scram_keys keys = {.hash = SCRAM_SHA_256, .iterations = 1, .salt_bytes = 1};

static void
run(const struct mech_facts *facts, bool plus, struct str first, struct str final)
{
	unsigned char signature[SCRAM_DIGEST_MAX];
	struct mech_scram scram;
	struct buf out;

	buf_init(&out, 4096);
	mech_scram_init(&scram, SCRAM_SHA_256, plus);
	if (mech_scram_first(&scram, facts, first) == MECH_SCRAM_GOOD) {
		if (scram.login[0] == '\0' || (plus && facts->nbindings == 0))
			abort();
		if (mech_scram_salt(&scram, STR("4096,c2FsdA=="), STR("server"), &out) &&
		    mech_scram_final(&scram, final) == MECH_SCRAM_GOOD) {
			if (str_search(final, scram.nonce) == final.n ||
			    scram_keys_verify(&keys, buf_str(&scram.messages),
				(struct str){(const char *)scram.proof, scram_digest_bytes(scram.hash)}, signature))
				abort();
			mech_scram_signature(&scram, (struct str){(const char *)signature, sizeof signature}, &out);
		}
	}
	mech_scram_clear(&scram);
	buf_clear(&out);
}

static void
prepare(struct str password)
{
	struct scram_keys made = keys;
	struct buf once, twice;

	buf_init(&once, SASLPREP_MAX);
	buf_init(&twice, SASLPREP_MAX);
	if (saslprep(&once, password) &&
	    (!saslprep(&twice, buf_str(&once)) || !str_equal(buf_str(&once), buf_str(&twice))))
		abort();
	(void)scram_keys_parse(&made, SCRAM_SHA_256, password);
	buf_clear(&once);
	buf_clear(&twice);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const struct mech_facts plain = {.nbindings = 0};
	static const struct mech_facts bound = {
	    .bindings = {{.type = "tls-exporter", .bytes = "0123456789abcdef", .n = 16}}, .nbindings = 1};
	struct str final = {(const char *)bytes, n}, first;

	(void)str_token(&final, '\n', &first);
	run(&plain, false, first, final);
	run(&plain, true, first, final);
	run(&bound, false, first, final);
	run(&bound, true, first, final);
	prepare(first);
	return 0;
}
