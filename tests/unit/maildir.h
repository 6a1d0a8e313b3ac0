/*
 * What the tests of the mail store share: a Maildir in a temporary directory, and looking at it from outside.
 */
#ifndef TESTS_UNIT_MAILDIR_H
#define TESTS_UNIT_MAILDIR_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/store/mailbox.h"

struct place {
	char home[64];
	char mail[96];
	struct store_host host;
	struct store *store;
};

static inline int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void
place_open(struct place *p)
{
	struct err err;

	p->store = store_open(&p->host, p->home, p->mail, true, &err);
	if (p->store == NULL)
		fail_msg("store_open: %s", err.text);
}

static inline int
place_setup(void **state)
{
	struct place *p = calloc(1, sizeof *p);

	(void)strcpy(p->home, "/tmp/mt-XXXXXX");
	if (mkdtemp(p->home) == NULL)
		return -1;
	(void)snprintf(p->mail, sizeof p->mail, "%s/Maildir", p->home);
	store_host_read(&p->host, "host.test");
	place_open(p);
	*state = p;
	return 0;
}

static inline int
place_teardown(void **state)
{
	struct place *p = *state;

	store_close(p->store);
	(void)nftw(p->home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(p);
	return 0;
}

/* A path below the Maildir; holds until the fourth next call. */
static inline const char *
path_in(struct place *p, const char *name)
{
	static char paths[4][1024];
	static unsigned next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof paths[0], "%s/%.700s", p->mail, name);
	return path;
}

static inline void
put_file(struct place *p, const char *name, const char *text)
{
	FILE *f = fopen(path_in(p, name), "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static inline struct buf
get_file(struct place *p, const char *name)
{
	struct buf b;
	int fd = open(path_in(p, name), O_RDONLY);
	ssize_t n = 0;

	buf_init(&b, 1024 * 1024);
	assert_true(fd >= 0);
	do {
		buf_commit(&b, (size_t)n);
		n = read(fd, buf_reserve(&b, 4096), 4096);
	} while (n > 0);
	assert_int_equal(n, 0);
	(void)close(fd);
	return b;
}

/* The number of files in a directory; name gets the last one's. */
static inline size_t
count_files(struct place *p, const char *directory, char *name)
{
	DIR *d = opendir(path_in(p, directory));
	struct dirent *e;
	size_t n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.') {
			if (name != NULL)
				(void)snprintf(name, 256, "%s", e->d_name);
			n++;
		}
	(void)closedir(d);
	return n;
}

static inline struct mailbox *
box_open(struct place *p, const char *folder, enum mailbox_rights rights)
{
	struct err err;
	struct mailbox *m = mailbox_open(p->store, str_from(folder), rights, &err);

	if (m == NULL)
		fail_msg("mailbox_open %s: %s", folder, err.text);
	return m;
}

static inline uint32_t
box_append(struct mailbox *m, const char *wire, unsigned flags)
{
	struct mailbox_file_attributes attributes = {.flags = flags};
	struct err err;
	uint32_t uid = 0;

	if (!mailbox_append(m, str_from(wire), &attributes, &uid, &err))
		fail_msg("mailbox_append: %s", err.text);
	return uid;
}

static inline struct mailbox_changes
box_rescan(struct mailbox *m)
{
	struct mailbox_changes changes;
	struct err err;

	if (!mailbox_rescan(m, &changes, &err))
		fail_msg("mailbox_rescan: %s", err.text);
	return changes;
}

#endif
