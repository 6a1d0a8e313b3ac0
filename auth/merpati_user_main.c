/*
 * merpati-user: the virtual accounts in the users file. Run as `merpati user`.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <bsd/readpassphrase.h>
#include <bsd/stdlib.h>

#include "auth/directory.h"
#include "auth/password.h"
#include "auth/users_edit.h"
#include "common/base/log.h"

struct options {
	const char *conf_path;
	const char *home;
	struct str uid, gid;
	struct password_method method;
	bool sha1;
	bool json;
	struct conf *conf;
};

static int
fail(int status, const char *text)
{
	(void)fprintf(stderr, "merpati user: %s\n", text);
	return status;
}

static int
fail_err(const struct err *err)
{
	if (err->errnum == EACCES || err->errnum == EPERM)
		return fail(EX_NOPERM, err->text);
	if (err->errnum != 0)
		return fail(EX_IOERR, err->text);
	return fail(EX_DATAERR, err->text);
}

/* --- passwords ----------------------------------------------------------------------------------------------------- */

/* From the terminal, without echo, twice; else the first line of standard input. */
static bool
password_ask(char *dst, size_t size, struct err *err)
{
	char again[PASSWORD_MAX + 2];
	bool same;

	if (readpassphrase("New password: ", dst, size, RPP_REQUIRE_TTY) == NULL ||
	    readpassphrase("The same again: ", again, sizeof again, RPP_REQUIRE_TTY) == NULL)
		return err_sys(err, "cannot read the password from the terminal");
	same = strcmp(dst, again) == 0;
	explicit_bzero(again, sizeof again);
	return same || err_set(err, ERR_PERM, "the two passwords differ; nothing was changed");
}

static bool
password_read(char *dst, size_t size, struct err *err)
{
	if (isatty(STDIN_FILENO))
		return password_ask(dst, size, err);
	if (fgets(dst, (int)size, stdin) == NULL)
		return err_set(err, ERR_PERM, "there is no password on standard input");
	dst[strcspn(dst, "\r\n")] = '\0';
	return true;
}

/* The keys with which clients log in that know only the older SCRAM, as the word that stands in the extra field. */
static bool
sha1_word(const struct options *options, struct str password, struct buf *word, struct err *err)
{
	struct scram_keys keys = {
	    .hash = SCRAM_SHA_1, .iterations = options->method.iterations, .salt_bytes = SCRAM_SALT_BYTES};
	bool good;

	arc4random_buf(keys.salt, keys.salt_bytes);
	good = scram_keys_make(&keys, password) ||
	       err_set(err, ERR_PERM, "the password has control characters or is not UTF-8");
	buf_adds(word, USERS_SHA1_WORD);
	scram_keys_format(word, &keys);
	explicit_bzero(&keys, sizeof keys);
	return good;
}

/* hash: PASSWORD_HASH_MAX + 1 bytes. word stays empty if it is not wanted. */
static bool
password_hash(const struct options *options, char *hash, struct buf *word, struct err *err)
{
	char clear[PASSWORD_MAX + 2];
	bool good = password_read(clear, sizeof clear, err) &&
		    password_make(&options->method, str_from(clear), hash, PASSWORD_HASH_MAX + 1, err) &&
		    (!options->sha1 || sha1_word(options, str_from(clear), word, err));

	explicit_bzero(clear, sizeof clear);
	return good;
}

/* --- commands ------------------------------------------------------------------------------------------------------ */

/* Names of the users file are addresses of virtual domains, or names of system users who shall have a password of
 * their own here. */
static bool
name_check(const struct options *options, struct str name, struct err *err)
{
	size_t at = str_find_last(name, '@');
	struct str domain = str_skip(name, at + 1);
	const struct conf_domain *ours = conf_domain_find(options->conf, domain);

	if (!account_name_is_good(name) || at > 64)
		return err_set(err, ERR_PERM, "\"%.*s\" is not fit for the name of an account", STR_FMT(name));
	if (at == name.n)
		return true;
	if (ours == NULL)
		return err_set(err, ERR_PERM, "%s has no [domain %.*s]", options->conf_path, STR_FMT(domain));
	if (ours->accounts != CONF_ACCOUNTS_VIRTUAL)
		return err_set(err, ERR_PERM, "the accounts of %s are those of the system: use adduser(8)", ours->name);
	return true;
}

