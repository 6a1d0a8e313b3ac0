#include "common/store/mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/store/folder_name.h"
#include "common/base/log.h"
#include "common/store/mailbox_inner.h"

#define SESSION_LOCK_NAME "merpati-pop3.lock"

struct mailbox *
mailbox_open(struct store *store, struct str folder, enum mailbox_rights rights, struct err *err)
{
	char disk[MAILDIR_NAME_MAX + 1];
	struct mailbox *mailbox;

	if (!store_find_directory(store, folder, disk, err))
		return NULL;
	mailbox = calloc(1, sizeof *mailbox);
	if (mailbox == NULL)
		fatal("out of memory for a mailbox");
	mailbox->store = store;
	mailbox->rights = rights;
	mailbox->session_lock = -1;
	if (!folder_open(&mailbox->folder, store, disk, folder_name_is_inbox(folder), err)) {
		free(mailbox);
		return NULL;
	}
	if (!folder_lock(&mailbox->folder, err)) {
		mailbox_close(mailbox);
		return NULL;
	}
	mailbox->uidvalidity = mailbox->folder.state.state.uidvalidity;
	folder_unlock(&mailbox->folder);
	if (rights != MAILBOX_ADD && !mailbox_look(mailbox, err)) {
		mailbox_close(mailbox);
		return NULL;
	}
	mailbox_changes_clear(&mailbox->pending);
	return mailbox;
}

void
mailbox_close(struct mailbox *mailbox)
{
	if (mailbox == NULL)
		return;
	if (mailbox->session_lock >= 0)
		(void)close(mailbox->session_lock);
	folder_clear(&mailbox->folder);
	mailbox_changes_clear(&mailbox->pending);
	dirents_clear(&mailbox->in_new);
	dirents_clear(&mailbox->in_cur);
	free(mailbox->seen.list);
	free(mailbox->foreign.list);
	free(mailbox->records);
	free(mailbox->names.bytes);
	free(mailbox);
}

uint32_t
mailbox_uidvalidity(const struct mailbox *mailbox)
{
	return mailbox->uidvalidity;
}

uint32_t
mailbox_uidnext(const struct mailbox *mailbox)
{
	return mailbox->uidnext;
}

const char *
mailbox_id(const struct mailbox *mailbox)
{
	return mailbox->folder.state.state.id;
}

const struct mailbox_record *
mailbox_records(struct mailbox *mailbox, size_t *n)
{
	mailbox_squeeze(mailbox);
	*n = mailbox->n;
	return mailbox->records;
}

static int
uid_compare(const void *key, const void *record)
{
	uint32_t uid = *(const uint32_t *)key, other = ((const struct mailbox_record *)record)->uid;

	return uid < other ? -1 : uid > other;
}

struct mailbox_record *
mailbox_record(struct mailbox *mailbox, uint32_t uid)
{
	struct mailbox_record *record = NULL;

	if (mailbox->n > 0)
		record = bsearch(&uid, mailbox->records, mailbox->n, sizeof mailbox->records[0], uid_compare);
	return record != NULL && !record->removed ? record : NULL;
}

const struct mailbox_record *
mailbox_find(const struct mailbox *mailbox, uint32_t uid)
{
	const struct mailbox_record *record = NULL;

	if (mailbox->n > 0)
		record = bsearch(&uid, mailbox->records, mailbox->n, sizeof mailbox->records[0], uid_compare);
	return record != NULL && !record->removed ? record : NULL;
}

const char *
mailbox_record_name(const struct mailbox *mailbox, const struct mailbox_record *record)
{
	return mailbox->names.bytes + record->name;
}

int
mailbox_record_directory(const struct mailbox *mailbox, const struct mailbox_record *record)
{
	return record->in_new ? mailbox->folder.new : mailbox->folder.cur;
}

/* --- keywords --------------------------------------------------------------------------------------------------------- */

const char *
mailbox_keyword_name(const struct mailbox *mailbox, unsigned i)
{
	const char *name = i < MAILDIR_KEYWORDS_MAX ? mailbox->folder.state.state.keywords[i] : "";

	return name[0] != '\0' ? name : NULL;
}

