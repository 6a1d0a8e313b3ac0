/*
 * What notifications say to people, in each language. The lines end in CRLF; texts of languages that need more than ASCII
 * are UTF-8, which no notification has to be for any other reason: so they keep to ASCII.
 */
#ifndef QUEUE_DSN_TEXT_H
#define QUEUE_DSN_TEXT_H

#include "queue/dsn.h"

struct dsn_text {
	const char *system; /* "This is the mail system at ", then our name */
	const char *subject[DSN_KINDS];
	const char *introduction[DSN_KINDS];
	const char *until[2];	    /* around the time until which it is tried; of DELAYED only */
	const char *expanded_from;  /* " (expanded from <", then an address and ">)" */
	const char *said;	    /* behind the name of a relay */
	const char *action[DSN_ACTIONS]; /* of those that went well; NULL: the reply stands for itself */
	const char *description[3]; /* of the parts: text, report, message */
	const char *description_header;
};

const struct dsn_text *dsn_text(enum dsn_language language);

#endif
