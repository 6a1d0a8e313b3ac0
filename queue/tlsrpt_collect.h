/*
 * Gathers what workers tell of TLS sessions, for the domains that want to know (RFC 8460 3), and keeps it on the disk: one file
 * a period, "BEGIN-END" in seconds. In the event loop of the process `policy`.
 *
 * Here is only what came since the last minute; a flush adds it to the file. So several processes may do this at a time (an old
 * one whose workers still finish), and one that is killed loses a minute.
 */
#ifndef QUEUE_TLSRPT_COLLECT_H
#define QUEUE_TLSRPT_COLLECT_H

#include "common/dns/dns.h"
#include "queue/tlsrpt_counts.h"

#define TLSRPT_WISHES_MAX 20000 /* domains of which is remembered whether they want reports */
#define TLSRPT_WISH_MS (3600 * 1000)
#define TLSRPT_ASKED_MAX 500 /* at a time; of further ones nothing is counted */
#define TLSRPT_FLUSH_S 60
#define TLSRPT_FILE_MAX (2 * TLSRPT_BYTES_MAX)

struct tlsrpt_wish;

RB_HEAD(tlsrpt_wish_tree, tlsrpt_wish);
TAILQ_HEAD(tlsrpt_wish_list, tlsrpt_wish);

struct tlsrpt_collector {
	/* Set by the owner: */
	struct loop *loop;
	struct dns *dns;
	int directory;
	uint64_t period_s;

	/* tlsrpt_collect.c's own: */
	struct tlsrpt_counts counts;
	uint64_t begin_s; /* of the period that they are of */
	struct tlsrpt_wish_tree wishes;
	struct tlsrpt_wish_list ages; /* the oldest first */
	size_t nwishes, nasked;
	struct loop_timer flush;
	bool complained;
};

void tlsrpt_collector_start(struct tlsrpt_collector *collector);
void tlsrpt_collector_tell(struct tlsrpt_collector *collector, const struct tlsrpt_outcome *outcome);
void tlsrpt_collector_flush(struct tlsrpt_collector *collector);

/* For as short as it takes to read and write a file; the lock is the directory's. */
void tlsrpt_directory_lock(int directory);
void tlsrpt_directory_unlock(int directory);

/* What of a period must be asked of DNS: "_smtp._tls.DOMAIN". False when the domain is too long. */
bool tlsrpt_question(char name[DNS_NAME_MAX + 1], const char *domain);

#endif
