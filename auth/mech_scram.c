#include "auth/mech_scram.h"

#include <string.h>

#include "common/login/sasl_name.h"
#include "common/base/base64.h"

#define BINDING_MAX_BYTES 2048

void
mech_scram_init(struct mech_scram *scram, enum scram_hash hash, bool plus)
{
	memset(scram, 0, sizeof *scram);
	scram->hash = hash;
	scram->plus = plus;
	buf_init(&scram->binding, BINDING_MAX_BYTES);
	buf_init(&scram->messages, SCRAM_MESSAGES_MAX);
	/* So that scram->nonce, which points into it, stays good while it grows. */
	(void)buf_reserve(&scram->messages, SCRAM_MESSAGES_MAX);
}

void
mech_scram_clear(struct mech_scram *scram)
{
	buf_clear(&scram->binding);
	buf_clear_secret(&scram->messages);
	explicit_bzero(scram, sizeof *scram);
}

/* --- the client's first message ------------------------------------------------------------------------------------ */

static const struct mech_binding *
binding_find(const struct mech_facts *facts, struct str type)
{
	for (size_t i = 0; i < facts->nbindings; i++)
		if (str_equal(str_from(facts->bindings[i].type), type))
			return &facts->bindings[i];
	return NULL;
}

/*
 * gs2-cbind-flag = ("p=" cb-name) / "n" / "y". With "y" the client says that it would bind, but was not offered to: if
 * it was, somebody between has changed the list of mechanisms (RFC 5802 6).
 */
static enum mech_scram_result
flag_check(const struct mech_scram *scram, const struct mech_facts *facts, struct str flag,
    const struct mech_binding **binding)
{
	*binding = NULL;
	if (str_starts(flag, STR("p="))) {
		if (!scram->plus)
			return MECH_SCRAM_MALFORMED;
		*binding = binding_find(facts, str_skip(flag, 2));
		return *binding == NULL ? MECH_SCRAM_UNBOUND : MECH_SCRAM_GOOD;
	}
	if (str_equal(flag, STR("n")))
		return scram->plus ? MECH_SCRAM_MALFORMED : MECH_SCRAM_GOOD;
	if (!str_equal(flag, STR("y")) || scram->plus)
		return MECH_SCRAM_MALFORMED;
	return facts->nbindings > 0 ? MECH_SCRAM_UNBOUND : MECH_SCRAM_GOOD;
}

/* client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]; no extension is known that must
 * be (m=). */
static bool
bare_read(struct mech_scram *scram, struct str bare)
{
	struct str rest = bare, name, nonce;

	if (!scram_attribute(&rest, 'n', &name) || !sasl_name_read(scram->login, name) || !scram_attribute(&rest, 'r', &nonce) ||
	    !scram_nonce_is_good(nonce, SCRAM_NONCE_MAX))
		return false;
	buf_add(&scram->messages, bare);
	if (!buf_ok(&scram->messages))
		return false;
	scram->nonce = (struct str){scram->messages.p + (nonce.p - bare.p), nonce.n};
	return true;
}

/* gs2-header = gs2-cbind-flag "," ["a=" saslname] ","; then the bare message */
enum mech_scram_result
mech_scram_first(struct mech_scram *scram, const struct mech_facts *facts, struct str message)
{
	char identity[ACCOUNT_NAME_MAX + 1] = "";
	const struct mech_binding *binding;
	struct str rest = message, flag, other;
	enum mech_scram_result result;

	if (scram->step != MECH_SCRAM_FIRST || str_find(message, '\0') < message.n || !str_token(&rest, ',', &flag) ||
	    !str_token(&rest, ',', &other) || rest.p == NULL ||
	    (other.n > 0 && (!str_starts(other, STR("a=")) || !sasl_name_read(identity, str_skip(other, 2)))) ||
	    !bare_read(scram, rest))
		return MECH_SCRAM_MALFORMED;
	if (identity[0] != '\0' && strcmp(identity, scram->login) != 0)
		return MECH_SCRAM_OTHER_IDENTITY;
	result = flag_check(scram, facts, flag, &binding);
	if (result != MECH_SCRAM_GOOD)
		return result;
	buf_add(&scram->binding, str_sub(message, 0, message.n - rest.n));
	if (binding != NULL)
		buf_add(&scram->binding, (struct str){(const char *)binding->bytes, binding->n});
	scram->step = MECH_SCRAM_SALT;
	return buf_ok(&scram->binding) ? MECH_SCRAM_GOOD : MECH_SCRAM_MALFORMED;
}

