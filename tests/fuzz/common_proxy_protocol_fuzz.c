/*
 * PROXY headers: every beginning of what is taken as a header needs more, what follows one changes nothing, and a reader
 * that takes only what is surely part of it takes exactly the header.
 */
#include <stdlib.h>
#include <string.h>

#include "common/smtp/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str in = {(const char *)bytes, n};
	struct proxy_header whole, piece;
	size_t taken, part;
	enum parse parse = proxy_protocol_parse(in, &taken, &whole);

	if (taken > n || (parse == PARSE_MORE && (taken != n || n >= PROXY_HEADER_MAX)))
		abort();
	for (size_t cut = 0; parse != PARSE_BAD && cut < taken && cut < 300; cut++)
		if (proxy_protocol_parse(str_sub(in, 0, cut), &part, &piece) != PARSE_MORE || part != cut)
			abort();
	if (parse != PARSE_OK)
		return 0;
	if (proxy_protocol_parse(str_sub(in, 0, taken), &part, &piece) != PARSE_OK || part != taken ||
	    piece.is_told != whole.is_told || memcmp(&piece.client, &whole.client, sizeof piece.client) != 0)
		abort();
	return 0;
}
