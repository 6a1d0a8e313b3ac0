#include "queue/sendmail_letter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/daemon/descriptors.h"
#include "common/base/loop.h"

#define READ_BYTES 32768
#define TEXT_MAX_BYTES (4 * SENDMAIL_HEADER_MAX_BYTES)

static ssize_t
read_some(int fd, char *bytes, size_t n)
{
	ssize_t got;

	do
		got = read(fd, bytes, n);
	while (got < 0 && errno == EINTR);
	return got;
}

/* More of standard input into text; false at its end. */
static bool
read_input(struct sendmail_letter *letter)
{
	char bytes[READ_BYTES];
	ssize_t n;

	if (letter->at_end || letter->lines.ended)
		return false;
	n = read_some(STDIN_FILENO, bytes, sizeof bytes);
	letter->failed = letter->failed || n < 0;
	if (n > 0) {
		sendmail_lines_feed(&letter->lines, (struct str){bytes, (size_t)n}, &letter->text);
		return true;
	}
	letter->at_end = true;
	sendmail_lines_end(&letter->lines, &letter->text);
	return n == 0 && letter->text.n > 0;
}

/* The same from the file. */
static bool
read_file(struct sendmail_letter *letter)
{
	char *p = buf_reserve(&letter->text, READ_BYTES);
	ssize_t n = p != NULL ? read_some(letter->file_fd, p, READ_BYTES) : -1;

	letter->failed = letter->failed || n < 0;
	if (n > 0)
		buf_commit(&letter->text, (size_t)n);
	return n > 0;
}

static struct str
next_bytes(struct sendmail_letter *letter)
{
	bool (*more)(struct sendmail_letter *) = letter->file_fd >= 0 ? read_file : read_input;

	buf_consume(&letter->text, letter->sent);
	letter->sent = 0;
	while (letter->text.n == 0 && more(letter))
		;
	letter->sent = letter->text.n;
	if (letter->failed || !buf_ok(&letter->text))
		return STR_NONE;
	return letter->text.n > 0 ? buf_str(&letter->text) : STR("");
}

static struct str
body(struct submit *submit)
{
	return next_bytes(container_of(submit, struct sendmail_letter, submit));
}

void
sendmail_letter_init(struct sendmail_letter *letter, bool ignore_dots)
{
	*letter = (struct sendmail_letter){.submit = {.fd = -1, .body = body}, .lines = {.ignore_dots = ignore_dots},
	    .file_fd = -1};
	buf_init(&letter->text, TEXT_MAX_BYTES);
}

void
sendmail_letter_clear(struct sendmail_letter *letter)
{
	buf_clear(&letter->text);
	if (letter->file_fd >= 0)
		(void)close(letter->file_fd);
}

bool
sendmail_letter_header(struct sendmail_letter *letter, const struct sendmail_header_rules *rules, struct arena *arena,
    struct sendmail_recipients *recipients, struct err *err)
{
	struct buf header;
	bool more = true, good;
	size_t n;

	while (!sendmail_header_ends(buf_str(&letter->text), &n) && more) {
		if (letter->text.n > SENDMAIL_HEADER_MAX_BYTES)
			return err_set(err, ERR_LIMIT, "the message's header is larger than %d bytes", SENDMAIL_HEADER_MAX_BYTES);
		more = read_input(letter);
	}
	if (letter->failed)
		return err_sys(err, "the message could not be read");
	buf_init(&header, TEXT_MAX_BYTES);
	good = sendmail_header(rules, str_sub(buf_str(&letter->text), 0, n), arena, recipients, &header);
	buf_add(&header, str_skip(buf_str(&letter->text), n));
	good = good && buf_ok(&header);
	buf_clear(&letter->text);
	letter->text = header;
	return good || err_set(err, ERR_LIMIT, "the message's header is too large");
}

bool
sendmail_letter_is_8bit(struct sendmail_letter *letter)
{
	while (letter->text.n < SENDMAIL_LOOK_BYTES && read_input(letter))
		;
	return !str_is_ascii(buf_str(&letter->text));
}

/* ---- kept in a file ------------------------------------------------------------------------------------------------ */

static int
unnamed_file(struct err *err)
{
	const char *directory = getenv("TMPDIR");
	int fd = open(directory != NULL ? directory : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		(void)err_sys(err, "cannot keep the message in a temporary file");
	return fd;
}

bool
sendmail_letter_keep(struct sendmail_letter *letter, struct err *err)
{
	int fd = unnamed_file(err);
	bool good = fd >= 0;
	struct str bytes = STR("");

	while (good && (bytes = next_bytes(letter)).n > 0)
		good = descriptor_write_all(fd, bytes) || err_sys(err, "cannot keep the message in a temporary file");
	if (good && bytes.p == NULL)
		good = err_set(err, ERR_PERM, "the message could not be read");
	letter->file_fd = fd;
	return good && sendmail_letter_rewind(letter, err);
}

bool
sendmail_letter_rewind(struct sendmail_letter *letter, struct err *err)
{
	buf_reset(&letter->text);
	letter->sent = 0;
	return lseek(letter->file_fd, 0, SEEK_SET) == 0 || err_sys(err, "cannot read the message again");
}
