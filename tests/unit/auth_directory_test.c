#include "tests/unit/rows.h"

#include <unistd.h>

#include "auth/directory.h"
#include "auth/password.h"
#include "common/base/base64.h"

/* A system with a few users of its own. */
static enum found
fake_by_name(struct str name, struct system_user *user, struct err *err)
{
	static const struct system_user users[] = {
	    {"root", 0, 0, "/root"}, {"daemon", 1, 1, "/usr/sbin"}, {"baru", 1000, 1000, "/home/baru"},
	    {"nobody", 65534, 65534, "/nonexistent"}, {"_vmail", 989, 988, "/nonexistent"}, {"nohome", 1001, 1001, ""},
	};

	if (str_equal(name, STR("broken"))) {
		(void)err_set(err, ERR_TEMP, "the database is away");
		return FOUND_TROUBLE;
	}
	for (size_t i = 0; i < ROWS(users); i++) {
		if (!str_equal(name, str_from(users[i].name)))
			continue;
		*user = users[i];
		return FOUND;
	}
	return FOUND_NOT;
}

static enum found
fake_by_uid(uid_t uid, struct system_user *user, struct err *err)
{
	return uid == 1000 ? fake_by_name(STR("baru"), user, err) : FOUND_NOT;
}

static enum found
fake_verify(const char *service, const struct system_user *user, struct str password, struct str remote, struct err *err)
{
	assert_string_equal(service, "merpati");
	assert_str(remote, STR("10.0.0.1"));
	(void)user;
	(void)err_set(err, ERR_PERM, "PAM says no");
	return str_equal(password, STR("system")) ? FOUND : FOUND_NOT;
}

static enum found
fake_permit(const char *service, const struct system_user *user, struct err *err)
{
	assert_string_equal(service, "merpati");
	(void)err_set(err, ERR_PERM, "PAM: expired");
	return strcmp(user->name, "baru") == 0 ? FOUND : FOUND_NOT;
}

static const struct system_accounts fake_system = {fake_by_name, fake_by_uid, fake_verify, fake_permit};

struct scene {
	char directory_path[32];
	struct conf *conf;
	struct directory directory;
};

static void
file_write(const struct scene *scene, const char *name, const char *text)
{
	char path[64], temporary[64];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s", scene->directory_path, name);
	(void)snprintf(temporary, sizeof temporary, "%s/new", scene->directory_path);
	f = fopen(temporary, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(temporary, 0600), 0);
	assert_int_equal(rename(temporary, path), 0);
}

#define MIXED "[domain satu.test]\naccounts = virtual\n[domain dua.test]\naccounts = virtual\n[domain sys.test]\naccounts = system\n"

/* users, aliases: what the files hold; NULL: there is none. As if it were root's. */
static void
scene_open(struct scene *scene, const char *more_conf, const char *users, const char *aliases)
{
	struct buf text, problems;
	char path[64];

	memset(scene, 0, sizeof *scene);
	(void)snprintf(scene->directory_path, sizeof scene->directory_path, "/tmp/mdXXXXXX");
	assert_non_null(mkdtemp(scene->directory_path));
	buf_init(&text, 4096);
	buf_init(&problems, 4096);
	buf_adds(&text, "hostname = satu.test\nusers_file = users\naliases_file = aliases\nvirtual_home = /v/%d/%n\n");
	buf_adds(&text, more_conf);
	(void)snprintf(path, sizeof path, "%s/merpati.conf", scene->directory_path);
	scene->conf = conf_parse(buf_str(&text), path, "h", &problems);
	assert_str(buf_str(&problems), STR(""));
	if (users != NULL)
		file_write(scene, "users", users);
	if (aliases != NULL)
		file_write(scene, "aliases", aliases);
	directory_init(&scene->directory, scene->conf, &fake_system);
	scene->directory.privileged = true;
	scene->directory.silent = true;
	buf_clear(&text);
	buf_clear(&problems);
}

static void
scene_close(struct scene *scene)
{
	char command[64];

	directory_clear(&scene->directory);
	conf_free(scene->conf);
	(void)snprintf(command, sizeof command, "rm -rf %s", scene->directory_path);
	assert_int_equal(system(command), 0);
}

