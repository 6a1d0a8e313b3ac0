#include "queue/remote_own.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <string.h>
#include <unistd.h>

#define UNPRIVILEGED_PORTS 10000 /* what is added to a standard port as an ordinary user */

static void
add(struct remote_own *own, const struct endpoint *endpoint)
{
	if (own->n < REMOTE_OWN_MAX && !remote_own_has(own, endpoint))
		own->list[own->n++] = *endpoint;
}

static void
add_interfaces(struct remote_own *own, uint16_t port)
{
	struct ifaddrs *all;

	if (getifaddrs(&all) != 0)
		return;
	for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
		struct endpoint endpoint = {.length = 0};

		if (i->ifa_addr == NULL)
			continue;
		if (i->ifa_addr->sa_family == AF_INET) {
			memcpy(&endpoint.address.v4, i->ifa_addr, sizeof endpoint.address.v4);
			endpoint.address.v4.sin_port = htons(port);
			add(own, &endpoint);
		} else if (i->ifa_addr->sa_family == AF_INET6) {
			memcpy(&endpoint.address.v6, i->ifa_addr, sizeof endpoint.address.v6);
			endpoint.address.v6.sin6_port = htons(port);
			add(own, &endpoint);
		}
	}
	freeifaddrs(all);
}

void
remote_own_find(struct remote_own *own, const struct conf *conf)
{
	unsigned offset = geteuid() == 0 ? 0 : UNPRIVILEGED_PORTS;

	own->n = 0;
	for (size_t i = 0; i < conf->nlisteners; i++) {
		const struct conf_listener *listener = &conf->listeners[i];
		uint64_t port = listener->port != 0 ? listener->port : listener_kind_facts(LISTENER_MX)->port + offset;
		struct endpoint endpoint;

		if (listener->kind != LISTENER_MX)
			continue;
		if (listener->address[0] == '\0')
			add_interfaces(own, (uint16_t)port);
		else if (endpoint_parse_address(str_from(listener->address), (uint16_t)port, &endpoint))
			add(own, &endpoint);
	}
}

bool
remote_own_has(const struct remote_own *own, const struct endpoint *e)
{
	for (size_t i = 0; i < own->n; i++) {
		const struct endpoint *o = &own->list[i];

		if (o->address.any.sa_family != e->address.any.sa_family)
			continue;
		if (e->address.any.sa_family == AF_INET && o->address.v4.sin_port == e->address.v4.sin_port &&
		    o->address.v4.sin_addr.s_addr == e->address.v4.sin_addr.s_addr)
			return true;
		if (e->address.any.sa_family == AF_INET6 && o->address.v6.sin6_port == e->address.v6.sin6_port &&
		    IN6_ARE_ADDR_EQUAL(&o->address.v6.sin6_addr, &e->address.v6.sin6_addr))
			return true;
	}
	return false;
}
