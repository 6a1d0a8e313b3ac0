/*
 * What workers of remote and its process `policy` say to each other: packets of common/base/msg.h over their socket pairs.
 * Pure.
 *
 *     worker                                       policy
 *       | POLICY_ASK: domain                     -->  |
 *       |                  <-- POLICY_ANSWER, its id  |  perhaps never: the worker has a deadline
 *       | POLICY_OUTCOME: of one session         -->  |  no answer
 */
#ifndef QUEUE_POLICY_MESSAGE_H
#define QUEUE_POLICY_MESSAGE_H

#include "common/base/msg.h"

enum policy_packet {
	POLICY_ASK = 1,
	POLICY_ANSWER,
	POLICY_OUTCOME,
};

#define POLICY_DOMAIN_MAX 253
#define POLICY_TEXT_MAX 16384 /* of an MTA-STS policy, and of what is told of TLSA records */
#define POLICY_WORD_MAX 1024

void policy_ask_encode(struct buf *b, uint32_t id, struct str domain);
bool policy_ask_decode(struct msg *m, struct str *domain);

/* The domain's MTA-STS policy, if it has one. */
struct policy_answer {
	struct str text; /* as sts_policy_format writes it; empty: none is known */
	uint64_t holds_s; /* for how long from now, should no other answer be had */
};

void policy_answer_encode(struct buf *b, uint32_t id, const struct policy_answer *answer);
bool policy_answer_decode(struct msg *m, struct policy_answer *answer);

/* RFC 8460 4.2: which policy a session was held to. */
enum tlsrpt_policy {
	TLSRPT_NO_POLICY,
	TLSRPT_STS,
	TLSRPT_TLSA,
};

/* RFC 8460 4.3: what became of it. */
enum tlsrpt_result {
	TLSRPT_SUCCESS,
	TLSRPT_STARTTLS_NOT_SUPPORTED,
	TLSRPT_CERTIFICATE_HOST_MISMATCH,
	TLSRPT_CERTIFICATE_EXPIRED,
	TLSRPT_CERTIFICATE_NOT_TRUSTED,
	TLSRPT_VALIDATION_FAILURE,
	TLSRPT_TLSA_INVALID,
	TLSRPT_DNSSEC_INVALID,
	TLSRPT_DANE_REQUIRED,
	TLSRPT_STS_POLICY_FETCH_ERROR,
	TLSRPT_STS_POLICY_INVALID,
	TLSRPT_STS_WEBPKI_INVALID,
};

/* One session with an exchanger; strings are borrowed from the packet. */
struct tlsrpt_outcome {
	enum tlsrpt_policy policy;
	enum tlsrpt_result result;
	struct str domain;	   /* the policy's */
	struct str text;	   /* the policy that was applied, a line each: TLSA records, or MTA-STS; empty without one */
	struct str host;	   /* the exchanger */
	struct str sending_ip, receiving_ip; /* may be empty */
	struct str reason; /* of a failure, a code or some words; may be empty */
};

void tlsrpt_outcome_encode(struct buf *b, const struct tlsrpt_outcome *outcome);
bool tlsrpt_outcome_decode(struct msg *m, struct tlsrpt_outcome *outcome);

/* As reports have it. */
const char *tlsrpt_policy_word(enum tlsrpt_policy policy);
const char *tlsrpt_result_word(enum tlsrpt_result result);
bool tlsrpt_policy_parse(struct str word, enum tlsrpt_policy *policy);
bool tlsrpt_result_parse(struct str word, enum tlsrpt_result *result);

#endif