static bool
fields_check(const struct options *options, struct err *err)
{
	uint64_t id;

	if ((options->uid.n > 0 && (!str_to_u64(options->uid, UINT32_MAX - 1, &id) || id == 0)) ||
	    (options->gid.n > 0 && (!str_to_u64(options->gid, UINT32_MAX - 1, &id) || id == 0)))
		return err_set(err, ERR_PERM, "--uid and --gid take numbers other than 0");
	if (options->home != NULL && (options->home[0] != '/' || strpbrk(options->home, ":\n") != NULL))
		return err_set(err, ERR_PERM, "--home takes an absolute path without a colon");
	return true;
}

static void
line_format(struct buf *line, const struct options *options, struct str name, const char *hash, const struct buf *word)
{
	for (size_t i = 0; i < name.n; i++)
		buf_addc(line, ascii_lower(name.p[i]));
	buf_addf(line, ":%s:%.*s:%.*s::%s::", hash, STR_FMT(options->uid), STR_FMT(options->gid),
	    options->home == NULL ? "" : options->home);
	buf_add(line, buf_str(word));
}

static int
user_add(const struct options *options, struct str name)
{
	char hash[PASSWORD_HASH_MAX + 1];
	struct err err = {0};
	struct buf line, word;
	bool good;

	buf_init(&line, 8192);
	buf_init(&word, 512);
	good = name_check(options, name, &err) && fields_check(options, &err) &&
	       password_hash(options, hash, &word, &err);
	if (good) {
		line_format(&line, options, name, hash, &word);
		good = users_edit_file(options->conf->users_file, USERS_ADD, name, buf_str(&line), &err);
	}
	buf_clear_secret(&line);
	buf_clear_secret(&word);
	return good ? EX_OK : fail_err(&err);
}

static int
user_passwd(const struct options *options, struct str name)
{
	char hash[PASSWORD_HASH_MAX + 1];
	struct err err = {0};
	struct buf value, word;
	bool good;

	buf_init(&value, 1024);
	buf_init(&word, 512);
	good = password_hash(options, hash, &word, &err);
	if (good) {
		buf_addf(&value, "%s%s", hash, word.n > 0 ? " " : "");
		buf_add(&value, buf_str(&word));
		good = users_edit_file(options->conf->users_file, USERS_PASSWD, name, buf_str(&value), &err);
	}
	buf_clear_secret(&value);
	buf_clear_secret(&word);
	return good ? EX_OK : fail_err(&err);
}

static int
user_del(const struct options *options, struct str name)
{
	struct directory directory;
	struct account account;
	struct err err = {0};
	bool has_mail;

	directory_init(&directory, options->conf, &system_accounts_real);
	directory.silent = true;
	has_mail = directory_account(&directory, name, &account, &err) == FOUND && access(account.mail, F_OK) == 0;
	directory_clear(&directory);
	if (!users_edit_file(options->conf->users_file, USERS_DELETE, name, STR_NONE, &err))
		return fail_err(&err);
	if (has_mail)
		(void)fprintf(stderr, "The mail is still in %s\n", account.mail);
	return EX_OK;
}

/* --- list ---------------------------------------------------------------------------------------------------------- */

static void
json_string(const char *key, const char *value)
{
	(void)printf("\"%s\": \"", key);
	for (const char *p = value; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			(void)printf("\\%c", *p);
		else if ((unsigned char)*p < ' ')
			(void)printf("\\u%04x", (unsigned)(unsigned char)*p);
		else
			(void)putchar(*p);
	}
	(void)putchar('"');
}

static void
account_print(const struct options *options, const struct account *account)
{
	if (!options->json) {
		(void)printf("%-32s %s\n", account->name, account->mail);
		return;
	}
	(void)putchar('{');
	json_string("user", account->name);
	(void)printf(", \"uid\": %lu, \"gid\": %lu, ", (unsigned long)account->uid, (unsigned long)account->gid);
	json_string("home", account->home);
	(void)printf(", ");
	json_string("mail", account->mail);
	(void)printf("}\n");
}

