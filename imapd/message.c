#include "imapd/message.h"

#include <errno.h>
#include <unistd.h>

enum mailbox_done
message_open(struct message *message, struct mailbox *mailbox, uint32_t uid, bool header_only, struct err *err)
{
	enum mailbox_done done;

	message_close(message);
	done = mailbox_open_message(mailbox, uid, &message->fd, err);
	if (done != MAILBOX_DONE)
		return done;
	message->uid = uid;
	message->header_only = header_only;
	arena_init(&message->arena, MIME_ARENA_BYTES);
	mime_init(&message->parser, &message->arena);
	return MAILBOX_DONE;
}

void
message_close(struct message *message)
{
	if (message->uid == 0)
		return;
	(void)close(message->fd);
	mime_clear(&message->parser);
	arena_clear(&message->arena);
	*message = (struct message){0};
}

static ssize_t
read_at(const struct message *message, uint64_t offset, char *to, size_t n)
{
	ssize_t got;

	do
		got = pread(message->fd, to, n, (off_t)offset);
	while (got < 0 && errno == EINTR);
	return got;
}

static bool
has_enough(const struct message *message)
{
	return message->header_only && !(message->parser.part == message->parser.root && message->parser.in_header);
}

static enum parse
finish(struct message *message, struct err *err)
{
	message->root = mime_finish(&message->parser);
	mime_clear(&message->parser);
	if (message->root != NULL)
		return PARSE_OK;
	(void)err_set(err, ERR_LIMIT, "the structure of message %u is too large", (unsigned)message->uid);
	return PARSE_BAD;
}

enum parse
message_scan(struct message *message, struct err *err)
{
	char piece[MESSAGE_READ_BYTES];
	ssize_t got;

	if (message->root != NULL)
		return PARSE_OK;
	got = read_at(message, message->offset, piece, message->header_only ? 4096 : sizeof piece);
	if (got < 0) {
		(void)err_sys(err, "message %u cannot be read", (unsigned)message->uid);
		return PARSE_BAD;
	}
	mime_feed(&message->parser, (struct str){piece, (size_t)got});
	message->offset += (uint64_t)got;
	return got == 0 || has_enough(message) ? finish(message, err) : PARSE_MORE;
}

bool
message_read(const struct message *message, uint64_t offset, char *to, size_t n, struct err *err)
{
	while (n > 0) {
		ssize_t got = read_at(message, offset, to, n);

		if (got < 0)
			return err_sys(err, "message %u cannot be read", (unsigned)message->uid);
		if (got == 0)
			return err_set(err, ERR_TEMP, "message %u has become shorter", (unsigned)message->uid);
		offset += (uint64_t)got;
		to += got;
		n -= (size_t)got;
	}
	return true;
}
