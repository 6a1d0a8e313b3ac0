#include "queue/site_memory.h"

#include <stdio.h>

#include "common/base/crc32c.h"
#include "common/base/netstring.h"
#include "queue/job.h"

#define HEAD "merpati-sites 1\n"
#define END "end "
/* "end ", a number, a blank, a checksum, a newline. */
#define END_MAX 48

void
site_memory_begin(struct buf *b)
{
	buf_adds(b, HEAD);
}

bool
site_memory_add(struct buf *b, const struct site_memory *m)
{
	size_t before = b->n;

	buf_addf(b, "%llu %llu ", (unsigned long long)m->dead_until_s, (unsigned long long)m->deaths);
	netstring_add(b, str_sub(m->key, 0, JOB_SITE_MAX));
	buf_addc(b, ' ');
	netstring_add(b, str_sub(m->trouble, 0, JOB_REPLY_MAX));
	buf_addc(b, '\n');
	if (buf_ok(b) && b->n <= SITE_MEMORY_MAX_BYTES - END_MAX)
		return true;
	b->failed = false;
	buf_truncate(b, before);
	return false;
}

void
site_memory_end(struct buf *b, uint64_t n)
{
	buf_addf(b, END "%llu %08x\n", (unsigned long long)n, crc32c(0, buf_str(b)));
}

/* A number and the character behind it. */
static bool
take_number(struct str *text, char end, uint64_t *n)
{
	size_t digits = str_find(*text, end);

	if (digits >= text->n || !str_to_u64(str_sub(*text, 0, digits), UINT64_MAX, n))
		return false;
	*text = str_skip(*text, digits + 1);
	return true;
}

static bool
take_char(struct str *text, char c)
{
	if (text->n == 0 || text->p[0] != c)
		return false;
	*text = str_skip(*text, 1);
	return true;
}

bool
site_memory_take(struct str *text, struct site_memory *m)
{
	struct str rest = *text;

	if (!take_number(&rest, ' ', &m->dead_until_s) || !take_number(&rest, ' ', &m->deaths) ||
	    netstring_take(&rest, JOB_SITE_MAX, &m->key) != PARSE_OK || !take_char(&rest, ' ') ||
	    netstring_take(&rest, JOB_REPLY_MAX, &m->trouble) != PARSE_OK || !take_char(&rest, '\n'))
		return false;
	*text = rest;
	return m->key.n > 0 && m->deaths <= SITE_MEMORY_DEATHS_MAX;
}

bool
site_memory_check(struct str *text)
{
	struct str sites = str_skip(*text, sizeof HEAD - 1), rest = sites;
	struct site_memory m;
	char end[END_MAX];
	uint64_t n = 0;

	if (!str_starts(*text, STR(HEAD)))
		return false;
	while (site_memory_take(&rest, &m))
		n++;
	(void)snprintf(end, sizeof end, END "%llu %08x\n", (unsigned long long)n,
	    crc32c(0, str_sub(*text, 0, text->n - rest.n)));
	if (!str_equal(rest, str_from(end)))
		return false;
	*text = str_sub(sites, 0, sites.n - rest.n);
	return true;
}
