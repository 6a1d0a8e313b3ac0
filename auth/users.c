#include "auth/users.h"

#include <stdlib.h>
#include <string.h>

#include "auth/password.h"
#include "common/login/account.h"

/* For what is wrong with the line at hand. */
struct place {
	const char *path;
	unsigned line;
	struct buf *problems;
};

static bool
complain(const struct place *place, const char *what, struct str about)
{
	buf_addf(place->problems, "%s:%u: %s", place->path, place->line, what);
	if (about.n > 0) {
		buf_adds(place->problems, " \"");
		buf_add(place->problems, str_sub(about, 0, 100));
		buf_addc(place->problems, '"');
	}
	buf_addc(place->problems, '\n');
	return false;
}

static bool
id_read(const struct place *place, struct str s, uint32_t *id)
{
	uint64_t value = 0;

	if (s.n > 0 && (!str_to_u64(s, UINT32_MAX - 1, &value) || value == 0))
		return complain(place, "not a uid or gid (1 to 4294967294)", s);
	*id = (uint32_t)value;
	return true;
}

static bool
mail_read(const struct place *place, struct str value, struct str *mail)
{
	static const struct str format = STR("maildir:");

	*mail = str_starts(value, format) ? str_skip(value, format.n) : value;
	return str_starts(*mail, STR("/")) || str_starts(*mail, STR("~/")) ||
	       complain(place, "not the path of a Maildir", *mail);
}

static bool
extra_read(const struct place *place, struct str extra, struct user *user)
{
	static const struct str mail = STR("userdb_mail="), sha1 = STR(USERS_SHA1_WORD);
	struct scram_keys keys;
	struct str word;

	while (str_word(&extra, &word)) {
		if (str_starts(word, mail) && !mail_read(place, str_skip(word, mail.n), &user->mail))
			return false;
		if (!str_starts(word, sha1))
			continue;
		user->sha1 = str_skip(word, sha1.n);
		if (!scram_keys_parse(&keys, SCRAM_SHA_1, user->sha1))
			return complain(place, "malformed keys of SCRAM-SHA-1 for", user->name);
	}
	return true;
}

static struct str
field(struct str *rest)
{
	struct str s;

	return str_token(rest, ':', &s) ? s : STR("");
}

static bool
user_read(const struct place *place, struct str line, struct user *user)
{
	struct str rest = line;

	memset(user, 0, sizeof *user);
	user->line = place->line;
	user->name = field(&rest);
	if (!account_name_is_good(user->name))
		return complain(place, "not fit for the name of an account:", user->name);
	if (rest.p == NULL)
		return complain(place, "no password field for", user->name);
	user->password = field(&rest);
	if (!password_is_known(user->password))
		return complain(place, "an unknown password scheme or malformed hash for", user->name);
	if (!id_read(place, field(&rest), &user->uid) || !id_read(place, field(&rest), &user->gid))
		return false;
	(void)field(&rest); /* gecos */
	user->home = field(&rest);
	if (user->home.n > 0 && user->home.p[0] != '/')
		return complain(place, "not an absolute path:", user->home);
	(void)field(&rest); /* shell */
	/* The rest is one field: its values may hold colons. */
	return extra_read(place, rest, user);
}

/* By name, then by line, so that of two with one name the first stands first. */
static int
user_compare(const void *a, const void *b)
{
	const struct user *left = a, *right = b;
	int order = str_compare(left->name, right->name);

	if (order != 0)
		return order;
	return left->line < right->line ? -1 : left->line > right->line;
}

static void
drop_duplicates(struct users *users, struct place *place)
{
	size_t kept = 0;

	for (size_t i = 0; i < users->n; i++) {
		struct user *user = &users->list[i];

		if (kept == 0 || !str_equal(users->list[kept - 1].name, user->name)) {
			users->list[kept++] = *user;
			continue;
		}
		place->line = user->line;
		(void)complain(place, "a second line for", user->name);
	}
	users->n = kept;
}

bool
user_keys(const struct user *user, enum scram_hash hash, struct scram_keys *keys)
{
	if (user->password.n == 0 || password_is_locked(user->password))
		return false;
	return password_keys(user->password, hash, keys) ||
	       (hash == SCRAM_SHA_1 && user->sha1.n > 0 && scram_keys_parse(keys, hash, user->sha1));
}

static void
count_keys(struct users *users)
{
	struct scram_keys keys;

	for (size_t i = 0; i < users->n; i++) {
		const struct user *user = &users->list[i];

		users->nopen += user->password.n > 0 && !password_is_locked(user->password);
		for (size_t hash = 0; hash < SCRAM_HASHES; hash++)
			users->nkeys[hash] += user_keys(user, (enum scram_hash)hash, &keys);
	}
	explicit_bzero(&keys, sizeof keys);
}

static size_t
count_lines(const char *text, size_t n)
{
	size_t lines = 1;

	for (size_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	return lines;
}

/* The name only: everything else is left as it is. */
static void
name_to_lower(char *line, size_t n)
{
	for (size_t i = 0; i < n && line[i] != ':'; i++)
		line[i] = ascii_lower(line[i]);
}

void
users_parse(struct users *users, char *text, size_t n, const char *path, struct buf *problems)
{
	struct place place = {.path = path, .problems = problems};
	size_t off = 0;

	memset(users, 0, sizeof *users);
	users->list = calloc(count_lines(text, n), sizeof *users->list);
	if (users->list == NULL) {
		(void)complain(&place, "no memory for so many users", STR_NONE);
		return;
	}
	while (off < n) {
		struct str line = {text + off, n - off};

		line.n = str_find(line, '\n');
		place.line++;
		name_to_lower(text + off, line.n);
		off += line.n + 1;
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (str_trim(line).n == 0 || line.p[0] == '#')
			continue;
		if (user_read(&place, line, &users->list[users->n]))
			users->n++;
	}
	qsort(users->list, users->n, sizeof *users->list, user_compare);
	drop_duplicates(users, &place);
	count_keys(users);
}

void
users_clear(struct users *users)
{
	free(users->list);
	memset(users, 0, sizeof *users);
}

static int
name_compare(const void *key, const void *element)
{
	const struct str *name = key;
	const struct user *user = element;

	return str_compare(*name, user->name);
}

const struct user *
users_find(const struct users *users, struct str name)
{
	char lower[ACCOUNT_NAME_MAX + 1];
	struct str key = {lower, name.n};

	if (name.n > ACCOUNT_NAME_MAX || users->n == 0)
		return NULL;
	for (size_t i = 0; i < name.n; i++)
		lower[i] = ascii_lower(name.p[i]);
	return bsearch(&key, users->list, users->n, sizeof *users->list, name_compare);
}
