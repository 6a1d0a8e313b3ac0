/*
 * What queued and its workers say to each other over the `queue` socket: the types of common/base/msg.h messages, written
 * and read here for both sides. Pure. The sender of a message guarantees the maxima below; a message that breaks
 * them, or is otherwise malformed, does not decode: the receiver logs that and drops the connection.
 *
 *     worker                                        queued
 *       | HELLO role, capacity                  -->   |
 *       | <--                    RESOLVE id: next hop |   which site is that?
 *       | SITE id: status, key, ttl             -->   |
 *       | <--                   START id + file: job  |   at most `capacity` at a time
 *       | RESULT id: recipient, status ...      -->   |   one a recipient, in any order, each as soon as it is known
 *       | DONE id: health of the site           -->   |   after the last of them
 *
 * Ids are chosen by queued; one is in use until its SITE or DONE. When the connection ends, whatever was under way on
 * it is over: the worker drops it, queued tries again what has no RESULT. A worker that wants to end says HELLO with
 * capacity 0; queued gives it nothing new and closes the connection after the last DONE.
 */
#ifndef QUEUE_JOB_H
#define QUEUE_JOB_H

#include "common/base/arena.h"
#include "common/base/msg.h"
#include "common/queue/queue_file.h"

/* Control commands have numbers from 64 on: queue/control.h. */
enum job_message {
	JOB_HELLO = 1,
	JOB_RESOLVE,
	JOB_SITE,
	JOB_START,
	JOB_RESULT,
	JOB_DONE,
};

/* In bytes. A START with the longest of everything but only one recipient fits into a message. */
#define JOB_ADDRESS_MAX 1024
#define JOB_NEXT_HOP_MAX 300
#define JOB_SITE_MAX 4096
#define JOB_RELAY_MAX 400
#define JOB_REPLY_MAX 2048
#define JOB_TEXT_MAX 128 /* role, queue ID, enhanced code, TLS summary, policy, security, RET, NOTIFY */
#define JOB_ENVID_MAX 512
#define JOB_ORCPT_MAX 1024
#define JOB_RECIPIENTS_MAX 1000

struct job_hello {
	struct str role;   /* "remote" */
	uint64_t capacity; /* how many jobs it takes at a time; 0: no further ones. The last HELLO counts. */
};

void job_hello_encode(struct buf *b, const struct job_hello *hello);
bool job_hello_decode(struct msg *m, struct job_hello *hello);

/*
 * Next hops. Over SMTP: a domain as it stands behind the @ (its exchangers are looked up; `[127.0.0.1]` and
 * `[IPv6:::1]` are address literals), `[host.name]` (that host's addresses, no exchangers), either with `:PORT`
 * behind it. Over LMTP: the name of a socket in run_directory ("lmtp"), `unix:/PATH` of the route's relay, or a host or
 * address in brackets as above.
 */
enum job_transport {
	JOB_SMTP,
	JOB_LMTP,
};

struct job_resolve {
	enum job_transport transport;
	struct str next_hop;
};

void job_resolve_encode(struct buf *b, uint32_t id, const struct job_resolve *resolve);
bool job_resolve_decode(struct msg *m, struct job_resolve *resolve);

enum job_status {
	JOB_DELIVERED, /* of a site: found */
	JOB_DEFERRED,
	JOB_FAILED,
};

struct job_site {
	enum job_status status;
	/* The site's name in limits and statistics: the sorted names of its exchangers, in lower case, with blanks
	 * between them, or the next hop itself. Empty unless found. Cut (at a name) when too long. */
	struct str key;
	/* What the domain itself demands of connections, by DNSSEC and MTA-STS; empty: nothing. Domains of one site that differ
	 * in it share no connection. */
	struct str security;
	uint64_t ttl_s;	    /* how long this answer may be kept, a failure too */
	struct str code;    /* deferred, failed: "5.1.2" */
	struct str reason;  /* and in words */
};

void job_site_encode(struct buf *b, uint32_t id, const struct job_site *site);
bool job_site_decode(struct msg *m, struct job_site *site);

