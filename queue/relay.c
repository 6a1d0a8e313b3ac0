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

#define LMTP_PORT 24

static const struct str lmtp = {"lmtp:", 5};

enum job_transport
relay_transport(const struct conf_route *route)
{
	return str_starts_nocase(str_from(route->relay), lmtp) ? JOB_LMTP : JOB_SMTP;
}

static struct str
relay_server(const struct conf_route *route)
{
	return str_skip(str_from(route->relay), relay_transport(route) == JOB_LMTP ? lmtp.n : 0);
}

/* A host in brackets, its port behind them. */
static void
host_add(struct str server, struct buf *b)
{
	size_t colon = str_find_last(server, ':');

	if (server.p[0] == '[')
		buf_add(b, server);
	else
		buf_addf(b, "[%.*s]%.*s", STR_FMT(str_sub(server, 0, colon)), STR_FMT(str_skip(server, colon)));
}

bool
relay_next_hop(const struct conf_route *route, struct buf *b)
{
	enum job_transport transport = relay_transport(route);
	struct str server = relay_server(route);
	struct next_hop next_hop;
	size_t begin = b->n;

	if (server.n == 0)
		return false;
	if (transport == JOB_LMTP && str_starts(server, STR("unix:")))
		buf_add(b, server);
	else
		host_add(server, b);
	if (transport == JOB_LMTP && b->n > begin && b->p[b->n - 1] == ']')
		buf_addf(b, ":%u", LMTP_PORT);
	return buf_ok(b) && b->n - begin <= JOB_NEXT_HOP_MAX &&
	    next_hop_parse(str_skip(buf_str(b), begin), transport, 25, &next_hop);
}

bool
relay_socket(const struct conf_route *route, struct endpoint *endpoint)
{
	struct str server = relay_server(route);

	return relay_transport(route) == JOB_LMTP && str_starts(server, STR("unix:")) && endpoint_parse_socket(server, endpoint);
}

const struct conf_route *
relay_of_own(const struct conf *conf, struct str domain)
{
	const struct conf_route *route = relay_named(conf, domain);

	return route != NULL && route->relay[0] != '\0' ? route : NULL;
}
