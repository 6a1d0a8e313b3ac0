/*
 * JSON (RFC 8259) as tokens and their servers bring it: checked whole once, then looked into where it stands. Strict: no
 * text behind the value, valid UTF-8, JSON_DEPTH_MAX deep. Pure.
 */
#ifndef AUTH_JSON_READER_H
#define AUTH_JSON_READER_H

#include "common/base/buf.h"

#define JSON_DEPTH_MAX 16

enum json_kind {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

/* Borrows from the text it was read from. */
struct json {
	enum json_kind kind;
	struct str text; /* from its first byte to its last, quotes and brackets among them */
};

/* False when text is not one JSON value. */
bool json_read(struct json *value, struct str text);

/* The functions below take what json_read, or they themselves, have given. */

/* False when there is no member of that name, or more than one: what can be read in two ways is not there. */
bool json_member(const struct json *object, const char *key, struct json *value);
/* There is more than one member of that name. */
bool json_is_repeated(const struct json *object, const char *key);
/* Walks through an array: rest is its text at first. False at the end. */
bool json_element(struct str *rest, struct json *value);
/* Appends the string that it is; false when it is none, or has a NUL. */
bool json_text(const struct json *value, struct buf *out);
/* Whether it is that string. */
bool json_is_text(const struct json *value, struct str text);
/* A number that is not negative, without its fraction; false when it is none, or too large, or has an exponent. */
bool json_number(const struct json *value, uint64_t *number);

#endif
