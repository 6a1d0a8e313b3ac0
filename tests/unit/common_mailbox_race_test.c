/* Several processes on one Maildir, some of them killed; and a disk that is full. */
#include "tests/unit/rows.h"

#include "tests/unit/maildir.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <time.h>

#define TEST(name) cmocka_unit_test_setup_teardown(name, place_setup, place_teardown)

#define WRITERS 4

/* What the processes tell the test, in shared memory. */
struct board {
	volatile unsigned acknowledged[WRITERS]; /* messages whose append returned true */
	volatile bool stop;
	volatile unsigned trouble;
};

static struct board *
board_new(void)
{
	struct board *b = mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(b != MAP_FAILED);
	return b;
}

static pid_t
spawn(void (*body)(struct place *, struct board *, unsigned), struct place *p, struct board *b, unsigned who)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	/* its own descriptors, as another program has them */
	p->store = store_open(&p->host, p->home, p->mail, false, NULL);
	if (p->store == NULL)
		_exit(1);
	body(p, b, who);
	_exit(0);
}

static void
reap(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGKILL);
}

/* Appends messages that say who and how many, until told to stop. */
static void
append_on(struct place *p, struct board *b, unsigned who)
{
	struct mailbox *m = mailbox_open(p->store, STR("INBOX"), MAILBOX_ADD, NULL);

	if (m == NULL)
		_exit(1);
	for (unsigned i = b->acknowledged[who] + 1; !b->stop && i <= 100000; i++) {
		char text[64];
		uint32_t uid;

		(void)snprintf(text, sizeof text, "X: %u %u\r\n", who, i);
		if (!mailbox_append(m, str_from(text), NULL, &uid, NULL) || uid == 0)
			_exit(2);
		b->acknowledged[who] = i;
	}
	mailbox_close(m);
}

/* Toggles flags of whatever is there. */
static void
flag_on(struct place *p, struct board *b, unsigned who)
{
	struct mailbox *m = mailbox_open(p->store, STR("INBOX"), MAILBOX_WRITE, NULL);
	struct mailbox_changes changes;

	if (m == NULL)
		_exit(1);
	for (unsigned i = 0; !b->stop; i++) {
		const struct mailbox_record *r;
		size_t n;
		uint32_t uid;

		if (!mailbox_rescan(m, &changes, NULL))
			_exit(2);
		if (changes.vanished.n > 0)
			b->trouble++;
		mailbox_changes_clear(&changes);
		r = mailbox_records(m, &n);
		if (n == 0)
			continue;
		uid = r[(i * 7 + who) % n].uid;
		if (mailbox_store(m, uid, i % 2 ? MAILBOX_INCLUDE : MAILBOX_EXCLUDE, 1u << (who + i) % MAILDIR_FLAG_COUNT, 0,
			NULL) != MAILBOX_DONE)
			b->trouble++;
	}
	mailbox_close(m);
}

/* Another tool: puts files without a UID. */
static void
foreign_on(struct place *p, struct board *b, unsigned who)
{
	for (unsigned i = 1; !b->stop && i <= 2000; i++) {
		char name[64];
		FILE *f = fopen(path_in(p, "tmp/foreign"), "w");

		(void)snprintf(name, sizeof name, "new/%u.foreign%u.host", 1000 + i, who);
		if (f == NULL || fprintf(f, "X: %u %u\n", who, i) < 0 || fclose(f) != 0 ||
		    rename(path_in(p, "tmp/foreign"), path_in(p, name)) != 0)
			_exit(2);
		b->acknowledged[who] = i;
		(void)usleep(500);
	}
}

/* A client: UIDs only come behind those that it knows, and none goes. */
static void
watch_on(struct place *p, struct board *b, unsigned who)
{
	struct mailbox *m = mailbox_open(p->store, STR("INBOX"), MAILBOX_READ, NULL);
	struct mailbox_changes changes;

	(void)who;
	if (m == NULL)
		_exit(1);
	while (!b->stop) {
		uint32_t next = mailbox_uidnext(m);

		if (!mailbox_rescan(m, &changes, NULL))
			_exit(2);
		if (changes.vanished.n > 0 || changes.replaced || (changes.added.n > 0 && changes.added.list[0] < next))
			b->trouble++;
		mailbox_changes_clear(&changes);
	}
	mailbox_close(m);
}

