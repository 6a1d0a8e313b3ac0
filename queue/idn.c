#include "queue/idn.h"

#include "common/dns/idn.h"

#define DOMAIN_MAX 255

struct str
idn_domain_to_ascii(struct arena *arena, struct str domain)
{
	char ascii[DOMAIN_MAX + 1];

	if (str_is_ascii(domain))
		return domain;
	return idn_to_ascii(domain, ascii, sizeof ascii) ? arena_copy(arena, str_from(ascii)) : STR_NONE;
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
