#include "queue/listing_progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define FIRST_MS 500
#define EVERY_MS 200

static uint64_t
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void
listing_progress_init(struct listing_progress *progress)
{
	*progress = (struct listing_progress){.is_wanted = isatty(STDERR_FILENO) != 0, .next_ms = now_ms() + FIRST_MS};
}

bool
listing_progress_is_due(const struct listing_progress *progress)
{
	return progress->is_wanted && now_ms() >= progress->next_ms;
}

void
listing_progress_show(struct listing_progress *progress, const char *format, ...)
{
	va_list ap;

	(void)fputs("\r\033[K", stderr);
	va_start(ap, format);
	(void)vfprintf(stderr, format, ap);
	va_end(ap);
	(void)fflush(stderr);
	progress->is_shown = true;
	progress->next_ms = now_ms() + EVERY_MS;
}

void
listing_progress_hide(struct listing_progress *progress)
{
	if (progress->is_shown)
		(void)fputs("\r\033[K", stderr);
	progress->is_shown = false;
}