#define USERS \
	"baru@satu.test:!\n" \
	"lama@satu.test:!:2000:2001::/home/lama::userdb_mail=maildir:~/Mail\n" \
	"a+b@satu.test:!\n" \
	"solo:!\n" \
	"x@dua.test:!:5:5\n"

static void
names_lead_to_accounts(void **state)
{
	static const struct {
		const char *name;
		const char *line; /* NULL: none */
	} rows[] = {
	    {"baru@satu.test", "user=baru@satu.test\tuid=989\tgid=988\thome=/v/satu.test/baru\tmail=/v/satu.test/baru/Maildir"},
	    {"BARU@SATU.TEST", "user=baru@satu.test\tuid=989\tgid=988\thome=/v/satu.test/baru\tmail=/v/satu.test/baru/Maildir"},
	    {"lama@satu.test", "user=lama@satu.test\tuid=2000\tgid=2001\thome=/home/lama\tmail=/home/lama/Mail"},
	    {"baru+folder@satu.test",
		"user=baru@satu.test\tuid=989\tgid=988\thome=/v/satu.test/baru\tmail=/v/satu.test/baru/Maildir"},
	    {"a+b@satu.test", "user=a+b@satu.test\tuid=989\tgid=988\thome=/v/satu.test/a+b\tmail=/v/satu.test/a+b/Maildir"},
	    {"a+b+c@satu.test", NULL},
	    {"baru@sys.test", "user=baru\tuid=1000\tgid=1000\thome=/home/baru\tmail=/home/baru/Maildir"},
	    {"Baru+x@Sys.Test", "user=baru\tuid=1000\tgid=1000\thome=/home/baru\tmail=/home/baru/Maildir"},
	    {"baru", "user=baru\tuid=1000\tgid=1000\thome=/home/baru\tmail=/home/baru/Maildir"},
	    {"solo", "user=solo\tuid=989\tgid=988\thome=/v//solo\tmail=/v//solo/Maildir"},
	    {"solo@sys.test", "user=solo\tuid=989\tgid=988\thome=/v//solo\tmail=/v//solo/Maildir"},
	    {"solo@satu.test", NULL},
	    {"lama", NULL},
	    {"x@satu.test", NULL},
	    {"baru@dua.test", NULL},
	    {"baru@else.test", NULL},
	    {"root", NULL},
	    {"root@sys.test", NULL},
	    {"daemon", NULL},
	    {"nobody", NULL},
	    {"_vmail", NULL},
	    {"nohome", NULL},
	    {"", NULL},
	    {"@satu.test", NULL},
	    {"baru@", NULL},
	    {"../baru@satu.test", NULL},
	    {"+baru@satu.test", NULL},
	    {"baru/x", NULL},
	    {"baru@satu.test@satu.test", NULL},
	};
	struct scene scene;

	(void)state;
	scene_open(&scene, MIXED, USERS, NULL);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct account account;
		struct err err = {0};
		enum found found = directory_account(&scene.directory, str_from(rows[i].name), &account, &err);
		struct buf line;

		if (found != (rows[i].line != NULL ? FOUND : FOUND_NOT))
			fail_msg("%s: %d %s", rows[i].name, found, err.text);
		if (found != FOUND)
			continue;
		buf_init(&line, 4096);
		account_format(&line, &account);
		assert_str(buf_str(&line), str_from(rows[i].line));
		buf_clear(&line);
	}
	scene_close(&scene);
}

static void
with_virtual_domains_only_a_bare_name_is_in_the_first(void **state)
{
	struct account account;
	struct scene scene;
	struct err err;

	(void)state;
	scene_open(&scene, "[domain satu.test]\naccounts = virtual\n", USERS, NULL);
	assert_int_equal(directory_account(&scene.directory, STR("lama"), &account, &err), FOUND);
	assert_string_equal(account.name, "lama@satu.test");
	scene_close(&scene);
}

