/*
 * The doctor's time and its questions to DNS: all that are known are asked at once, then waited for together, and whatever
 * is not answered when the doctor's time is over counts as not to be had.
 */
#ifndef QUEUE_DOCTOR_NET_H
#define QUEUE_DOCTOR_NET_H

#include "common/dns/dns.h"

/* Asked of one set of servers; further ones count as not answered. */
#define DOCTOR_QUESTIONS_MAX 40000

struct doctor_net {
	struct loop *loop;
	struct loop_timer deadline;
	size_t pending; /* questions, or whatever else is waited for */
	bool is_over;
};

void doctor_net_init(struct doctor_net *net, uint64_t time_ms);
void doctor_net_clear(struct doctor_net *net);
/* Until nothing is pending, or the time is over. */
void doctor_net_wait(struct doctor_net *net);

struct doctor_answer;

RB_HEAD(doctor_answer_tree, doctor_answer);

struct doctor_dns {
	struct doctor_net *net;
	struct dns *dns;
	struct doctor_answer_tree answers;
	size_t n;
};

/* net outlives it. Of each answer it is known whether the servers say that DNSSEC secures it. */
void doctor_dns_init(struct doctor_dns *dns, struct doctor_net *net, const struct endpoint *servers, size_t n);
void doctor_dns_clear(struct doctor_dns *dns);
/* Once for each question, however often it is asked. */
void doctor_dns_ask(struct doctor_dns *dns, struct str name, enum dns_type type);
/* What came of it; TEMP with a reason when it was not answered, or never asked. Lives as long as dns. */
const struct dns_answer *doctor_dns_answer(struct doctor_dns *dns, struct str name, enum dns_type type);

#endif
