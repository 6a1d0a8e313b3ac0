/*
 * Networks and endpoints as a postmaster writes them: 10.0.0.0/8, 2001:db8::/32, ::1; 127.0.0.1:53, [::1]:53. Only
 * literals: nothing here asks DNS.
 */
#ifndef COMMON_NETWORK_H
#define COMMON_NETWORK_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/err.h"
#include "common/base/str.h"

struct network {
	sa_family_t family; /* AF_INET or AF_INET6 */
	unsigned prefix;    /* bits */
	unsigned char address[16]; /* network order; bits past the prefix are 0 */
};

struct endpoint {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un local; /* only of endpoint_parse_socket */
	} address;
	socklen_t length;
};

/* Everywhere here an IPv4 peer of an IPv6 socket (::ffff:a.b.c.d) is IPv4. */

/* ADDRESS, ADDRESS/BITS, or either with the IPv6 address in brackets. Bits past the prefix must be 0. */
bool network_parse(struct str s, struct network *network, struct err *err);
/* An IPv4 client that came to an IPv6 socket (::ffff:a.b.c.d) counts as IPv4. Other families are in no network. */
bool network_contains(const struct network *network, const struct sockaddr *address);

/* As text, of at most INET6_ADDRSTRLEN bytes with its NUL; empty for other families. */
void network_address_format(const struct sockaddr *address, char *text);
/* Of a TCP peer; 0 for other families. */
uint16_t network_port(const struct sockaddr *address);
/* 127.0.0.0/8 or ::1: a peer on this host. */
bool network_is_loopback(const struct sockaddr *address);

/* An address literal without port: 127.0.0.1, ::1 or [::1]. */
bool endpoint_parse_address(struct str s, uint16_t port, struct endpoint *endpoint);
/* The same, or with a port behind it: 127.0.0.1:53, [::1]:53. */
bool endpoint_parse(struct str s, uint16_t default_port, struct endpoint *endpoint);
/* unix:/PATH, or inet:ADDRESS:PORT with the address as above. */
bool endpoint_parse_socket(struct str s, struct endpoint *endpoint);

#endif
