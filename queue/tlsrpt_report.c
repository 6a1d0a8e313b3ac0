#include "queue/tlsrpt_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "common/base/base64.h"
#include "common/base/date.h"
#include "common/base/json.h"

#define BOUNDARY "=_tlsrpt"
#define BASE64_LINE 57 /* bytes of a line of 76 characters */
#define GZIP_WINDOW_BITS (15 + 16) /* zlib's way of asking for gzip's head */

void
tlsrpt_report_id(char id[TLSRPT_ID_MAX], const struct tlsrpt_report *report)
{
	(void)snprintf(id, TLSRPT_ID_MAX, "%llu.%s@%.*s", (unsigned long long)report->begin_s, report->domain->name,
	    STR_FMT(report->submitter));
}

/* --- JSON ----------------------------------------------------------------------------------------------------------------- */

static void
time_add(struct buf *out, const char *key, uint64_t s)
{
	char text[DATE_RFC3339_SIZE];

	json_add_member(out, key, str_from(date_format_rfc3339(text, (struct date){.seconds = (int64_t)s})));
}

static void
string_add(struct buf *out, struct str s)
{
	if (out->n > 0 && out->p[out->n - 1] != '[')
		buf_adds(out, ", ");
	json_add_string(out, s);
}

/* The lines of the policy, and of MTA-STS the exchangers in it once more. */
static void
policy_add(struct buf *out, const struct tlsrpt_domain *domain, const struct tlsrpt_counted *policy)
{
	static const struct str mx = STR("mx: ");
	struct str rest = str_from(policy->text), line;

	json_add_key(out, "policy");
	buf_addc(out, '{');
	json_add_member(out, "policy-type", str_from(tlsrpt_policy_word(policy->policy)));
	if (policy->text[0] != '\0') {
		json_add_key(out, "policy-string");
		buf_addc(out, '[');
		while (str_token(&rest, '|', &line))
			string_add(out, line);
		buf_addc(out, ']');
	}
	json_add_member(out, "policy-domain", str_from(domain->name));
	if (policy->policy == TLSRPT_STS) {
		json_add_key(out, "mx-host");
		buf_addc(out, '[');
		for (rest = str_from(policy->text); str_token(&rest, '|', &line);)
			if (str_starts(line, mx))
				string_add(out, str_skip(line, mx.n));
		buf_addc(out, ']');
	}
	buf_addc(out, '}');
}

static void
known_add(struct buf *out, const char *key, const char *value)
{
	if (value[0] != '\0')
		json_add_member(out, key, str_from(value));
}

static void
failure_add(struct buf *out, const struct tlsrpt_failure *f)
{
	if (out->p[out->n - 1] == '}')
		buf_adds(out, ", ");
	buf_addc(out, '{');
	json_add_member(out, "result-type", str_from(tlsrpt_result_word(f->result)));
	known_add(out, "sending-mta-ip", f->sending_ip);
	known_add(out, "receiving-mx-hostname", f->host);
	known_add(out, "receiving-ip", f->receiving_ip);
	json_add_number(out, "failed-session-count", f->count);
	known_add(out, "failure-reason-code", f->reason);
	buf_addc(out, '}');
}

static void
counted_add(struct buf *out, const struct tlsrpt_domain *domain, const struct tlsrpt_counted *policy)
{
	const struct tlsrpt_failure *f;

	if (out->n > 0 && out->p[out->n - 1] == '}')
		buf_adds(out, ", ");
	buf_addc(out, '{');
	policy_add(out, domain, policy);
	json_add_key(out, "summary");
	buf_addc(out, '{');
	json_add_number(out, "total-successful-session-count", policy->successes);
	json_add_number(out, "total-failure-session-count", policy->failures);
	buf_addc(out, '}');
	if (!TAILQ_EMPTY(&policy->list)) {
		json_add_key(out, "failure-details");
		buf_addc(out, '[');
		TAILQ_FOREACH(f, &policy->list, link)
			failure_add(out, f);
		buf_addc(out, ']');
	}
	buf_addc(out, '}');
}

void
tlsrpt_report_json(struct buf *out, const struct tlsrpt_report *report)
{
	const struct tlsrpt_counted *policy;
	char id[TLSRPT_ID_MAX];

	tlsrpt_report_id(id, report);
	buf_addc(out, '{');
	json_add_member(out, "organization-name", report->submitter);
	json_add_key(out, "date-range");
	buf_addc(out, '{');
	time_add(out, "start-datetime", report->begin_s);
	time_add(out, "end-datetime", report->end_s - 1);
	buf_addc(out, '}');
	json_add_member(out, "contact-info", report->from);
	json_add_member(out, "report-id", str_from(id));
	json_add_key(out, "policies");
	buf_addc(out, '[');
	TAILQ_FOREACH(policy, &report->domain->policies, link)
		if (buf_ok(out))
			counted_add(out, report->domain, policy);
	buf_adds(out, "]}\n");
}

