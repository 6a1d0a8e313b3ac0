#include "tests/unit/rows.h"

#include "tests/unit/maildir.h"

#include <sys/socket.h>

#include "common/store/store_news.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, place_setup, place_teardown)

/* Each folder as NAME with + exists, > has children, s subscribed, and its uses. */
static void
folders_are(struct place *p, const char *expected)
{
	struct store_list list;
	struct err err;
	struct buf text;

	buf_init(&text, 65536);
	if (!store_list(p->store, &list, &err))
		fail_msg("store_list: %s", err.text);
	for (size_t i = 0; i < list.n; i++) {
		struct store_folder *f = &list.folders[i];

		buf_addf(&text, "%s%s%s%s%s", i > 0 ? " " : "", f->name, f->exists ? "+" : "",
		    f->has_children ? ">" : "", f->subscribed ? "s" : "");
		for (unsigned bit = 0; bit < MAILBOX_USE_COUNT; bit++)
			if (f->uses & 1u << bit)
				buf_adds(&text, mailbox_use_name(bit));
	}
	assert_str(buf_str(&text), str_from(expected));
	buf_clear(&text);
	store_list_clear(&list);
}

static void
make(struct place *p, const char *name)
{
	struct err err;

	if (!store_create(p->store, str_from(name), 0, &err))
		fail_msg("store_create %s: %s", name, err.text);
}

static void
fails_with(bool ok, const struct err *err, int errnum)
{
	assert_false(ok);
	assert_int_equal(err->class, ERR_PERM);
	assert_int_equal(err->errnum, errnum);
}

