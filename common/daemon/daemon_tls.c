#include "common/daemon/daemon_tls.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/tls/tls.h"
#include "common/tls/tls_certificate.h"
#include "common/tls/tls_key.h"

struct daemon_tls {
	const struct daemon_self *self;
	struct tls_certificates *certificates;
};

/* Our end of the pair to the key process. */
static int
key_fd(const struct daemon_self *self)
{
	for (size_t i = 0; i < DAEMON_PEERS_MAX && self->role->peers[i] != NULL && i < self->npeers; i++)
		if (strcmp(self->role->peers[i], "key") == 0)
			return self->peers[i];
	return -1;
}

struct daemon_tls *
daemon_tls_open(const struct daemon_self *self)
{
	const struct conf *conf = self->conf;
	struct daemon_tls *tls = calloc(1, sizeof *tls);
	const char **paths = calloc(conf->ncertificates + 1, sizeof *paths);
	struct err err;

	if (tls == NULL || paths == NULL)
		fatal("out of memory for the certificates");
	tls->self = self;
	for (size_t i = 0; i < conf->ncertificates; i++)
		paths[i] = conf->certificates[i].certificate;
	if (conf->ncertificates > 0 && key_fd(self) >= 0) {
		tls->certificates = tls_certificates_load(paths, conf->ncertificates, tls_signer_new(key_fd(self)), &err);
		if (tls->certificates == NULL)
			fatal("%s", err.text);
	}
	free(paths);
	if (tls->certificates != NULL)
		return tls;
	free(tls);
	return NULL;
}

struct tls_context *
daemon_tls_listener(const struct daemon_tls *tls, const struct listener *listener)
{
	struct tls_server_spec spec = {.listener = listener->name};
	const struct conf_listener *section;
	struct tls_context *context;
	struct err err;

	if (tls == NULL)
		return NULL;
	section = conf_listener_find(tls->self->conf, str_from(listener->name));
	spec.certificates = tls->certificates;
	spec.tickets = tls->self->tickets;
	if (section != NULL) {
		spec.client_mode = section->client_certificates;
		spec.client_ca = section->client_ca;
	}
	context = tls_server_new(&spec, &err);
	if (context == NULL)
		fatal("listener %s: %s", listener->name, err.text);
	return context;
}
