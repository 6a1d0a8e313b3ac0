#include "common/dns/dns_message.h"

#include <arpa/nameser.h>
#include <resolv.h>
#include <string.h>

#define OPT_BYTES 11
#define RECURSION_DESIRED 0x0100
#define AUTHENTIC 0x0020
#define TLSA_BYTES_MIN 4

/* --- names ------------------------------------------------------------------------------------------------------- */

static bool
is_host_byte(char c)
{
	return ascii_is_alnum(c) || c == '-' || c == '_';
}

/* Labels of 1 to 63 host bytes with dots between them: never an escape, so the text is the name. */
static bool
is_host(struct str name)
{
	struct str label;

	if (name.n == 0 || name.n > DNS_NAME_MAX)
		return false;
	while (str_token(&name, '.', &label)) {
		if (label.n == 0 || label.n > NS_MAXLABEL)
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!is_host_byte(label.p[i]))
				return false;
	}
	return true;
}

static void
lower(char *dst, struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		dst[i] = ascii_lower(name.p[i]);
	dst[name.n] = '\0';
}

bool
dns_question_set(struct dns_question *question, struct str name, enum dns_type type)
{
	if (name.n > 1 && name.p[name.n - 1] == '.')
		name.n--;
	question->type = type;
	question->name[0] = '\0';
	if (!is_host(name))
		return false;
	lower(question->name, name);
	return true;
}

/* --- queries ------------------------------------------------------------------------------------------------------ */

static unsigned char *
put16(unsigned char *p, unsigned value)
{
	p[0] = (unsigned char)(value >> 8);
	p[1] = (unsigned char)value;
	return p + 2;
}

