#include "queue/check_route.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/dns/resolver.h"
#include "queue/job.h"
#include "queue/relay.h"
#include "queue/sasl_login.h"

static void
check_relay(struct check *check, const struct conf_route *route)
{
	struct buf next_hop;

	buf_init(&next_hop, 2 * JOB_NEXT_HOP_MAX);
	if (route->relay[0] != '\0' && !relay_next_hop(route, &next_hop))
		check_error(check, NULL, "[route %s]: relay: \"%s\" is no server", route->name, route->relay);
	buf_clear(&next_hop);
}

static void
check_mechanisms(struct check *check, const struct conf_route *route)
{
	struct str rest = str_from(route->mechanisms), word;

	while (str_word(&rest, &word))
		if (sasl_mechanisms_read(word) == 0)
			check_error(check, NULL, "[route %s]: mechanisms: \"%.*s\" is none that can be used", route->name,
			    STR_FMT(word));
}

/* Root reads it; whoever is not root may be told too much by that. */
static void
check_secret(struct check *check, const struct conf_route *route, const char *key, const char *path)
{
	if (path[0] != '\0' && access(path, R_OK) != 0)
		check_warning(check, NULL, "[route %s]: %s: %s: %s; its mail waits", route->name, key, path, strerror(errno));
}

/* What the route wants must be possible at all, or its mail waits until it is returned. */
static void
check_policy(struct check *check, const struct conf_route *route, const struct resolver_servers *servers)
{
	if (route->tls == CONF_TLS_DANE && !servers->trusted)
		check_warning(check, NULL, "[route %s]: tls = dane: no DNS server is trusted with DNSSEC (dns_trust_ad); its mail waits",
		    route->name);
	if (route->tls == CONF_TLS_STS && !check->conf->queue.mta_sts)
		check_warning(check, NULL, "[route %s]: tls = sts, and mta_sts = no; its mail waits", route->name);
}

void
check_routes(struct check *check)
{
	struct resolver_servers servers;

	resolver_find(check->conf, &servers);
	for (size_t i = 0; i < check->conf->nroutes; i++) {
		const struct conf_route *route = &check->conf->routes[i];

		check_relay(check, route);
		check_mechanisms(check, route);
		check_policy(check, route, &servers);
		check_secret(check, route, "password_file", route->password_file);
		check_secret(check, route, "token_file", route->token_file);
	}
}
