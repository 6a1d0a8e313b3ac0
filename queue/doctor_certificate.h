/*
 * The certificates of the configuration, as other servers see them: for how long, for which names, and the TLSA records
 * (RFC 6698, 7672) that vouch for them.
 */
#ifndef QUEUE_DOCTOR_CERTIFICATE_H
#define QUEUE_DOCTOR_CERTIFICATE_H

#include "queue/doctor.h"

struct x509_st;
struct stack_st_X509;

struct doctor_certificate {
	const char *path;
	struct x509_st *leaf;
	struct stack_st_X509 *chain; /* what the file holds, the leaf first */
};

struct doctor_certificates {
	struct doctor_certificate *list;
	size_t n; /* of those that could be read: what is wrong with the others is a matter of the configuration's check */
};

/* Says how long they last. */
void doctor_certificates_load(struct doctor_certificates *certificates, struct doctor *d);
void doctor_certificates_clear(struct doctor_certificates *certificates);

bool doctor_certificate_is_for(const struct doctor_certificate *certificate, const char *host);
/* Of the public key, as `3 1 1` has it: 64 hexadecimal digits. */
bool doctor_certificate_digest(const struct doctor_certificate *certificate, char hex[65]);

/* A TLSA record. */
struct doctor_tlsa {
	unsigned usage, selector, matching;
	struct str association; /* bytes */
};

/* Would a client of SMTP that finds this record believe that certificate? Usages 0 and 1 are none (RFC 7672 3.1.3). */
bool doctor_certificate_matches(const struct doctor_certificate *certificate, const struct doctor_tlsa *tlsa);

#endif
