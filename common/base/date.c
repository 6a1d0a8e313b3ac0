#include "common/base/date.h"

#include <stdio.h>

#define DAY_SECONDS 86400
#define SECONDS_MIN (-62135596800LL) /* 0001-01-01 00:00:00 */
#define SECONDS_MAX 253402300799LL   /* 9999-12-31 23:59:59 */
#define ZONE_MAX_MINUTES 1439

static const char month_names[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char day_names[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

/* RFC 5322 4.3; the letters of the military zones are all to be taken as unknown. */
static const struct {
	struct str name;
	int minutes;
} zones[] = {
    {STR("EST"), -5 * 60},
    {STR("EDT"), -4 * 60},
    {STR("CST"), -6 * 60},
    {STR("CDT"), -5 * 60},
    {STR("MST"), -7 * 60},
    {STR("MDT"), -6 * 60},
    {STR("PST"), -8 * 60},
    {STR("PDT"), -7 * 60},
};

/* A date taken apart; as it is in its own zone. */
struct civil {
	int year, month, day, hour, minute, second;
	int zone_minutes;
};

static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/*
 * Years that begin in March end with the leap day, so that the days before a month are a linear function: 153 days in
 * any five months from March on. An era is 400 years.
 */
int64_t
date_days(int year, int month, int day)
{
	int64_t y = (int64_t)year - (month <= 2), era = floor_div(y, 400), year_of_era = y - era * 400;
	int64_t month_from_march = (month + 9) % 12, day_of_year = (153 * month_from_march + 2) / 5 + day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void
civil_day(int64_t days, struct civil *c)
{
	int64_t z = days + 719468, era = floor_div(z, 146097), day_of_era = z - era * 146097;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month_from_march = (5 * day_of_year + 2) / 153;

	c->day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
	c->month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
	c->year = (int)(year_of_era + era * 400 + (c->month <= 2));
}

static int
clamp_zone(int minutes)
{
	return minutes < -ZONE_MAX_MINUTES ? -ZONE_MAX_MINUTES : minutes > ZONE_MAX_MINUTES ? ZONE_MAX_MINUTES : minutes;
}

/* Seconds since 1970 of the clock on the wall in that zone. */
static int64_t
wall_seconds(struct date date)
{
	int64_t margin = (int64_t)ZONE_MAX_MINUTES * 60;

	if (date.seconds < SECONDS_MIN + margin)
		date.seconds = SECONDS_MIN + margin;
	if (date.seconds > SECONDS_MAX - margin)
		date.seconds = SECONDS_MAX - margin;
	return date.seconds + (int64_t)clamp_zone(date.zone_minutes) * 60;
}

int64_t
date_day(struct date date)
{
	return floor_div(wall_seconds(date), DAY_SECONDS);
}

static struct civil
civil_of(struct date date)
{
	int64_t wall = wall_seconds(date), day = floor_div(wall, DAY_SECONDS), rest = wall - day * DAY_SECONDS;
	struct civil c = {.hour = (int)(rest / 3600), .minute = (int)(rest / 60 % 60), .second = (int)(rest % 60),
	    .zone_minutes = clamp_zone(date.zone_minutes)};

	civil_day(day, &c);
	return c;
}

static int
zone_digits(const struct civil *c)
{
	int minutes = c->zone_minutes < 0 ? -c->zone_minutes : c->zone_minutes;

	return minutes / 60 * 100 + minutes % 60;
}

/* Tells the compiler what is true anyhow, so that it can see that the text fits. */
static unsigned
digits(int value, unsigned limit)
{
	return (unsigned)value % limit;
}

const char *
date_format_rfc5322(char out[DATE_RFC5322_SIZE], struct date date)
{
	struct civil c = civil_of(date);
	int64_t weekday = (date_day(date) % 7 + 11) % 7; /* day 0 was a Thursday */

	(void)snprintf(out, DATE_RFC5322_SIZE, "%s, %u %s %04u %02u:%02u:%02u %c%04u", day_names[weekday], digits(c.day, 100),
	    month_names[c.month - 1], digits(c.year, 10000), digits(c.hour, 100), digits(c.minute, 100), digits(c.second, 100),
	    c.zone_minutes < 0 ? '-' : '+', digits(zone_digits(&c), 10000));
	return out;
}

const char *
date_format_imap(char out[DATE_IMAP_SIZE], struct date date)
{
	struct civil c = civil_of(date);

	(void)snprintf(out, DATE_IMAP_SIZE, "%2u-%s-%04u %02u:%02u:%02u %c%04u", digits(c.day, 100), month_names[c.month - 1],
	    digits(c.year, 10000), digits(c.hour, 100), digits(c.minute, 100), digits(c.second, 100),
	    c.zone_minutes < 0 ? '-' : '+', digits(zone_digits(&c), 10000));
	return out;
}

const char *
date_format_rfc3339(char out[DATE_RFC3339_SIZE], struct date date)
{
	struct civil c = civil_of((struct date){.seconds = date.seconds});

	(void)snprintf(out, DATE_RFC3339_SIZE, "%04u-%02u-%02uT%02u:%02u:%02uZ", digits(c.year, 10000), digits(c.month, 100),
	    digits(c.day, 100), digits(c.hour, 100), digits(c.minute, 100), digits(c.second, 100));
	return out;
}

static bool
is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool
civil_is_good(const struct civil *c)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	if (c->year < 1 || c->year > 9999 || c->month < 1 || c->month > 12 || c->day < 1)
		return false;
	if (c->day > days[c->month - 1] + (c->month == 2 && is_leap(c->year)))
		return false;
	return c->hour <= 23 && c->minute <= 59 && c->second <= 60;
}

static bool
civil_to_date(struct civil *c, struct date *date)
{
	if (!civil_is_good(c))
		return false;
	if (c->second == 60)
		c->second = 59;
	date->zone_minutes = c->zone_minutes;
	date->seconds = date_days(c->year, c->month, c->day) * DAY_SECONDS +
	    (c->hour * 60 + c->minute - c->zone_minutes) * 60 + c->second;
	return true;
}

int
date_month_parse(struct str name)
{
	for (int i = 0; i < 12; i++)
		if (str_equal_nocase(name, (struct str){month_names[i], 3}))
			return i + 1;
	return 0;
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

/* Takes min to max digits; counts them. */
static bool
take_number(struct str *rest, size_t min, size_t max, int *value, size_t *digits)
{
	size_t n = 0;
	int sum = 0;

	for (; n < rest->n && n < max && ascii_is_digit(rest->p[n]); n++)
		sum = sum * 10 + (rest->p[n] - '0');
	if (n < min)
		return false;
	*rest = str_skip(*rest, n);
	*value = sum;
	if (digits != NULL)
		*digits = n;
	return true;
}

static bool
take_char(struct str *rest, char c)
{
	if (rest->n == 0 || rest->p[0] != c)
		return false;
	*rest = str_skip(*rest, 1);
	return true;
}

static struct str
take_word(struct str *rest)
{
	size_t n = 0;

	while (n < rest->n && ascii_is_alpha(rest->p[n]))
		n++;
	*rest = str_skip(*rest, n);
	return (struct str){rest->p - n, n};
}

/* Comments nest; one that does not end reaches to the end of the text. */
static void
skip_comment(struct str *rest)
{
	unsigned depth = 0;
	size_t i = 0;

	while (i < rest->n) {
		char c = rest->p[i++];

		if (c == '\\' && i < rest->n)
			i++;
		else if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0)
			break;
	}
	*rest = str_skip(*rest, i);
}

static void
skip_cfws(struct str *rest)
{
	while (rest->n > 0) {
		char c = rest->p[0];

		if (c == '(')
			skip_comment(rest);
		else if (ascii_is_blank(c) || c == '\r' || c == '\n')
			*rest = str_skip(*rest, 1);
		else
			return;
	}
}

/* RFC 5322 4.3: two digits below 50 are this century, three digits count from 1900. */
static bool
take_year(struct str *rest, int *year)
{
	size_t digits;

	if (!take_number(rest, 2, 4, year, &digits))
		return false;
	if (digits == 2 && *year < 50)
		*year += 2000;
	else if (digits < 4)
		*year += 1900;
	return true;
}

static bool
take_signed_zone(struct str *rest, int *minutes)
{
	bool west = rest->p[0] == '-';
	int value;

	*rest = str_skip(*rest, 1);
	if (!take_number(rest, 4, 4, &value, NULL) || value / 100 > 23 || value % 100 > 59)
		return false;
	*minutes = value / 100 * 60 + value % 100;
	if (west)
		*minutes = -*minutes;
	return true;
}

/* A zone that cannot be read is as unknown as one that is absent: the moment is then taken to be UTC. */
static int
take_zone(struct str *rest)
{
	struct str name;
	int minutes;

	if (rest->n > 0 && (rest->p[0] == '+' || rest->p[0] == '-'))
		return take_signed_zone(rest, &minutes) ? minutes : 0;
	name = take_word(rest);
	for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++)
		if (str_equal_nocase(name, zones[i].name))
			return zones[i].minutes;
	return 0;
}

/* hour ":" minute [":" second]; obsolete syntax has blanks and comments anywhere. */
static bool
take_time(struct str *rest, struct civil *c)
{
	if (!take_number(rest, 1, 2, &c->hour, NULL))
		return false;
	skip_cfws(rest);
	if (!take_char(rest, ':'))
		return false;
	skip_cfws(rest);
	if (!take_number(rest, 1, 2, &c->minute, NULL))
		return false;
	skip_cfws(rest);
	if (!take_char(rest, ':'))
		return true;
	skip_cfws(rest);
	return take_number(rest, 1, 2, &c->second, NULL);
}

/* day month year; some write 24-Nov-2026. */
static bool
take_day(struct str *rest, struct civil *c)
{
	if (!take_number(rest, 1, 2, &c->day, NULL))
		return false;
	skip_cfws(rest);
	if (take_char(rest, '-'))
		skip_cfws(rest);
	c->month = date_month_parse(take_word(rest));
	skip_cfws(rest);
	if (take_char(rest, '-'))
		skip_cfws(rest);
	return c->month != 0 && take_year(rest, &c->year);
}

bool
date_parse_rfc5322(struct str text, struct date *date)
{
	struct civil c = {0};

	skip_cfws(&text);
	(void)take_word(&text); /* the weekday */
	skip_cfws(&text);
	if (take_char(&text, ','))
		skip_cfws(&text);
	if (!take_day(&text, &c))
		return false;
	skip_cfws(&text);
	if (!take_time(&text, &c))
		return false;
	skip_cfws(&text);
	c.zone_minutes = take_zone(&text);
	return civil_to_date(&c, date);
}

bool
date_parse_imap(struct str text, struct date *date)
{
	struct civil c = {0};

	(void)take_char(&text, ' ');
	if (!take_number(&text, 1, 2, &c.day, NULL) || !take_char(&text, '-'))
		return false;
	c.month = date_month_parse(take_word(&text));
	if (!take_char(&text, '-') || !take_number(&text, 4, 4, &c.year, NULL) || !take_char(&text, ' '))
		return false;
	if (!take_number(&text, 2, 2, &c.hour, NULL) || !take_char(&text, ':') ||
	    !take_number(&text, 2, 2, &c.minute, NULL) || !take_char(&text, ':') ||
	    !take_number(&text, 2, 2, &c.second, NULL) || !take_char(&text, ' '))
		return false;
	if (text.n != 5 || (text.p[0] != '+' && text.p[0] != '-'))
		return false;
	return take_signed_zone(&text, &c.zone_minutes) && civil_to_date(&c, date);
}

/* time-offset = "Z" / time-numoffset */
static bool
take_offset(struct str *rest, int *minutes)
{
	bool west = rest->n > 0 && rest->p[0] == '-';
	int hour, minute;

	if (take_char(rest, 'Z') || take_char(rest, 'z'))
		return true;
	if ((!take_char(rest, '-') && !take_char(rest, '+')) || !take_number(rest, 2, 2, &hour, NULL) || !take_char(rest, ':') ||
	    !take_number(rest, 2, 2, &minute, NULL) || hour > 23 || minute > 59)
		return false;
	*minutes = west ? -(hour * 60 + minute) : hour * 60 + minute;
	return true;
}

bool
date_parse_rfc3339(struct str text, struct date *date)
{
	struct civil c = {0};

	if (!take_number(&text, 4, 4, &c.year, NULL) || !take_char(&text, '-') || !take_number(&text, 2, 2, &c.month, NULL) ||
	    !take_char(&text, '-') || !take_number(&text, 2, 2, &c.day, NULL) || (!take_char(&text, 'T') && !take_char(&text, 't')))
		return false;
	if (!take_number(&text, 2, 2, &c.hour, NULL) || !take_char(&text, ':') || !take_number(&text, 2, 2, &c.minute, NULL) ||
	    !take_char(&text, ':') || !take_number(&text, 2, 2, &c.second, NULL))
		return false;
	if (take_char(&text, '.')) {
		if (text.n == 0 || !ascii_is_digit(text.p[0]))
			return false;
		while (text.n > 0 && ascii_is_digit(text.p[0]))
			text = str_skip(text, 1);
	}
	return take_offset(&text, &c.zone_minutes) && text.n == 0 && civil_to_date(&c, date);
}
