#include "auth/users_edit.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/textfile.h"
#include "auth/users.h"
#include "common/daemon/descriptors.h"

#define NEW_MODE 0640

/* --- pure ---------------------------------------------------------------------------------------------------------- */

static bool
is_line_of(struct str line, struct str name)
{
	return line.n > 0 && line.p[0] != '#' && str_equal_nocase(str_sub(line, 0, str_find(line, ':')), name);
}

/* The extra field with the keys of another password taken out, and this word put in. */
static void
extra_with_word(struct buf *out, struct str extra, struct str new)
{
	const char *blank = "";
	struct str word;

	while (str_word(&extra, &word)) {
		if (str_starts(word, STR(USERS_SHA1_WORD)))
			continue;
		buf_adds(out, blank);
		buf_add(out, word);
		blank = " ";
	}
	if (new.n > 0) {
		buf_adds(out, blank);
		buf_add(out, new);
	}
}

/* name:password:uid:gid:gecos:home:shell:extra, of which only the first two must be there */
static void
line_with_password(struct buf *out, struct str line, struct str value)
{
	struct str rest = line, one = STR_NONE, password = str_sub(value, 0, str_find(value, ' '));
	struct str word = str_skip(value, password.n + 1);

	(void)str_token(&rest, ':', &one);
	buf_add(out, one);
	buf_addc(out, ':');
	buf_add(out, password);
	(void)str_token(&rest, ':', &one);
	for (int i = 0; i < 5 && (rest.p != NULL || word.n > 0); i++) {
		buf_addc(out, ':');
		if (str_token(&rest, ':', &one))
			buf_add(out, one);
	}
	if (rest.p != NULL || word.n > 0) {
		buf_addc(out, ':');
		extra_with_word(out, rest, word);
	}
	buf_addc(out, '\n');
}

bool
users_edit(struct str text, enum users_change change, struct str name, struct str value, struct buf *out,
    struct err *err)
{
	struct str rest = text, line;
	bool found = false;

	while (rest.n > 0 && str_token(&rest, '\n', &line)) {
		if (!is_line_of(line, name)) {
			buf_add(out, line);
			buf_addc(out, '\n');
			continue;
		}
		found = true;
		if (change == USERS_PASSWD)
			line_with_password(out, line, value);
	}
	if (change == USERS_ADD && found)
		return err_set(err, ERR_PERM, "there is a user %.*s already", STR_FMT(name));
	if (change != USERS_ADD && !found)
		return err_set(err, ERR_PERM, "there is no user %.*s", STR_FMT(name));
	if (change == USERS_ADD) {
		buf_add(out, value);
		buf_addc(out, '\n');
	}
	return buf_ok(out) || err_set(err, ERR_LIMIT, "too large a users file");
}

/* --- the file ------------------------------------------------------------------------------------------------------ */

/* An edit under way: the directory is open, and locked against other edits. */
struct edit {
	const char *path;
	char name[NAME_MAX + 1]; /* of the file, in its directory */
	char temporary[NAME_MAX + 1];
	int directory_fd;
	bool exists;
	struct stat old;
};

static bool
edit_begin(struct edit *edit, const char *path, struct err *err)
{
	char copy[PATH_MAX];

	memset(edit, 0, sizeof *edit);
	edit->path = path;
	if (!str_copy(copy, sizeof copy, str_from(path)) ||
	    !str_copy(edit->name, sizeof edit->name, str_from(basename(copy))) ||
	    snprintf(edit->temporary, sizeof edit->temporary, "%s.new", edit->name) >= (int)sizeof edit->temporary) {
		edit->directory_fd = -1;
		return err_set(err, ERR_PERM, "%s: too long a name", path);
	}
	(void)str_copy(copy, sizeof copy, str_from(path));
	edit->directory_fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (edit->directory_fd < 0)
		return err_sys(err, "the directory of %s", path);
	while (flock(edit->directory_fd, LOCK_EX) != 0)
		if (errno != EINTR)
			return err_sys(err, "cannot lock the directory of %s", path);
	edit->exists = fstatat(edit->directory_fd, edit->name, &edit->old, 0) == 0;
	return edit->exists || errno == ENOENT || err_sys(err, "%s", path);
}

static void
edit_end(struct edit *edit)
{
	if (edit->directory_fd >= 0)
		(void)close(edit->directory_fd);
}

/* Owner and mode as before. Who is not root cannot give the file back to its owner or group; then nobody but he may read
 * it, rather than somebody else. */
static bool
set_owner_and_mode(const struct edit *edit, int fd)
{
	mode_t mode = edit->old.st_mode & 07777;
	struct stat st;

	if (!edit->exists)
		return fchmod(fd, NEW_MODE) == 0;
	if (fstat(fd, &st) != 0)
		return false;
	if ((st.st_uid != edit->old.st_uid || st.st_gid != edit->old.st_gid) &&
	    fchown(fd, edit->old.st_uid, edit->old.st_gid) != 0) {
		if (errno != EPERM || geteuid() == 0)
			return false;
		mode &= ~(mode_t)(S_IRWXG | S_IRWXO);
	}
	return fchmod(fd, mode) == 0;
}

/* Under the lock nobody else has a temporary file; one that is there was left by a crash. */
static bool
edit_commit(const struct edit *edit, struct str text, struct err *err)
{
	int fd;
	bool good;

	(void)unlinkat(edit->directory_fd, edit->temporary, 0);
	fd = openat(edit->directory_fd, edit->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, "cannot write beside %s", edit->path);
	good = descriptor_write_all(fd, text) && set_owner_and_mode(edit, fd) && fsync(fd) == 0;
	if (!good)
		(void)err_sys(err, "%s.new", edit->path);
	if (close(fd) != 0 && good)
		good = err_sys(err, "%s.new", edit->path);
	if (good && (renameat(edit->directory_fd, edit->temporary, edit->directory_fd, edit->name) != 0 ||
			fsync(edit->directory_fd) != 0))
		good = err_sys(err, "%s", edit->path);
	if (!good)
		(void)unlinkat(edit->directory_fd, edit->temporary, 0);
	return good;
}

bool
users_edit_file(const char *path, enum users_change change, struct str name, struct str value, struct err *err)
{
	struct textfile file;
	struct edit edit;
	struct buf out;
	bool good;

	textfile_init(&file, path);
	buf_init(&out, TEXTFILE_MAX_BYTES);
	good = edit_begin(&edit, path, err) && (!edit.exists || textfile_refresh(&file, err) == TEXTFILE_NEW) &&
	       users_edit((struct str){file.text, file.n}, change, name, value, &out, err) &&
	       edit_commit(&edit, buf_str(&out), err);
	edit_end(&edit);
	textfile_clear(&file);
	buf_clear_secret(&out);
	return good;
}
