#include "auth/directory_inner.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bsd/stdlib.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/password.h"
#include "common/base/log.h"

#define PROBLEMS_MAX_BYTES 8192
#define OVERFLOW_UID 65534 /* "nobody", and who does not exist in this user namespace */

static unsigned char host_secret[DIRECTORY_SECRET_BYTES];

void
directory_secret_make(void)
{
	static const char purpose[] = "salts of merpati's unknown users";
	struct textfile file;
	struct err err;

	textfile_init(&file, "/etc/machine-id");
	if (textfile_refresh(&file, &err) != TEXTFILE_NEW || file.n < 32 ||
	    HMAC(EVP_sha256(), file.text, 32, (const unsigned char *)purpose, sizeof purpose - 1, host_secret, NULL) == NULL)
		arc4random_buf(host_secret, sizeof host_secret);
	textfile_clear(&file);
}

void
directory_init(struct directory *directory, const struct conf *conf, const struct system_accounts *system)
{
	memset(directory, 0, sizeof *directory);
	directory->conf = conf;
	directory->system = system;
	directory->privileged = geteuid() == 0;
	memcpy(directory->secret, host_secret, sizeof directory->secret);
	textfile_init(&directory->users_text, conf->users_file);
	textfile_init(&directory->aliases_text, conf->aliases_file);
}

void
directory_clear(struct directory *directory)
{
	users_clear(&directory->users);
	aliases_clear(&directory->aliases);
	textfile_clear(&directory->users_text);
	textfile_clear(&directory->aliases_text);
}

/* --- the files ----------------------------------------------------------------------------------------------------- */

static void
log_problems(const struct directory *directory, struct buf *problems)
{
	struct str rest = buf_str(problems), line;

	while (!directory->silent && str_token(&rest, '\n', &line))
		if (line.n > 0)
			log_warning("%.*s", STR_FMT(line));
	if (!directory->silent && !buf_ok(problems))
		log_warning("... and more of the same");
	buf_clear(problems);
}

static void
complain_once(struct directory *directory, const struct err *err)
{
	if (!directory->complained && !directory->silent)
		log_error("%s", err->text);
	directory->complained = true;
}

static void
refresh_users(struct directory *directory)
{
	struct textfile *file = &directory->users_text;
	struct buf problems;
	struct err err;

	switch (textfile_refresh(file, &err)) {
	case TEXTFILE_SAME:
		return;
	case TEXTFILE_UNREADABLE:
		complain_once(directory, &err);
		users_clear(&directory->users);
		directory->users_there = false;
		return;
	case TEXTFILE_MISSING:
		users_clear(&directory->users);
		directory->users_there = false;
		return;
	case TEXTFILE_NEW:
		break;
	}
	if (!directory->silent && (file->seen.st_mode & (S_IROTH | S_IWOTH)))
		log_warning("%s: other users can read or write it; `chmod o= %s' mends that", file->path, file->path);
	users_clear(&directory->users);
	buf_init(&problems, PROBLEMS_MAX_BYTES);
	users_parse(&directory->users, file->text, file->n, file->path, &problems);
	log_problems(directory, &problems);
	directory->users_there = true;
	directory->complained = false;
}

static void
refresh_aliases(struct directory *directory)
{
	struct textfile *file = &directory->aliases_text;
	struct buf problems;
	struct err err;

	directory->aliases_unreadable = false;
	switch (textfile_refresh(file, &err)) {
	case TEXTFILE_SAME:
		return;
	case TEXTFILE_UNREADABLE:
		complain_once(directory, &err);
		aliases_clear(&directory->aliases);
		directory->aliases_unreadable = true;
		return;
	case TEXTFILE_MISSING:
		aliases_clear(&directory->aliases);
		return;
	case TEXTFILE_NEW:
		break;
	}
	aliases_clear(&directory->aliases);
	buf_init(&problems, PROBLEMS_MAX_BYTES);
	aliases_parse(&directory->aliases, (struct str){file->text, file->n}, file->path, &problems);
	log_problems(directory, &problems);
	directory->complained = false;
}

void
directory_refresh(struct directory *directory)
{
	refresh_users(directory);
	refresh_aliases(directory);
}

