/*
 * Which DNS servers a host uses when the configuration names none: the `nameserver` lines of resolv.conf(5); and whether it
 * says that they may be trusted with DNSSEC (`options trust-ad`).
 */
#ifndef COMMON_RESOLV_CONF_H
#define COMMON_RESOLV_CONF_H

#include "common/net/network.h"

#define RESOLV_CONF_SERVERS_MAX 8

/* Pure. Returns how many were found; addresses with a scope (fe80::1%eth0) are left out. */
size_t resolv_conf_parse(struct str text, struct endpoint servers[RESOLV_CONF_SERVERS_MAX], bool *trust_ad);
/* Of /etc/resolv.conf: to be called before the process is locked in. 127.0.0.1 when it names none. */
size_t resolv_conf_read(struct endpoint servers[RESOLV_CONF_SERVERS_MAX], bool *trust_ad);

#endif