enum {
	JOB_8BIT = 1,	  /* BODY=8BITMIME: the content has bytes above 127 */
	JOB_SMTPUTF8 = 2, /* an address or header field may have them */
	JOB_BINARY = 4,	  /* BODY=BINARYMIME */
	JOB_REQUIRETLS = 8,
	JOB_PRIORITY = 16,   /* `priority` was asked for */
	JOB_BY_RETURN = 32,  /* DELIVERBY: to be returned when it is late; see by_left_ms */
	JOB_BY_NOTIFY = 64,  /* to be told of when it is late */
	JOB_BY_TRACE = 128,
};

struct job_recipient {
	uint64_t index;	    /* its number in the queue file; what RESULT names */
	struct str address; /* without <> */
	struct str orcpt;   /* as in the queue file; any bytes; empty: none */
	struct str notify;  /* RFC 3461 4.1; empty: none */
};

/* With it comes a descriptor of the queue file, open for reading. */
struct job {
	enum job_transport transport;
	struct str next_hop;
	struct str route; /* the name of the section [route NAME] that it takes; empty: none */
	struct str site; /* connections are shared by jobs of the same site and transport; empty: the next hop */
	struct str security; /* and of the same: that of SITE */
	uint64_t messages; /* after so many a connection is closed; 0: as usual */
	struct str queue_id;
	struct str sender; /* without <>; empty: the null sender */
	uint64_t flags;	   /* JOB_8BIT ... */
	uint64_t size;	   /* of the message in bytes: the sum of the pieces */
	int priority;	   /* -9 to 9 */
	int64_t by_left_ms; /* DELIVERBY: until it is late, from now; negative when it is */
	struct str ret;	   /* RFC 3461: FULL or HDRS; empty: none */
	struct str envid;  /* decoded, any bytes; empty: none */
	const struct queue_piece *pieces;
	size_t npieces; /* at most QUEUE_PIECES_MAX */
	const struct job_recipient *recipients;
	size_t nrecipients; /* 1 to JOB_RECIPIENTS_MAX */
};

/*
 * Returns how many of the recipients fitted into the message, from the first on: the others are for another job. 0
 * when a maximum is broken.
 */
size_t job_encode(struct buf *b, uint32_t id, const struct job *job);
/*
 * Everything in *job is copied into the arena. False also when the arena is full, when an address, the queue ID or
 * the next hop holds a control character, or when the pieces do not add up to the size.
 */
bool job_decode(struct msg *m, struct arena *arena, struct job *job);

struct job_result {
	uint64_t index;
	enum job_status status;
	struct str code; /* "2.0.0", "4.4.1", "5.1.1": the other side's if it gave one that agrees with the status */
	/* The other side's words, reply code included ("550 5.1.1 <x>: no such user"), lines joined by blanks, or
	 * ours ("connect to mx1.dua.test[127.0.0.3]:25: Connection refused"). Any bytes. */
	struct str reply;
	struct str relay; /* "mx1.dua.test[127.0.0.3]:25", "lmtp" or "none"; no blanks */
	struct str tls;	  /* "TLSv1.3 with TLS_AES_256_GCM_SHA384"; empty: plain */
	struct str policy; /* which policy decided on that: tls_policy_word; empty: not known, or not by SMTP */
	bool dsn;	  /* delivered to a server that tells the sender itself of what becomes of it (RFC 3461) */
	uint64_t setup_ms;    /* DNS, connecting, greeting, TLS; 0 on a connection that was there already */
	uint64_t transfer_ms; /* from MAIL on */
};

void job_result_encode(struct buf *b, uint32_t id, const struct job_result *result);
bool job_result_decode(struct msg *m, struct job_result *result);

/* What the job showed of the site: feedback for its concurrency window. */
enum job_health {
	JOB_HEALTH_GOOD,    /* it talked to us to the end, whatever it said of the recipients */
	JOB_HEALTH_TROUBLE, /* a connection was lost, timed out or ended with 421 in the middle */
	JOB_HEALTH_DEAD,    /* no exchanger could be reached or would talk to us */
	JOB_HEALTH_UNKNOWN, /* it was not asked: no such domain, the file could not be read ... */
};

struct job_done {
	enum job_health health;
	bool reused; /* over a connection that an earlier job had opened */
};

void job_done_encode(struct buf *b, uint32_t id, const struct job_done *done);
bool job_done_decode(struct msg *m, struct job_done *done);

#endif
