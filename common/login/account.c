#include "common/login/account.h"

#include <limits.h>
#include <string.h>

static bool
name_byte_is_good(char c)
{
	return ascii_is_alnum(c) || (c & 0x80) != 0 || (c != '\0' && strchr("_.-+=~&'!#*", c) != NULL);
}

bool
account_name_is_good(struct str name)
{
	size_t at = str_find(name, '@');

	if (name.n == 0 || name.n > ACCOUNT_NAME_MAX || at + 1 == name.n)
		return false;
	if (!ascii_is_alnum(name.p[0]) && name.p[0] != '_' && (name.p[0] & 0x80) == 0)
		return false;
	if (at < name.n && !ascii_is_alnum(name.p[at + 1]))
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (i != at && !name_byte_is_good(name.p[i]))
			return false;
	return true;
}

void
account_format(struct buf *out, const struct account *account)
{
	buf_addf(out, "user=%s\tuid=%lu\tgid=%lu\thome=%s\tmail=%s", account->name, (unsigned long)account->uid,
	    (unsigned long)account->gid, account->home, account->mail);
}

/* Absolute, without a component "..", and without what would break the line that carries it. */
static bool
path_copy(char *dst, size_t size, struct str path)
{
	struct str rest = path, part;

	if (path.n == 0 || path.p[0] != '/')
		return false;
	for (size_t i = 0; i < path.n; i++)
		if ((unsigned char)path.p[i] < ' ' || path.p[i] == 127)
			return false;
	while (str_token(&rest, '/', &part))
		if (str_equal(part, STR("..")))
			return false;
	return str_copy(dst, size, path);
}

/* A uid or gid: not root's, and not the -1 that setresuid takes for "as it is". */
static bool
id_read(struct str s, uint32_t *id)
{
	uint64_t value;

	if (!str_to_u64(s, UINT32_MAX - 1, &value) || value == 0)
		return false;
	*id = (uint32_t)value;
	return true;
}

enum {
	HAS_USER = 1,
	HAS_UID = 2,
	HAS_GID = 4,
	HAS_HOME = 8,
	HAS_MAIL = 16,
	HAS_ALL = 31,
};

/* Reads one field; false when it is wrong or comes twice. */
static bool
field_read(struct account *account, struct str key, struct str value, unsigned *seen)
{
	unsigned field = 0;
	bool good = true;

	if (str_equal(key, STR("user"))) {
		field = HAS_USER;
		good = account_name_is_good(value) && str_copy(account->name, sizeof account->name, value);
	} else if (str_equal(key, STR("uid"))) {
		field = HAS_UID;
		good = id_read(value, &account->uid);
	} else if (str_equal(key, STR("gid"))) {
		field = HAS_GID;
		good = id_read(value, &account->gid);
	} else if (str_equal(key, STR("home"))) {
		field = HAS_HOME;
		good = path_copy(account->home, sizeof account->home, value);
	} else if (str_equal(key, STR("mail"))) {
		field = HAS_MAIL;
		good = path_copy(account->mail, sizeof account->mail, value);
	}
	good = good && (*seen & field) == 0;
	*seen |= field;
	return good;
}

bool
account_parse(struct account *account, struct str line)
{
	struct str rest = line, field;
	unsigned seen = 0;

	memset(account, 0, sizeof *account);
	while (str_token(&rest, '\t', &field)) {
		size_t equals = str_find(field, '=');

		if (!field_read(account, str_sub(field, 0, equals), str_skip(field, equals + 1), &seen))
			return false;
	}
	return seen == HAS_ALL;
}
