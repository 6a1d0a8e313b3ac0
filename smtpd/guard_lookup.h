/*
 * What DNS says of one client: its verified name (PTR, and whether that name has the address), and how it stands in the
 * block and allow lists. All is asked at once, and is over at the deadline; what is not known then counts as not there.
 */
#ifndef SMTPD_GUARD_LOOKUP_H
#define SMTPD_GUARD_LOOKUP_H

#include "common/base/buf.h"
#include "common/dns/dns.h"
#include "common/dns/dns_list.h"

/* Names of an address that are tried, in the order of the answer. */
#define GUARD_LOOKUP_NAMES_MAX 4

struct guard_lookup;

struct guard_lookup_list {
	struct dns_query query;
	struct guard_lookup *lookup;
	const struct dns_list *list;
};

struct guard_lookup {
	/* Called once, never from inside guard_lookup_start. */
	void (*finished)(struct guard_lookup *lookup);
	struct loop *loop;
	struct dns *dns;
	struct loop_timer deadline;
	unsigned char address[16];
	unsigned char address_n;
	size_t pending;

	struct dns_query ptr, forward;
	char names[GUARD_LOOKUP_NAMES_MAX][DNS_NAME_MAX + 1];
	size_t nnames, next_name;

	/* The result: */
	char name[DNS_NAME_MAX + 1]; /* empty: unknown */
	int64_t score;
	struct buf refusing; /* the domains that count against it, with blanks between */

	size_t nlists;
	struct guard_lookup_list *asked;
};

struct guard_lookup_wishes {
	bool name;
	const struct dns_list *lists; /* those to be asked; borrowed */
	size_t nlists;
	uint64_t deadline_ms; /* from now */
};

/* address: 4 or 16 bytes. The lookup must stay where it is until guard_lookup_clear. */
void guard_lookup_start(struct guard_lookup *lookup, struct loop *loop, struct dns *dns, struct str address,
    const struct guard_lookup_wishes *wishes, void (*finished)(struct guard_lookup *));
/* Ends it without a call, or frees what is left of it after finished was called, which may do so. */
void guard_lookup_clear(struct guard_lookup *lookup);

#endif
