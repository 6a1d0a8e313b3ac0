#include "queue/remote_connector.h"

#include "queue/relay.h"

static bool
find(const struct conf *conf, uint64_t number, struct connector_place *place)
{
	if (number >= conf->nroutes || !relay_socket(&conf->routes[number], &place->to))
		return false;
	place->timeout_ms = conf->queue.connect_timeout_ms;
	return true;
}

const struct connector_places remote_places = {find};

unsigned
remote_connector_count(const struct conf *conf)
{
	struct connector_place place;

	for (size_t i = 0; i < conf->nroutes; i++)
		if (find(conf, i, &place))
			return 1;
	return 0;
}

void
remote_connector_main(struct daemon_self *self)
{
	connector_run(self, &remote_places);
}