/* Every acknowledged message is there, none twice, no UID twice. */
static void
check(struct place *p, struct board *b, unsigned writers)
{
	static unsigned char have[WRITERS][200000];
	struct mailbox *m = box_open(p, "INBOX", MAILBOX_READ);
	const struct mailbox_record *r;
	struct err err;
	size_t n;

	memset(have, 0, sizeof have);
	r = mailbox_records(m, &n);
	for (size_t i = 0; i < n; i++) {
		unsigned who, number;
		char text[64] = "";
		int fd;

		if (i > 0)
			assert_true(r[i].uid > r[i - 1].uid);
		assert_int_equal(mailbox_open_message(m, r[i].uid, &fd, &err), MAILBOX_DONE);
		assert_int_equal(read(fd, text, sizeof text - 1), r[i].size);
		(void)close(fd);
		assert_int_equal(sscanf(text, "X: %u %u", &who, &number), 2);
		assert_true(who < writers && number < sizeof have[0]);
		have[who][number]++;
	}
	for (unsigned who = 0; who < writers; who++)
		for (unsigned i = 1; i <= b->acknowledged[who]; i++)
			if (have[who][i] != 1)
				fail_msg("message %u of writer %u is there %d times", i, who, have[who][i]);
	assert_int_equal(mailbox_uidnext(m) > r[n - 1].uid, 1);
	mailbox_close(m);
}

static void
processes_that_write_mark_and_watch_do_not_disturb_each_other(void **state)
{
	struct place *p = *state;
	struct board *b = board_new();
	pid_t pids[6];

	pids[0] = spawn(append_on, p, b, 0);
	pids[1] = spawn(append_on, p, b, 1);
	pids[2] = spawn(foreign_on, p, b, 2);
	pids[3] = spawn(flag_on, p, b, 0);
	pids[4] = spawn(flag_on, p, b, 3);
	pids[5] = spawn(watch_on, p, b, 0);
	(void)sleep(3);
	b->stop = true;
	for (size_t i = 0; i < ROWS(pids); i++)
		reap(pids[i]);
	assert_int_equal(b->trouble, 0);
	assert_true(b->acknowledged[0] > 10 && b->acknowledged[1] > 10 && b->acknowledged[2] > 10);
	check(p, b, 3);
	(void)munmap((void *)b, sizeof *b);
}

static void
killed_writers_lose_nothing_and_repeat_no_uid(void **state)
{
	struct place *p = *state;
	struct board *b = board_new();
	pid_t watcher = spawn(watch_on, p, b, 0), pids[WRITERS];

	for (unsigned i = 0; i < WRITERS; i++)
		pids[i] = spawn(append_on, p, b, i);
	for (unsigned i = 0; i < 100; i++) {
		unsigned who = i % WRITERS;

		(void)usleep(1000 + (unsigned)random() % 20000);
		assert_int_equal(kill(pids[who], SIGKILL), 0);
		reap(pids[who]);
		/* the message that was under way may be there or not: its number is not used again */
		b->acknowledged[who]++;
		{
			char path[64];
			FILE *f;

			(void)snprintf(path, sizeof path, "new/1.skipped%u.h", i);
			f = fopen(path_in(p, path), "w");
			assert_non_null(f);
			(void)fprintf(f, "X: %u %u\n", who, 150000 + i);
			assert_int_equal(fclose(f), 0);
		}
		pids[who] = spawn(append_on, p, b, who);
	}
	b->stop = true;
	for (unsigned i = 0; i < WRITERS; i++)
		reap(pids[i]);
	reap(watcher);
	assert_int_equal(b->trouble, 0);
	{
		struct mailbox *m = box_open(p, "INBOX", MAILBOX_READ);
		const struct mailbox_record *r;
		size_t n, total = 0;

		r = mailbox_records(m, &n);
		for (size_t i = 1; i < n; i++)
			assert_true(r[i].uid > r[i - 1].uid);
		for (unsigned i = 0; i < WRITERS; i++)
			total += b->acknowledged[i];
		/* acknowledged, less the 100 that were counted for the kills at least, and those files */
		assert_true(n >= total - 100 + 100 && n <= total + 100 + WRITERS);
		mailbox_close(m);
	}
	(void)munmap((void *)b, sizeof *b);
}

static void
two_that_number_the_same_files_give_each_one_uid(void **state)
{
	struct place *p = *state;
	struct board *b = board_new();
	pid_t pids[3];
	struct mailbox *m;
	size_t n;

	for (int i = 0; i < 500; i++) {
		char name[64];

		(void)snprintf(name, sizeof name, "cur/%d.x.y:2,S", i);
		put_file(p, name, "X: 0 1\n");
	}
	for (unsigned i = 0; i < ROWS(pids); i++)
		pids[i] = spawn(watch_on, p, b, i);
	(void)usleep(300000);
	b->stop = true;
	for (size_t i = 0; i < ROWS(pids); i++)
		reap(pids[i]);
	m = box_open(p, "INBOX", MAILBOX_READ);
	(void)mailbox_records(m, &n);
	assert_int_equal(n, 500);
	assert_int_equal(mailbox_uidnext(m), 501);
	mailbox_close(m);
	(void)munmap((void *)b, sizeof *b);
}

