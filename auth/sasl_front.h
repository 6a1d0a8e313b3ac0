/*
 * The Dovecot authentication protocol, server side (version 1.2), as smtpd, the login fronts, Postfix and Exim speak
 * it. A success is remembered for a short time under the connection's cookie, so that a privileged parent can ask
 * about it, once, over the master socket.
 */
#ifndef AUTH_SASL_FRONT_H
#define AUTH_SASL_FRONT_H

#include "auth/front.h"

extern const struct peer_kind sasl_front_kind;

/* front->offers has changed. */
void sasl_front_offers(struct front *front);

/*
 * The account (a line of common/login/account.h) to which exchange `id` of the connection of process `pid` with that cookie
 * led. True once only; *line (with a maximum of at least MSG_MAX_BYTES) gets it.
 */
bool sasl_front_redeem(struct front *front, uint64_t pid, uint64_t id, struct str cookie, struct buf *line);

#endif
