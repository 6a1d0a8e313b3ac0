/*
 * The guard's judgement: may this client connect, send a message, name a recipient? Counts and remembers; asks nobody.
 * Pure; times are ms since 1970.
 *
 * What a limit refuses, and what only the counts tell of, is kept for address, network, login and sender. Somebody who has
 * authenticated is held to the login's limits, everybody else to those of address, network and sender.
 */
#ifndef SMTPD_GUARD_CORE_H
#define SMTPD_GUARD_CORE_H

#include "smtpd/guard_grey.h"
#include "smtpd/guard_live.h"
#include "smtpd/guard_memory.h"
#include "smtpd/guard_rates.h"

/* Recipients that are granted ahead, so that not each of them costs a question. */
#define GUARD_GRANT 16

struct conf;

struct guard_limits {
	uint64_t connections; /* at a time; of all: 0 is no limit */
	uint64_t rates[GUARD_RATES];
};

struct guard_rules {
	struct guard_limits limits[GUARD_KINDS];
	uint64_t client_memory_ms;
	int64_t refuse, welcome; /* scores from which on a client is refused; down to which it need not wait */
	struct guard_grey_rules grey;
};

void guard_rules_set(struct guard_rules *rules, const struct conf *conf);

enum guard_verdict {
	GUARD_GO,
	GUARD_LISTED,		   /* by DNS lists */
	GUARD_TOO_MANY,		   /* connections at a time */
	GUARD_TOO_FAST,		   /* connections a minute */
	GUARD_TOO_MANY_MESSAGES,   /* an hour */
	GUARD_TOO_MANY_RECIPIENTS, /* an hour */
	GUARD_GREY,
};

#define GUARD_VERDICTS (GUARD_GREY + 1)

struct guard_judgement {
	enum guard_verdict verdict;
	enum guard_kind kind; /* whose limit it is */
	uint64_t until_ms;    /* when it may be tried again; 0: unknown */
	uint64_t granted;     /* recipients that may be named without asking again */
};

struct guard_core {
	struct guard_rules rules;
	struct guard_memory *memory;
	struct guard_live live;
};

/* One connection. */
struct guard_client {
	unsigned char address[16];
	unsigned char address_n;
	bool exempt; /* by its network: only the login counts */
	struct guard_live_subject *live[GUARD_LOGIN + 1];
};

/* Whose message it is. login is empty for one who has not authenticated. */
struct guard_author {
	struct str login, sender;
};

void guard_core_init(struct guard_core *core, const struct guard_rules *rules, struct guard_memory *memory);

/* A connection begins. If the verdict is not GO nothing is counted of it but the refusal. */
void guard_core_connect(struct guard_core *core, struct guard_client *client, uint64_t now_ms, struct guard_judgement *j);
/* One that a predecessor had let in: counted, whatever the limits. */
void guard_core_connected(struct guard_core *core, struct guard_client *client);
/* What the lists say of it. */
void guard_core_listed(struct guard_core *core, const struct guard_client *client, int64_t score, uint64_t now_ms,
    struct guard_judgement *j);
/* Has it waited for a greeting before? Harmless for a client that is exempt. */
bool guard_core_is_known(const struct guard_core *core, const struct guard_client *client, uint64_t now_ms);
void guard_core_passed(struct guard_core *core, const struct guard_client *client, uint64_t now_ms);
/* Errors of the last hour: from this address. */
uint64_t guard_core_errors(const struct guard_core *core, const struct guard_client *client, uint64_t now_ms);

/* May a message begin? Counts it, and grants some recipients. */
void guard_core_message(struct guard_core *core, struct guard_client *client, const struct guard_author *author,
    uint64_t now_ms, struct guard_judgement *j);
/* May more recipients be named? */
void guard_core_recipients(struct guard_core *core, const struct guard_client *client, const struct guard_author *author,
    uint64_t now_ms, struct guard_judgement *j);
/* Of the granted ones this many were not used. */
void guard_core_return(struct guard_core *core, const struct guard_client *client, const struct guard_author *author,
    uint64_t n, uint64_t now_ms);
/* May this recipient be named with this sender? */
void guard_core_grey(struct guard_core *core, const struct guard_triplet *triplet, uint64_t now_ms,
    struct guard_judgement *j);

struct guard_report {
	uint64_t messages, recipients; /* that were not asked about */
	uint64_t errors;
};

/* The connection is over. */
void guard_core_gone(struct guard_core *core, struct guard_client *client, const struct guard_report *report,
    uint64_t now_ms);

#endif
