/*
 * The PROXY protocol, versions 1 and 2: what a load balancer says in front of a connection about the client behind it.
 * Pure.
 */
#ifndef COMMON_PROXY_PROTOCOL_H
#define COMMON_PROXY_PROTOCOL_H

#include "common/base/err.h"
#include "common/net/network.h"
#include "common/base/str.h"

/* The longest header that is taken, with its TLVs. */
#define PROXY_HEADER_MAX 4096

struct proxy_header {
	bool is_told; /* false: the proxy speaks for itself, or of no address that we know (LOCAL, UNKNOWN, unix sockets) */
	struct endpoint client;
	struct endpoint server; /* to which the client had connected */
};

/*
 * OK: the first *taken bytes of in are a header. MORE: all of in is the beginning of one (*taken is in.n). The two may be
 * told apart from other bytes at once, so a reader who takes only what MORE covers never takes a byte of the client's.
 */
enum parse proxy_protocol_parse(struct str in, size_t *taken, struct proxy_header *header);

#endif