static void
what_cannot_be_told_now_is_trouble_and_not_unknown(void **state)
{
	struct account account;
	struct scene scene;
	struct err err = {0};

	(void)state;
	scene_open(&scene, MIXED, NULL, NULL);
	assert_int_equal(directory_account(&scene.directory, STR("baru@satu.test"), &account, &err), FOUND_TROUBLE);
	assert_int_equal(directory_account(&scene.directory, STR("baru@sys.test"), &account, &err), FOUND);
	assert_int_equal(directory_account(&scene.directory, STR("broken@sys.test"), &account, &err), FOUND_TROUBLE);
	assert_string_equal(err.text, "the database is away");
	file_write(&scene, "users", USERS);
	assert_int_equal(directory_account(&scene.directory, STR("baru@satu.test"), &account, &err), FOUND);
	scene_close(&scene);
}

static void
an_ordinary_user_serves_only_accounts_of_his_own(void **state)
{
	struct account account;
	struct scene scene;
	struct err err = {0};

	(void)state;
	scene_open(&scene, MIXED, "a@satu.test:!\nb@satu.test:!:4000000:4000000\n", NULL);
	scene.directory.privileged = false;
	/* Root, who is never the owner of mail, runs this test as somebody else would. */
	assert_int_equal(directory_account(&scene.directory, STR("a@satu.test"), &account, &err),
	    geteuid() == 0 ? FOUND_TROUBLE : FOUND);
	assert_int_equal(directory_account(&scene.directory, STR("b@satu.test"), &account, &err), FOUND_TROUBLE);
	assert_int_equal(directory_account(&scene.directory, STR("nohome"), &account, &err), FOUND_NOT);
	scene_close(&scene);
}

#define ALIASES \
	"postmaster: baru\n" \
	"all: baru, lama@satu.test, far@else.test\n" \
	"info@dua.test: x\n" \
	"pipe: |cmd\n" \
	"baru+special: lama@satu.test\n" \
	"self: self, baru\n"

static void
addresses_lead_to_aliases(void **state)
{
	static const struct {
		const char *address;
		enum found found;
		const char *targets;
	} rows[] = {
	    {"all@sys.test", FOUND, "baru@sys.test,lama@satu.test,far@else.test"},
	    {"ALL+x@sys.test", FOUND, "baru@sys.test,lama@satu.test,far@else.test"},
	    {"all@satu.test", FOUND, "baru@satu.test,lama@satu.test,far@else.test"}, /* satu.test is this host's name */
	    {"all@dua.test", FOUND_NOT, NULL},
	    {"info@dua.test", FOUND, "x@dua.test"},
	    {"info@sys.test", FOUND_NOT, NULL},
	    {"pipe@sys.test", FOUND_TROUBLE, NULL},
	    {"pipe+x@sys.test", FOUND_TROUBLE, NULL},
	    {"baru+special@sys.test", FOUND, "lama@satu.test"},
	    {"baru+other@sys.test", FOUND_NOT, NULL},
	    {"self@sys.test", FOUND, "self@sys.test,baru@sys.test"},
	    {"postmaster@sys.test", FOUND, "baru@sys.test"},
	    {"Postmaster@satu.test", FOUND, "baru@satu.test"},
	    {"postmaster@dua.test", FOUND, "baru@satu.test"}, /* no alias of its own: this host's */
	    {"postmaster@else.test", FOUND_NOT, NULL},
	    {"root@sys.test", FOUND, "baru@satu.test"},
	    {"root@dua.test", FOUND_NOT, NULL},
	    {"baru@sys.test", FOUND_NOT, NULL},
	    {"all@else.test", FOUND_NOT, NULL},
	    {"", FOUND_NOT, NULL},
	};
	struct scene scene;

	(void)state;
	scene_open(&scene, MIXED, USERS, ALIASES);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct err err = {0};
		struct buf out;
		enum found found;
		bool is_alias = false;

		buf_init(&out, 4096);
		found = directory_alias(&scene.directory, str_from(rows[i].address), &out, &err);
		if (found != rows[i].found)
			fail_msg("%s: %d %s", rows[i].address, found, err.text);
		if (found == FOUND) {
			assert_str(buf_str(&out), str_from(rows[i].targets));
			assert_int_equal(directory_recipient(&scene.directory, str_from(rows[i].address), &is_alias, &err), FOUND);
			assert_true(is_alias);
		}
		buf_clear(&out);
	}
	scene_close(&scene);
}

