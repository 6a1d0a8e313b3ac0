/*
 * This host's own name: does DNS lead from it to its addresses, and back? What other servers look at before they look at
 * the mail. Questions are asked in steps; between them doctor_net_wait.
 */
#ifndef QUEUE_DOCTOR_HOST_H
#define QUEUE_DOCTOR_HOST_H

#include "queue/doctor.h"
#include "queue/doctor_address.h"

/* The hostname's addresses; the names of those; the addresses of these. */
#define DOCTOR_HOST_STEPS 3

void doctor_host_ask(const struct doctor *d, struct doctor_dns *dns, unsigned step);
void doctor_host_report(struct doctor *d, struct doctor_dns *dns, const struct doctor_addresses *own);

#endif
