#include "queue/scram_client.h"

#include <stdio.h>
#include <string.h>

#include "common/base/base64.h"
#include "common/login/saslprep.h"
#include "common/login/scram_message.h"

#define BINDING_MAX_BYTES 256
#define SERVER_NONCE_MAX 512

void
scram_client_init(struct scram_client *scram, enum scram_hash hash)
{
	memset(scram, 0, sizeof *scram);
	scram->hash = hash;
	buf_init(&scram->binding, BINDING_MAX_BYTES);
	buf_init(&scram->messages, SCRAM_MESSAGES_MAX);
}

void
scram_client_clear(struct scram_client *scram)
{
	buf_clear(&scram->binding);
	buf_clear_secret(&scram->messages);
	explicit_bzero(scram, sizeof *scram);
}

static const char *
refuse(struct scram_client *scram, const char *problem)
{
	scram->step = SCRAM_CLIENT_OVER;
	return problem;
}

/* --- the first message --------------------------------------------------------------------------------------------- */

/* saslname: a comma is `=2C`, an equals sign `=3D` (RFC 5802 5.1). */
static bool
name_add(struct buf *out, struct str user)
{
	struct buf prepared;
	bool good;

	buf_init(&prepared, SASLPREP_MAX);
	good = saslprep(&prepared, user);
	for (size_t i = 0; good && i < prepared.n; i++) {
		if (prepared.p[i] == ',')
			buf_adds(out, "=2C");
		else if (prepared.p[i] == '=')
			buf_adds(out, "=3D");
		else
			buf_addc(out, prepared.p[i]);
	}
	buf_clear(&prepared);
	return good && buf_ok(out);
}

/* gs2-header = gs2-cbind-flag "," "," */
static void
binding_make(struct scram_client *scram, const struct sasl_binding *binding, bool could_bind)
{
	if (binding == NULL) {
		buf_adds(&scram->binding, could_bind ? "y,," : "n,,");
		return;
	}
	buf_addf(&scram->binding, "p=%s,,", binding->type);
}

bool
scram_client_first(struct scram_client *scram, struct str user, struct str nonce, const struct sasl_binding *binding,
    bool could_bind, struct buf *out)
{
	if (scram->step != SCRAM_CLIENT_FIRST || !scram_nonce_is_good(nonce, sizeof scram->nonce - 1) ||
	    !str_copy(scram->nonce, sizeof scram->nonce, nonce))
		return false;
	binding_make(scram, binding, could_bind);
	buf_add(out, buf_str(&scram->binding));
	if (binding != NULL)
		buf_add(&scram->binding, (struct str){(const char *)binding->bytes, binding->n});
	buf_adds(&scram->messages, "n=");
	if (!name_add(&scram->messages, user))
		return false;
	buf_addf(&scram->messages, ",r=%s", scram->nonce);
	buf_add(out, buf_str(&scram->messages));
	scram->step = SCRAM_CLIENT_FINAL;
	return buf_ok(&scram->binding) && buf_ok(&scram->messages) && buf_ok(out);
}

/* --- the final one ------------------------------------------------------------------------------------------------- */

struct server_first {
	struct str nonce; /* both */
	unsigned char salt[SCRAM_SALT_MAX];
	size_t salt_bytes;
	uint64_t iterations;
};

static bool
salt_read(struct server_first *first, struct str text)
{
	struct buf salt;
	bool good;

	buf_init(&salt, SCRAM_SALT_MAX);
	good = base64_decode(&salt, text) && salt.n > 0;
	if (good)
		memcpy(first->salt, salt.p, salt.n);
	first->salt_bytes = good ? salt.n : 0;
	buf_clear(&salt);
	return good;
}

/* server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count ["," extensions]; no extension is known
 * that must be (m=). */
static const char *
server_first_read(const struct scram_client *scram, struct str message, struct server_first *first)
{
	struct str rest = message, mine = str_from(scram->nonce), salt, iterations;

	if (!scram_attribute(&rest, 'r', &first->nonce) || !scram_nonce_is_good(first->nonce, SERVER_NONCE_MAX) ||
	    !scram_attribute(&rest, 's', &salt) || !salt_read(first, salt) || !scram_attribute(&rest, 'i', &iterations) ||
	    !str_to_u64(iterations, UINT64_MAX, &first->iterations))
		return "the server's first message of SCRAM is malformed";
	if (!str_starts(first->nonce, mine) || first->nonce.n < mine.n + SCRAM_CLIENT_SERVER_NONCE_MIN)
		return "the server's nonce is not made of ours: somebody repeats an old login";
	if (first->iterations < SCRAM_CLIENT_ITERATIONS_MIN)
		return "the server wants fewer iterations than are safe";
	if (first->iterations > SCRAM_ITERATIONS_MAX)
		return "the server wants more iterations than are reasonable";
	return NULL;
}

