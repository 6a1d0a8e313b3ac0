#include "common/dns/idn.h"

#include <idn2.h>
#include <string.h>

#define UTF8_MAX 1024 /* bytes: more cannot become 253 of ASCII */

bool
idn_to_ascii(struct str domain, char *ascii, size_t size)
{
	char name[UTF8_MAX + 1], *converted = NULL;
	bool good = false;

	if (str_is_ascii(domain)) {
		good = str_copy(ascii, size, domain);
		for (size_t i = 0; good && i < domain.n; i++)
			ascii[i] = ascii_lower(ascii[i]);
		return good;
	}
	if (str_copy(name, sizeof name, domain) &&
	    idn2_to_ascii_8z(name, &converted, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK)
		good = str_copy(ascii, size, str_from(converted));
	idn2_free(converted);
	return good;
}

static struct str
lower_copy(char *dst, size_t size, struct str s)
{
	s = str_sub(s, 0, size);
	for (size_t i = 0; i < s.n; i++)
		dst[i] = ascii_lower(s.p[i]);
	return (struct str){dst, s.n};
}

struct str
idn_fold(struct str domain, char *dst, size_t size)
{
	size_t front = str_starts(domain, STR("*.")) ? 2 : str_starts(domain, STR(".")) ? 1 : 0;

	if (str_is_ascii(domain) || front >= size || !idn_to_ascii(str_skip(domain, front), dst + front, size - front))
		return lower_copy(dst, size, domain);
	memcpy(dst, domain.p, front);
	return str_from(dst);
}
