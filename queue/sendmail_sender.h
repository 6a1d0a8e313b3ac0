/*
 * Who sends, for sendmail(1): the user who calls, or whom the options name.
 */
#ifndef QUEUE_SENDMAIL_SENDER_H
#define QUEUE_SENDMAIL_SENDER_H

#include "common/base/arena.h"
#include "queue/sendmail_options.h"

struct sendmail_sender {
	struct str envelope; /* empty: null */
	struct str from;     /* of an added From field */
	struct str full_name;
};

/* Strings live in the arena, or as long as the options. False: there is an option that is not an address. */
bool sendmail_sender_find(struct sendmail_sender *sender, const struct sendmail_options *options, struct str hostname,
    struct arena *arena);

#endif