static int
keyword_find(const struct mailbox_state *state, struct str name)
{
	for (int i = 0; i < MAILDIR_KEYWORDS_MAX; i++)
		if (name.n > 0 && str_equal_nocase(str_from(state->keywords[i]), name))
			return i;
	return -1;
}

static int
keyword_free(const struct mailbox_state *state)
{
	for (int i = 0; i < MAILDIR_KEYWORDS_MAX; i++)
		if (state->keywords[i][0] == '\0')
			return i;
	return -1;
}

int
mailbox_keyword_find(const struct mailbox *mailbox, struct str name)
{
	return keyword_find(&mailbox->folder.state.state, name);
}

bool
mailbox_can_make_keywords(const struct mailbox *mailbox)
{
	return keyword_free(&mailbox->folder.state.state) >= 0;
}

uint32_t
mailbox_known_keywords(const struct mailbox *mailbox)
{
	uint32_t known = 0;

	for (unsigned i = 0; i < MAILDIR_KEYWORDS_MAX; i++)
		if (mailbox_keyword_name(mailbox, i) != NULL)
			known |= 1u << i;
	return known;
}

/* Under the lock: another process may just have made it. */
static int
keyword_make_locked(struct mailbox *mailbox, struct str name, struct err *err)
{
	struct mailbox_state *state = &mailbox->folder.state.state;
	int i = keyword_find(state, name);

	if (i >= 0)
		return i;
	i = keyword_free(state);
	if (i < 0) {
		(void)err_set(err, ERR_LIMIT, "the folder has %d keywords, and cannot have more", MAILDIR_KEYWORDS_MAX);
		return -1;
	}
	(void)str_copy(state->keywords[i], sizeof state->keywords[i], name);
	if (state_file_write(&mailbox->folder.state, err))
		return i;
	state->keywords[i][0] = '\0';
	return -1;
}

int
mailbox_keyword_make(struct mailbox *mailbox, struct str name, struct err *err)
{
	int i = mailbox_keyword_find(mailbox, name);

	if (i >= 0)
		return i;
	if (!mailbox_keyword_is_good(name)) {
		(void)store_refuse(err, EINVAL, "this cannot be a keyword");
		return -1;
	}
	if (!folder_lock(&mailbox->folder, err))
		return -1;
	i = keyword_make_locked(mailbox, name, err);
	folder_unlock(&mailbox->folder);
	return i;
}

/* --- durability and locks ------------------------------------------------------------------------------------------- */

void
mailbox_mark_dirty(struct mailbox *mailbox, int directory)
{
	if (directory == mailbox->folder.new)
		mailbox->dirty_new = true;
	else
		mailbox->dirty_cur = true;
}

size_t
mailbox_dirty_fds(struct mailbox *mailbox, int fds[2])
{
	size_t n = 0;

	if (mailbox->dirty_new)
		fds[n++] = mailbox->folder.new;
	if (mailbox->dirty_cur)
		fds[n++] = mailbox->folder.cur;
	mailbox->dirty_new = mailbox->dirty_cur = false;
	return n;
}

bool
mailbox_sync(struct mailbox *mailbox, struct err *err)
{
	int fds[2];
	size_t n = mailbox_dirty_fds(mailbox, fds);

	for (size_t i = 0; i < n; i++)
		if (fsync(fds[i]) != 0) {
			for (; i < n; i++)
				mailbox_mark_dirty(mailbox, fds[i]);
			return err_sys(err, "cannot sync the folder");
		}
	return true;
}

bool
mailbox_lock_session(struct mailbox *mailbox, struct err *err)
{
	int fd;

	if (mailbox->session_lock >= 0)
		return true;
	fd = openat(mailbox->folder.directory, SESSION_LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
	    0600);
	if (fd < 0)
		return err_sys(err, "cannot open %s", SESSION_LOCK_NAME);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno == EWOULDBLOCK)
			(void)err_set(err, ERR_LIMIT, "another session has the mailbox");
		else
			(void)err_sys(err, "cannot lock %s", SESSION_LOCK_NAME);
		(void)close(fd);
		return false;
	}
	mailbox->session_lock = fd;
	return true;
}
