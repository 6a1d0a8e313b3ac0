/*
 * When a message is to be tried, warned of and given up: what the configuration says, and what its sender asked for with
 * FUTURERELEASE (RFC 4865) and DELIVERBY (RFC 2852). Pure: times are milliseconds since 1970.
 */
#ifndef QUEUE_TIMING_H
#define QUEUE_TIMING_H

#include "common/conf/conf.h"
#include "queue/envelope.h"

/* Before that nothing is tried; from then on its age counts. */
uint64_t timing_begin_ms(const struct envelope *e);
/* It was to be delivered by now, and is to be returned instead. */
bool timing_is_late(const struct envelope *e, uint64_t now_ms);
/* When what is left of it goes back: it waited too long, or is late. */
uint64_t timing_end_ms(const struct envelope *e, const struct conf_queue *conf);
/* When the sender is to be told (again) that it waits; UINT64_MAX: never. */
uint64_t timing_warn_ms(const struct envelope *e, const struct conf_queue *conf);
/*
 * The next try of one that was deferred so often as it says: by the list, at most after soon_ms when the fault was ours
 * (0: it was not), and not past the times above, which are then punctual. random: 32 bits.
 */
uint64_t timing_next_ms(const struct envelope *e, const struct conf_queue *conf, uint64_t soon_ms, uint64_t now_ms,
    uint32_t random);
/* The same of one of which nothing was tried, because its sites are dead: such are many at a time, and are spread wider. */
uint64_t timing_suspended_ms(const struct envelope *e, const struct conf_queue *conf, uint64_t soon_ms, uint64_t now_ms,
    uint32_t random);
/*
 * How long what finds no room, and was not tried, waits at most: the first wait for a retry, or a quarter of its age, so that what
 * must wait long is not looked at all the time; but no longer than TIMING_AGAIN_MAX_S, if that is more.
 */
#define TIMING_AGAIN_MAX_S 3600
uint64_t timing_again_max_ms(const struct envelope *e, const struct conf_queue *conf, uint64_t now_ms);
/* When one is due of which some is to come again then, untried; punctual as above. */
uint64_t timing_postponed_ms(const struct envelope *e, const struct conf_queue *conf, uint64_t again_ms, uint64_t now_ms);

#endif
