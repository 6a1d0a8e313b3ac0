#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Whatever the file holds, what comes out is whole: names that can be used, lists without duplicates. */
static void
look_at(const struct conf *conf, bool is_fine)
{
	if (conf->hostname[0] == '\0' || conf->postmaster[0] == '\0' || conf->nlisteners == 0 || conf->ndomains == 0)
		abort();
	for (size_t i = 0; i < conf->ndomains && is_fine; i++)
		if (conf_domain_find(conf, str_from(conf->domains[i].name)) != &conf->domains[i])
			abort();
	for (size_t i = 0; i < conf->nlisteners && is_fine; i++)
		if (conf_listener_find(conf, str_from(conf->listeners[i].name)) != &conf->listeners[i])
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct buf problems;
	struct conf *conf;

	buf_init(&problems, CONF_PROBLEMS_MAX_BYTES);
	conf = conf_parse((struct str){(const char *)bytes, n}, "/etc/merpati/merpati.conf", "localhost", &problems);
	look_at(conf, problems.n == 0 && buf_ok(&problems));
	conf_free(conf);
	buf_clear(&problems);
	return 0;
}
