#include "common/smtp/proxy_protocol.h"

#include <arpa/inet.h>
#include <string.h>

#include "common/base/crc32c.h"

static enum parse
settle(struct proxy_header *header, bool is_told)
{
	header->is_told = is_told;
	return PARSE_OK;
}

/* --- version 1: a line ------------------------------------------------------------------------------------------------- */

#define LINE_MAX 107 /* with its CRLF */
#define BEGIN STR("PROXY ")

static bool
address_parse(struct str text, int family, struct endpoint *endpoint)
{
	char copy[INET6_ADDRSTRLEN];

	*endpoint = (struct endpoint){.length = family == AF_INET ? sizeof endpoint->address.v4 : sizeof endpoint->address.v6};
	endpoint->address.any.sa_family = (sa_family_t)family;
	if (!str_copy(copy, sizeof copy, text))
		return false;
	if (family == AF_INET)
		return inet_pton(AF_INET, copy, &endpoint->address.v4.sin_addr) == 1;
	return inet_pton(AF_INET6, copy, &endpoint->address.v6.sin6_addr) == 1;
}

static void
port_set(struct endpoint *endpoint, uint16_t port)
{
	if (endpoint->address.any.sa_family == AF_INET)
		endpoint->address.v4.sin_port = htons(port);
	else
		endpoint->address.v6.sin6_port = htons(port);
}

/* No leading zeros. */
static bool
port_parse(struct str text, struct endpoint *endpoint)
{
	uint64_t port;

	if (!str_to_u64(text, UINT16_MAX, &port) || (text.n > 1 && text.p[0] == '0'))
		return false;
	port_set(endpoint, (uint16_t)port);
	return true;
}

/* "TCP4" / "TCP6" SP source SP destination SP port SP port; or "UNKNOWN" and anything. */
static enum parse
line_parse(struct str line, struct proxy_header *header)
{
	struct str word[5];
	size_t n = 0;
	int family;

	if (str_equal(line, STR("UNKNOWN")) || str_starts(line, STR("UNKNOWN ")))
		return settle(header, false);
	while (n < 4 && str_token(&line, ' ', &word[n]))
		n++;
	word[4] = line;
	if (n != 4 || (!str_equal(word[0], STR("TCP4")) && !str_equal(word[0], STR("TCP6"))))
		return PARSE_BAD;
	family = word[0].p[3] == '4' ? AF_INET : AF_INET6;
	if (!address_parse(word[1], family, &header->client) || !address_parse(word[2], family, &header->server) ||
	    !port_parse(word[3], &header->client) || !port_parse(word[4], &header->server))
		return PARSE_BAD;
	return settle(header, true);
}

static enum parse
version1_parse(struct str in, size_t *taken, struct proxy_header *header)
{
	size_t end = str_find(str_sub(in, 0, LINE_MAX), '\n');

	if (end == in.n) {
		*taken = in.n;
		return in.n < LINE_MAX ? PARSE_MORE : PARSE_BAD;
	}
	if (end >= LINE_MAX || in.p[end - 1] != '\r')
		return PARSE_BAD;
	*taken = end + 1;
	return line_parse(str_sub(in, BEGIN.n, end - 1 - BEGIN.n), header);
}

/* --- version 2: binary ---------------------------------------------------------------------------------------------------- */

#define SIGNATURE STR("\r\n\r\n\0\r\nQUIT\n")
#define FIXED_BYTES 16 /* signature, version and command, family and protocol, length */
#define COMMAND_LOCAL 0x20
#define COMMAND_PROXY 0x21
#define TLV_CRC32C 0x03

static size_t
get_u16(struct str s, size_t at)
{
	return (size_t)(unsigned char)s.p[at] << 8 | (unsigned char)s.p[at + 1];
}

/* The checksum of the header in which its own four bytes are zero. */
static bool
checksum_is_good(struct str header, size_t at)
{
	uint32_t said = (uint32_t)(get_u16(header, at) << 16 | get_u16(header, at + 2));
	uint32_t crc = crc32c(crc32c(crc32c(0, str_sub(header, 0, at)), STR("\0\0\0\0")), str_skip(header, at + 4));

	return crc == said;
}

