/*
 * What the doctor found as text: for people, by subject, or as JSON, an object a line. Pure.
 */
#ifndef QUEUE_DOCTOR_PRINT_H
#define QUEUE_DOCTOR_PRINT_H

#include "queue/doctor.h"
#include "queue/listing_print.h"

struct doctor_style {
	struct listing_style style;
	enum doctor_level least; /* what is less than that is left out */
	size_t columns;		 /* sentences are broken into lines of so many at most, but records to publish are not; 0: nothing is */
};

void doctor_print(struct buf *b, const struct doctor_style *style, const struct doctor *d);

#endif
