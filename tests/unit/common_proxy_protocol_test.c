#include "tests/unit/rows.h"

#include "common/smtp/proxy_protocol.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static const struct {
	struct str in; /* a header, alone */
	bool good;
	const char *client, *server; /* NULL: not told */
} rows[] = {
    {STR("PROXY TCP4 192.0.2.1 198.51.100.2 56324 25\r\n"), true, "192.0.2.1 56324", "198.51.100.2 25"},
    {STR("PROXY TCP6 2001:db8::1 ::1 65535 465\r\n"), true, "2001:db8::1 65535", "::1 465"},
    {STR("PROXY UNKNOWN\r\n"), true, NULL, NULL},
    {STR("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), true, NULL, NULL},
    {STR("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"), true,
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535"},
    {STR("PROXY TCP4 192.0.2.1 198.51.100.2 0 0\r\n"), true, "192.0.2.1 0", "198.51.100.2 0"},
    {STR("PROXY TCP4 192.0.2.1 198.51.100.2 056 25\r\n"), false, NULL, NULL},
    {STR("PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n"), false, NULL, NULL},
    {STR("PROXY TCP4 192.0.2.1  198.51.100.2 1 25\r\n"), false, NULL, NULL},
    {STR("PROXY TCP4 192.0.2.1 198.51.100.2 1 25 \r\n"), false, NULL, NULL},
    {STR("PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n"), false, NULL, NULL},
    {STR("PROXY TCP4 192.0.2.1 ::1 1 25\r\n"), false, NULL, NULL},
    {STR("PROXY TCP6 192.0.2.1 192.0.2.2 1 25\r\n"), false, NULL, NULL},
    {STR("PROXY UDP4 192.0.2.1 192.0.2.2 1 25\r\n"), false, NULL, NULL},
    {STR("PROXY UNKNOWNS\r\n"), false, NULL, NULL},
    {STR("PROXY UNKNOWN\n"), false, NULL, NULL},
    {STR("PROXY \n"), false, NULL, NULL},
    {STR("PROXY \r\n"), false, NULL, NULL},
    {STR("proxy UNKNOWN\r\n"), false, NULL, NULL},
    {STR("EHLO x\r\n"), false, NULL, NULL},
    {STR(SIGNATURE "\x20\x00\0\0"), true, NULL, NULL},
    {STR(SIGNATURE "\x20\x11\0\x03zzz"), true, NULL, NULL},
    {STR(SIGNATURE "\x21\x00\0\0"), true, NULL, NULL},
    {STR(SIGNATURE "\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\0\x19"), true, "192.0.2.1 56324", "198.51.100.2 25"},
    {STR(SIGNATURE "\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\xff\xff\x01\xd1"), true,
        "2001:db8::1 65535", "::1 465"},
    {STR(SIGNATURE "\x21\x11\0\x11\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\0\x19\x04\0\x02zz"), true, "192.0.2.1 56324", "198.51.100.2 25"},
    {STR(SIGNATURE "\x21\x11\0\x13\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\0\x19\x03\0\x04\x7f\xab\x4a\xb2"), true, "192.0.2.1 56324", "198.51.100.2 25"},
    {STR(SIGNATURE "\x21\x11\0\x0f\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\0\x19\x04\0\x01"), false, NULL, NULL}, /* a TLV past the end */
    {STR(SIGNATURE "\x21\x11\0\x0d\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\0\x19\x04"), false, NULL, NULL},
    {STR(SIGNATURE "\x21\x11\0\x13\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\0\x19\x03\0\x04zzzz"), false, NULL, NULL}, /* its checksum */
    {STR(SIGNATURE "\x21\x11\0\x0b\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\0"), false, NULL, NULL}, /* too short for its family */
    {STR(SIGNATURE "\x21\x12\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\0\x19"), false, NULL, NULL}, /* datagrams */
    {STR(SIGNATURE "\x22\x11\0\0"), false, NULL, NULL},
    {STR(SIGNATURE "\x11\x11\0\0"), false, NULL, NULL},
    {STR(SIGNATURE "\x20\x11\xff\xff"), false, NULL, NULL},
};

static void
assert_endpoint(const struct endpoint *endpoint, const char *expected)
{
	char address[INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN + 8];

	network_address_format(&endpoint->address.any, address);
	(void)snprintf(text, sizeof text, "%s %u", address, (unsigned)network_port(&endpoint->address.any));
	assert_string_equal(text, expected);
}

static void
check_told(const struct proxy_header *header, size_t row)
{
	assert_int_equal(header->is_told, rows[row].client != NULL);
	if (rows[row].client == NULL)
		return;
	assert_endpoint(&header->client, rows[row].client);
	assert_endpoint(&header->server, rows[row].server);
}

static void
headers_are_read_to_their_last_byte_and_no_further(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct proxy_header header;
		char bytes[256];
		size_t taken;
		enum parse parse;

		memcpy(bytes, rows[i].in.p, rows[i].in.n);
		memcpy(bytes + rows[i].in.n, "PROXY", 5);
		parse = proxy_protocol_parse((struct str){bytes, rows[i].in.n + 5}, &taken, &header);
		if (parse != (rows[i].good ? PARSE_OK : PARSE_BAD))
			fail_msg("row %zu: %d", i, (int)parse);
		if (!rows[i].good)
			continue;
		assert_int_equal(taken, rows[i].in.n);
		check_told(&header, i);
	}
}

static void
every_beginning_of_a_header_needs_more(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		for (size_t cut = 0; rows[i].good && cut < rows[i].in.n; cut++) {
			struct proxy_header header;
			size_t taken;

			assert_int_equal(proxy_protocol_parse(str_sub(rows[i].in, 0, cut), &taken, &header), PARSE_MORE);
			assert_int_equal(taken, cut);
		}
}

static void
a_line_without_end_is_bad_before_long(void **state)
{
	char bytes[200] = "PROXY UNKNOWN ";
	struct proxy_header header;
	size_t taken;

	(void)state;
	memset(bytes + 14, 'x', sizeof bytes - 14);
	assert_int_equal(proxy_protocol_parse((struct str){bytes, 106}, &taken, &header), PARSE_MORE);
	assert_int_equal(proxy_protocol_parse((struct str){bytes, 107}, &taken, &header), PARSE_BAD);
	assert_int_equal(proxy_protocol_parse((struct str){bytes, 200}, &taken, &header), PARSE_BAD);
	memcpy(bytes + 105, "\r\n", 2);
	assert_int_equal(proxy_protocol_parse((struct str){bytes, 107}, &taken, &header), PARSE_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(headers_are_read_to_their_last_byte_and_no_further),
	    cmocka_unit_test(every_beginning_of_a_header_needs_more),
	    cmocka_unit_test(a_line_without_end_is_bad_before_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
