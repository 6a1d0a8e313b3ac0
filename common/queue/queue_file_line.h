/*
 * One line of a queue file and its head, as writer and reader share them; nobody else needs this.
 *
 *     line = [state SP] key SP length ":" value "," SP crc8 LF
 *
 * crc8: the CRC-32C, in 8 lower-case hexadecimal digits, of the line up to and with the comma, the state taken as `w`.
 */
#ifndef COMMON_QUEUE_FILE_LINE_H
#define COMMON_QUEUE_FILE_LINE_H

#include "common/queue/queue_file.h"

enum queue_key_place {
	IN_ENVELOPE = 1,
	IN_CLOSING = 2,
	IN_HISTORY = 4,
	IN_ANY = IN_ENVELOPE | IN_CLOSING | IN_HISTORY,
};

/* Where a key may stand: bits of queue_key_place. */
unsigned queue_key_places(enum queue_key key);
/* It says more about the recipient before it. */
bool queue_key_is_of_recipient(enum queue_key key);

void queue_line_format(struct buf *b, enum queue_key key, struct str value);
/*
 * OK: *record is filled (but for its offset) and the line cut off *input. BAD may come as soon as it is certain; with
 * *only_newline when nothing but the last byte is wrong, and then the line is cut off too.
 */
enum parse queue_line_parse(struct str *input, struct queue_record *record, bool *only_newline);

/* The head of a complete file (head->complete) or of an unfinished one. */
void queue_head_format(char bytes[QUEUE_HEAD_BYTES], const struct queue_head *head);

/* Fixed width: digits with leading zeros, lower-case hexadecimal. */
void queue_put_decimal(char *p, size_t width, uint64_t value);
void queue_put_crc(char p[8], uint32_t crc);
bool queue_get_crc(struct str s, uint32_t *crc);

#endif
