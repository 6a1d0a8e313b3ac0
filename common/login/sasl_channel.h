/*
 * What a connection is good for when its client authenticates: which mechanisms may be offered on it, and what authd is
 * told of it.
 */
#ifndef COMMON_SASL_CHANNEL_H
#define COMMON_SASL_CHANNEL_H

#include "common/conf/conf.h"
#include "common/login/sasl_client.h"
#include "common/net/stream.h"

struct sasl_channel {
	struct sasl_binding bindings[SASL_BINDINGS_MAX];
	size_t nbindings;
	char certificate[TLS_CLIENT_NAME_MAX + 1]; /* the name of a client whose certificate is verified; else empty */
};

void sasl_channel_read(struct sasl_channel *channel, const struct stream *stream, const struct conf *conf);
/* The best one, for who logs in itself; false when the connection has none. */
bool sasl_channel_binding(struct sasl_binding *binding, const struct stream *stream);
/* Fills in what sasl_start is told of it; borrowed from the channel. */
void sasl_channel_tell(const struct sasl_channel *channel, struct sasl_peer *peer);

/* For sasl_client_mechanisms. near: the client is a program of this host. */
unsigned sasl_channel_offers(const struct stream *stream, bool near, const struct conf *conf);

#endif
