/*
 * The directory's part in SCRAM: for whom there are keys, whose salt it is, whether a proof is right.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/directory_inner.h"
#include "common/base/base64.h"

#define KEYS_TRIED 8 /* lines that are looked at for keys to be like */

unsigned
directory_offers(const struct directory *directory)
{
	enum conf_scram scram = directory->conf->auth.scram;
	bool has_system = directory_first_domain(directory->conf, CONF_ACCOUNTS_SYSTEM) != NULL;
	const struct users *users = &directory->users;
	unsigned offers = 0;

	for (unsigned hash = 0; hash < SCRAM_HASHES && scram != CONF_SCRAM_NEVER; hash++)
		if (scram == CONF_SCRAM_ALWAYS || (!has_system && users->nopen > 0 && users->nkeys[hash] == users->nopen))
			offers |= CHECK_OFFER(hash);
	return offers;
}

/* The line that the login means; NULL when there is none. name is filled in any case. */
static const struct user *
login_find(struct directory *directory, struct str login, struct directory_name *name)
{
	const struct user *user;

	directory_refresh(directory);
	if (!directory_name_parse(directory, login, name)) {
		memset(name, 0, sizeof *name);
		for (size_t i = 0; i < login.n && i < sizeof name->local - 1; i++)
			name->local[i] = ascii_lower(login.p[i]);
		return NULL;
	}
	user = directory_user_find(directory, name);
	if (user == NULL && directory_settle(directory))
		user = directory_user_find(directory, name);
	return user;
}

/*
 * Keys for a name that has none, the same at every time: its salt is a keyed digest of the name, which nobody can tell
 * from a random one who does not know the key, and the number of iterations and the length of the salt are those of
 * some real line.
 */
static void
keys_invent(const struct directory *directory, const struct directory_name *name, struct scram_keys *keys)
{
	const struct conf_domain *virtual = directory_first_domain(directory->conf, CONF_ACCOUNTS_VIRTUAL);
	const char *domain = directory_is_virtual(directory, name) && name->ours == NULL ? virtual->name : name->domain;
	unsigned char digest[SCRAM_DIGEST_MAX] = {0};
	char text[2 * ACCOUNT_NAME_MAX + 8];
	enum scram_hash hash = keys->hash;
	int n = snprintf(text, sizeof text, "%u %s@%s", (unsigned)hash, name->local, domain);
	size_t at;

	(void)HMAC(EVP_sha256(), directory->secret, sizeof directory->secret, (unsigned char *)text, (size_t)n, digest, NULL);
	at = digest[30] * 256U + digest[31];
	for (size_t i = 0; i < KEYS_TRIED && i < directory->users.n; i++)
		if (user_keys(&directory->users.list[(at + i) % directory->users.n], hash, keys))
			break;
	keys->hash = hash;
	if (keys->salt_bytes == 0)
		keys->iterations = (unsigned)directory->conf->auth.scram_iterations;
	if (keys->salt_bytes == 0 || keys->salt_bytes > SCRAM_SALT_BYTES)
		keys->salt_bytes = SCRAM_SALT_BYTES;
	memcpy(keys->salt, digest, SCRAM_SALT_BYTES);
}

/* Whether they are somebody's. */
static bool
keys_find(struct directory *directory, struct str login, struct scram_keys *keys, const struct user **user)
{
	enum scram_hash hash = keys->hash;
	struct directory_name name;

	*user = login_find(directory, login, &name);
	if (*user != NULL && user_keys(*user, hash, keys))
		return true;
	memset(keys, 0, sizeof *keys);
	keys->hash = hash;
	keys_invent(directory, &name, keys);
	return false;
}

static enum found
users_trouble(const struct directory *directory, struct err *err)
{
	if (directory->users_there || directory_first_domain(directory->conf, CONF_ACCOUNTS_VIRTUAL) == NULL)
		return FOUND;
	(void)err_set(err, ERR_TEMP, "there is no readable users file: %s", directory->conf->users_file);
	return FOUND_TROUBLE;
}

enum found
directory_salt(struct directory *directory, struct str login, enum scram_hash hash, struct buf *out, struct err *err)
{
	struct scram_keys keys = {.hash = hash};
	const struct user *user;

	(void)keys_find(directory, login, &keys, &user);
	buf_addf(out, "%u,", keys.iterations);
	base64_encode(out, (struct str){(const char *)keys.salt, keys.salt_bytes});
	explicit_bzero(&keys, sizeof keys);
	return users_trouble(directory, err);
}

enum found
directory_proof(struct directory *directory, const struct check_request *request, struct account *account,
    unsigned char signature[SCRAM_DIGEST_MAX], struct err *err)
{
	struct scram_keys keys = {.hash = request->hash};
	const struct user *user;
	bool known = keys_find(directory, request->subject, &keys, &user);
	bool right = scram_keys_verify(&keys, request->messages, request->proof, signature);

	explicit_bzero(&keys, sizeof keys);
	if (users_trouble(directory, err) != FOUND)
		return FOUND_TROUBLE;
	if (known && right)
		return directory_virtual(directory, user, account, err);
	(void)err_set(err, ERR_PERM, "%s", known ? "wrong password" : user != NULL ? "no keys for SCRAM" : "no such account");
	return FOUND_NOT;
}
