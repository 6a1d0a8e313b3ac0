/*
 * The report of one domain for one period: JSON (RFC 8460 4.4), compressed (5.2), and the message that carries it (5.3). Pure.
 */
#ifndef QUEUE_TLSRPT_REPORT_H
#define QUEUE_TLSRPT_REPORT_H

#include "common/base/err.h"
#include "queue/tlsrpt_counts.h"

#define TLSRPT_JSON_MAX (16 * 1024 * 1024)
#define TLSRPT_ID_MAX 600

struct tlsrpt_report {
	const struct tlsrpt_domain *domain;
	struct str submitter; /* our host name */
	struct str from;      /* the address that reports come from, and can be asked about them */
	uint64_t begin_s, end_s; /* of the period: the first second, and the first of the next period */
};

/* "BEGIN.DOMAIN@SUBMITTER": the same when the report is made again. */
void tlsrpt_report_id(char id[TLSRPT_ID_MAX], const struct tlsrpt_report *report);
void tlsrpt_report_json(struct buf *out, const struct tlsrpt_report *report);
/* Appends the text as gzip (RFC 1952) has it. */
bool tlsrpt_report_compress(struct buf *out, struct str json, struct err *err);
/* The whole message in wire form; compressed: the report. */
void tlsrpt_report_message(struct buf *out, const struct tlsrpt_report *report, struct str to, struct str compressed,
    uint64_t now_s);

#endif
