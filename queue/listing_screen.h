/*
 * A terminal whose whole screen is drawn again and again, without a flicker: each picture goes over the one before, and what
 * is left of that is wiped at the end of each line and below.
 */
#ifndef QUEUE_LISTING_SCREEN_H
#define QUEUE_LISTING_SCREEN_H

#include <termios.h>

#include "common/base/buf.h"

/* A picture of so many lines and columns, of text in lines, which are cut; colours (ESC [ ... m) take no room. Pure. */
void listing_screen_draw(struct buf *b, struct str text, size_t lines, size_t columns);

struct listing_screen {
	size_t lines, columns; /* at present: listing_screen_measure */
	bool is_terminal;
	bool has_keys; /* of which each ends the wait */
	struct termios before;
};

/* Takes the terminal, if standard output is one; a signal that ends the process gives it back. */
void listing_screen_open(struct listing_screen *screen);
void listing_screen_close(struct listing_screen *screen);
void listing_screen_measure(struct listing_screen *screen);
/* True when somebody pressed a key, or wants it to end. */
bool listing_screen_wait(struct listing_screen *screen, uint64_t seconds);

#endif
