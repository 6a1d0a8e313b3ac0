/*
 * The system below: room on the disks, and the clock.
 */
#ifndef QUEUE_DOCTOR_SYSTEM_H
#define QUEUE_DOCTOR_SYSTEM_H

#include "queue/doctor.h"

void doctor_disk(struct doctor *d);
void doctor_clock(struct doctor *d);

/* Pure, for the test: how bad is it that so much is left, of a thing of which there is a total? least: what must be left. */
enum doctor_level doctor_room_level(uint64_t left, uint64_t total, uint64_t least);

#endif
