#include "auth/password.h"

#include <crypt.h>
#include <stdio.h>
#include <string.h>

#include <bsd/stdlib.h>

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

/* The same of SCRAM's keys, as Dovecot has them too. */
static const struct str scram_tags[] = {
    [SCRAM_SHA_1] = STR("{SCRAM-SHA-1}"),
    [SCRAM_SHA_256] = STR("{SCRAM-SHA-256}"),
};

/* How new ones are made. 0 rounds: what libcrypt thinks right. */
static const struct {
	struct str word;
	const char *prefix;
	const char *tag;
	unsigned long rounds;
} makers[] = {
    [PASSWORD_SCRAM] = {STR("scram"), NULL, NULL, 0},
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

bool
password_keys(struct str stored, enum scram_hash hash, struct scram_keys *keys)
{
	return str_starts_nocase(stored, scram_tags[hash]) &&
	       scram_keys_parse(keys, hash, str_skip(stored, scram_tags[hash].n));
}

static bool
any_keys(struct str stored, struct scram_keys *keys)
{
	return password_keys(stored, SCRAM_SHA_256, keys) || password_keys(stored, SCRAM_SHA_1, keys);
}

static bool
has_scram_tag(struct str stored)
{
	return str_starts_nocase(stored, scram_tags[SCRAM_SHA_256]) || str_starts_nocase(stored, scram_tags[SCRAM_SHA_1]);
}

bool
password_is_locked(struct str stored)
{
	struct str hash = stored;

	if (stored.n > 0 && stored.p[0] == '{')
		hash = str_skip(stored, str_find(stored, '}') + 1);
	return hash.n > 0 && is_locked(hash);
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
	struct scram_keys keys;
	struct str hash;

	if (any_keys(stored, &keys) || (has_scram_tag(stored) && password_is_locked(stored)))
		return true;
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
	struct scram_keys keys;
	struct str hash;

	if (any_keys(stored, &keys))
		return scram_keys_match(&keys, password);
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
	struct scram_keys keys;
	struct str hash;

	if (any_keys(like, &keys)) {
		(void)scram_keys_match(&keys, password);
		return;
	}
	if (like.n == 0 || !hash_of(like, &hash) || is_locked(hash) || !str_copy(setting, sizeof setting, hash) ||
	    !hash_is_known(setting))
		(void)str_copy(setting, sizeof setting, STR(WASTE_SETTING));
	(void)hash_equals(setting, password);
}

static bool
scram_make(unsigned iterations, struct str password, char *dst, size_t size, struct err *err)
{
	struct scram_keys keys = {.hash = SCRAM_SHA_256, .iterations = iterations, .salt_bytes = SCRAM_SALT_BYTES};
	struct buf text;
	bool good;

	arc4random_buf(keys.salt, keys.salt_bytes);
	if (!scram_keys_make(&keys, password))
		return err_set(err, ERR_PERM, "the password has control characters or is not UTF-8");
	buf_init(&text, PASSWORD_HASH_MAX);
	buf_add(&text, scram_tags[keys.hash]);
	scram_keys_format(&text, &keys);
	good = buf_ok(&text) && str_copy(dst, size, buf_str(&text));
	buf_clear_secret(&text);
	explicit_bzero(&keys, sizeof keys);
	return good || err_set(err, ERR_LIMIT, "too long a hash");
}

static bool
crypt_make(enum password_scheme scheme, const char *clear, char *dst, size_t size, struct err *err)
{
	static struct crypt_data work;
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *hash;
	bool good;

	if (crypt_gensalt_rn(makers[scheme].prefix, makers[scheme].rounds, NULL, 0, setting, sizeof setting) == NULL)
		return err_sys(err, "crypt_gensalt: %.*s", STR_FMT(makers[scheme].word));
	hash = crypt_r(clear, setting, &work);
	good = hash != NULL && hash[0] != '*' &&
	       snprintf(dst, size, "%s%s", makers[scheme].tag, hash) < (int)size;
	explicit_bzero(&work, sizeof work);
	return good || err_set(err, ERR_PERM, "crypt(3) could not hash the password");
}

bool
password_make(const struct password_method *method, struct str password, char *dst, size_t size, struct err *err)
{
	char clear[PASSWORD_MAX + 1];
	bool good;

	if (!str_copy(clear, sizeof clear, password) || password.n == 0)
		return err_set(err, ERR_PERM, "a password has 1 to %d bytes, none of them NUL", PASSWORD_MAX);
	good = method->scheme == PASSWORD_SCRAM ? scram_make(method->iterations, password, dst, size, err)
						: crypt_make(method->scheme, clear, dst, size, err);
	explicit_bzero(clear, sizeof clear);
	return good;
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