/* Not the password's keys of another route: each has a memory of its own. */
static bool
keys_get(struct scram_client_memory *memory, enum scram_hash hash, struct str password, const struct server_first *first)
{
	struct str salt = {(const char *)first->salt, first->salt_bytes};
	bool good;

	if (memory->iterations == first->iterations && memory->hash == hash && memory->salt_bytes == salt.n &&
	    memcmp(memory->salt, salt.p, salt.n) == 0)
		return true;
	memory->iterations = 0;
	good = scram_client_keys_make(&memory->keys, hash, password, salt, (unsigned)first->iterations);
	if (!good)
		return false;
	memory->hash = hash;
	memory->iterations = (unsigned)first->iterations;
	memory->salt_bytes = salt.n;
	memcpy(memory->salt, salt.p, salt.n);
	return true;
}

/* client-final-message = "c=" base64 "," "r=" both nonces "," "p=" base64 */
static bool
final_make(struct scram_client *scram, const struct server_first *first, const struct scram_client_keys *keys,
    struct buf *out)
{
	unsigned char proof[SCRAM_DIGEST_MAX];
	size_t begin = scram->messages.n + 1, from = out->n;

	buf_adds(&scram->messages, ",c=");
	base64_encode(&scram->messages, buf_str(&scram->binding));
	buf_adds(&scram->messages, ",r=");
	buf_add(&scram->messages, first->nonce);
	if (!buf_ok(&scram->messages) ||
	    !scram_client_prove(keys, scram->hash, buf_str(&scram->messages), proof, scram->signature))
		return false;
	buf_add(out, str_skip(buf_str(&scram->messages), begin));
	buf_adds(out, ",p=");
	base64_encode(out, (struct str){(const char *)proof, scram_digest_bytes(scram->hash)});
	return buf_ok(out) && out->n > from;
}

const char *
scram_client_final(struct scram_client *scram, struct str password, struct scram_client_memory *memory,
    struct str server_first, struct buf *out)
{
	struct server_first first;
	const char *problem;

	if (scram->step != SCRAM_CLIENT_FINAL)
		return refuse(scram, "the server's message of SCRAM comes out of order");
	problem = server_first_read(scram, server_first, &first);
	if (problem != NULL)
		return refuse(scram, problem);
	buf_addc(&scram->messages, ',');
	buf_add(&scram->messages, server_first);
	if (!keys_get(memory, scram->hash, password, &first))
		return refuse(scram, "the password cannot be prepared for SCRAM");
	if (!final_make(scram, &first, &memory->keys, out))
		return refuse(scram, "the messages of SCRAM are too long");
	scram->step = SCRAM_CLIENT_CHECK;
	return NULL;
}

/* --- the server's proof -------------------------------------------------------------------------------------------- */

/* Its word for an error goes to the log, so nothing odd is left in it. */
static const char *
error_words(struct scram_client *scram, struct str word)
{
	struct str cut = str_sub(word, 0, 60);
	int n = snprintf(scram->problem, sizeof scram->problem, "the server refuses the login: ");

	for (size_t i = 0; i < cut.n; i++)
		scram->problem[(size_t)n + i] = ascii_is_print(cut.p[i]) ? cut.p[i] : '?';
	return scram->problem;
}

static bool
is_signature(const struct scram_client *scram, struct str text)
{
	struct buf bytes;
	bool same;

	buf_init(&bytes, SCRAM_DIGEST_MAX);
	same = base64_decode(&bytes, text) &&
	    str_equal_secret(buf_str(&bytes), (struct str){(const char *)scram->signature, scram_digest_bytes(scram->hash)});
	buf_clear(&bytes);
	return same;
}

/* server-final-message = (server-error / verifier) ["," extensions] */
const char *
scram_client_check(struct scram_client *scram, struct str server_final)
{
	struct str rest = server_final, value;

	if (scram->step != SCRAM_CLIENT_CHECK)
		return refuse(scram, "the server's message of SCRAM comes out of order");
	if (scram_attribute(&rest, 'e', &value))
		return refuse(scram, error_words(scram, value));
	if (!scram_attribute(&rest, 'v', &value) || !is_signature(scram, value))
		return refuse(scram, "the server does not prove that it knows the password");
	scram->step = SCRAM_CLIENT_PROVED;
	return NULL;
}
