/*
 * Is there somebody at postmaster of each of our domains (RFC 5321 4.5.1)? Asks authd, a few seconds at most.
 */
#ifndef QUEUE_DOCTOR_POSTMASTER_H
#define QUEUE_DOCTOR_POSTMASTER_H

#include "queue/doctor.h"

void doctor_postmasters(struct doctor *d);

#endif