static int
user_list(const struct options *options, struct str unused)
{
	struct directory directory;
	int status = EX_OK;

	(void)unused;
	directory_init(&directory, options->conf, &system_accounts_real);
	directory_refresh(&directory);
	if (!directory.users_there && access(options->conf->users_file, F_OK) == 0)
		status = fail(EX_NOPERM, "the users file cannot be read");
	for (size_t i = 0; i < directory.users.n && status == EX_OK; i++) {
		struct account account;
		struct err err = {0};

		/* By its own line, whatever the name would mean elsewhere. */
		if (directory_virtual(&directory, &directory.users.list[i], &account, &err) == FOUND)
			account_print(options, &account);
		else
			status = fail(EX_CONFIG, err.text);
	}
	directory_clear(&directory);
	if (fflush(stdout) != 0 && status == EX_OK)
		status = fail(EX_IOERR, "cannot write to standard output");
	return status;
}

/* --- options ------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int (*run)(const struct options *options, struct str name);
	bool has_name;
	const char *usage;
} commands[] = {
    {"add", user_add, true, "add [--uid N] [--gid N] [--home PATH] [--scheme SCHEME] [--sha1] NAME"},
    {"passwd", user_passwd, true, "passwd [--scheme SCHEME] [--sha1] NAME"},
    {"del", user_del, true, "del NAME"},
    {"list", user_list, false, "list [--json]"},
};

#define NAME_MAX_BYTES 1024
#define COMMANDS (sizeof commands / sizeof commands[0])

static int
usage(void)
{
	for (size_t i = 0; i < COMMANDS; i++)
		(void)fprintf(stderr, "%s merpati user [-c FILE] %s\n", i == 0 ? "usage:" : "      ", commands[i].usage);
	(void)fprintf(stderr, "The password is asked for, or read from standard input. SCHEME: scram, yescrypt, sha512, bcrypt.\n");
	return EX_USAGE;
}

static bool
options_read(struct options *options, int argc, char **argv)
{
	static const struct option longs[] = {
	    {"uid", required_argument, NULL, 'u'},
	    {"gid", required_argument, NULL, 'g'},
	    {"home", required_argument, NULL, 'h'},
	    {"scheme", required_argument, NULL, 's'},
	    {"sha1", no_argument, NULL, '1'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:", longs, NULL)) != -1) {
		if (option == 'c')
			options->conf_path = optarg;
		else if (option == 'u')
			options->uid = str_from(optarg);
		else if (option == 'g')
			options->gid = str_from(optarg);
		else if (option == 'h')
			options->home = optarg;
		else if (option == 'j')
			options->json = true;
		else if (option == '1')
			options->sha1 = true;
		else if (option != 's' || !password_scheme_parse(str_from(optarg), &options->method.scheme))
			return false;
	}
	return true;
}

/* A domain of ours in the one form in which the users file has it; anything else as it is. */
static struct str
name_in_ascii(const struct options *options, struct str name, char buffer[NAME_MAX_BYTES + 1])
{
	size_t at = str_find_last(name, '@');
	const struct conf_domain *ours = at < name.n ? conf_domain_find(options->conf, str_skip(name, at + 1)) : NULL;
	int n;

	if (ours == NULL)
		return name;
	n = snprintf(buffer, NAME_MAX_BYTES + 1, "%.*s@%s", STR_FMT(str_sub(name, 0, at)), ours->name);
	return n <= NAME_MAX_BYTES ? (struct str){buffer, (size_t)n} : name;
}

int
main(int argc, char **argv)
{
	struct options options = {.conf_path = conf_default_path(), .method.scheme = PASSWORD_SCRAM};
	struct err err;
	char name[NAME_MAX_BYTES + 1];
	int left, status;

	if (!options_read(&options, argc, argv))
		return usage();
	left = argc - optind;
	for (size_t i = 0; i < COMMANDS; i++) {
		if (left == 0 || strcmp(argv[optind], commands[i].name) != 0)
			continue;
		if (left != (commands[i].has_name ? 2 : 1))
			return usage();
		if (!conf_load(options.conf_path, &options.conf, &err))
			return fail(EX_CONFIG, err.text);
		options.method.iterations = (unsigned)options.conf->auth.scram_iterations;
		log_open(options.conf->syslog_tag, "user", LOG_TO_STDERR);
		status = commands[i].run(&options, name_in_ascii(&options, str_from(argv[optind + 1]), name));
		conf_free(options.conf);
		return status;
	}
	return usage();
}