static void
recipients_are_aliases_or_accounts(void **state)
{
	static const struct {
		const char *address;
		enum found found;
		bool is_alias;
	} rows[] = {
	    {"baru@satu.test", FOUND, false},    {"baru+x@sys.test", FOUND, false}, {"all@sys.test", FOUND, true},
	    {"nobody@satu.test", FOUND_NOT, false}, {"x@else.test", FOUND_NOT, false}, {"pipe@sys.test", FOUND_TROUBLE, false},
	    {"root@sys.test", FOUND, true},
	};
	struct scene scene;

	(void)state;
	scene_open(&scene, MIXED, USERS, ALIASES);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct err err;
		bool is_alias = false;

		assert_int_equal(directory_recipient(&scene.directory, str_from(rows[i].address), &is_alias, &err), rows[i].found);
		assert_int_equal(is_alias, rows[i].is_alias);
	}
	scene_close(&scene);
}

/* postmaster@satu.test, by default; satu.test is this host's name. */
static void
a_postmaster_who_leads_to_nobody_else_is_trouble(void **state)
{
	struct scene scene;
	struct buf out;
	struct err err;
	bool is_alias;

	(void)state;
	scene_open(&scene, MIXED, USERS, "");
	buf_init(&out, 4096);
	assert_int_equal(directory_alias(&scene.directory, STR("postmaster@satu.test"), &out, &err), FOUND_NOT);
	assert_int_equal(directory_recipient(&scene.directory, STR("postmaster@satu.test"), &is_alias, &err), FOUND_TROUBLE);
	assert_int_equal(directory_recipient(&scene.directory, STR("Postmaster@sys.test"), &is_alias, &err), FOUND_TROUBLE);
	assert_int_equal(directory_recipient(&scene.directory, STR("postmaster@else.test"), &is_alias, &err), FOUND_NOT);
	assert_int_equal(directory_alias(&scene.directory, STR("postmaster@dua.test"), &out, &err), FOUND);
	assert_str(buf_str(&out), STR("postmaster@satu.test"));
	buf_clear(&out);
	scene_close(&scene);
	scene_open(&scene, MIXED, USERS, "postmaster: root\n");
	buf_init(&out, 4096);
	assert_int_equal(directory_alias(&scene.directory, STR("root@sys.test"), &out, &err), FOUND);
	assert_str(buf_str(&out), STR("postmaster@satu.test"));
	buf_clear(&out);
	scene_close(&scene);
}

static void
the_postmaster_of_the_configuration_stands_in(void **state)
{
	struct scene scene;
	struct buf out;
	struct err err;

	(void)state;
	scene_open(&scene, "postmaster = lama@satu.test\n" MIXED, USERS, NULL);
	buf_init(&out, 4096);
	assert_int_equal(directory_alias(&scene.directory, STR("postmaster@sys.test"), &out, &err), FOUND);
	assert_str(buf_str(&out), STR("lama@satu.test"));
	buf_clear(&out);
	scene_close(&scene);
}

static void
passwords_are_checked_where_the_account_is(void **state)
{
	char users[1300], stored[PASSWORD_HASH_MAX + 1];
	struct scene scene;
	struct err err;

	static const struct password_method method = {PASSWORD_BLOWFISH, 0};
	static const struct {
		const char *login, *password;
		enum found found;
		const char *name;
	} rows[] = {
	    {"baru@satu.test", "virtual", FOUND, "baru@satu.test"},
	    {"Baru@Satu.Test", "virtual", FOUND, "baru@satu.test"},
	    {"baru@satu.test", "system", FOUND_NOT, NULL},
	    {"baru+x@satu.test", "virtual", FOUND_NOT, NULL},
	    {"baru", "system", FOUND, "baru"},
	    {"baru@sys.test", "system", FOUND, "baru"},
	    {"baru", "virtual", FOUND_NOT, NULL},
	    {"solo", "virtual", FOUND, "solo"},
	    {"root", "system", FOUND_NOT, NULL},
	    {"daemon", "system", FOUND_NOT, NULL},
	    {"nobody", "system", FOUND_NOT, NULL},
	    {"locked@satu.test", "", FOUND_NOT, NULL},
	    {"x@else.test", "virtual", FOUND_NOT, NULL},
	    {"broken", "system", FOUND_TROUBLE, NULL},
	};

	(void)state;
	assert_true(password_make(&method, STR("virtual"), stored, sizeof stored, &err));
	(void)snprintf(users, sizeof users, "baru@satu.test:%s\nlocked@satu.test:!%s\nsolo:%s\n", stored, stored, stored);
	scene_open(&scene, MIXED, users, NULL);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct account account;
		enum found found = directory_verify(&scene.directory, str_from(rows[i].login), str_from(rows[i].password),
		    STR("10.0.0.1"), &account, &err);

		if (found != rows[i].found)
			fail_msg("%s %s: %d", rows[i].login, rows[i].password, found);
		if (found == FOUND)
			assert_string_equal(account.name, rows[i].name);
	}
	scene_close(&scene);
}