bool
directory_settle(struct directory *directory)
{
	unsigned users_ms = textfile_settles_ms(&directory->users_text);
	unsigned aliases_ms = textfile_settles_ms(&directory->aliases_text);
	unsigned wait_ms = users_ms > aliases_ms ? users_ms : aliases_ms;
	struct timespec wait = {.tv_nsec = (long)wait_ms * 1000000};

	if (wait_ms == 0)
		return false;
	(void)nanosleep(&wait, NULL);
	directory_refresh(directory);
	return true;
}

/* --- names --------------------------------------------------------------------------------------------------------- */

static bool
lower_copy(char *dst, size_t size, struct str s)
{
	if (!str_copy(dst, size, s))
		return false;
	for (size_t i = 0; i < s.n; i++)
		dst[i] = ascii_lower(dst[i]);
	return true;
}

bool
directory_name_parse(const struct directory *directory, struct str s, struct directory_name *name)
{
	size_t at = str_find_last(s, '@');
	struct str domain = str_skip(s, at + 1);

	name->ours = NULL;
	if (at == 0 || (at < s.n && domain.n == 0) || !lower_copy(name->local, sizeof name->local, str_sub(s, 0, at)) ||
	    !lower_copy(name->domain, sizeof name->domain, domain))
		return false;
	if (domain.n > 0)
		name->ours = conf_domain_find(directory->conf, str_from(name->domain));
	/* However the domain was written: accounts and aliases have it in one form. */
	return name->ours == NULL || str_copy(name->domain, sizeof name->domain, str_from(name->ours->name));
}

static bool
is_foreign(const struct directory_name *name)
{
	return name->domain[0] != '\0' && name->ours == NULL;
}

/* Cuts the detail off; false when there is none. */
static bool
name_cut_detail(const struct directory *directory, struct directory_name *name)
{
	const char *delimiter = directory->conf->recipient_delimiter;
	size_t at;

	if (delimiter[0] == '\0')
		return false;
	at = str_find(str_from(name->local), delimiter[0]);
	if (at == 0 || name->local[at] == '\0')
		return false;
	name->local[at] = '\0';
	return true;
}

const struct conf_domain *
directory_first_domain(const struct conf *conf, enum conf_accounts accounts)
{
	for (size_t i = 0; i < conf->ndomains; i++)
		if (conf->domains[i].accounts == accounts)
			return &conf->domains[i];
	return NULL;
}

/* --- accounts ------------------------------------------------------------------------------------------------------ */

/* Where an account's data came from: what its password is checked against. */
struct entry {
	const struct user *virtual; /* else the system's */
	struct system_user system;
};

static bool
path_add(struct buf *out, const char *template, const struct account *account)
{
	struct str name = str_from(account->name);
	size_t at = str_find(name, '@');

	for (const char *p = template; *p != '\0'; p++) {
		if (p == template && p[0] == '~' && (p[1] == '/' || p[1] == '\0'))
			buf_adds(out, account->home);
		else if (p[0] != '%')
			buf_addc(out, *p);
		else if (*++p == 'd')
			buf_add(out, str_skip(name, at + 1));
		else if (*p == 'n')
			buf_add(out, str_sub(name, 0, at));
		else if (*p == 'u')
			buf_add(out, name);
		else if (*p == '%')
			buf_addc(out, '%');
		else
			return false;
	}
	return buf_ok(out) && out->n > 0 && out->p[0] == '/';
}

static bool
path_expand(char *dst, size_t size, const char *template, const struct account *account)
{
	struct buf path;
	bool good;

	buf_init(&path, ACCOUNT_PATH_MAX);
	good = path_add(&path, template, account) && str_copy(dst, size, buf_str(&path));
	buf_clear(&path);
	return good;
}

static enum found
trouble(struct err *err, const char *what, const char *about)
{
	(void)err_set(err, ERR_TEMP, "%s %s", what, about);
	return FOUND_TROUBLE;
}