static void
a_maildir_is_made_for_its_owner_alone(void **state)
{
	struct place *p = *state;
	static const char *const parts[] = {"", "cur", "new", "tmp"};
	struct stat st;

	for (size_t i = 0; i < ROWS(parts); i++) {
		assert_int_equal(stat(path_in(p, parts[i]), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0700);
	}
	make(p, "a");
	assert_int_equal(stat(path_in(p, ".a"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(path_in(p, ".a/maildirfolder"), &st), 0);
	assert_int_equal(stat(path_in(p, ".a/merpati-mailbox"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void
homes_are_made_but_not_through_links(void **state)
{
	struct place *p = *state;
	struct store *s;
	struct err err;
	char home[256], mail[300];

	(void)snprintf(home, sizeof home, "%s/dua.test/lama", p->home);
	(void)snprintf(mail, sizeof mail, "%s/in/here", home);
	assert_null(store_open(&p->host, home, mail, false, &err));
	assert_int_equal(err.class, ERR_PERM);
	assert_int_equal(err.errnum, ENOENT);
	s = store_open(&p->host, home, mail, true, &err);
	assert_non_null(s);
	store_close(s);
	s = store_open(&p->host, home, mail, false, &err);
	assert_non_null(s);
	store_close(s);
	(void)snprintf(mail, sizeof mail, "%s/link", home);
	assert_int_equal(symlink("/tmp", mail), 0);
	assert_null(store_open(&p->host, home, mail, true, &err));
	(void)snprintf(mail, sizeof mail, "%s/../up", home);
	assert_null(store_open(&p->host, home, mail, true, &err));
	/* beside the home, without a home in front */
	(void)snprintf(mail, sizeof mail, "%s/spool/lama", p->home);
	s = store_open(&p->host, home, mail, true, &err);
	assert_non_null(s);
	store_close(s);
	assert_null(store_open(&p->host, home, "relative", true, &err));
}

static void
folders_are_listed_with_their_parents(void **state)
{
	struct place *p = *state;
	struct err err;

	folders_are(p, "INBOX+");
	make(p, "a/b/c");
	make(p, "a/b");
	make(p, "a x");
	make(p, "INBOX/sub");
	assert_true(store_create(p->store, STR("Sent"), MAILBOX_SENT | MAILBOX_ARCHIVE, &err));
	assert_int_equal(mkdir(path_in(p, ".notes"), 0700), 0);
	put_file(p, ".file", "x");
	folders_are(p, "INBOX+> INBOX/sub+ Sent+\\Archive\\Sent a> a x+ a/b+> a/b/c+");
}

static void
names_in_modified_utf7_are_found_and_not_doubled(void **state)
{
	struct place *p = *state;
	struct err err;
	struct mailbox *m;

	assert_int_equal(mkdir(path_in(p, ".Entw&APw-rfe"), 0700), 0);
	assert_int_equal(mkdir(path_in(p, ".Entw&APw-rfe/cur"), 0700), 0);
	folders_are(p, "INBOX+ Entw\xc3\xbcrfe+");
	m = box_open(p, "Entw\xc3\xbcrfe", MAILBOX_READ);
	mailbox_close(m);
	fails_with(store_create(p->store, STR("Entw\xc3\xbcrfe"), 0, &err), &err, EEXIST);
	assert_true(store_rename(p->store, STR("Entw\xc3\xbcrfe"), STR("Entw\xc3\xbcrfe.2"), &err));
	folders_are(p, "INBOX+ Entw\xc3\xbcrfe.2+");
	assert_int_equal(access(path_in(p, ".Entw\xc3\xbcrfe\\2e2/cur"), F_OK), 0);
}

static void
refusals_say_why(void **state)
{
	struct place *p = *state;
	struct err err;

	make(p, "a");
	make(p, "a/b");
	fails_with(store_create(p->store, STR("a"), 0, &err), &err, EEXIST);
	fails_with(store_create(p->store, STR("inbox"), 0, &err), &err, EEXIST);
	fails_with(store_create(p->store, STR("a//b"), 0, &err), &err, EINVAL);
	fails_with(store_delete(p->store, STR("INBOX"), &err), &err, EPERM);
	fails_with(store_delete(p->store, STR("none"), &err), &err, ENOENT);
	fails_with(store_delete(p->store, STR("../x"), &err), &err, ENOENT);
	fails_with(store_rename(p->store, STR("none"), STR("x"), &err), &err, ENOENT);
	fails_with(store_rename(p->store, STR("a"), STR("a"), &err), &err, EEXIST);
	fails_with(store_rename(p->store, STR("a"), STR("Inbox"), &err), &err, EEXIST);
	fails_with(store_rename(p->store, STR("a"), STR("a/c"), &err), &err, EINVAL);
	fails_with(store_rename(p->store, STR("a"), STR("x\n"), &err), &err, EINVAL);
	assert_null(mailbox_open(p->store, STR("none"), MAILBOX_READ, &err));
	fails_with(false, &err, ENOENT);
	assert_null(mailbox_open(p->store, STR("\xff"), MAILBOX_READ, &err));
	fails_with(false, &err, EINVAL);
	folders_are(p, "INBOX+ a+> a/b+");
}

static void
renaming_takes_the_folders_below_along(void **state)
{
	struct place *p = *state;
	struct err err;
	struct mailbox *m;
	char id[MAILBOX_ID_LENGTH + 1];
	uint32_t uidvalidity;

	make(p, "a");
	make(p, "a/b");
	make(p, "a/b/c");
	make(p, "ab");
	m = box_open(p, "a/b", MAILBOX_ADD);
	(void)box_append(m, "x\r\n", 0);
	(void)snprintf(id, sizeof id, "%s", mailbox_id(m));
	uidvalidity = mailbox_uidvalidity(m);
	mailbox_close(m);
	assert_true(store_rename(p->store, STR("a"), STR("z/y"), &err));
	folders_are(p, "INBOX+ ab+ z> z/y+> z/y/b+> z/y/b/c+");
	m = box_open(p, "z/y/b", MAILBOX_READ);
	assert_string_equal(mailbox_id(m), id);
	assert_int_equal(mailbox_uidvalidity(m), uidvalidity);
	assert_non_null(mailbox_find(m, 1));
	mailbox_close(m);
	/* a parent that is missing */
	assert_true(store_rename(p->store, STR("z"), STR("q"), &err));
	folders_are(p, "INBOX+ ab+ q> q/y+> q/y/b+> q/y/b/c+");
}

static void
deleting_leaves_the_folders_below(void **state)
{
	struct place *p = *state;
	struct err err;
	struct mailbox *m;

	make(p, "a");
	make(p, "a/b");
	m = box_open(p, "a", MAILBOX_WRITE);
	(void)box_append(m, "x\r\n", 0);
	assert_true(store_delete(p->store, STR("a"), &err));
	folders_are(p, "INBOX+ a> a/b+");
	{
		struct mailbox_changes changes;

		fails_with(mailbox_rescan(m, &changes, &err), &err, ENOENT);
	}
	mailbox_close(m);
	assert_int_equal(count_files(p, "", NULL), 5 /* cur new tmp merpati-mailbox merpati-uidvalidity */);
}

static void
a_uidvalidity_is_given_once(void **state)
{
	struct place *p = *state;
	uint32_t seen[8], n = 0;
	struct err err;

	for (int i = 0; i < 6; i++) {
		struct mailbox *m;

		make(p, "same");
		m = box_open(p, "same", MAILBOX_ADD);
		seen[n++] = mailbox_uidvalidity(m);
		mailbox_close(m);
		assert_true(i % 2 == 0 ? store_delete(p->store, STR("same"), &err)
				       : store_rename(p->store, STR("same"), i == 1 ? STR("x") : i == 3 ? STR("y") : STR("z"), &err));
		if (i > 0)
			assert_true(seen[i] > seen[i - 1]);
	}
}

static void
inbox_is_renamed_by_moving_its_messages(void **state)
{
	struct place *p = *state;
	struct mailbox *m = box_open(p, "INBOX", MAILBOX_ADD);
	struct err err;
	size_t n;

	(void)box_append(m, "a\r\n", 0);
	(void)box_append(m, "b\r\n", MAILDIR_SEEN);
	mailbox_close(m);
	assert_true(store_rename(p->store, STR("inbox"), STR("old"), &err));
	folders_are(p, "INBOX+ old+");
	m = box_open(p, "INBOX", MAILBOX_READ);
	(void)mailbox_records(m, &n);
	assert_int_equal(n, 0);
	assert_int_equal(mailbox_uidnext(m), 3);
	mailbox_close(m);
	m = box_open(p, "old", MAILBOX_READ);
	(void)mailbox_records(m, &n);
	assert_int_equal(n, 2);
	mailbox_close(m);
}

static void
subscriptions_are_kept_for_folders_that_are_gone(void **state)
{
	struct place *p = *state;
	struct err err;

	make(p, "a");
	assert_true(store_subscribe(p->store, STR("a"), true, &err));
	assert_true(store_subscribe(p->store, STR("inbox"), true, &err));
	assert_true(store_subscribe(p->store, STR("later/x"), true, &err));
	assert_true(store_subscribe(p->store, STR("a"), true, &err));
	fails_with(store_subscribe(p->store, STR("x\ny"), true, &err), &err, EINVAL);
	folders_are(p, "INBOX+s a+s later/xs");
	assert_true(store_delete(p->store, STR("a"), &err));
	folders_are(p, "INBOX+s as later/xs");
	assert_true(store_subscribe(p->store, STR("a"), false, &err));
	assert_true(store_subscribe(p->store, STR("INBOX"), false, &err));
	folders_are(p, "INBOX+ later/xs");
}

static void
the_first_login_makes_the_usual_folders_once(void **state)
{
	struct place *p = *state;
	struct err err;

	make(p, "Sent");
	assert_true(store_create(p->store, STR("Papierkorb"), MAILBOX_TRASH, &err));
	assert_true(store_first_login(p->store, &err));
	folders_are(p, "INBOX+s Archive+s\\Archive Drafts+s\\Drafts Junk+s\\Junk Papierkorb+\\Trash Sent+s\\Sent");
	assert_true(store_delete(p->store, STR("Junk"), &err));
	assert_true(store_subscribe(p->store, STR("Junk"), false, &err));
	assert_true(store_first_login(p->store, &err));
	folders_are(p, "INBOX+s Archive+s\\Archive Drafts+s\\Drafts Papierkorb+\\Trash Sent+s\\Sent");
}

static void
subscriptions_of_other_servers_are_taken_over(void **state)
{
	static const struct {
		const char *file, *text, *expected;
	} rows[] = {
	    {"subscriptions", "INBOX\nEntw&APw-rfe\nArchive.2024\n\nbad\x01\n", "INBOX+s Archive/2024s Entw\xc3\xbcrfes"},
	    {"subscriptions", "V\t2\n\nINBOX\nArchive\t2024.x\n", "INBOX+s Archive/2024.xs"},
	    {"courierimapsubscribed", "INBOX\nINBOX.Sent\nINBOX.a.b\n", "INBOX+s Sents a/bs"},
	};
	struct place *p = *state;
	struct err err;

	for (size_t i = 0; i < ROWS(rows); i++) {
		put_file(p, rows[i].file, rows[i].text);
		folders_are(p, rows[i].expected);
		assert_int_equal(unlink(path_in(p, rows[i].file)), 0);
	}
	put_file(p, "subscriptions", "Mine\n");
	assert_true(store_subscribe(p->store, STR("Other"), true, &err));
	folders_are(p, "INBOX+ Mines Others");
	assert_int_equal(unlink(path_in(p, "subscriptions")), 0);
	folders_are(p, "INBOX+ Mines Others");
}

static void
news_reach_all_listeners_and_the_dead_are_cleared_away(void **state)
{
	struct place *p = *state;
	struct store_news *a, *b;
	struct err err;
	pid_t pid;
	int status;

	store_news_send(p->store);
	a = store_news_listen(p->store, &err);
	b = store_news_listen(p->store, &err);
	assert_non_null(a);
	assert_non_null(b);
	assert_false(store_news_take(a));
	pid = fork();
	if (pid == 0) {
		if (store_news_listen(p->store, NULL) == NULL)
			_exit(1);
		_exit(0); /* without closing it */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(count_files(p, "merpati-news", NULL), 3);
	for (int i = 0; i < 1000; i++) /* far beyond what a socket queues */
		store_news_send(p->store);
	assert_int_equal(count_files(p, "merpati-news", NULL), 2);
	assert_true(store_news_take(a));
	assert_false(store_news_take(a));
	assert_true(store_news_take(b));
	store_news_close(a);
	store_news_send(p->store);
	assert_true(store_news_take(b));
	store_news_close(b);
	assert_int_equal(count_files(p, "merpati-news", NULL), 0);
}

static void
debris_is_swept_once_a_day(void **state)
{
	struct place *p = *state;
	time_t now = time(NULL);
	struct timespec old[2] = {{.tv_sec = now - 40 * 3600}, {.tv_sec = now - 40 * 3600}};

	make(p, "a");
	put_file(p, "tmp/young", "x");
	put_file(p, "tmp/old", "x");
	put_file(p, ".a/tmp/old", "x");
	assert_int_equal(utimensat(AT_FDCWD, path_in(p, "tmp/old"), old, 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, path_in(p, ".a/tmp/old"), old, 0), 0);
	assert_int_equal(mkdir(path_in(p, "..merpati-deleted.x"), 0700), 0);
	assert_int_equal(mkdir(path_in(p, "..merpati-deleted.x/cur"), 0700), 0);
	put_file(p, "..merpati-deleted.x/cur/1", "x");
	store_sweep(p->store, (uint64_t)now);
	assert_int_equal(count_files(p, "tmp", NULL), 1);
	assert_int_equal(count_files(p, ".a/tmp", NULL), 0);
	assert_int_equal(access(path_in(p, "..merpati-deleted.x"), F_OK), -1);
	put_file(p, "tmp/old", "x");
	assert_int_equal(utimensat(AT_FDCWD, path_in(p, "tmp/old"), old, 0), 0);
	store_sweep(p->store, (uint64_t)now + 60);
	assert_int_equal(count_files(p, "tmp", NULL), 2);
	store_sweep(p->store, (uint64_t)now + 25 * 3600);
	assert_int_equal(count_files(p, "tmp", NULL), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_maildir_is_made_for_its_owner_alone),
	    TEST(homes_are_made_but_not_through_links),
	    TEST(folders_are_listed_with_their_parents),
	    TEST(names_in_modified_utf7_are_found_and_not_doubled),
	    TEST(refusals_say_why),
	    TEST(renaming_takes_the_folders_below_along),
	    TEST(deleting_leaves_the_folders_below),
	    TEST(a_uidvalidity_is_given_once),
	    TEST(inbox_is_renamed_by_moving_its_messages),
	    TEST(subscriptions_are_kept_for_folders_that_are_gone),
	    TEST(the_first_login_makes_the_usual_folders_once),
	    TEST(subscriptions_of_other_servers_are_taken_over),
	    TEST(news_reach_all_listeners_and_the_dead_are_cleared_away),
	    TEST(debris_is_swept_once_a_day),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
