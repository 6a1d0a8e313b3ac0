/*
 * A look at the header of a message in its file: does it need SMTPUTF8 (RFC 6532), and does it want to arrive whatever is wrong
 * with TLS (RFC 8689 5)?
 */
#ifndef QUEUE_REMOTE_HEADER_H
#define QUEUE_REMOTE_HEADER_H

#include "queue/remote_content.h"

enum remote_header {
	REMOTE_HEADER_UNKNOWN, /* or it cannot be read, or does not end within what is looked at */
	REMOTE_HEADER_ASCII,
	REMOTE_HEADER_UTF8,
};

/* Reads at most REMOTE_HEADER_MAX_BYTES. */
#define REMOTE_HEADER_MAX_BYTES (1024 * 1024)
enum remote_header remote_header_look(const struct remote_content *content);

/* There is a field "TLS-Required: No" in the first REMOTE_HEADER_WAIVER_BYTES of the header. */
#define REMOTE_HEADER_WAIVER_BYTES 65536
bool remote_header_waives_tls(const struct remote_content *content);

#endif
