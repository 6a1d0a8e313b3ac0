/*
 * A message's content while it comes in: in memory, in a file without a name once it is large. What all messages of this
 * process may take together is limited.
 */
#ifndef DELIVER_SPOOL_H
#define DELIVER_SPOOL_H

#include "common/base/buf.h"
#include "common/base/err.h"

/* What is shared by all messages. */
struct spool_budget {
	uint64_t used, max; /* bytes */
};

struct spool {
	struct spool_budget *budget;
	struct buf head; /* the content, as long as it is short */
	int fd;		 /* -1: it is */
	uint64_t size;
};

void spool_init(struct spool *spool, struct spool_budget *budget);
/* Gives everything back. Harmless when done already. */
void spool_clear(struct spool *spool);
/* Class LIMIT: the message alone is more than all may take. TEMP: no room now. */
bool spool_add(struct spool *spool, struct str piece, struct err *err);
/* Puts even a short content into the file, and seals it: nobody can change it any more, this process included. */
bool spool_to_file(struct spool *spool, struct err *err);

#endif
