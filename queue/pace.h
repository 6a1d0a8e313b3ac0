/*
 * When what finds no room now is to come again: one behind the other, as fast as what it waits for goes on, so that each comes
 * once and finds room, instead of all coming all the time. Pure.
 */
#ifndef QUEUE_PACE_H
#define QUEUE_PACE_H

#include <stdint.h>

struct pace {
	uint64_t next_us; /* the next slot that nobody has */
};

/*
 * In how many milliseconds: the next slot, but no sooner than half of the `waiting` before it are gone, of which one goes every
 * interval_us. What would have to wait longer than max_ms gets a time in the second half of that. random: 32 bits.
 */
uint64_t pace_slot_ms(struct pace *pace, uint64_t interval_us, uint64_t waiting, uint64_t max_ms, uint64_t now_ms,
    uint32_t random);

#endif