/* As an ordinary user everything is that user's. */
static enum found
set_owner(struct directory *directory, const struct user *user, struct account *account, struct err *err)
{
	struct system_user owner;
	enum found found;

	account->uid = user->uid;
	account->gid = user->gid;
	if (!directory->privileged) {
		if (user->uid != 0 && user->uid != geteuid())
			return trouble(err, "only root can serve another uid's account:", account->name);
		account->uid = geteuid();
		account->gid = getegid();
	} else if (user->uid == 0 || user->gid == 0) {
		found = directory->system->by_name(str_from(directory->conf->virtual_user), &owner, err);
		if (found == FOUND_TROUBLE)
			return found;
		if (found == FOUND_NOT)
			return trouble(err, "virtual_user: there is no user", directory->conf->virtual_user);
		account->uid = user->uid == 0 ? owner.uid : user->uid;
		account->gid = user->gid == 0 ? owner.gid : user->gid;
	}
	if (account->uid == 0 || account->gid == 0)
		return trouble(err, "root's uid or gid cannot own the mail of", account->name);
	return FOUND;
}

enum found
directory_virtual(struct directory *directory, const struct user *user, struct account *account, struct err *err)
{
	const struct conf *conf = directory->conf;
	char template[ACCOUNT_PATH_MAX + 1];
	enum found found;

	memset(account, 0, sizeof *account);
	if (!str_copy(account->name, sizeof account->name, user->name))
		return FOUND_NOT;
	found = set_owner(directory, user, account, err);
	if (found != FOUND)
		return found;
	if (user->home.n > 0 ? !str_copy(account->home, sizeof account->home, user->home)
			     : !path_expand(account->home, sizeof account->home, conf->virtual_home, account))
		return trouble(err, "virtual_home: no good path for", account->name);
	if (!str_copy(template, sizeof template, user->mail.n > 0 ? user->mail : str_from(conf->maildir)) ||
	    !path_expand(account->mail, sizeof account->mail, template, account))
		return trouble(err, "maildir: no good path for", account->name);
	return FOUND;
}

/* Has this user of the system a mailbox? */
static bool
system_user_is_served(const struct directory *directory, const struct system_user *user)
{
	if (user->gid == 0 || user->uid == OVERFLOW_UID || user->home[0] != '/')
		return false;
	if (!directory->privileged)
		return user->uid == geteuid();
	return user->uid >= directory->conf->auth.lowest_uid;
}

static enum found
system_account(struct directory *directory, const char *name, struct system_user *user, struct account *account,
    struct err *err)
{
	enum found found = directory->system->by_name(str_from(name), user, err);

	if (found != FOUND)
		return found;
	if (!system_user_is_served(directory, user) || !account_name_is_good(str_from(user->name)))
		return FOUND_NOT;
	memset(account, 0, sizeof *account);
	(void)str_copy(account->name, sizeof account->name, str_from(user->name));
	(void)str_copy(account->home, sizeof account->home, str_from(user->home));
	account->uid = user->uid;
	account->gid = user->gid;
	if (!path_expand(account->mail, sizeof account->mail, directory->conf->maildir, account))
		return trouble(err, "maildir: no good path for", account->name);
	return FOUND;
}

/* The line of the users file for local@domain, or for local alone when domain is NULL. */
static const struct user *
virtual_find(const struct directory *directory, const char *local, const char *domain)
{
	char name[2 * ACCOUNT_NAME_MAX + 2];
	int n = domain == NULL ? snprintf(name, sizeof name, "%s", local)
			       : snprintf(name, sizeof name, "%s@%s", local, domain);

	return n < 0 ? NULL : users_find(&directory->users, (struct str){name, (size_t)n});
}

bool
directory_is_virtual(const struct directory *directory, const struct directory_name *name)
{
	if (name->ours != NULL)
		return name->ours->accounts == CONF_ACCOUNTS_VIRTUAL;
	return name->domain[0] == '\0' && directory_first_domain(directory->conf, CONF_ACCOUNTS_SYSTEM) == NULL &&
	       directory_first_domain(directory->conf, CONF_ACCOUNTS_VIRTUAL) != NULL;
}

const struct user *
directory_user_find(const struct directory *directory, const struct directory_name *name)
{
	const struct user *user = NULL;

	if (is_foreign(name) || !account_name_is_good(str_from(name->local)))
		return NULL;
	if (name->ours != NULL && directory_is_virtual(directory, name))
		return virtual_find(directory, name->local, name->domain);
	user = virtual_find(directory, name->local, NULL);
	if (user == NULL && directory_is_virtual(directory, name))
		user = virtual_find(directory, name->local, directory_first_domain(directory->conf, CONF_ACCOUNTS_VIRTUAL)->name);
	return user;
}