/* --- the rest ------------------------------------------------------------------------------------------------------ */

/* r=both nonces,s=salt,i=iterations */
bool
mech_scram_salt(struct mech_scram *scram, struct str parameters, struct str nonce, struct buf *out)
{
	struct buf *messages = &scram->messages;
	struct str client = scram->nonce, salt = parameters, iterations;
	size_t begin;

	if (scram->step != MECH_SCRAM_SALT || !scram_nonce_is_good(nonce, SCRAM_NONCE_MAX) ||
	    !str_token(&salt, ',', &iterations))
		return false;
	buf_addc(messages, ',');
	begin = messages->n;
	buf_adds(messages, "r=");
	buf_add(messages, client);
	buf_add(messages, nonce);
	buf_adds(messages, ",s=");
	buf_add(messages, salt);
	buf_adds(messages, ",i=");
	buf_add(messages, iterations);
	if (!buf_ok(messages))
		return false;
	scram->nonce = (struct str){messages->p + begin + 2, client.n + nonce.n};
	scram->step = MECH_SCRAM_FINAL;
	buf_add(out, str_skip(buf_str(messages), begin));
	return buf_ok(out);
}

static bool
proof_read(struct mech_scram *scram, struct str text)
{
	size_t n = scram_digest_bytes(scram->hash);
	struct buf proof;
	bool good;

	buf_init(&proof, SCRAM_DIGEST_MAX);
	good = base64_decode(&proof, text) && proof.n == n;
	if (good)
		memcpy(scram->proof, proof.p, n);
	buf_clear_secret(&proof);
	return good;
}

static bool
is_bound(const struct mech_scram *scram, struct str text)
{
	struct buf bytes;
	bool same;

	buf_init(&bytes, BINDING_MAX_BYTES);
	same = base64_decode(&bytes, text) && str_equal_secret(buf_str(&bytes), buf_str(&scram->binding));
	buf_clear(&bytes);
	return same;
}

/* client-final-message = "c=" base64 "," "r=" both nonces ["," extensions] "," "p=" base64: the proof is the last */
enum mech_scram_result
mech_scram_final(struct mech_scram *scram, struct str message)
{
	size_t last = str_find_last(message, ',');
	struct str rest = str_sub(message, 0, last), proof = str_skip(message, last + 1), binding, nonce;

	if (scram->step != MECH_SCRAM_FINAL || !str_starts(proof, STR("p=")) || !proof_read(scram, str_skip(proof, 2)) ||
	    !scram_attribute(&rest, 'c', &binding) || !scram_attribute(&rest, 'r', &nonce) ||
	    !str_equal_secret(nonce, scram->nonce))
		return MECH_SCRAM_MALFORMED;
	if (!is_bound(scram, binding))
		return MECH_SCRAM_UNBOUND;
	buf_addc(&scram->messages, ',');
	buf_add(&scram->messages, str_sub(message, 0, last));
	scram->step = MECH_SCRAM_PROOF;
	return buf_ok(&scram->messages) ? MECH_SCRAM_GOOD : MECH_SCRAM_MALFORMED;
}

void
mech_scram_signature(struct mech_scram *scram, struct str signature, struct buf *out)
{
	scram->step = MECH_SCRAM_OVER;
	buf_adds(out, "v=");
	base64_encode(out, signature);
}
