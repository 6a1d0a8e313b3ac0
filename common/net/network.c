#include "common/net/network.h"

#include <arpa/inet.h>
#include <string.h>

#define ADDRESS_TEXT_MAX 64

static bool
without_brackets(struct str *s)
{
	if (s->n < 2 || s->p[0] != '[')
		return false;
	if (s->p[s->n - 1] != ']')
		return false;
	*s = str_sub(*s, 1, s->n - 2);
	return true;
}

/* 4 or 16 bytes into `bytes`; AF_UNSPEC when s is no address. */
static sa_family_t
address_parse(struct str s, unsigned char bytes[16])
{
	char text[ADDRESS_TEXT_MAX];
	bool bracketed = without_brackets(&s);

	if (!str_copy(text, sizeof text, s))
		return AF_UNSPEC;
	if (!bracketed && inet_pton(AF_INET, text, bytes) == 1)
		return AF_INET;
	return inet_pton(AF_INET6, text, bytes) == 1 ? AF_INET6 : AF_UNSPEC;
}

/* Clears what lies past the prefix; true when there was nothing to clear. */
static bool
mask(unsigned char *bytes, size_t n, unsigned prefix)
{
	bool was_clear = true;

	for (size_t i = prefix / 8; i < n; i++) {
		unsigned keep = i == prefix / 8 ? prefix % 8 : 0;
		unsigned char masked = (unsigned char)(bytes[i] & ~(0xffU >> keep));

		was_clear = was_clear && masked == bytes[i];
		bytes[i] = masked;
	}
	return was_clear;
}

bool
network_parse(struct str s, struct network *network, struct err *err)
{
	size_t slash = str_find_last(s, '/');
	struct str address = str_sub(s, 0, slash), bits = str_skip(s, slash + 1);
	char text[INET6_ADDRSTRLEN];
	unsigned width;
	uint64_t prefix;

	*network = (struct network){0};
	network->family = address_parse(address, network->address);
	if (network->family == AF_UNSPEC)
		return err_set(err, ERR_PERM, "\"%.*s\" is not an IP address", STR_FMT(address));
	width = network->family == AF_INET ? 32 : 128;
	prefix = width;
	if (slash < s.n && !str_to_u64(bits, width, &prefix))
		return err_set(err, ERR_PERM, "\"%.*s\": the number of bits must be 0 to %u", STR_FMT(s), width);
	network->prefix = (unsigned)prefix;
	if (!mask(network->address, width / 8, network->prefix)) {
		if (inet_ntop(network->family, network->address, text, sizeof text) == NULL)
			text[0] = '\0';
		return err_set(err, ERR_PERM, "\"%.*s\" has bits set past /%u; did you mean \"%s/%u\"?", STR_FMT(s),
		    network->prefix, text, network->prefix);
	}
	return true;
}

bool
network_contains(const struct network *network, const struct sockaddr *address)
{
	unsigned char bytes[16];
	sa_family_t family = address->sa_family;

	if (family == AF_INET) {
		memcpy(bytes, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
	} else if (family == AF_INET6) {
		const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;

		memcpy(bytes, v6, 16);
		if (IN6_IS_ADDR_V4MAPPED(v6)) {
			family = AF_INET;
			memcpy(bytes, (const unsigned char *)v6 + 12, 4);
		}
	}
	if (family != network->family || family == AF_UNSPEC)
		return false;
	(void)mask(bytes, family == AF_INET ? 4 : 16, network->prefix);
	return memcmp(bytes, network->address, family == AF_INET ? 4 : 16) == 0;
}

bool
endpoint_parse_address(struct str s, uint16_t port, struct endpoint *endpoint)
{
	unsigned char bytes[16];
	sa_family_t family = address_parse(s, bytes);

	memset(endpoint, 0, sizeof *endpoint);
	endpoint->address.any.sa_family = family;
	if (family == AF_INET) {
		memcpy(&endpoint->address.v4.sin_addr, bytes, 4);
		endpoint->address.v4.sin_port = htons(port);
		endpoint->length = sizeof endpoint->address.v4;
	} else if (family == AF_INET6) {
		memcpy(&endpoint->address.v6.sin6_addr, bytes, 16);
		endpoint->address.v6.sin6_port = htons(port);
		endpoint->length = sizeof endpoint->address.v6;
	}
	return family != AF_UNSPEC;
}

bool
endpoint_parse(struct str s, uint16_t default_port, struct endpoint *endpoint)
{
	size_t colon = str_find_last(s, ':');
	struct str address = str_sub(s, 0, colon);
	uint64_t port;

	if (endpoint_parse_address(s, default_port, endpoint))
		return true;
	if (colon == s.n || (str_find(address, ':') < address.n && address.p[0] != '['))
		return false;
	if (!str_to_u64(str_skip(s, colon + 1), 65535, &port) || port == 0)
		return false;
	return endpoint_parse_address(address, (uint16_t)port, endpoint);
}

bool
endpoint_parse_socket(struct str s, struct endpoint *endpoint)
{
	struct sockaddr_un *local = &endpoint->address.local;

	if (str_starts_nocase(s, STR("inet:")))
		return endpoint_parse(str_skip(s, 5), 0, endpoint) && endpoint->address.v4.sin_port != 0;
	memset(endpoint, 0, sizeof *endpoint);
	if (!str_starts_nocase(s, STR("unix:/")) || !str_copy(local->sun_path, sizeof local->sun_path, str_skip(s, 5)))
		return false;
	local->sun_family = AF_UNIX;
	endpoint->length = sizeof *local;
	return true;
}

void
network_address_format(const struct sockaddr *address, char *text)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;

	text[0] = '\0';
	if (address->sa_family == AF_INET)
		(void)inet_ntop(AF_INET, &v4->sin_addr, text, INET6_ADDRSTRLEN);
	else if (address->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		(void)inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], text, INET6_ADDRSTRLEN);
	else if (address->sa_family == AF_INET6)
		(void)inet_ntop(AF_INET6, &v6->sin6_addr, text, INET6_ADDRSTRLEN);
}

uint16_t
network_port(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port);
	return address->sa_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)(const void *)address)->sin6_port) : 0;
}

bool
network_is_loopback(const struct sockaddr *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;

	if (address->sa_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	return address->sa_family == AF_INET6 &&
	    (IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
	        (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) && v6->sin6_addr.s6_addr[12] == 127));
}
