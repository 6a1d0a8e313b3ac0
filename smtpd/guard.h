/*
 * The process `guard`: what smtpd's workers must know together, so that each client meets its limits whichever of them it
 * comes to, and what DNS says of clients. Workers ask over their socket pairs (smtpd/guard_message.h); the postmaster's
 * `merpati clients` over the socket `clients`. It opens nothing but sockets to the resolvers.
 *
 *     guard_key, guard_table, guard_live, guard_rates, guard_grey    counting and remembering
 *     guard_memory     the file that it is remembered in
 *     guard_core       the judgement
 *     guard_lookup     DNS
 *     guard_message    what is said
 *     guard_list       for the postmaster
 *     guard_client     the workers' side
 */
#ifndef SMTPD_GUARD_H
#define SMTPD_GUARD_H

#include "common/daemon/daemon.h"
#include "smtpd/guard_core.h"

/* The role's main. */
void guard_main(struct daemon_self *self);

#endif
