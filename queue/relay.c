#include "queue/relay.h"

#include "queue/next_hop.h"

/* How much of the domain the route's name says; 0: it is none of its. */
static size_t
match(const struct conf_route *route, struct str domain)
{
	struct str name = str_from(route->name);

	if (str_equal(name, STR("*")))
		return 1;
	if (name.p[0] == '.')
		return domain.n > name.n && str_ends_nocase(domain, name) ? name.n : 0;
	/* One more than the "." of all below it could be. */
	return str_equal_nocase(name, domain) ? name.n + 2 : 0;
}

const struct conf_route *
relay_find(const struct conf *conf, struct str domain)
{
	const struct conf_route *best = NULL;
	size_t most = 0;

	for (size_t i = 0; i < conf->nroutes; i++) {
		size_t n = match(&conf->routes[i], domain);

		if (n > most) {
			best = &conf->routes[i];
			most = n;
		}
	}
	return best;
}

const struct conf_route *
relay_named(const struct conf *conf, struct str name)
{
	for (size_t i = 0; i < conf->nroutes; i++)
		if (str_equal_nocase(str_from(conf->routes[i].name), name))
			return &conf->routes[i];
	return NULL;
}

bool
relay_next_hop(const struct conf_route *route, struct buf *b)
{
	struct str relay = str_from(route->relay);
	struct next_hop next_hop;
	size_t colon = str_find_last(relay, ':'), begin = b->n;

	if (relay.n == 0)
		return false;
	if (relay.p[0] == '[')
		buf_add(b, relay);
	else if (colon < relay.n)
		buf_addf(b, "[%.*s]%.*s", STR_FMT(str_sub(relay, 0, colon)), STR_FMT(str_skip(relay, colon)));
	else
		buf_addf(b, "[%.*s]", STR_FMT(relay));
	return buf_ok(b) && b->n - begin <= JOB_NEXT_HOP_MAX &&
	    next_hop_parse(str_skip(buf_str(b), begin), JOB_SMTP, 25, &next_hop);
}
