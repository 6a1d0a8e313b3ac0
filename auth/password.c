#include "auth/password.h"

#include <crypt.h>
#include <stdio.h>
#include <string.h>


/* What a stored password may be tagged with, and how its hash then begins. {CRYPT}, and no tag: as it may. */
static const struct scheme {
	struct str tag;
	const char *prefixes[5];
} schemes[] = {
    {STR("YESCRYPT"), {"$y$"}},
    {STR("SHA512-CRYPT"), {"$6$"}},
    {STR("SHA256-CRYPT"), {"$5$"}},
    {STR("BLF-CRYPT"), {"$2y$", "$2b$", "$2a$", "$2x$"}},
    {STR("CRYPT"), {""}},
};

/* How new ones are made, in the order of enum password_scheme. 0 rounds: what libcrypt thinks right. */
static const struct {
	struct str word;
	const char *prefix;
	const char *tag;
	unsigned long rounds;
} makers[] = {
    [PASSWORD_YESCRYPT] = {STR("yescrypt"), "$y$", "{YESCRYPT}", 0},
    [PASSWORD_SHA512] = {STR("sha512"), "$6$", "{SHA512-CRYPT}", 100000},
    [PASSWORD_BLOWFISH] = {STR("bcrypt"), "$2b$", "{BLF-CRYPT}", 10},
};

/* Settings hashed for nothing when there is none to hash with: this distribution's own method and cost. */
#define WASTE_SETTING "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$"

static bool
prefix_fits(const struct scheme *scheme, struct str hash)
{
	for (size_t i = 0; i < 5 && scheme->prefixes[i] != NULL; i++)
		if (str_starts(hash, str_from(scheme->prefixes[i])))
			return true;
	return false;
}

/* Takes the tag off; false when it is unknown or does not fit. */
static bool
hash_of(struct str stored, struct str *hash)
{
	size_t end;

	*hash = stored;
	if (stored.n == 0 || stored.p[0] != '{')
		return true;
	end = str_find(stored, '}');
	if (end == stored.n)
		return false;
	*hash = str_skip(stored, end + 1);
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
		if (str_equal_nocase(schemes[i].tag, str_sub(stored, 1, end - 1)))
			return hash->n == 0 || hash->p[0] == '!' || hash->p[0] == '*' ||
			       prefix_fits(&schemes[i], *hash);
	return false;
}

static bool
is_locked(struct str hash)
{
	return hash.n == 0 || hash.p[0] == '!' || hash.p[0] == '*';
}

static bool
hash_is_known(const char *hash)
{
	int verdict = crypt_checksalt(hash);

	return verdict == CRYPT_SALT_OK || verdict == CRYPT_SALT_METHOD_LEGACY || verdict == CRYPT_SALT_TOO_CHEAP;
}

bool
password_is_known(struct str stored)
{
	char text[PASSWORD_HASH_MAX + 1];
	struct str hash;

	if (stored.n > PASSWORD_HASH_MAX || !hash_of(stored, &hash))
		return false;
	return is_locked(hash) || (str_copy(text, sizeof text, hash) && hash_is_known(text));
}

/* Hashes the password by the setting; whether the outcome is the setting again, as it is when that was its hash. */
static bool
hash_equals(const char *setting, struct str password)
{
	static struct crypt_data work; /* 32 KiB; wiped after each use */
	char clear[PASSWORD_MAX + 1];
	const char *hash;
	bool same = false;

	if (str_copy(clear, sizeof clear, password)) {
		hash = crypt_r(clear, setting, &work);
		same = hash != NULL && hash[0] != '*' && str_equal_secret(str_from(hash), str_from(setting));
	}
	explicit_bzero(clear, sizeof clear);
	explicit_bzero(&work, sizeof work);
	return same;
}

bool
password_matches(struct str stored, struct str password)
{
	char setting[PASSWORD_HASH_MAX + 1];
	struct str hash;

	if (!hash_of(stored, &hash) || is_locked(hash) || !str_copy(setting, sizeof setting, hash) ||
	    !hash_is_known(setting)) {
		password_waste(STR_NONE, password);
		return false;
	}
	return hash_equals(setting, password);
}

void
password_waste(struct str like, struct str password)
{
	char setting[PASSWORD_HASH_MAX + 1];
	struct str hash;

	if (like.n == 0 || !hash_of(like, &hash) || is_locked(hash) || !str_copy(setting, sizeof setting, hash) ||
	    !hash_is_known(setting))
		(void)str_copy(setting, sizeof setting, STR(WASTE_SETTING));
	(void)hash_equals(setting, password);
}

bool
password_make(enum password_scheme scheme, struct str password, char *dst, size_t size, struct err *err)
{
	static struct crypt_data work;
	char setting[CRYPT_GENSALT_OUTPUT_SIZE], clear[PASSWORD_MAX + 1];
	const char *hash;
	bool good;

	if (!str_copy(clear, sizeof clear, password) || password.n == 0)
		return err_set(err, ERR_PERM, "a password has 1 to %d bytes, none of them NUL", PASSWORD_MAX);
	if (crypt_gensalt_rn(makers[scheme].prefix, makers[scheme].rounds, NULL, 0, setting, sizeof setting) == NULL) {
		explicit_bzero(clear, sizeof clear);
		return err_sys(err, "crypt_gensalt: %.*s", STR_FMT(makers[scheme].word));
	}
	hash = crypt_r(clear, setting, &work);
	explicit_bzero(clear, sizeof clear);
	good = hash != NULL && hash[0] != '*' &&
	       snprintf(dst, size, "%s%s", makers[scheme].tag, hash) < (int)size;
	explicit_bzero(&work, sizeof work);
	return good || err_set(err, ERR_PERM, "crypt(3) could not hash the password");
}

bool
password_scheme_parse(struct str word, enum password_scheme *scheme)
{
	for (size_t i = 0; i < sizeof makers / sizeof makers[0]; i++) {
		if (!str_equal_nocase(word, makers[i].word))
			continue;
		*scheme = (enum password_scheme)i;
		return true;
	}
	return false;
}
