#include "common/queue/queue_id.h"

#include <string.h>

#define SECONDS_LETTERS 6
#define MICROSECONDS_LETTERS 4
#define RANDOM_LETTERS 5
#define SEPARATOR 'z'

static const char letters[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
#define LETTERS (sizeof letters - 1)

/* Without the separator, as Postfix's own have it. */
#define RANDOM_BASE (LETTERS - 1)

static void
put(char *p, size_t n, uint64_t value, size_t base)
{
	while (n > 0) {
		p[--n] = letters[value % base];
		value /= base;
	}
}

/* One more than the place of a letter in the alphabet; 0: it is none. */
static const unsigned char values[256] = {['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7,
    ['7'] = 8, ['8'] = 9, ['9'] = 10, ['B'] = 11, ['C'] = 12, ['D'] = 13, ['F'] = 14, ['G'] = 15, ['H'] = 16, ['J'] = 17,
    ['K'] = 18, ['L'] = 19, ['M'] = 20, ['N'] = 21, ['P'] = 22, ['Q'] = 23, ['R'] = 24, ['S'] = 25, ['T'] = 26, ['V'] = 27,
    ['W'] = 28, ['X'] = 29, ['Y'] = 30, ['Z'] = 31, ['b'] = 32, ['c'] = 33, ['d'] = 34, ['f'] = 35, ['g'] = 36, ['h'] = 37,
    ['j'] = 38, ['k'] = 39, ['l'] = 40, ['m'] = 41, ['n'] = 42, ['p'] = 43, ['q'] = 44, ['r'] = 45, ['s'] = 46, ['t'] = 47,
    ['v'] = 48, ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52};

static bool
get(const char *p, size_t n, uint64_t *value)
{
	*value = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned char v = values[(unsigned char)p[i]];

		if (v == 0)
			return false;
		*value = *value * LETTERS + (uint64_t)(v - 1);
	}
	return true;
}

void
queue_id_make(struct queue_id *id, uint64_t time_us, uint32_t random)
{
	char *p = id->text;

	put(p, SECONDS_LETTERS, time_us / 1000000, LETTERS);
	p += SECONDS_LETTERS;
	put(p, MICROSECONDS_LETTERS, time_us % 1000000, LETTERS);
	p += MICROSECONDS_LETTERS;
	*p++ = SEPARATOR;
	put(p, RANDOM_LETTERS, random, RANDOM_BASE);
	p += RANDOM_LETTERS;
	*p = '\0';
}

bool
queue_id_parse(struct queue_id *id, struct str s)
{
	uint64_t seconds, microseconds, random;
	const char *tail;

	id->text[0] = '\0';
	if (s.n != QUEUE_ID_LENGTH)
		return false;
	tail = s.p + SECONDS_LETTERS + MICROSECONDS_LETTERS;
	if (*tail != SEPARATOR)
		return false;
	if (!get(s.p, SECONDS_LETTERS, &seconds) || !get(s.p + SECONDS_LETTERS, MICROSECONDS_LETTERS, &microseconds) ||
	    !get(tail + 1, RANDOM_LETTERS, &random) || microseconds >= 1000000)
		return false;
	return str_copy(id->text, sizeof id->text, s);
}

uint64_t
queue_id_time_us(const struct queue_id *id)
{
	uint64_t seconds, microseconds;

	if (!get(id->text, SECONDS_LETTERS, &seconds) ||
	    !get(id->text + SECONDS_LETTERS, MICROSECONDS_LETTERS, &microseconds))
		return 0;
	return seconds * 1000000 + microseconds;
}

struct str
queue_id_str(const struct queue_id *id)
{
	return str_from(id->text);
}
