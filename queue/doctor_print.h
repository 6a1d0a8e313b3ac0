/*
 * What the doctor found as text: for people, by subject, or as JSON, an object a line. Pure.
 */
#ifndef QUEUE_DOCTOR_PRINT_H
#define QUEUE_DOCTOR_PRINT_H

#include "queue/doctor.h"
#include "queue/listing_print.h"

/* least: what is less than that is left out. */
void doctor_print(struct buf *b, const struct listing_style *style, const struct doctor *d, enum doctor_level least);

#endif
