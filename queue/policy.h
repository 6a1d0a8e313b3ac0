/*
 * The process `policy` of remote: what other domains say of how their mail is to be secured. It finds and keeps their MTA-STS
 * policies (RFC 8461), and gathers what is to be reported of TLS sessions (RFC 8460). Workers ask it over their socket pairs
 * (queue/policy_message.h) and go on without it when it does not answer. It reads what strangers send, so it may open nothing
 * but sockets and the files of its two directories in cache_directory.
 *
 *     sts_policy, sts_cache        what is said, and what is known: pure
 *     sts_lookup                   DNS, HTTPS, files
 *     tlsrpt_record, tlsrpt_counts, tlsrpt_report    who wants reports, what is in them: pure
 *     tlsrpt_collect, tlsrpt_send  files, DNS, mail, HTTPS
 *     policy_message               what is said between the processes: pure
 *     sts_client                   the workers' side
 */
#ifndef QUEUE_POLICY_H
#define QUEUE_POLICY_H

#include "common/daemon/daemon.h"

/* For the table of roles: one process, or none where nothing of it is wanted. */
unsigned policy_count(const struct conf *conf);
/* The address that reports come from; empty: there are none. */
struct str policy_report_sender(const struct conf *conf);
void policy_main(struct daemon_self *self);

#endif