/* The rules of directory.h, for a name without detail. */
static enum found
account_find(struct directory *directory, const struct directory_name *name, struct entry *entry, struct account *account,
    struct err *err)
{
	memset(entry, 0, sizeof *entry);
	if (is_foreign(name) || !account_name_is_good(str_from(name->local)))
		return FOUND_NOT;
	entry->virtual = directory_user_find(directory, name);
	if (entry->virtual != NULL)
		return directory_virtual(directory, entry->virtual, account, err);
	if (directory_is_virtual(directory, name))
		return directory->users_there ? FOUND_NOT : trouble(err, "there is no readable users file:",
		    directory->conf->users_file);
	if (name->ours == NULL && directory_first_domain(directory->conf, CONF_ACCOUNTS_SYSTEM) == NULL)
		return FOUND_NOT;
	return system_account(directory, name->local, &entry->system, account, err);
}

/* A hash of the kind that this users file holds, so that the unknown costs what the known do. */
static struct str
usual_password(const struct directory *directory)
{
	return directory->users.n == 0 ? STR_NONE : directory->users.list[0].password;
}

/* Whose account the login is. */
static enum found
login_find(struct directory *directory, struct str login, struct entry *entry, struct account *account, struct err *err)
{
	struct directory_name name;
	enum found found = FOUND_NOT;

	directory_refresh(directory);
	if (directory_name_parse(directory, login, &name)) {
		found = account_find(directory, &name, entry, account, err);
		if (found == FOUND_NOT && directory_settle(directory))
			found = account_find(directory, &name, entry, account, err);
	}
	if (found == FOUND_NOT)
		(void)err_set(err, ERR_PERM, "no such account");
	return found;
}

enum found
directory_verify(struct directory *directory, struct str login, struct str password, struct str remote,
    struct account *account, struct err *err)
{
	struct entry entry = {0};
	enum found found = login_find(directory, login, &entry, account, err);

	if (found != FOUND) {
		password_waste(usual_password(directory), password);
		return found;
	}
	if (entry.virtual == NULL)
		return directory->system->verify(directory->conf->auth.pam_service, &entry.system, password, remote, err);
	if (password_matches(entry.virtual->password, password))
		return FOUND;
	(void)err_set(err, ERR_PERM, "wrong password");
	return FOUND_NOT;
}

enum found
directory_login(struct directory *directory, struct str login, struct account *account, struct err *err)
{
	struct entry entry = {0};
	enum found found = login_find(directory, login, &entry, account, err);

	if (found != FOUND)
		return found;
	if (entry.virtual == NULL)
		return directory->system->permit(directory->conf->auth.pam_service, &entry.system, err);
	if (!password_is_locked(entry.virtual->password))
		return FOUND;
	(void)err_set(err, ERR_PERM, "locked");
	return FOUND_NOT;
}

/* --- addresses ----------------------------------------------------------------------------------------------------- */

static enum found
account_look(struct directory *directory, struct str text, struct account *account, struct err *err)
{
	struct entry entry;
	struct directory_name name;
	enum found found;

	if (!directory_name_parse(directory, text, &name))
		return FOUND_NOT;
	found = account_find(directory, &name, &entry, account, err);
	if (found == FOUND_NOT && name_cut_detail(directory, &name))
		found = account_find(directory, &name, &entry, account, err);
	return found;
}

enum found
directory_account(struct directory *directory, struct str text, struct account *account, struct err *err)
{
	enum found found;

	directory_refresh(directory);
	found = account_look(directory, text, account, err);
	if (found == FOUND_NOT && directory_settle(directory))
		found = account_look(directory, text, account, err);
	return found;
}

/* --- aliases ------------------------------------------------------------------------------------------------------- */

/* Whether the aliases without a domain hold for it: in system domains, and in the one that is this host's name. */
static bool
is_local_name(const struct directory *directory, const struct directory_name *name)
{
	if (name->ours == NULL)
		return name->domain[0] == '\0';
	return name->ours->accounts == CONF_ACCOUNTS_SYSTEM ||
	       str_equal_nocase(str_from(name->domain), str_from(directory->conf->hostname));
}

