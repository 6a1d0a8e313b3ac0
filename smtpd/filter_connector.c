#include "smtpd/filter_connector.h"

static bool
find(const struct conf *conf, uint64_t number, struct connector_place *place)
{
	if (number >= conf->nfilters)
		return false;
	*place = (struct connector_place){conf->filters[number].socket, conf->filters[number].timeout_ms};
	return true;
}

const struct connector_places filter_places = {find};

unsigned
filter_connector_count(const struct conf *conf)
{
	return conf->nfilters > 0;
}

void
filter_connector_main(struct daemon_self *self)
{
	connector_run(self, &filter_places);
}
