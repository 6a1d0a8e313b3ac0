/*
 * The name of a queued message: 6 letters of seconds and 4 of microseconds since 1970, a `z`, 5 random letters, all of
 * the 52-letter alphabet without vowels that log tools know (and the shape of Postfix's long queue IDs, so that what
 * decodes those finds the right time). IDs sort by time.
 */
#ifndef COMMON_QUEUE_ID_H
#define COMMON_QUEUE_ID_H

#include "common/base/str.h"

#define QUEUE_ID_LENGTH 16

struct queue_id {
	char text[QUEUE_ID_LENGTH + 1]; /* terminated */
};

/* random: 32 unpredictable bits. Whoever creates the file with O_EXCL takes another one on EEXIST. */
void queue_id_make(struct queue_id *id, uint64_t time_us, uint32_t random);
/* False when s is not of this shape; nothing else may be used as a file name in the spool. */
bool queue_id_parse(struct queue_id *id, struct str s);
uint64_t queue_id_time_us(const struct queue_id *id);
struct str queue_id_str(const struct queue_id *id);

#endif
