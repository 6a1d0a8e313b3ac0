/*
 * Addresses: what is accepted is printable, has one form, and that form is accepted as the same address.
 */
#include <stdlib.h>

#include "common/smtp/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void
check(struct arena *a, const struct address *address, unsigned may)
{
	struct address again;

	if (address->text.n > ADDRESS_TEXT_MAX || address->kind == ADDRESS_NULL)
		abort();
	for (size_t i = 0; i < address->text.n; i++)
		if ((unsigned char)address->text.p[i] < 32 || address->text.p[i] == 127 ||
		    (!(may & ADDRESS_MAY_BE_UTF8) && (unsigned char)address->text.p[i] > 126))
			abort();
	if (!address_parse(a, address->text, may, &again) || again.kind != address->kind ||
	    !str_equal(again.text, address->text) || !str_equal(again.local, address->local) ||
	    !str_equal(again.domain, address->domain))
		abort();
	if (!address_make(a, address->local, address->domain, may, &again) || !str_equal(again.text, address->text))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str in = {(const char *)bytes, n}, rest = in;
	struct address address;
	struct arena a;

	for (unsigned may = 0; may < 8; may++) {
		arena_init(&a, 16384);
		rest = in;
		if (address_path_parse(&a, &rest, may, &address) && address.kind != ADDRESS_NULL)
			check(&a, &address, may);
		if (address_parse(&a, in, may, &address))
			check(&a, &address, may);
		arena_clear(&a);
	}
	return 0;
}
