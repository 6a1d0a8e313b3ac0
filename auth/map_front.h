/*
 * Socketmap, server side: the maps of common/net/socketmap.h. Requests of one connection are looked up side by side and
 * answered in order.
 */
#ifndef AUTH_MAP_FRONT_H
#define AUTH_MAP_FRONT_H

#include "auth/front.h"

extern const struct peer_kind map_front_kind;

#endif