static unsigned
get16(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

size_t
dns_query_build(unsigned char query[DNS_QUERY_MAX], const struct dns_question *question, uint16_t id,
    unsigned flags)
{
	unsigned char *p = query;
	int n;

	memset(query, 0, DNS_QUERY_MAX);
	p = put16(p, id);
	p = put16(p, RECURSION_DESIRED | (flags & DNS_QUERY_AD ? AUTHENTIC : 0));
	p = put16(p, 1);
	p = put16(p + 4, flags & DNS_QUERY_EDNS ? 1 : 0);
	n = ns_name_compress(question->name, p, (size_t)(DNS_QUERY_MAX - NS_HFIXEDSZ - NS_QFIXEDSZ - OPT_BYTES), NULL, NULL);
	if (n < 0)
		return 0;
	p = put16(p + n, (unsigned)question->type);
	p = put16(p, ns_c_in);
	if (flags & DNS_QUERY_EDNS) {
		p = put16(p + 1, ns_t_opt); /* owner: the root */
		p = put16(p, DNS_UDP_MAX);
		p += 6; /* extended rcode, version 0, flags, no options */
	}
	return (size_t)(p - query);
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

/* What is known while an answer is read. */
struct reader {
	ns_msg msg;
	struct arena *arena;
	struct dns_answer *answer;
	char name[DNS_NAME_MAX + 1]; /* whose records are wanted now */
	uint32_t ttl_s;
	bool aliased;
};

static bool
record_at(struct reader *r, ns_sect section, unsigned i, ns_rr *rr)
{
	return ns_parserr(&r->msg, section, (int)i, rr) == 0;
}

static bool
is_about(const struct reader *r, const ns_rr *rr, unsigned type)
{
	return rr->rr_class == ns_c_in && rr->type == type && str_equal_nocase(str_from(rr->name), str_from(r->name));
}

/* The host name in RDATA from `skip` on, which must end with it. "" for the root. False: not one for us. */
static bool
host_in(const struct reader *r, const ns_rr *rr, size_t skip, char host[DNS_NAME_MAX + 1])
{
	char text[NS_MAXDNAME];
	struct str name;
	int n;

	if (rr->rdlength <= skip)
		return false;
	n = ns_name_uncompress(r->msg._msg, r->msg._eom, rr->rdata + skip, text, sizeof text);
	if (n < 0 || (size_t)n != rr->rdlength - skip)
		return false;
	name = str_from(text);
	if (str_equal(name, STR(".")))
		name.n = 0;
	if (name.n > 0 && !is_host(name))
		return false;
	lower(host, name);
	return true;
}

static bool
text_read(const struct reader *r, const ns_rr *rr, struct dns_record *record)
{
	char *text = arena_alloc(r->arena, rr->rdlength);
	size_t at = 0, n = 0;

	if (text == NULL)
		return false;
	while (at < rr->rdlength) {
		size_t length = rr->rdata[at++];

		if (length > rr->rdlength - at)
			return false;
		memcpy(text + n, rr->rdata + at, length);
		at += length;
		n += length;
	}
	record->text = (struct str){text, n};
	return true;
}

static bool
host_read(const struct reader *r, const ns_rr *rr, size_t skip, struct dns_record *record)
{
	char host[DNS_NAME_MAX + 1];

	if (!host_in(r, rr, skip, host))
		return false;
	record->text = arena_copy(r->arena, str_from(host));
	return record->text.p != NULL;
}

static bool
tlsa_read(const struct reader *r, const ns_rr *rr, struct dns_record *record)
{
	if (rr->rdlength < TLSA_BYTES_MIN)
		return false;
	record->tlsa = (struct dns_tlsa){rr->rdata[0], rr->rdata[1], rr->rdata[2]};
	record->text = arena_copy(r->arena, (struct str){(const char *)rr->rdata + 3, rr->rdlength - 3});
	return record->text.p != NULL;
}

/* False: this record is passed over. */
static bool
record_read(const struct reader *r, const ns_rr *rr, enum dns_type type, struct dns_record *record)
{
	*record = (struct dns_record){0};
	switch (type) {
	case DNS_A:
		if (rr->rdlength != sizeof record->address.v4)
			return false;
		memcpy(&record->address.v4, rr->rdata, sizeof record->address.v4);
		return true;
	case DNS_AAAA:
		if (rr->rdlength != sizeof record->address.v6)
			return false;
		memcpy(&record->address.v6, rr->rdata, sizeof record->address.v6);
		return true;
	case DNS_MX:
		if (rr->rdlength < 3)
			return false;
		record->preference = get16(rr->rdata);
		return host_read(r, rr, 2, record);
	case DNS_PTR:
	case DNS_CNAME:
		return host_read(r, rr, 0, record);
	case DNS_TXT:
		return text_read(r, rr, record);
	case DNS_TLSA:
		return tlsa_read(r, rr, record);
	}
	return false;
}

static void
ttl_use(struct reader *r, uint32_t ttl_s)
{
	/* RFC 2181 8: a TTL with the highest bit set counts as 0. */
	if (ttl_s > INT32_MAX)
		ttl_s = 0;
	if (ttl_s < r->ttl_s)
		r->ttl_s = ttl_s;
}

/* The CNAME of r->name, if there is one: then r->name becomes its target. */
static bool
alias_follow(struct reader *r)
{
	ns_rr rr;

	for (unsigned i = 0; i < ns_msg_count(r->msg, ns_s_an); i++) {
		if (!record_at(r, ns_s_an, i, &rr))
			return false;
		if (!is_about(r, &rr, ns_t_cname))
			continue;
		if (!host_in(r, &rr, 0, r->name))
			return false;
		ttl_use(r, rr.ttl);
		r->aliased = true;
		return true;
	}
	return false;
}

static void
records_read(struct reader *r, enum dns_type type)
{
	unsigned count = ns_msg_count(r->msg, ns_s_an);
	size_t max = count < DNS_RECORDS_MAX ? count : DNS_RECORDS_MAX;
	struct dns_record *records = arena_alloc(r->arena, max * sizeof *records);
	size_t n = 0;
	ns_rr rr;

	if (records == NULL)
		return;
	for (unsigned i = 0; i < count && n < max; i++) {
		if (!record_at(r, ns_s_an, i, &rr))
			break;
		if (!is_about(r, &rr, (unsigned)type) || !record_read(r, &rr, type, &records[n]))
			continue;
		ttl_use(r, rr.ttl);
		n++;
	}
	r->answer->records = records;
	r->answer->n = n;
}

/* RFC 2308 5: a negative answer holds for the lesser of the SOA's own TTL and its last field. */
static bool
soa_read(struct reader *r)
{
	ns_rr rr;

	for (unsigned i = 0; i < ns_msg_count(r->msg, ns_s_ns); i++) {
		if (!record_at(r, ns_s_ns, i, &rr) || rr.type != ns_t_soa || rr.rdlength < 22)
			continue;
		ttl_use(r, rr.ttl);
		ttl_use(r, (uint32_t)ns_get32(rr.rdata + rr.rdlength - 4));
		return true;
	}
	return false;
}

static enum dns_reply
answer_read(struct reader *r, const struct dns_question *question, bool nxdomain)
{
	struct dns_answer *answer = r->answer;
	enum dns_reply reply = DNS_REPLY_ANSWER;

	for (unsigned i = 0; i < DNS_ALIASES_MAX && question->type != DNS_CNAME && alias_follow(r); i++)
		;
	records_read(r, question->type);
	answer->status = answer->n > 0 ? DNS_FOUND : nxdomain ? DNS_NXDOMAIN : DNS_NODATA;
	if (answer->n == 0 && !soa_read(r)) {
		if (r->aliased && !nxdomain)
			reply = DNS_REPLY_ALIAS;
		else
			r->ttl_s = 0;
	}
	answer->ttl_s = r->ttl_s;
	answer->name = arena_copy(r->arena, str_from(r->name));
	if (!r->arena->failed)
		return reply;
	answer->reason = STR("the answer is too large");
	return DNS_REPLY_FAILED;
}

static bool
question_matches(struct reader *r, const struct dns_question *question)
{
	ns_rr rr;

	return ns_msg_count(r->msg, ns_s_qd) == 1 && record_at(r, ns_s_qd, 0, &rr) &&
	       is_about(r, &rr, (unsigned)question->type);
}

static enum dns_reply
failed(struct dns_answer *answer, struct str reason)
{
	answer->status = DNS_TEMP;
	answer->reason = reason;
	return DNS_REPLY_FAILED;
}

/* What the response code makes of it, before the records are looked at. */
static enum dns_reply
rcode_check(unsigned rcode, bool edns, struct dns_answer *answer)
{
	switch (rcode) {
	case ns_r_noerror:
	case ns_r_nxdomain:
		return DNS_REPLY_ANSWER;
	case ns_r_formerr:
	case ns_r_notimpl:
		return edns ? failed(answer, STR("the server does not understand the query")) : DNS_REPLY_NO_EDNS;
	case ns_r_servfail:
		return failed(answer, STR("server failure (SERVFAIL)"));
	case ns_r_refused:
		return failed(answer, STR("the server refuses to answer (REFUSED)"));
	default:
		return failed(answer, STR("the server answers with an unknown code"));
	}
}

/* The answer has an OPT record: then a server that says FORMERR does know EDNS. */
static bool
has_edns(struct reader *r)
{
	ns_rr rr;

	for (unsigned i = 0; i < ns_msg_count(r->msg, ns_s_ar); i++)
		if (record_at(r, ns_s_ar, i, &rr) && rr.type == ns_t_opt)
			return true;
	return false;
}

enum dns_reply
dns_answer_parse(struct str packet, const struct dns_question *question, uint16_t id, struct arena *arena,
    struct dns_answer *answer)
{
	const unsigned char *p = (const unsigned char *)packet.p;
	struct reader r = {.arena = arena, .answer = answer, .ttl_s = UINT32_MAX};
	unsigned flags;
	enum dns_reply reply;

	*answer = (struct dns_answer){.status = DNS_TEMP};
	if (packet.n < NS_HFIXEDSZ || packet.n > NS_MAXMSG || get16(p) != id)
		return DNS_REPLY_FOREIGN;
	flags = get16(p + 2);
	if (!(flags & 0x8000) || (flags & 0x7800))
		return DNS_REPLY_FOREIGN;
	if (flags & 0x0200)
		return DNS_REPLY_TRUNCATED;
	/* Some servers answer a query that they do not understand with a bare header. */
	if (packet.n == NS_HFIXEDSZ && get16(p + 4) == 0)
		return (flags & 15) == 0 ? failed(answer, STR("empty answer")) : rcode_check(flags & 15, false, answer);
	if (ns_initparse(p, (int)packet.n, &r.msg) != 0)
		return failed(answer, STR("malformed answer"));
	memcpy(r.name, question->name, sizeof r.name);
	if (!question_matches(&r, question))
		return DNS_REPLY_FOREIGN;
	answer->is_secure = (flags & AUTHENTIC) != 0;
	reply = rcode_check(flags & 15, has_edns(&r), answer);
	return reply == DNS_REPLY_ANSWER ? answer_read(&r, question, (flags & 15) == ns_r_nxdomain) : reply;
}
