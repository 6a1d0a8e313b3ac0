/*
 * SMTP TLS Reporting (RFC 8460 3): where a domain wants reports to go, as the TXT record of _smtp._tls.DOMAIN says. Pure.
 */
#ifndef QUEUE_TLSRPT_RECORD_H
#define QUEUE_TLSRPT_RECORD_H

#include "common/base/arena.h"
#include "common/base/str.h"

#define TLSRPT_PLACES_MAX 5 /* of a record; further ones get nothing */
#define TLSRPT_PLACE_MAX 1000

enum tlsrpt_kind {
	TLSRPT_MAIL,  /* text: the address */
	TLSRPT_HTTPS, /* text: the URL */
};

struct tlsrpt_place {
	enum tlsrpt_kind kind;
	struct str text;
};

/*
 * The places of the one record among these TXT records; their texts live in the arena. 0: no reports are wanted. Records of
 * other kinds are passed over; two of this kind are as good as none; so are places of a kind that we do not know.
 */
size_t tlsrpt_record_find(const struct str *records, size_t n, struct arena *arena,
    struct tlsrpt_place places[TLSRPT_PLACES_MAX]);

#endif