/* Moves everything from one folder to the other and back. */
static void
shuttle(struct place *p, struct board *b, const char *from, const char *to)
{
	while (!b->stop) {
		struct mailbox *source = mailbox_open(p->store, str_from(from), MAILBOX_WRITE, NULL);
		struct mailbox *target = mailbox_open(p->store, str_from(to), MAILBOX_ADD, NULL);
		const struct mailbox_record *r;
		uint32_t uids[64], new_uids[64];
		size_t n;

		if (source == NULL || target == NULL)
			_exit(1);
		r = mailbox_records(source, &n);
		if (n > 64)
			n = 64;
		for (size_t i = 0; i < n; i++)
			uids[i] = r[i].uid;
		if (!mailbox_move(source, uids, n, target, new_uids, NULL))
			b->trouble++;
		mailbox_close(source);
		mailbox_close(target);
	}
}

static void
there(struct place *p, struct board *b, unsigned who)
{
	(void)who;
	shuttle(p, b, "INBOX", "other");
}

static void
back(struct place *p, struct board *b, unsigned who)
{
	(void)who;
	shuttle(p, b, "other", "INBOX");
}

static void
moves_in_opposite_directions_neither_lose_nor_block(void **state)
{
	struct place *p = *state;
	struct board *b = board_new();
	struct mailbox *m = box_open(p, "INBOX", MAILBOX_ADD);
	struct err err;
	pid_t pids[4];
	size_t n, total;

	for (int i = 0; i < 50; i++)
		(void)box_append(m, "X: 0 1\r\n", MAILDIR_SEEN);
	mailbox_close(m);
	assert_true(store_create(p->store, STR("other"), 0, &err));
	for (unsigned i = 0; i < ROWS(pids); i++)
		pids[i] = spawn(i % 2 ? there : back, p, b, i);
	(void)sleep(2);
	b->stop = true;
	for (size_t i = 0; i < ROWS(pids); i++)
		reap(pids[i]);
	assert_int_equal(b->trouble, 0);
	m = box_open(p, "INBOX", MAILBOX_READ);
	(void)mailbox_records(m, &n);
	total = n;
	mailbox_close(m);
	m = box_open(p, "other", MAILBOX_READ);
	(void)mailbox_records(m, &n);
	assert_int_equal(total + n, 50);
	mailbox_close(m);
	(void)munmap((void *)b, sizeof *b);
}

static void
a_full_disk_is_an_error_and_loses_nothing(void **state)
{
	struct place *p = *state;
	struct mailbox *m;
	struct err err;
	struct buf text;
	uint32_t acknowledged = 0;
	size_t n;

	if (geteuid() != 0) {
		print_message("skipped: only root can mount a small file system\n");
		skip();
	}
	if (mount("tmpfs", p->mail, "tmpfs", 0, "size=300k,mode=0700") != 0) {
		print_message("skipped: cannot mount a tmpfs here: %s\n", strerror(errno));
		skip();
	}
	store_close(p->store);
	place_open(p);
	m = box_open(p, "INBOX", MAILBOX_ADD);
	buf_init(&text, 65536);
	for (int i = 0; i < 100; i++)
		buf_adds(&text, "a line of a letter that fills a page after some time\r\n");
	for (int i = 0; i < 200; i++) {
		uint32_t uid;

		if (!mailbox_append(m, buf_str(&text), NULL, &uid, &err)) {
			assert_int_equal(err.class, ERR_TEMP);
			assert_int_equal(err.errnum, ENOSPC);
			break;
		}
		acknowledged++;
	}
	assert_true(acknowledged > 5 && acknowledged < 200);
	assert_int_equal(count_files(p, "tmp", NULL), 0);
	mailbox_close(m);
	m = box_open(p, "INBOX", MAILBOX_WRITE);
	(void)mailbox_records(m, &n);
	assert_int_equal(n, acknowledged);
	/* marking and removing need no space, and then there is some */
	assert_int_equal(mailbox_store(m, 1, MAILBOX_SET, MAILDIR_SEEN, 0, &err), MAILBOX_DONE);
	assert_int_equal(mailbox_remove(m, 1, &err), MAILBOX_DONE);
	assert_int_equal(mailbox_remove(m, 2, &err), MAILBOX_DONE);
	assert_true(mailbox_append(m, STR("x\r\n"), NULL, NULL, &err));
	mailbox_close(m);
	buf_clear(&text);
	store_close(p->store);
	assert_int_equal(umount(p->mail), 0);
	place_open(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(processes_that_write_mark_and_watch_do_not_disturb_each_other),
	    TEST(killed_writers_lose_nothing_and_repeat_no_uid),
	    TEST(two_that_number_the_same_files_give_each_one_uid),
	    TEST(moves_in_opposite_directions_neither_lose_nor_block),
	    TEST(a_full_disk_is_an_error_and_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
