/*
 * What an account is subscribed to: the file merpati-subscriptions, a name a line in UTF-8. Until there is one, that of
 * another server counts: Dovecot's `subscriptions`, Courier's `courierimapsubscribed`.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/store/folder_name.h"
#include "common/mime/mutf7.h"
#include "common/store/store_inner.h"

#define FILE_NAME "merpati-subscriptions"

/* --- other servers' ------------------------------------------------------------------------------------------------------- */

/* A name with any separator, in modified UTF-7 or UTF-8; one that makes no sense is left out. */
static void
add_foreign(struct buf *out, struct str line, char separator)
{
	struct buf name;
	struct str level, decoded;
	bool good = true;

	buf_init(&name, 4096);
	while (good && str_token(&line, separator, &level)) {
		size_t start;

		if (name.n > 0)
			buf_addc(&name, STORE_SEPARATOR);
		start = name.n;
		if (!mutf7_decode(&name, level)) {
			buf_truncate(&name, start);
			buf_add(&name, level);
		}
		decoded = str_skip(buf_str(&name), start);
		good = decoded.n > 0 && str_find(decoded, STORE_SEPARATOR) == decoded.n;
	}
	if (good && folder_name_is_good(buf_str(&name))) {
		buf_add(out, buf_str(&name));
		buf_addc(out, '\n');
	}
	buf_clear(&name);
}

/* The first form does not tell its separator: a dot is in most names that have levels, unless a slash is. */
static void
add_dovecot(struct buf *out, struct str text)
{
	struct str line;
	bool second_form = str_starts(text, STR("V\t"));

	while (text.n > 0 && str_token(&text, '\n', &line)) {
		if (line.n == 0 || str_starts(line, STR("V\t")))
			continue;
		add_foreign(out, line, second_form ? '\t' : str_find(line, '/') < line.n ? '/' : '.');
	}
}

static void
add_courier(struct buf *out, struct str text)
{
	struct str line;

	while (text.n > 0 && str_token(&text, '\n', &line)) {
		if (str_starts(line, STR("INBOX.")))
			line = str_skip(line, 6);
		add_foreign(out, line, '.');
	}
}

static bool
read_foreign(struct store *store, struct buf *names, struct err *err)
{
	struct buf text;
	struct err why = {ERR_NONE, 0, ""};

	buf_init(&text, STORE_SUBSCRIPTIONS_BYTES);
	if (store_read_file(store->root, "subscriptions", &text, &why)) {
		add_dovecot(names, buf_str(&text));
	} else if (why.errnum == ENOENT) {
		buf_reset(&text);
		if (store_read_file(store->root, "courierimapsubscribed", &text, &why))
			add_courier(names, buf_str(&text));
	}
	buf_clear(&text);
	return buf_ok(names) || err_set(err, ERR_LIMIT, "too many subscriptions");
}

/* --- ours ----------------------------------------------------------------------------------------------------------------- */

bool
store_read_subscriptions(struct store *store, struct buf *names, struct err *err)
{
	struct err why = {ERR_NONE, 0, ""};

	if (store_read_file(store->root, FILE_NAME, names, &why))
		return true;
	if (why.errnum == ENOENT)
		return read_foreign(store, names, err);
	if (err != NULL)
		*err = why;
	return false;
}

static bool
is_same(struct str a, struct str b)
{
	return str_equal(a, b) || (folder_name_is_inbox(a) && folder_name_is_inbox(b));
}

/* Writes all names but this one, then this one if on. */
static bool
change(struct store *store, struct str name, bool on, struct err *err)
{
	struct buf old, new;
	struct str rest, line;
	size_t count = 0;
	bool ok;

	buf_init(&old, STORE_SUBSCRIPTIONS_BYTES);
	buf_init(&new, STORE_SUBSCRIPTIONS_BYTES);
	ok = store_read_subscriptions(store, &old, err);
	rest = buf_str(&old);
	while (ok && rest.n > 0 && str_token(&rest, '\n', &line)) {
		if (line.n == 0 || is_same(line, name))
			continue;
		count++;
		buf_add(&new, line);
		buf_addc(&new, '\n');
	}
	if (ok && on) {
		if (count >= STORE_SUBSCRIPTIONS_MAX)
			ok = err_set(err, ERR_LIMIT, "too many subscriptions");
		buf_add(&new, folder_name_is_inbox(name) ? STR("INBOX") : name);
		buf_addc(&new, '\n');
	}
	if (ok && !buf_ok(&new))
		ok = err_set(err, ERR_LIMIT, "too many subscriptions");
	ok = ok && store_write_file(store->root, FILE_NAME, buf_str(&new), err);
	buf_clear(&old);
	buf_clear(&new);
	return ok;
}

