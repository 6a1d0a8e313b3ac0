#include "common/daemon/daemon_key.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/daemon/sandbox.h"
#include "common/tls/tls_key.h"

struct asker {
	struct loop_io io;
	struct tls_keys *keys;
};

unsigned
daemon_key_count(const struct conf *conf)
{
	return conf_has_tls(conf) ? 1 : 0;
}

/* The pairs are kept open by the parent, so an end that is gone is gone for good. */
static void
asked(struct loop_io *io, unsigned events)
{
	struct asker *asker = container_of(io, struct asker, io);

	(void)events;
	if (!tls_keys_answer(asker->keys, io->fd))
		loop_io_remove(io);
}

static struct tls_keys *
keys_load(const struct conf *conf)
{
	const char **paths = calloc(conf->ncertificates + 1, sizeof *paths);
	struct tls_keys *keys;
	struct err err;

	if (paths == NULL)
		fatal("out of memory for the TLS keys");
	for (size_t i = 0; i < conf->ncertificates; i++)
		paths[i] = conf->certificates[i].key;
	keys = tls_keys_load(paths, conf->ncertificates, &err);
	if (keys == NULL)
		fatal("%s", err.text);
	free(paths);
	return keys;
}

void
daemon_key_main(struct daemon_self *self)
{
	struct sandbox_spec spec = {.promises = SANDBOX_STDIO | SANDBOX_LOOP | SANDBOX_SERVE};
	struct asker *askers = calloc(self->npeers + 1, sizeof *askers);
	struct loop *loop;
	struct tls_keys *keys = keys_load(self->conf);

	if (askers == NULL)
		fatal("out of memory for %zu workers", self->npeers);
	daemon_confine(self, &spec);
	loop = loop_new();
	for (size_t i = 0; i < self->npeers; i++) {
		askers[i].keys = keys;
		loop_io_add(loop, &askers[i].io, self->peers[i], LOOP_READ, asked);
	}
	daemon_self_open(self, loop); /* with no `stop` of its own it ends at once when told to */
	loop_run(loop);
	free(askers);
}
