/*
 * The records of mail policy in DNS that a domain publishes of itself: SPF (RFC 7208), DMARC (RFC 7489), MTA-STS (RFC 8461
 * 3.1) and TLSRPT (RFC 8460 3). Are they as they should be? Pure.
 */
#ifndef QUEUE_DOCTOR_RECORD_H
#define QUEUE_DOCTOR_RECORD_H

#include "common/dns/dns_message.h"
#include "common/net/network.h"

enum doctor_record_kind {
	DOCTOR_SPF,
	DOCTOR_DMARC,
	DOCTOR_STS,
	DOCTOR_TLSRPT,
};

/* How many records of the kind are among the TXT records of an answer; *text is the first, borrowed. */
size_t doctor_record_find(const struct dns_answer *answer, enum doctor_record_kind kind, struct str *text);

/* The value of `name=` among tags with semicolons between; false when there is none. */
bool doctor_record_tag(struct str record, const char *name, struct str *value);

/* What is wrong with such a record, in words; NULL: nothing. Not for SPF. */
const char *doctor_record_problem(enum doctor_record_kind kind, struct str record);

/* ---- SPF ----------------------------------------------------------------------------------------------------------- */

/* RFC 7208 4.6.4. */
#define DOCTOR_SPF_LOOKUPS_MAX 10

enum doctor_spf_result {
	DOCTOR_SPF_PASS,
	DOCTOR_SPF_FAIL,    /* what the record says of an address that nothing in it matches, or that it excludes */
	DOCTOR_SPF_OPEN,    /* it lets everybody pass */
	DOCTOR_SPF_UNKNOWN, /* hangs on other records, which are not looked at */
	DOCTOR_SPF_BAD,	    /* no receiver can make sense of it */
};

/* Who we are, for its mechanisms. */
struct doctor_spf_facts {
	struct str hostname;
	bool is_a;  /* our address is that of the domain itself */
	bool is_mx; /* or of one of its exchangers */
	const struct endpoint *address; /* from which we send */
};

/* *problem: in words, for BAD. */
enum doctor_spf_result doctor_spf_play(struct str record, const struct doctor_spf_facts *facts, const char **problem);

#endif
