/*
 * One message's file while it is being fetched or searched: opened, its structure read in slices, parts of it read
 * again. A file in a Maildir never changes, so what is known of it stays true.
 */
#ifndef IMAPD_MESSAGE_H
#define IMAPD_MESSAGE_H

#include "common/store/mailbox.h"
#include "common/mime/mime.h"

#define MESSAGE_READ_BYTES 65536

struct message {
	uint32_t uid; /* 0: none is open */
	int fd;
	bool header_only;	/* what was asked of the scan */
	struct mime_part *root; /* NULL until the scan is over */
	/* its own */
	struct arena arena;
	struct mime_parser parser;
	uint64_t offset;
};

/* What there was of a message before is closed. header_only: the structure ends with the root's header. */
enum mailbox_done message_open(struct message *message, struct mailbox *mailbox, uint32_t uid, bool header_only,
    struct err *err);
/* Harmless when none is open. All zero is none. */
void message_close(struct message *message);

/* Reads on, one piece: MORE until the structure is known. BAD: err says why. */
enum parse message_scan(struct message *message, struct err *err);

/* Exactly these bytes of the file; false also when it is shorter than it was. */
bool message_read(const struct message *message, uint64_t offset, char *to, size_t n, struct err *err);

#endif
