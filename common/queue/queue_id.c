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

static bool
get(const char *p, size_t n, uint64_t *value)
{
	*value = 0;
	for (size_t i = 0; i < n; i++) {
		const char *hit = memchr(letters, p[i], LETTERS);

		if (hit == NULL)
			return false;
		*value = *value * LETTERS + (uint64_t)(hit - letters);
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
