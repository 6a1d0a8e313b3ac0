/*
 * Reading, marking and removing messages. Each works on the file that the record names; when that is not there any more
 * another process has renamed it (its flags changed) or removed it: a look tells, and it is tried again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/store/mailbox_inner.h"

/* Another process would have to change the same message's flags as often while we look. */
#define TRIES_MAX 10

static enum mailbox_done
again(struct mailbox *mailbox, uint32_t uid, struct mailbox_record **record, struct err *err)
{
	bool failed;

	*record = mailbox_find_again(mailbox, uid, &failed, err);
	return failed ? MAILBOX_FAILED : *record ? MAILBOX_DONE : MAILBOX_GONE;
}

/* What is done to one file: 0, or -1 and errno. */
struct action {
	int (*act)(struct mailbox *mailbox, struct mailbox_record *record, struct action *action);
	const char *what; /* "cannot WHAT a message" */
	int fd;
	int64_t date;
	enum mailbox_how how;
	unsigned flags;
	uint32_t keywords;
};

static enum mailbox_done
act(struct mailbox *mailbox, uint32_t uid, struct action *action, struct err *err)
{
	struct mailbox_record *record = mailbox_record(mailbox, uid);
	enum mailbox_done done = record ? MAILBOX_DONE : MAILBOX_GONE;

	for (int i = 0; i < TRIES_MAX && done == MAILBOX_DONE; i++) {
		if (action->act(mailbox, record, action) == 0)
			return MAILBOX_DONE;
		if (errno != ENOENT) {
			(void)err_sys(err, "cannot %s a message", action->what);
			return MAILBOX_FAILED;
		}
		done = again(mailbox, uid, &record, err);
	}
	if (done == MAILBOX_DONE) {
		(void)err_set(err, ERR_TEMP, "cannot %s a message: its name changes all the time", action->what);
		done = MAILBOX_FAILED;
	}
	return done;
}

static bool
may(const struct mailbox *mailbox, enum mailbox_rights least, struct err *err)
{
	return mailbox->rights >= least || store_refuse(err, EPERM, "the folder was opened without the right to do this");
}

static int
act_open(struct mailbox *mailbox, struct mailbox_record *record, struct action *action)
{
	struct stat st;

	action->fd = openat(mailbox_record_directory(mailbox, record), mailbox_record_name(mailbox, record),
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (action->fd < 0)
		return -1;
	if (fstat(action->fd, &st) == 0 && S_ISREG(st.st_mode))
		return 0;
	(void)close(action->fd);
	errno = EINVAL;
	return -1;
}

enum mailbox_done
mailbox_open_message(struct mailbox *mailbox, uint32_t uid, int *fd, struct err *err)
{
	struct action action = {.act = act_open, .what = "open", .fd = -1};
	enum mailbox_done done = act(mailbox, uid, &action, err);

	*fd = done == MAILBOX_DONE ? action.fd : -1;
	return done;
}

static int
act_date(struct mailbox *mailbox, struct mailbox_record *record, struct action *action)
{
	struct stat st;

	if (!record->has_date) {
		if (fstatat(mailbox_record_directory(mailbox, record), mailbox_record_name(mailbox, record), &st,
			AT_SYMLINK_NOFOLLOW) != 0)
			return -1;
		record->date = st.st_mtim.tv_sec;
		record->has_date = true;
	}
	action->date = record->date;
	return 0;
}

enum mailbox_done
mailbox_date(struct mailbox *mailbox, uint32_t uid, int64_t *date, struct err *err)
{
	struct action action = {.act = act_date, .what = "look at"};
	enum mailbox_done done = act(mailbox, uid, &action, err);

	*date = action.date;
	return done;
}

/* Letters that have no name in this folder belong to another tool and stay. */
static uint32_t
keywords_after(const struct mailbox *mailbox, const struct mailbox_record *record, const struct action *action)
{
	uint32_t known = mailbox_known_keywords(mailbox), wanted = action->keywords & known;

	switch (action->how) {
	case MAILBOX_SET:
		return wanted | (record->keywords & ~known);
	case MAILBOX_INCLUDE:
		return record->keywords | wanted;
	case MAILBOX_EXCLUDE:
		return record->keywords & ~wanted;
	}
	return record->keywords;
}

static unsigned
flags_after(const struct mailbox_record *record, const struct action *action)
{
	switch (action->how) {
	case MAILBOX_SET:
		return action->flags;
	case MAILBOX_INCLUDE:
		return record->flags | action->flags;
	case MAILBOX_EXCLUDE:
		return record->flags & ~action->flags;
	}
	return record->flags;
}

static int
act_store(struct mailbox *mailbox, struct mailbox_record *record, struct action *action)
{
	const char *old = mailbox_record_name(mailbox, record);
	uint32_t keywords = keywords_after(mailbox, record, action);
	unsigned flags = flags_after(record, action);
	int from = mailbox_record_directory(mailbox, record);
	struct maildir_name n;
	struct buf name;
	int result;

	if ((flags == record->flags && keywords == record->keywords && !record->in_new) ||
	    !maildir_name_parse(&n, str_from(old)))
		return 0;
	buf_init(&name, 1024);
	maildir_name_format(&name, n.base, flags, keywords, n.letters);
	buf_addc(&name, '\0');
	result = renameat(from, old, mailbox->folder.cur, name.p);
	if (result == 0) {
		mailbox_set_name(mailbox, record, (struct str){name.p, name.n - 1});
		mailbox_mark_dirty(mailbox, from);
		mailbox->dirty_cur = true;
		record->in_new = false;
		record->flags = (unsigned char)flags;
		record->keywords = keywords;
	}
	buf_clear(&name);
	return result;
}

enum mailbox_done
mailbox_store(struct mailbox *mailbox, uint32_t uid, enum mailbox_how how, unsigned flags, uint32_t keywords,
    struct err *err)
{
	struct action action = {.act = act_store, .what = "mark", .how = how, .flags = flags, .keywords = keywords};

	if (!may(mailbox, MAILBOX_WRITE, err))
		return MAILBOX_FAILED;
	return act(mailbox, uid, &action, err);
}

static int
act_remove(struct mailbox *mailbox, struct mailbox_record *record, struct action *action)
{
	int directory = mailbox_record_directory(mailbox, record);

	(void)action;
	if (unlinkat(directory, mailbox_record_name(mailbox, record), 0) != 0)
		return -1;
	mailbox_mark_dirty(mailbox, directory);
	mailbox_drop_record(mailbox, record);
	return 0;
}

enum mailbox_done
mailbox_remove(struct mailbox *mailbox, uint32_t uid, struct err *err)
{
	struct action action = {.act = act_remove, .what = "remove"};

	if (!may(mailbox, MAILBOX_REMOVE, err))
		return MAILBOX_FAILED;
	return act(mailbox, uid, &action, err);
}
