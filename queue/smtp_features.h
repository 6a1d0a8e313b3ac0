/*
 * What a server offers in its reply to EHLO (RFC 5321 4.1.1.1). Pure.
 */
#ifndef QUEUE_SMTP_FEATURES_H
#define QUEUE_SMTP_FEATURES_H

#include "queue/sasl_login.h"
#include "queue/smtp_reply.h"

struct smtp_features {
	bool pipelining;
	bool starttls;
	bool eightbit;
	bool smtputf8;
	bool dsn;
	bool chunking;	 /* RFC 3030 */
	bool binary;	 /* BINARYMIME, which counts only together with it */
	bool requiretls; /* RFC 8689 */
	bool priority;	 /* MT-PRIORITY, RFC 6710 */
	unsigned auth;	 /* RFC 4954: SASL_BITs of those that we know */
	bool deliver_by; /* RFC 2852 */
	uint64_t deliver_by_min_s;
	bool size;
	uint64_t size_max; /* 0: no fixed maximum */
	/* RFC 9422; 0: it does not say. */
	uint64_t recipients_max; /* of a transaction */
	uint64_t domains_max;	 /* that these are in */
	uint64_t mails_max;	 /* transactions of a session */
};

/* Keywords that are not known, or come with something odd behind them, are passed over. */
void smtp_features_read(struct smtp_features *features, const struct smtp_reply *reply);
/* The words behind a keyword of such a reply, the first time that it is there; else .p is NULL. Borrowed. */
struct str smtp_features_words(const struct smtp_reply *reply, struct str keyword);

#endif