static void
a_changed_file_counts_at_once(void **state)
{
	struct account account;
	struct scene scene;
	struct err err;

	(void)state;
	scene_open(&scene, MIXED, "a@satu.test:!\n", NULL);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(directory_account(&scene.directory, STR("a@satu.test"), &account, &err), FOUND);
		file_write(&scene, "users", "b@satu.test:!\n");
		assert_int_equal(directory_account(&scene.directory, STR("a@satu.test"), &account, &err), FOUND_NOT);
		assert_int_equal(directory_account(&scene.directory, STR("b@satu.test"), &account, &err), FOUND);
		file_write(&scene, "users", "a@satu.test:!\n");
	}
	scene_close(&scene);
}

static void
uids_have_names(void **state)
{
	struct scene scene;
	struct buf out;
	struct err err;

	(void)state;
	scene_open(&scene, MIXED, NULL, NULL);
	buf_init(&out, 100);
	assert_int_equal(directory_uid(&scene.directory, 1000, &out, &err), FOUND);
	assert_str(buf_str(&out), STR("baru"));
	assert_int_equal(directory_uid(&scene.directory, 4711, &out, &err), FOUND_NOT);
	buf_clear(&out);
	scene_close(&scene);
}

#define KEYS_256 \
	"{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=," \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define VIRTUAL "[domain satu.test]\naccounts = virtual\n"

static void
scram_is_offered_when_everybody_can_use_it(void **state)
{
	static const struct {
		const char *conf, *users;
		unsigned offers;
	} rows[] = {
	    {VIRTUAL, "baru@satu.test:" KEYS_256 "\nx@satu.test:!\ny@satu.test:\n", CHECK_OFFER(SCRAM_SHA_256)},
	    {VIRTUAL, "baru@satu.test:" KEYS_256 "\nx@satu.test:$6$abcdefgh$x\n", 0},
	    {MIXED, "baru@satu.test:" KEYS_256 "\n", 0},
	    {VIRTUAL, "x@satu.test:!\n", 0},
	    {VIRTUAL, NULL, 0},
	    {"auth_scram = always\n" MIXED, NULL, CHECK_OFFER(SCRAM_SHA_256) | CHECK_OFFER(SCRAM_SHA_1)},
	    {"auth_scram = never\n" VIRTUAL, "baru@satu.test:" KEYS_256 "\n", 0},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct scene scene;

		scene_open(&scene, rows[i].conf, rows[i].users, NULL);
		directory_refresh(&scene.directory);
		assert_int_equal(directory_offers(&scene.directory), rows[i].offers);
		scene_close(&scene);
	}
}

/* The whole `iterations,salt`. */
static struct str
salt_of(struct scene *scene, const char *login)
{
	static struct buf out;
	struct err err;

	buf_clear(&out);
	buf_init(&out, 200);
	assert_int_equal(directory_salt(&scene->directory, str_from(login), SCRAM_SHA_256, &out, &err), FOUND);
	return buf_str(&out);
}

