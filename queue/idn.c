#include "queue/idn.h"

#include <idn2.h>
#include <string.h>

#define DOMAIN_MAX 1024 /* bytes of UTF-8: more cannot become 253 of ASCII */

struct str
idn_domain_to_ascii(struct arena *arena, struct str domain)
{
	char name[DOMAIN_MAX + 1], *ascii = NULL;
	struct str result = STR_NONE;

	if (str_is_ascii(domain))
		return domain;
	if (!str_copy(name, sizeof name, domain))
		return STR_NONE;
	if (idn2_to_ascii_8z(name, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK)
		result = arena_copy(arena, str_from(ascii));
	idn2_free(ascii);
	return result;
}

struct str
idn_address_to_ascii(struct arena *arena, struct str address)
{
	size_t at = str_find_last(address, '@');
	struct str local = str_sub(address, 0, at), domain;

	if (at == address.n || !str_is_ascii(local))
		return STR_NONE;
	domain = idn_domain_to_ascii(arena, str_skip(address, at + 1));
	if (domain.p == NULL)
		return STR_NONE;
	return arena_printf(arena, "%.*s@%.*s", STR_FMT(local), STR_FMT(domain));
}
