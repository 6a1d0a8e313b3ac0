/*
 * Dates as mail writes them: RFC 5322 3.3 (with what 4.3 still allows to be read), IMAP's date-time, and RFC 3339. Pure: nothing
 * here knows the clock or the local zone. Years 1 to 9999; what does not fit is cut to these when formatted.
 */
#ifndef COMMON_DATE_H
#define COMMON_DATE_H

#include "common/base/str.h"

/* A moment and the zone in which it was written. */
struct date {
	int64_t seconds;  /* since 1970-01-01 00:00:00 UTC */
	int zone_minutes; /* east of UTC; -1439 to 1439 */
};

#define DATE_RFC5322_SIZE 32 /* "Tue, 24 Nov 2026 10:00:00 +0700" and its NUL */
#define DATE_IMAP_SIZE 27    /* "24-Nov-2026 10:00:00 +0700" and its NUL */
#define DATE_RFC3339_SIZE 21 /* "2026-11-24T03:00:00Z" and its NUL */

/* Both terminate the text and return it. */
const char *date_format_rfc5322(char out[DATE_RFC5322_SIZE], struct date date);
/* The day with a leading space when it has one digit, as RFC 3501 has it; without quotes. */
const char *date_format_imap(char out[DATE_IMAP_SIZE], struct date date);
/* In UTC, to the second. */
const char *date_format_rfc3339(char out[DATE_RFC3339_SIZE], struct date date);

/*
 * The value of a Date field: comments, folding, missing weekday or seconds, two-digit years, named zones. An unknown zone
 * counts as UTC; a second of 60 as 59. A wrong weekday is passed over. Anything behind a zone is ignored.
 */
bool date_parse_rfc5322(struct str text, struct date *date);
/* Exactly DATE_IMAP's form (the first digit of the day may be a space or absent), without quotes. */
bool date_parse_imap(struct str text, struct date *date);
/* RFC 3339 5.6; a fraction of a second is passed over. */
bool date_parse_rfc3339(struct str text, struct date *date);

/* Days since 1970-01-01 of a day of the proleptic Gregorian calendar; month 1 to 12. No check of the day's range. */
int64_t date_days(int year, int month, int day);
/* The day on which the moment falls in its own zone, as days since 1970-01-01: for IMAP's SENTON, ON ... */
int64_t date_day(struct date date);
/* 1 to 12 for Jan to Dec in any case, else 0. */
int date_month_parse(struct str name);

#endif
