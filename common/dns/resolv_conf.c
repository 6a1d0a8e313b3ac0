#include "common/dns/resolv_conf.h"

#include <fcntl.h>
#include <unistd.h>

#define PATH "/etc/resolv.conf"
#define FILE_MAX_BYTES 16384
#define DNS_PORT 53

static bool
has_option(struct str options, struct str wanted)
{
	struct str word;

	while (str_word(&options, &word))
		if (str_equal(str_trim(word), wanted))
			return true;
	return false;
}

size_t
resolv_conf_parse(struct str text, struct endpoint servers[RESOLV_CONF_SERVERS_MAX], bool *trust_ad)
{
	struct str line, word;
	size_t n = 0;

	*trust_ad = false;
	while (str_token(&text, '\n', &line)) {
		if (!str_word(&line, &word))
			continue;
		if (str_equal(word, STR("options")))
			*trust_ad = *trust_ad || has_option(line, STR("trust-ad"));
		if (n == RESOLV_CONF_SERVERS_MAX || !str_equal(word, STR("nameserver")) || !str_word(&line, &word))
			continue;
		if (endpoint_parse_address(str_trim(word), DNS_PORT, &servers[n]))
			n++;
	}
	return n;
}

size_t
resolv_conf_read(struct endpoint servers[RESOLV_CONF_SERVERS_MAX], bool *trust_ad)
{
	char text[FILE_MAX_BYTES];
	int fd = open(PATH, O_RDONLY | O_CLOEXEC);
	ssize_t length = 0;
	size_t n;

	if (fd >= 0) {
		length = read(fd, text, sizeof text);
		(void)close(fd);
	}
	n = resolv_conf_parse((struct str){text, length > 0 ? (size_t)length : 0}, servers, trust_ad);
	if (n == 0)
		n = endpoint_parse_address(STR("127.0.0.1"), DNS_PORT, &servers[0]) ? 1 : 0;
	return n;
}
