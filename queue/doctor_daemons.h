/*
 * Do the daemons answer on their sockets? Each is connected to, and those that are to speak must speak as expected: a
 * socket that only systemd or the kernel keeps open for a dead daemon is found out.
 */
#ifndef QUEUE_DOCTOR_DAEMONS_H
#define QUEUE_DOCTOR_DAEMONS_H

#include "queue/doctor.h"
#include "queue/doctor_net.h"

/* Asks, waits, and says what came of it. False: queued does not answer, so there is no use in asking it more. */
bool doctor_daemons(struct doctor *d, struct doctor_net *net);

#endif
