/*
 * Handing a message to smtpd through the submit socket, for commands: blocking, one message, then done.
 */
#ifndef QUEUE_SUBMIT_H
#define QUEUE_SUBMIT_H

#include "common/conf/conf.h"
#include "common/base/err.h"
#include "queue/smtp_client.h"

struct submit {
	int fd; /* connected to the socket */
	struct str hostname;
	struct smtp_mail mail; /* with its recipients; afterwards their verdicts */
	/* The next bytes of the message in wire form; .n is 0 at the end, .p is NULL when it cannot be read. */
	struct str (*body)(struct submit *submit);
};

/* False when the session failed as a whole: err says why; recipients that are not settled then are PENDING. */
bool submit_run(struct submit *submit, struct err *err);

#endif
