/*
 * Borrowed bytes: a pointer and a length, passed by value, never assumed to end in NUL and never owned.
 * Whoever keeps one says how long the bytes behind it live.
 */
#ifndef COMMON_STR_H
#define COMMON_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *p;
	size_t n;
};

/* A string literal as a str; also fit for static tables. */
#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_NONE ((struct str){NULL, 0})

/* For "%.*s" in formats; the precision is cut at INT_MAX. */
#define STR_FMT(s) str_precision(s), (s).p ? (s).p : ""

struct str str_from(const char *cstring); /* NULL gives STR_NONE */
int str_precision(struct str s);

static inline bool
str_equal(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* ASCII only, as protocol verbs, domains and header names want it. */
bool str_equal_nocase(struct str a, struct str b);
/* Order as memcmp, then by length; <0, 0, >0. */
int str_compare(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_starts_nocase(struct str s, struct str prefix);
bool str_ends_nocase(struct str s, struct str suffix);

/* Index of the first byte c, or s.n when there is none. */
size_t str_find(struct str s, char c);
size_t str_find_last(struct str s, char c);
/* Index of the first occurrence of needle (not empty), or s.n. */
size_t str_search(struct str s, struct str needle);

/* No byte above 127. */
bool str_is_ascii(struct str s);

static inline struct str
str_skip(struct str s, size_t n)
{
	if (n > s.n)
		n = s.n;
	if (s.p != NULL)
		s.p += n;
	s.n -= n;
	return s;
}

/* The part from off (cut at the end) of at most n bytes. */
static inline struct str
str_sub(struct str s, size_t off, size_t n)
{
	s = str_skip(s, off);
	if (n < s.n)
		s.n = n;
	return s;
}

/* Without leading and trailing spaces and tabs (and CR, LF). */
struct str str_trim(struct str s);

/*
 * Takes the part before the first `sep` off *rest and puts it into *token. False when *rest was used up;
 * an empty token between two separators counts.
 */
bool str_token(struct str *rest, char sep, struct str *token);
/* The same for words between runs of spaces and tabs. */
bool str_word(struct str *rest, struct str *word);

/* Is word (any case) one of those between blanks in list? */
bool str_has_word_nocase(struct str list, struct str word);

/* Decimal digits only, no sign, no space; false on anything else or above max. */
bool str_to_u64(struct str s, uint64_t max, uint64_t *value);

/* Takes time that depends on the lengths only. */
bool str_equal_secret(struct str a, struct str b);

/* A NUL-terminated copy by malloc; fatal when memory is out. */
char *str_dup(struct str s);
/* Copies into a fixed array and terminates it; false (and dst empty) when it does not fit or holds a NUL. */
bool str_copy(char *dst, size_t size, struct str s);

/* ASCII classes: no locale, safe on any byte. */
static inline bool
ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
ascii_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool
ascii_is_alnum(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c);
}

static inline bool
ascii_is_print(char c)
{
	return c >= 32 && c < 127;
}

static inline bool
ascii_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static inline char
ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static inline char
ascii_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

/* Value of a hexadecimal digit, or -1. */
int ascii_hex_value(char c);

#endif
