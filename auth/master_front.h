/*
 * The Dovecot master protocol, as far as it serves one purpose: a privileged parent asks whether what an unprivileged
 * login worker says is true, and whose account it is.
 *     REQUEST id pid exchange cookie -> USER id name uid= gid= home= mail= | NOTFOUND id
 */
#ifndef AUTH_MASTER_FRONT_H
#define AUTH_MASTER_FRONT_H

#include "auth/front.h"

extern const struct peer_kind master_front_kind;

#endif