static void
who_does_not_exist_has_a_salt_too_and_always_the_same(void **state)
{
	static const char *const unknown[] = {"x@satu.test", "locked@satu.test", "crypt@satu.test", "x@else.test", "root",
	    "../x", "baru+x@satu.test", "a b"};
	struct scene scene;
	char first[100];

	(void)state;
	scene_open(&scene, VIRTUAL,
	    "baru@satu.test:" KEYS_256 "\nlocked@satu.test:!" KEYS_256 "\ncrypt@satu.test:$6$abcdefgh$x\n", NULL);
	assert_str(salt_of(&scene, "baru@satu.test"), STR("4096,W22ZaJ0SNY7soEsUEjb6gQ=="));
	assert_str(salt_of(&scene, "BARU"), STR("4096,W22ZaJ0SNY7soEsUEjb6gQ=="));
	for (size_t i = 0; i < ROWS(unknown); i++) {
		struct str salt = salt_of(&scene, unknown[i]);

		assert_true(str_starts(salt, STR("4096,")));
		assert_int_equal(salt.n, 5 + 24);
		assert_false(str_equal(salt, STR("4096,W22ZaJ0SNY7soEsUEjb6gQ==")));
		(void)str_copy(first, sizeof first, salt);
		assert_str(salt_of(&scene, unknown[i]), str_from(first));
		assert_false(str_equal(salt_of(&scene, unknown[(i + 1) % ROWS(unknown)]), str_from(first)));
	}
	(void)str_copy(first, sizeof first, salt_of(&scene, "x@satu.test"));
	assert_str(salt_of(&scene, "X"), str_from(first)); /* the same account, if there were one */
	scene.directory.secret[0] ^= 1;
	assert_false(str_equal(salt_of(&scene, "x@satu.test"), str_from(first)));
	scene_close(&scene);
}

