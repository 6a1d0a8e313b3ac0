#include "queue/next_hop.h"

#include <arpa/inet.h>
#include <string.h>

#define SOCKET_NAME_MAX 32

/* A name of letters and digits: it will be the last component of a path. */
static bool
is_socket_name(struct str s)
{
	if (s.n == 0 || s.n > SOCKET_NAME_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
			return false;
	return true;
}

/* It will be the name of a relay, which has no blanks. */
static bool
is_word(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= 32 || s.p[i] == 127)
			return false;
	return true;
}

/* Takes ":PORT" off the end, behind the last bracket if there is one. */
static bool
port_take(struct str *s, uint16_t *port)
{
	size_t bracket = str_find_last(*s, ']');
	struct str tail = bracket < s->n ? str_skip(*s, bracket + 1) : *s;
	size_t colon = str_find(tail, ':');
	uint64_t value;

	if (colon == tail.n)
		return true;
	if (!str_to_u64(str_skip(tail, colon + 1), 65535, &value) || value == 0)
		return false;
	*port = (uint16_t)value;
	s->n -= tail.n - colon;
	return true;
}

static bool
literal_parse(struct str inside, struct next_hop *next_hop)
{
	struct str address = inside;

	if (str_starts_nocase(inside, STR("IPv6:"))) {
		address = str_skip(inside, 5);
		if (str_find(address, ':') == address.n)
			return false;
	}
	if (!endpoint_parse_address(address, next_hop->port, &next_hop->address))
		return false;
	next_hop->kind = NEXT_HOP_ADDRESS;
	return true;
}

bool
next_hop_parse(struct str text, enum job_transport transport, uint16_t default_port, struct next_hop *next_hop)
{
	*next_hop = (struct next_hop){.name = text, .port = default_port};
	if (transport == JOB_LMTP && is_socket_name(text)) {
		next_hop->kind = NEXT_HOP_SOCKET;
		return true;
	}
	if (transport == JOB_LMTP && str_starts(text, STR("unix:"))) {
		next_hop->kind = NEXT_HOP_PATH;
		return is_word(text) && endpoint_parse_socket(text, &next_hop->address);
	}
	if (!port_take(&text, &next_hop->port) || text.n == 0)
		return false;
	next_hop->name = text;
	if (text.p[0] != '[')
		return transport == JOB_SMTP;
	if (text.n < 3 || text.p[text.n - 1] != ']')
		return false;
	next_hop->name = str_sub(text, 1, text.n - 2);
	next_hop->kind = NEXT_HOP_HOST;
	return literal_parse(next_hop->name, next_hop) || str_find(next_hop->name, ':') == next_hop->name.n;
}

void
next_hop_address_text(const struct sockaddr *address, char *text, size_t size)
{
	const void *bytes = NULL;

	if (address->sa_family == AF_INET)
		bytes = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
	else if (address->sa_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	if (bytes == NULL || inet_ntop(address->sa_family, bytes, text, (socklen_t)size) == NULL)
		(void)str_copy(text, size, STR("local"));
}
