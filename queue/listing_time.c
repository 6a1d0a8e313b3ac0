#include "queue/listing_time.h"

#include <time.h>

#define QUARTER_S 900
#define QUARTERS 512 /* five days of them */

/* No zone changes, nor differs from another, within a quarter of an hour by the clock, but for a few long ago. */
struct quarter {
	uint64_t number; /* since 1970, and 1; 0: free */
	bool is_whole;	 /* it begins with a full minute there, and does not reach into another hour */
	unsigned minute;
	char date[24], classic[24]; /* up to the hour, a colon behind it */
};

static bool
local_time(uint64_t time_s, struct tm *tm)
{
	time_t t = (time_t)time_s;

	return localtime_r(&t, tm) != NULL;
}

static const struct quarter *
quarter_of(uint64_t time_s)
{
	static _Thread_local struct quarter known[QUARTERS];
	uint64_t number = time_s / QUARTER_S;
	struct quarter *q = &known[number % QUARTERS];
	struct tm tm;

	if (q->number == number + 1)
		return q;
	*q = (struct quarter){.number = number + 1};
	q->is_whole = local_time(number * QUARTER_S, &tm) && tm.tm_sec == 0 && tm.tm_min % 15 == 0 &&
	    strftime(q->date, sizeof q->date, "%Y-%m-%d %H:", &tm) > 0 &&
	    strftime(q->classic, sizeof q->classic, "%a %b %e %H:", &tm) > 0;
	if (q->is_whole)
		q->minute = (unsigned)tm.tm_min;
	return q;
}

static void
add_two(struct buf *b, unsigned value)
{
	buf_addc(b, (char)('0' + value / 10 % 10));
	buf_addc(b, (char)('0' + value % 10));
}

static void
add_rest(struct buf *b, const struct quarter *q, uint64_t time_s)
{
	unsigned second = (unsigned)(time_s % QUARTER_S);

	add_two(b, q->minute + second / 60);
	buf_addc(b, ':');
	add_two(b, second % 60);
}

static void
add_slowly(struct buf *b, bool is_classic, uint64_t time_s)
{
	char text[64] = "-";
	struct tm tm;

	if (local_time(time_s, &tm) && is_classic)
		(void)strftime(text, sizeof text, "%a %b %e %H:%M:%S", &tm);
	else if (local_time(time_s, &tm))
		(void)strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
	buf_adds(b, text);
}

void
listing_time_add(struct buf *b, uint64_t time_s)
{
	const struct quarter *q = quarter_of(time_s);

	if (!q->is_whole) {
		add_slowly(b, false, time_s);
		return;
	}
	buf_adds(b, q->date);
	add_rest(b, q, time_s);
}

void
listing_time_add_classic(struct buf *b, uint64_t time_s)
{
	const struct quarter *q = quarter_of(time_s);

	if (!q->is_whole) {
		add_slowly(b, true, time_s);
		return;
	}
	buf_adds(b, q->classic);
	add_rest(b, q, time_s);
}