static void
proofs_are_checked_where_the_keys_are(void **state)
{
	struct check_request request = {.type = CHECK_PROOF, .subject = STR("baru@satu.test"), .hash = SCRAM_SHA_256,
	    .messages = STR("n=user,r=rOprNGfwEbeRWgbNEkqO,"
	                    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
	                    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")};
	unsigned char signature[SCRAM_DIGEST_MAX];
	struct account account;
	struct scene scene;
	struct buf proof;
	struct err err;

	(void)state;
	buf_init(&proof, 64);
	assert_true(base64_decode(&proof, STR("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")));
	request.proof = buf_str(&proof);
	scene_open(&scene, VIRTUAL, "baru@satu.test:" KEYS_256 "\nlocked@satu.test:!" KEYS_256 "\n", NULL);
	assert_int_equal(directory_proof(&scene.directory, &request, &account, signature, &err), FOUND);
	assert_string_equal(account.name, "baru@satu.test");
	assert_int_equal(signature[0], 0xea); /* of v=6rri... */
	request.subject = STR("locked@satu.test");
	assert_int_equal(directory_proof(&scene.directory, &request, &account, signature, &err), FOUND_NOT);
	request.subject = STR("x@satu.test");
	assert_int_equal(directory_proof(&scene.directory, &request, &account, signature, &err), FOUND_NOT);
	request.subject = STR("baru@satu.test");
	request.hash = SCRAM_SHA_1;
	request.proof.n = 20;
	assert_int_equal(directory_proof(&scene.directory, &request, &account, signature, &err), FOUND_NOT);
	request.hash = SCRAM_SHA_256;
	request.proof.n = 32;
	proof.p[31] ^= 1;
	assert_int_equal(directory_proof(&scene.directory, &request, &account, signature, &err), FOUND_NOT);
	assert_string_equal(err.text, "wrong password");
	buf_clear(&proof);
	scene_close(&scene);
}

static void
who_needs_no_password_may_still_be_locked_out(void **state)
{
	static const struct {
		const char *login;
		enum found found;
		const char *name;
	} rows[] = {
	    {"baru@satu.test", FOUND, "baru@satu.test"},
	    {"BARU@satu.test", FOUND, "baru@satu.test"},
	    {"baru+x@satu.test", FOUND_NOT, NULL},
	    {"kosong@satu.test", FOUND, "kosong@satu.test"},
	    {"locked@satu.test", FOUND_NOT, NULL},
	    {"x@satu.test", FOUND_NOT, NULL},
	    {"x@else.test", FOUND_NOT, NULL},
	    {"baru@sys.test", FOUND, "baru"},
	    {"baru", FOUND, "baru"},
	    {"root", FOUND_NOT, NULL},
	    {"broken", FOUND_TROUBLE, NULL},
	    {"", FOUND_NOT, NULL},
	};
	struct scene scene;

	(void)state;
	scene_open(&scene, MIXED, "baru@satu.test:$6$abcdefgh$x\nkosong@satu.test:\nlocked@satu.test:!$6$abcdefgh$x\n", NULL);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct account account;
		struct err err = {0};

		assert_int_equal(directory_login(&scene.directory, str_from(rows[i].login), &account, &err), rows[i].found);
		if (rows[i].name != NULL)
			assert_string_equal(account.name, rows[i].name);
	}
	scene_close(&scene);
}

static void
a_login_sends_under_its_own_addresses(void **state)
{
	static const struct {
		const char *subject;
		enum found found;
	} rows[] = {
	    {"baru@satu.test baru@satu.test", FOUND},
	    {"baru@satu.test Baru@SATU.test", FOUND},
	    {"baru@satu.test baru+list@satu.test", FOUND},
	    {"baru@satu.test lama@satu.test", FOUND_NOT},
	    {"baru@satu.test baru@dua.test", FOUND_NOT},
	    {"baru@satu.test baru@elsewhere.test", FOUND_NOT},
	    {"baru@satu.test info@satu.test", FOUND},
	    {"lama@satu.test info@satu.test", FOUND},
	    {"x@dua.test info@satu.test", FOUND_NOT},
	    {"baru@satu.test info+x@satu.test", FOUND},
	    {"baru@satu.test all@satu.test", FOUND},
	    {"baru@satu.test loop@satu.test", FOUND_NOT},
	    {"baru@satu.test outside@satu.test", FOUND_NOT},
	    {"baru@satu.test wide@satu.test", FOUND},
	    {"baru baru@sys.test", FOUND},
	    {"baru office@sys.test", FOUND},
	    {"baru baru@satu.test", FOUND_NOT},
	    {"nobody@satu.test nobody@satu.test", FOUND_NOT},
	    {"baru@satu.test", FOUND_NOT},
	    {"baru@satu.test ", FOUND_NOT},
	    {"baru broken@sys.test", FOUND_TROUBLE},
	};
	struct scene scene;

	(void)state;
	scene_open(&scene, MIXED, USERS,
	    "info@satu.test: baru@satu.test, lama@satu.test\nall@satu.test: info@satu.test\nloop@satu.test: pool@satu.test\n"
	    "pool@satu.test: loop@satu.test\noutside@satu.test: baru@elsewhere.test\noffice: baru\n"
	    "wide@satu.test: a@elsewhere.test, lama@satu.test, all@satu.test\n");
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct err err = {0};

		if (directory_sender(&scene.directory, str_from(rows[i].subject), &err) != rows[i].found)
			fail_msg("%s", rows[i].subject);
	}
	scene_close(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_lead_to_accounts),
	    cmocka_unit_test(with_virtual_domains_only_a_bare_name_is_in_the_first),
	    cmocka_unit_test(what_cannot_be_told_now_is_trouble_and_not_unknown),
	    cmocka_unit_test(an_ordinary_user_serves_only_accounts_of_his_own),
	    cmocka_unit_test(addresses_lead_to_aliases),
	    cmocka_unit_test(recipients_are_aliases_or_accounts),
	    cmocka_unit_test(a_postmaster_who_leads_to_nobody_else_is_trouble),
	    cmocka_unit_test(the_postmaster_of_the_configuration_stands_in),
	    cmocka_unit_test(passwords_are_checked_where_the_account_is),
	    cmocka_unit_test(who_needs_no_password_may_still_be_locked_out),
	    cmocka_unit_test(scram_is_offered_when_everybody_can_use_it),
	    cmocka_unit_test(who_does_not_exist_has_a_salt_too_and_always_the_same),
	    cmocka_unit_test(proofs_are_checked_where_the_keys_are),
	    cmocka_unit_test(a_changed_file_counts_at_once),
	    cmocka_unit_test(uids_have_names),
	    cmocka_unit_test(a_login_sends_under_its_own_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
