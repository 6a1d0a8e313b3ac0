/*
 * Times in the local zone, as listings show them. Of a million the same quarters of an hour come again and again, so what is
 * known of one is kept, for each thread.
 */
#ifndef QUEUE_LISTING_TIME_H
#define QUEUE_LISTING_TIME_H

#include "common/base/buf.h"

/* 2026-11-28 21:04:33 */
void listing_time_add(struct buf *b, uint64_t time_s);
/* Sat Nov 28 21:04:33 */
void listing_time_add_classic(struct buf *b, uint64_t time_s);

#endif
