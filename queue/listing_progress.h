/*
 * How far long work is: one line on standard error, if that is a terminal, from half a second on. Not for several threads
 * at once.
 */
#ifndef QUEUE_LISTING_PROGRESS_H
#define QUEUE_LISTING_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct listing_progress {
	bool is_wanted;
	bool is_shown;
	uint64_t next_ms; /* it is not renewed before */
};

void listing_progress_init(struct listing_progress *progress);
/* True when it is time for a line. */
bool listing_progress_is_due(const struct listing_progress *progress);
void listing_progress_show(struct listing_progress *progress, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Before anything else is written to the terminal, and at the end. */
void listing_progress_hide(struct listing_progress *progress);

#endif
