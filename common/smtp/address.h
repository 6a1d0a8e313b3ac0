/*
 * Mail addresses of the envelope (RFC 5321 4.1.2). A struct address is only made here: whoever holds one knows that
 * its grammar was checked and that it has one form only, so that two ways of writing the same address compare equal.
 *
 *     local part   without quotes and backslashes in `local`; in `text` quoted where the grammar needs it
 *     domain       in lower case; a literal as inet_ntop writes it: [127.0.0.1], [IPv6:::1]
 *     source route dropped (RFC 5321 4.1.1.3)
 *
 * Departures from the RFC, in favour of mail that exists: a local part may be up to ADDRESS_LOCAL_MAX bytes long and may
 * have dots in unusual places (it is then quoted in `text`); a domain may have underscores.
 */
#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

#include "common/base/arena.h"

#define ADDRESS_LOCAL_MAX 255  /* RFC 5321 4.5.3.1.1 says 64; VERP needs more */
#define ADDRESS_DOMAIN_MAX 255 /* RFC 5321 4.5.3.1.2 */
#define ADDRESS_TEXT_MAX (2 * ADDRESS_LOCAL_MAX + 3 + ADDRESS_DOMAIN_MAX)

enum address_kind {
	ADDRESS_NULL,  /* <> */
	ADDRESS_LOCAL, /* without domain: <postmaster> */
	ADDRESS_DOMAIN,
	ADDRESS_LITERAL_V4,
	ADDRESS_LITERAL_V6,
};

struct address {
	enum address_kind kind;
	struct str local;
	struct str domain;
	struct str text; /* the whole without <>: local@domain; empty for NULL */
};

/* What may be there besides local@domain. */
enum {
	ADDRESS_MAY_BE_NULL = 1,	/* <>, only as a path */
	ADDRESS_MAY_LACK_DOMAIN = 2,
	ADDRESS_MAY_BE_UTF8 = 4,	/* RFC 6531 */
};

/*
 * Takes a path, `<` to `>`, off the beginning of *rest. False when it is malformed, or when the arena is full (then
 * a->failed is set). The address's strings live in the arena (those of NULL are constants).
 */
bool address_path_parse(struct arena *a, struct str *rest, unsigned may, struct address *address);
/* The same for local@domain without <>, which must be all of text. */
bool address_parse(struct arena *a, struct str text, unsigned may, struct address *address);
/* From a local part without quotes and a domain (or literal, or nothing). */
bool address_make(struct arena *a, struct str local, struct str domain, unsigned may, struct address *address);

/*
 * Sub-addresses: what stands before and behind the first delimiter of the local part; '\0' is no delimiter. A local
 * part that begins with it has no detail. Borrowed from the address.
 */
struct str address_account(const struct address *address, char delimiter);
struct str address_detail(const struct address *address, char delimiter); /* .p is NULL when there is none */

/* A host name as DNS has it: labels of letters, digits, - and _, the last one not all digits, no dot at the end. */
bool address_is_domain(struct str s);
/* "[127.0.0.1]", "[IPv6:...]". */
bool address_is_literal(struct str s);
/* Is anything of it not ASCII (RFC 6531)? */
bool address_has_utf8(const struct address *address);
/* Whether the local part must be quoted. */
bool address_local_is_atom(struct str local);

#endif