bool
store_subscribe(struct store *store, struct str name, bool on, struct err *err)
{
	bool ok;

	if (!folder_name_is_good(name))
		return store_refuse(err, EINVAL, "no folder can have this name");
	if (!store_lock(store, err))
		return false;
	ok = change(store, name, on, err);
	store_unlock(store);
	return ok;
}

/* --- the first login ------------------------------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	unsigned use;
} standard[] = {
    {"Drafts", MAILBOX_DRAFTS},
    {"Sent", MAILBOX_SENT},
    {"Trash", MAILBOX_TRASH},
    {"Junk", MAILBOX_JUNK},
    {"Archive", MAILBOX_ARCHIVE},
};

/* A folder of that name that was there before gets the use. */
static bool
mark_existing(struct store *store, struct str name, unsigned use, struct err *err)
{
	char disk[MAILDIR_NAME_MAX + 1];
	struct folder folder;
	bool ok;

	if (!store_find_directory(store, name, disk, err) || !folder_open(&folder, store, disk, false, err))
		return false;
	ok = folder_lock(&folder, err);
	if (ok && !(folder.state.state.uses & use)) {
		folder.state.state.uses |= use;
		ok = state_file_write(&folder.state, err);
	}
	folder_unlock(&folder);
	folder_clear(&folder);
	return ok;
}

static bool
has_use(const struct store_list *list, unsigned use)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->folders[i].exists && (list->folders[i].uses & use))
			return true;
	return false;
}

static bool
make_standard(struct store *store, struct str name, unsigned use, struct err *err)
{
	struct err why = {ERR_NONE, 0, ""};

	if (store_create(store, name, use, &why))
		return true;
	if (why.errnum == EEXIST)
		return mark_existing(store, name, use, err);
	if (err != NULL)
		*err = why;
	return false;
}

static bool
has_line(struct str text, struct str name)
{
	struct str line;

	while (text.n > 0 && str_token(&text, '\n', &line))
		if (is_same(line, name))
			return true;
	return false;
}

/* Under the Maildir's lock: what was subscribed to with another server, INBOX, and the standard folders that exist. */
static bool
subscribe_first(struct store *store, struct err *err)
{
	char disk[MAILDIR_NAME_MAX + 1];
	struct buf names;
	bool ok;

	buf_init(&names, STORE_SUBSCRIPTIONS_BYTES);
	ok = store_read_subscriptions(store, &names, err);
	if (!has_line(buf_str(&names), STR("INBOX")))
		buf_adds(&names, "INBOX\n");
	for (size_t i = 0; i < sizeof standard / sizeof standard[0]; i++) {
		struct str name = str_from(standard[i].name);

		if (store_find_directory(store, name, disk, NULL) && !has_line(buf_str(&names), name))
			buf_addf(&names, "%s\n", standard[i].name);
	}
	if (ok && !buf_ok(&names))
		ok = err_set(err, ERR_LIMIT, "too many subscriptions");
	ok = ok && store_write_file(store->root, FILE_NAME, buf_str(&names), err);
	buf_clear(&names);
	return ok;
}

bool
store_first_login(struct store *store, struct err *err)
{
	struct store_list list;
	struct stat st;
	bool ok;

	if (fstatat(store->root, FILE_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return true;
	if (!store_list(store, &list, err))
		return false;
	ok = true;
	for (size_t i = 0; ok && i < sizeof standard / sizeof standard[0]; i++)
		if (!has_use(&list, standard[i].use))
			ok = make_standard(store, str_from(standard[i].name), standard[i].use, err);
	/* The list of subscriptions comes last: as long as there is none, this is done again. */
	if (ok && store_lock(store, err)) {
		ok = subscribe_first(store, err);
		store_unlock(store);
	} else {
		ok = false;
	}
	store_list_clear(&list);
	return ok;
}
