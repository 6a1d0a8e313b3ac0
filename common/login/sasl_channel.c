#include "common/login/sasl_channel.h"

#include <string.h>

#include "common/tls/tls_peer.h"

/* The best first; a client takes one of those that it knows. */
static const struct {
	enum tls_binding binding;
	const char *type;
} kinds[SASL_BINDINGS_MAX] = {
    {TLS_BINDING_EXPORTER, "tls-exporter"},
    {TLS_BINDING_UNIQUE, "tls-unique"},
    {TLS_BINDING_SERVER_END_POINT, "tls-server-end-point"},
};

static bool
binding_read(struct sasl_binding *binding, const struct stream *stream, size_t kind)
{
	binding->type = kinds[kind].type;
	return stream_tls_channel_binding(stream, kinds[kind].binding, binding->bytes, &binding->n);
}

static void
bindings_read(struct sasl_channel *channel, const struct stream *stream)
{
	for (size_t i = 0; i < SASL_BINDINGS_MAX; i++)
		if (binding_read(&channel->bindings[channel->nbindings], stream, i))
			channel->nbindings++;
}

bool
sasl_channel_binding(struct sasl_binding *binding, const struct stream *stream)
{
	for (size_t i = 0; i < SASL_BINDINGS_MAX; i++)
		if (binding_read(binding, stream, i))
			return true;
	return false;
}

/* Of several addresses in a certificate the first counts. */
static void
certificate_read(struct sasl_channel *channel, const struct stream *stream, enum conf_external external)
{
	struct tls_client client;
	const char *name = "";

	if (external == CONF_EXTERNAL_NO || !stream_tls_client(stream, &client) || !client.is_verified)
		return;
	if (external == CONF_EXTERNAL_COMMON_NAME)
		name = client.subject;
	else if (client.nemails > 0)
		name = client.emails[0];
	(void)str_copy(channel->certificate, sizeof channel->certificate, str_from(name));
}

void
sasl_channel_read(struct sasl_channel *channel, const struct stream *stream, const struct conf *conf)
{
	memset(channel, 0, sizeof *channel);
	bindings_read(channel, stream);
	certificate_read(channel, stream, conf->auth_external);
}

void
sasl_channel_tell(const struct sasl_channel *channel, struct sasl_peer *peer)
{
	peer->bindings = channel->bindings;
	peer->nbindings = channel->nbindings;
	peer->certificate = str_from(channel->certificate);
}

unsigned
sasl_channel_offers(const struct stream *stream, bool near, const struct conf *conf)
{
	bool tls = stream_is_tls(stream);
	struct sasl_channel channel;
	unsigned offers = 0;

	if (tls || near)
		offers |= SASL_OFFER_PLAIN;
	if (tls || near || conf->scram_without_tls)
		offers |= SASL_OFFER_SCRAM;
	if (!tls)
		return offers;
	sasl_channel_read(&channel, stream, conf);
	if (channel.nbindings > 0)
		offers |= SASL_OFFER_BINDING;
	if (channel.certificate[0] != '\0')
		offers |= SASL_OFFER_CERTIFICATE;
	return offers;
}
