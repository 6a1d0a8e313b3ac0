/*
 * The exchangers of a domain in the order in which they are to be tried (RFC 5321 5.1, RFC 7505), and the name of the
 * site that they make. Pure.
 */
#ifndef QUEUE_MX_H
#define QUEUE_MX_H

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/dns/dns_message.h"

#define MX_TRIED_MAX 10 /* further exchangers are not tried */

enum mx_result {
	MX_FOUND, /* also when there is no MX record, so that the domain is its own exchanger */
	MX_NULL,  /* the domain takes no mail: a single record with an empty name */
	MX_LOOP,  /* we are the best exchanger: whoever routes mail here has it wrong */
};

struct mx_list {
	struct str *hosts; /* best first; at least one when FOUND */
	size_t n;
	struct str site; /* of all exchangers, tried or not: sorted names, a blank between them */
};

/*
 * answer: FOUND with MX records, or NODATA. own: our name; exchangers from its preference on are left out. uniform: a
 * random number below its argument, such as arc4random_uniform, for the order among equals. Everything in *list lives
 * in the arena; when that is full the list is empty.
 */
enum mx_result mx_make(const struct dns_answer *answer, struct str domain, struct str own,
    uint32_t (*uniform)(uint32_t), size_t site_max, struct arena *arena, struct mx_list *list);

#endif