bool
tlsrpt_report_compress(struct buf *out, struct str json, struct err *err)
{
	z_stream z = {.avail_in = (uInt)json.n};
	char *copy = str_dup(json); /* zlib's interface knows no const */
	size_t room;
	char *to;
	int result;

	z.next_in = (Bytef *)copy;
	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW_BITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
		free(copy);
		return err_set(err, ERR_TEMP, "zlib does not start");
	}
	room = deflateBound(&z, (uLong)json.n);
	to = buf_reserve(out, room);
	z.next_out = (Bytef *)to;
	z.avail_out = (uInt)room;
	result = to != NULL ? deflate(&z, Z_FINISH) : Z_MEM_ERROR;
	if (result == Z_STREAM_END)
		buf_commit(out, room - z.avail_out);
	(void)deflateEnd(&z);
	free(copy);
	return result == Z_STREAM_END || err_set(err, ERR_TEMP, "the report cannot be compressed");
}

/* --- the message ---------------------------------------------------------------------------------------------------------- */

/* RFC 8460 5.3; RFC 8689 5: it goes whatever is wrong with TLS, as that is what it may be about. */
static void
header_add(struct buf *out, const struct tlsrpt_report *report, struct str to, uint64_t now_s)
{
	char date[DATE_RFC5322_SIZE], id[TLSRPT_ID_MAX];
	const char *domain = report->domain->name;

	tlsrpt_report_id(id, report);
	buf_addf(out, "From: <%.*s>\r\nTo: <%.*s>\r\nDate: %s\r\nMessage-ID: <tlsrpt.%s>\r\n", STR_FMT(report->from),
	    STR_FMT(to), date_format_rfc5322(date, (struct date){.seconds = (int64_t)now_s}), id);
	buf_addf(out, "Subject: Report Domain: %s\r\n Submitter: %.*s\r\n Report-ID: <%s>\r\n", domain,
	    STR_FMT(report->submitter), id);
	buf_addf(out, "TLS-Report-Domain: %s\r\nTLS-Report-Submitter: %.*s\r\nTLS-Required: No\r\n", domain,
	    STR_FMT(report->submitter));
	buf_adds(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
	              "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"" BOUNDARY "\"\r\n\r\n");
}

static void
words_add(struct buf *out, const struct tlsrpt_report *report)
{
	char begin[DATE_RFC3339_SIZE], end[DATE_RFC3339_SIZE];
	uint64_t successes = 0, failures = 0;
	const struct tlsrpt_counted *policy;

	TAILQ_FOREACH(policy, &report->domain->policies, link) {
		successes += policy->successes;
		failures += policy->failures;
	}
	buf_adds(out, "--" BOUNDARY "\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n");
	buf_addf(out, "This is a report (RFC 8460) on the TLS connections that %.*s made\r\nto deliver mail for %s,\r\n",
	    STR_FMT(report->submitter), report->domain->name);
	buf_addf(out, "from %s to %s.\r\n\r\nSuccessful sessions: %llu\r\nFailed sessions: %llu\r\n\r\n",
	    date_format_rfc3339(begin, (struct date){.seconds = (int64_t)report->begin_s}),
	    date_format_rfc3339(end, (struct date){.seconds = (int64_t)report->end_s - 1}), (unsigned long long)successes,
	    (unsigned long long)failures);
}

static void
attachment_add(struct buf *out, const struct tlsrpt_report *report, struct str compressed)
{
	buf_addf(out,
	    "--" BOUNDARY "\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n"
	    "Content-Disposition: attachment;\r\n filename=\"%.*s!%s!%llu!%llu.json.gz\"\r\n\r\n",
	    STR_FMT(report->submitter), report->domain->name, (unsigned long long)report->begin_s,
	    (unsigned long long)report->end_s - 1);
	for (size_t at = 0; at < compressed.n; at += BASE64_LINE) {
		base64_encode(out, str_sub(compressed, at, BASE64_LINE));
		buf_adds(out, "\r\n");
	}
	buf_adds(out, "--" BOUNDARY "--\r\n");
}

void
tlsrpt_report_message(struct buf *out, const struct tlsrpt_report *report, struct str to, struct str compressed, uint64_t now_s)
{
	header_add(out, report, to, now_s);
	words_add(out, report);
	attachment_add(out, report, compressed);
}
