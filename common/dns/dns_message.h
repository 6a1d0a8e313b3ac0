/*
 * DNS messages (RFC 1035, 6891): builds a query and reads the answer to it, with the ns_ functions of libresolv. Pure.
 * Whatever a server sends, what comes out is bounded, its host names are made of letters, digits, `-`, `_` and dots,
 * and it belongs to the question that was asked: records of other names are not looked at.
 */
#ifndef COMMON_DNS_MESSAGE_H
#define COMMON_DNS_MESSAGE_H

#include <netinet/in.h>

#include "common/base/arena.h"
#include "common/base/str.h"

#define DNS_NAME_MAX 253
#define DNS_QUERY_MAX 300     /* bytes of a query */
#define DNS_UDP_MAX 1232      /* what we say we take over UDP: never fragmented in practice */
#define DNS_RECORDS_MAX 100   /* of an answer; the rest is left out */
#define DNS_ALIASES_MAX 8     /* CNAMEs followed one after the other */
#define DNS_ANSWER_MAX 131072 /* bytes of an arena that suffices for any answer */

enum dns_type {
	DNS_A = 1,
	DNS_CNAME = 5, /* asked for itself: what else is asked follows it */
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_TLSA = 52,
};

struct dns_question {
	char name[DNS_NAME_MAX + 1]; /* lower case, no dot at the end; terminated */
	enum dns_type type;
};

/* False when no such name can be in DNS: empty, too long, an empty or long label, other characters. */
bool dns_question_set(struct dns_question *question, struct str name, enum dns_type type);

enum {
	DNS_QUERY_EDNS = 1, /* with an OPT record that tells DNS_UDP_MAX */
	DNS_QUERY_AD = 2,   /* RFC 6840 5.7: the server is to say whether DNSSEC secures the answer */
};

/* Recursion desired, one question. Returns the length. */
size_t dns_query_build(unsigned char query[DNS_QUERY_MAX], const struct dns_question *question, uint16_t id,
    unsigned flags);

/* RFC 6698 2.1; the data of the association is the record's text. */
struct dns_tlsa {
	uint8_t usage;
	uint8_t selector;
	uint8_t matching;
};

struct dns_record {
	unsigned preference; /* MX */
	union {
		struct in_addr v4;  /* A */
		struct in6_addr v6; /* AAAA */
	} address;
	struct dns_tlsa tlsa;
	/* MX, PTR, CNAME: host, lower case, "" for the root; TXT: its strings put together; TLSA: the data. The latter two
	 * any bytes. */
	struct str text;
};

enum dns_status {
	DNS_FOUND,    /* at least one record */
	DNS_NODATA,   /* the name exists, but has none of this type */
	DNS_NXDOMAIN, /* there is no such name */
	DNS_TEMP,     /* no server could tell: try again later */
	DNS_BAD_NAME, /* nobody was asked: see dns_question_set */
};

struct dns_answer {
	enum dns_status status;
	uint32_t ttl_s;	 /* of the whole answer: the least of all records used */
	bool is_secure;	 /* the server says that DNSSEC secures all of it, that there is nothing too (the AD bit) */
	struct str name; /* the question's, or what its CNAMEs lead to; lower case */
	const struct dns_record *records;
	size_t n;
	struct str reason; /* TEMP: why, for the log */
};

enum dns_reply {
	DNS_REPLY_ANSWER,  /* FOUND, NODATA or NXDOMAIN */
	DNS_REPLY_ALIAS,   /* ends with a CNAME and says nothing of its target: ask for answer->name */
	DNS_REPLY_FOREIGN, /* not the answer to this query: go on waiting */
	DNS_REPLY_TRUNCATED, /* ask again over TCP */
	DNS_REPLY_NO_EDNS, /* ask again without EDNS */
	DNS_REPLY_FAILED,  /* this server will not tell: SERVFAIL, REFUSED, nonsense; answer->reason says it */
};

/* packet: as it came. The answer's records and strings live in the arena, which should be fresh. */
enum dns_reply dns_answer_parse(struct str packet, const struct dns_question *question, uint16_t id,
    struct arena *arena, struct dns_answer *answer);

#endif
