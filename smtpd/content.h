/*
 * A message's content on its way from the client into the queue: its header is looked at (how many servers it has
 * passed, its Message-ID, what it lacks) and, for mail of our own users, completed (RFC 6409 8). The body goes through
 * untouched. Pure: the output is a queue_writer's.
 */
#ifndef SMTPD_CONTENT_H
#define SMTPD_CONTENT_H

#include "common/queue/queue_file.h"
#include "common/mime/rfc5322.h"

struct content_rules {
	bool complete; /* from a user of ours: add Date and Message-ID where they are missing, take out Bcc, Return-Path */
	struct str date;       /* of an added Date field */
	struct str message_id; /* of an added Message-ID field, with its brackets */
	struct str sender;     /* of a Sender field that takes the place of any there is; empty: none */
	uint64_t received_max;
	size_t header_max;
};

enum content_verdict {
	CONTENT_FINE,
	CONTENT_LOOP,	       /* more than received_max Received fields */
	CONTENT_HEADER_TOO_LARGE,
};

#define CONTENT_MESSAGE_ID_MAX 255

struct content {
	struct content_rules rules; /* its strings are borrowed for the content's life */
	struct queue_writer *writer;
	struct rfc5322_splitter splitter;
	enum content_verdict verdict; /* after anything but FINE the rest is not looked at */
	bool in_body;
	bool has_date, has_message_id;
	uint64_t received;
	uint64_t body_offset; /* in the file, of the empty line in front of the body; known once it is complete */
	char message_id[CONTENT_MESSAGE_ID_MAX + 1]; /* for the log; empty when there is none, cut when it is longer */
};

void content_init(struct content *c, const struct content_rules *rules, struct queue_writer *writer);
void content_clear(struct content *c);
void content_feed(struct content *c, struct str piece);
/* The content is complete. */
void content_end(struct content *c);

#endif