/* The entry for the address as a whole, or, if it is a local one, for its local part. */
static enum found
alias_find(struct directory *directory, const struct directory_name *name, const struct alias **alias, struct err *err)
{
	char whole[2 * ACCOUNT_NAME_MAX + 2];
	int n = snprintf(whole, sizeof whole, "%s@%s", name->local, name->domain);

	if (is_foreign(name))
		return FOUND_NOT;
	if (directory->aliases_unreadable)
		return trouble(err, "the aliases cannot be read:", directory->conf->aliases_file);
	*alias = n < 0 ? NULL : aliases_find(&directory->aliases, (struct str){whole, (size_t)n});
	if (*alias == NULL && is_local_name(directory, name))
		*alias = aliases_find(&directory->aliases, str_from(name->local));
	if (*alias == NULL)
		return FOUND_NOT;
	if (!(*alias)->broken)
		return FOUND;
	(void)err_set(err, ERR_TEMP, "%s:%u: the alias \"%.*s\" is broken", directory->conf->aliases_file,
	    (*alias)->line, STR_FMT((*alias)->name));
	return FOUND_TROUBLE;
}

static void
targets_add(struct buf *out, struct str targets, const char *domain)
{
	struct str target;

	for (bool first = true; str_token(&targets, ',', &target); first = false) {
		if (!first)
			buf_addc(out, ',');
		buf_add(out, target);
		if (str_find(target, '@') == target.n)
			buf_addf(out, "@%s", domain);
	}
}

/* The domain of bare names in the aliases file, when no other is at hand. */
static const char *
home_domain(const struct conf *conf)
{
	const struct conf_domain *system = directory_first_domain(conf, CONF_ACCOUNTS_SYSTEM);

	return system == NULL || conf_domain_find(conf, str_from(conf->hostname)) != NULL ? conf->hostname : system->name;
}

/* Whether mail for `targets` would come back to this name. */
static bool
leads_back(const struct directory *directory, struct str targets, const struct directory_name *name)
{
	struct str target;
	struct directory_name other;

	while (str_token(&targets, ',', &target))
		if (!directory_name_parse(directory, target, &other) ||
		    (strcmp(other.local, name->local) == 0 && !is_foreign(&other) &&
			(strcmp(other.domain, name->domain) == 0 ||
			    (is_local_name(directory, &other) && is_local_name(directory, name)))))
			return true;
	return false;
}

/* Names that take mail without an entry of their own: every domain's postmaster, and root, to whom a system writes but
 * who has no mailbox. */
static bool
is_ever_taken(const struct directory *directory, const struct directory_name *name)
{
	return strcmp(name->local, "postmaster") == 0 ||
	       (strcmp(name->local, "root") == 0 && is_local_name(directory, name));
}

/* They are the postmaster of the aliases file, or that of the configuration. */
static enum found
fallback_find(struct directory *directory, const struct directory_name *name, struct buf *out)
{
	const struct alias *alias = aliases_find(&directory->aliases, STR("postmaster"));
	struct str postmaster = str_from(directory->conf->postmaster);

	if (is_foreign(name) || !is_ever_taken(directory, name))
		return FOUND_NOT;
	if (alias != NULL && !alias->broken && !leads_back(directory, alias->targets, name))
		targets_add(out, alias->targets, home_domain(directory->conf));
	else if (postmaster.n > 0 && !leads_back(directory, postmaster, name))
		targets_add(out, postmaster, home_domain(directory->conf));
	else
		return FOUND_NOT;
	return FOUND;
}

/* What the name alone, with its detail or without, leads to. */
static enum found
alias_expand(struct directory *directory, const struct directory_name *name, struct buf *out, struct err *err)
{
	const struct alias *alias = NULL;
	enum found found = alias_find(directory, name, &alias, err);

	if (found == FOUND)
		targets_add(out, alias->targets,
		    name->domain[0] == '\0' ? directory->conf->hostname : name->domain);
	return found;
}