/* Type, length, value to the very end. All but the checksum is passed over. */
static bool
tlvs_are_good(struct str header, size_t at)
{
	while (at < header.n) {
		size_t n;

		if (header.n - at < 3)
			return false;
		n = get_u16(header, at + 1);
		if (n > header.n - at - 3)
			return false;
		if (header.p[at] == TLV_CRC32C && (n != 4 || !checksum_is_good(header, at + 3)))
			return false;
		at += 3 + n;
	}
	return true;
}

static void
inet_take(struct str header, struct proxy_header *out)
{
	out->client = (struct endpoint){.address.v4 = {.sin_family = AF_INET}, .length = sizeof out->client.address.v4};
	out->server = out->client;
	memcpy(&out->client.address.v4.sin_addr, header.p + FIXED_BYTES, 4);
	memcpy(&out->server.address.v4.sin_addr, header.p + FIXED_BYTES + 4, 4);
	port_set(&out->client, (uint16_t)get_u16(header, FIXED_BYTES + 8));
	port_set(&out->server, (uint16_t)get_u16(header, FIXED_BYTES + 10));
}

static void
inet6_take(struct str header, struct proxy_header *out)
{
	out->client = (struct endpoint){.address.v6 = {.sin6_family = AF_INET6}, .length = sizeof out->client.address.v6};
	out->server = out->client;
	memcpy(&out->client.address.v6.sin6_addr, header.p + FIXED_BYTES, 16);
	memcpy(&out->server.address.v6.sin6_addr, header.p + FIXED_BYTES + 16, 16);
	port_set(&out->client, (uint16_t)get_u16(header, FIXED_BYTES + 32));
	port_set(&out->server, (uint16_t)get_u16(header, FIXED_BYTES + 34));
}

/* Families and protocols as the high and low half of a byte: over streams only. */
static const struct family {
	unsigned char byte;
	size_t bytes; /* of its addresses */
	void (*take)(struct str header, struct proxy_header *out);
} families[] = {
    {0x00, 0, NULL}, /* unspecified */
    {0x11, 12, inet_take},
    {0x21, 36, inet6_take},
    {0x31, 216, NULL}, /* unix sockets */
};

static const struct family *
family_find(char byte)
{
	for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
		if (families[i].byte == (unsigned char)byte)
			return &families[i];
	return NULL;
}

static enum parse
binary_parse(struct str header, struct proxy_header *out)
{
	const struct family *family = family_find(header.p[13]);

	if (header.p[12] == COMMAND_LOCAL)
		return settle(out, false); /* whatever is in it is to be ignored */
	if (header.p[12] != COMMAND_PROXY || family == NULL || header.n - FIXED_BYTES < family->bytes)
		return PARSE_BAD;
	if (family->byte != 0 && !tlvs_are_good(header, FIXED_BYTES + family->bytes))
		return PARSE_BAD;
	if (family->take != NULL)
		family->take(header, out);
	return settle(out, family->take != NULL);
}

static enum parse
version2_parse(struct str in, size_t *taken, struct proxy_header *header)
{
	size_t n;

	*taken = in.n;
	if (in.n > 12 && in.p[12] != COMMAND_LOCAL && in.p[12] != COMMAND_PROXY)
		return PARSE_BAD;
	if (in.n < FIXED_BYTES)
		return PARSE_MORE;
	n = FIXED_BYTES + get_u16(in, 14);
	if (n > PROXY_HEADER_MAX)
		return PARSE_BAD;
	if (in.n < n)
		return PARSE_MORE;
	*taken = n;
	return binary_parse(str_sub(in, 0, n), header);
}

/* Does in begin with the text, as far as either goes? */
static bool
could_be(struct str in, struct str text)
{
	return str_equal(str_sub(in, 0, text.n), str_sub(text, 0, in.n));
}

enum parse
proxy_protocol_parse(struct str in, size_t *taken, struct proxy_header *header)
{
	bool first = could_be(in, BEGIN), second = could_be(in, SIGNATURE);

	*taken = 0;
	*header = (struct proxy_header){.is_told = false};
	if (first && in.n >= BEGIN.n)
		return version1_parse(in, taken, header);
	if (second && in.n >= SIGNATURE.n)
		return version2_parse(in, taken, header);
	if (!first && !second)
		return PARSE_BAD;
	*taken = in.n;
	return PARSE_MORE;
}
