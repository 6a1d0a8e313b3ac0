#include "common/base/str.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

struct str
str_from(const char *cstring)
{
	if (cstring == NULL)
		return STR_NONE;
	return (struct str){cstring, strlen(cstring)};
}

int
str_precision(struct str s)
{
	return s.n > INT_MAX ? INT_MAX : (int)s.n;
}

bool
str_equal_nocase(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

int
str_compare(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n == 0 ? 0 : memcmp(a.p, b.p, n);

	if (order != 0)
		return order;
	return a.n < b.n ? -1 : a.n > b.n;
}

bool
str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_equal(str_sub(s, 0, prefix.n), prefix);
}

bool
str_starts_nocase(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_equal_nocase(str_sub(s, 0, prefix.n), prefix);
}

bool
str_ends_nocase(struct str s, struct str suffix)
{
	return s.n >= suffix.n && str_equal_nocase(str_skip(s, s.n - suffix.n), suffix);
}

size_t
str_find(struct str s, char c)
{
	const char *hit = s.n == 0 ? NULL : memchr(s.p, c, s.n);

	return hit == NULL ? s.n : (size_t)(hit - s.p);
}

size_t
str_find_last(struct str s, char c)
{
	const char *hit = s.n == 0 ? NULL : memrchr(s.p, c, s.n);

	return hit == NULL ? s.n : (size_t)(hit - s.p);
}

size_t
str_search(struct str s, struct str needle)
{
	const char *hit = s.n == 0 ? NULL : memmem(s.p, s.n, needle.p, needle.n);

	return hit == NULL ? s.n : (size_t)(hit - s.p);
}

bool
str_is_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] > 127)
			return false;
	return true;
}

static bool
is_space(char c)
{
	return ascii_is_blank(c) || c == '\r' || c == '\n';
}

struct str
str_trim(struct str s)
{
	while (s.n > 0 && is_space(s.p[0]))
		s = str_skip(s, 1);
	while (s.n > 0 && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool
str_token(struct str *rest, char sep, struct str *token)
{
	size_t n;

	if (rest->p == NULL)
		return false;
	n = str_find(*rest, sep);
	*token = str_sub(*rest, 0, n);
	*rest = n == rest->n ? STR_NONE : str_skip(*rest, n + 1);
	return true;
}

bool
str_word(struct str *rest, struct str *word)
{
	size_t n = 0;

	while (rest->n > 0 && ascii_is_blank(rest->p[0]))
		*rest = str_skip(*rest, 1);
	while (n < rest->n && !ascii_is_blank(rest->p[n]))
		n++;
	*word = str_sub(*rest, 0, n);
	*rest = str_skip(*rest, n);
	return n > 0;
}

bool
str_has_word_nocase(struct str list, struct str word)
{
	struct str one;

	while (str_word(&list, &one))
		if (str_equal_nocase(one, word))
			return true;
	return false;
}

bool
str_to_u64(struct str s, uint64_t max, uint64_t *value)
{
	uint64_t sum = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		uint64_t digit;

		if (!ascii_is_digit(s.p[i]))
			return false;
		digit = (uint64_t)(s.p[i] - '0');
		/* The first 19 digits are never more than 64 bits hold. */
		if (i >= 19 && (digit > max || sum > (max - digit) / 10))
			return false;
		sum = sum * 10 + digit;
	}
	if (sum > max)
		return false;
	*value = sum;
	return true;
}

bool
str_equal_secret(struct str a, struct str b)
{
	unsigned char difference = 0;

	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		difference |= (unsigned char)(a.p[i] ^ b.p[i]);
	return difference == 0;
}

char *
str_dup(struct str s)
{
	char *copy = malloc(s.n + 1);

	if (copy == NULL)
		fatal("out of memory for a string of %zu bytes", s.n);
	if (s.n > 0)
		memcpy(copy, s.p, s.n);
	copy[s.n] = '\0';
	return copy;
}

bool
str_copy(char *dst, size_t size, struct str s)
{
	dst[0] = '\0';
	if (s.n >= size || str_find(s, '\0') != s.n)
		return false;
	if (s.n > 0)
		memcpy(dst, s.p, s.n);
	dst[s.n] = '\0';
	return true;
}

int
ascii_hex_value(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