static enum found
alias_look(struct directory *directory, struct str address, struct buf *out, struct err *err)
{
	struct account account;
	struct entry entry;
	struct directory_name name;
	enum found found;

	if (!directory_name_parse(directory, address, &name))
		return FOUND_NOT;
	found = alias_expand(directory, &name, out, err);
	if (found != FOUND_NOT)
		return found;
	/* An account's own name with the delimiter in it goes before an alias without the detail. */
	found = account_find(directory, &name, &entry, &account, err);
	if (found == FOUND)
		return FOUND_NOT;
	if (found == FOUND_TROUBLE)
		return found;
	if (name_cut_detail(directory, &name)) {
		found = alias_expand(directory, &name, out, err);
		if (found != FOUND_NOT || account_find(directory, &name, &entry, &account, err) == FOUND)
			return found;
	}
	return fallback_find(directory, &name, out);
}

enum found
directory_alias(struct directory *directory, struct str address, struct buf *out, struct err *err)
{
	enum found found;

	directory_refresh(directory);
	found = alias_look(directory, address, out, err);
	if (found == FOUND_NOT && directory_settle(directory))
		found = alias_look(directory, address, out, err);
	return found;
}

#define SENDER_ALIASES_MAX 1000 /* names that are looked at for one sender */
#define SENDER_DEPTH_MAX 10

/* Does mail for the name come to the account? Names are the postmaster's own but for the first. */
static enum found
leads_to(struct directory *directory, struct str text, const struct account *account, unsigned depth, unsigned *left,
    struct err *err)
{
	struct account other;
	struct buf targets;
	struct str rest, target;
	enum found found;

	if (depth == SENDER_DEPTH_MAX || *left == 0)
		return FOUND_NOT;
	--*left;
	found = account_look(directory, text, &other, err);
	if (found == FOUND_TROUBLE || (found == FOUND && strcmp(other.name, account->name) == 0))
		return found;
	buf_init(&targets, ALIASES_TARGETS_MAX * 2);
	found = alias_look(directory, text, &targets, err);
	rest = buf_str(&targets);
	while (found == FOUND && str_token(&rest, ',', &target)) {
		enum found leads = leads_to(directory, target, account, depth + 1, left, err);

		if (leads != FOUND_NOT) {
			buf_clear(&targets);
			return leads;
		}
	}
	buf_clear(&targets);
	return found == FOUND ? FOUND_NOT : found;
}

enum found
directory_sender(struct directory *directory, struct str login_and_address, struct err *err)
{
	size_t blank = str_find(login_and_address, ' ');
	unsigned left = SENDER_ALIASES_MAX;
	struct account account;
	enum found found = directory_account(directory, str_sub(login_and_address, 0, blank), &account, err);

	if (found != FOUND)
		return found;
	return leads_to(directory, str_skip(login_and_address, blank + 1), &account, 0, &left, err);
}

/* A postmaster's mail must not be refused (RFC 5321 4.5.1); as long as nobody is postmaster it waits at its sender. */
static enum found
nobody_found(struct directory *directory, struct str address, struct err *err)
{
	struct directory_name name;

	if (!directory_name_parse(directory, address, &name) || is_foreign(&name) || !is_ever_taken(directory, &name))
		return FOUND_NOT;
	return trouble(err, "nobody gets such mail; the aliases file or `postmaster' must say who is", name.local);
}

enum found
directory_recipient(struct directory *directory, struct str address, bool *is_alias, struct err *err)
{
	struct account account;
	struct buf targets;
	enum found found;

	buf_init(&targets, ALIASES_TARGETS_MAX * 2);
	found = directory_alias(directory, address, &targets, err);
	buf_clear(&targets);
	*is_alias = found == FOUND;
	if (found == FOUND_NOT)
		found = directory_account(directory, address, &account, err);
	return found == FOUND_NOT ? nobody_found(directory, address, err) : found;
}

enum found
directory_uid(struct directory *directory, uid_t uid, struct buf *out, struct err *err)
{
	struct system_user user;
	enum found found = directory->system->by_uid(uid, &user, err);

	if (found == FOUND && !account_name_is_good(str_from(user.name)))
		return FOUND_NOT;
	if (found == FOUND)
		buf_adds(out, user.name);
	return found;
}
