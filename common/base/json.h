/*
 * JSON text (RFC 8259), as far as our commands write it.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include "common/base/buf.h"

/* A string with its quotes. What is not valid UTF-8 gets the replacement character for each of its bytes above 127. */
void json_add_string(struct buf *b, struct str s);
/* "key": and the value (the key is a plain word), with a comma in front unless an object or array has just begun. */
void json_add_member(struct buf *b, const char *key, struct str value);
void json_add_number(struct buf *b, const char *key, uint64_t value);
/* The same up to the value. */
void json_add_key(struct buf *b, const char *key);

#endif
