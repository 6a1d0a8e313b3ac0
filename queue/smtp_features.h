/*
 * What a server offers in its reply to EHLO (RFC 5321 4.1.1.1). Pure.
 */
#ifndef QUEUE_SMTP_FEATURES_H
#define QUEUE_SMTP_FEATURES_H

#include "queue/smtp_reply.h"

struct smtp_features {
	bool pipelining;
	bool starttls;
	bool eightbit;
	bool smtputf8;
	bool dsn;
	bool size;
	uint64_t size_max; /* 0: no fixed maximum */
};

/* Keywords that are not known, or come with something odd behind them, are passed over. */
void smtp_features_read(struct smtp_features *features, const struct smtp_reply *reply);

#endif
