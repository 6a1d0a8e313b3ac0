#include "queue/doctor_sts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/tls/tls.h"
#include "queue/doctor_record.h"
#include "queue/sts_policy.h"

/* No longer than the doctor's own time, which ends it in any case. */
#define FETCH_MS 600000

struct doctor_sts_fetch {
	struct doctor_sts *sts;
	struct str domain;
	struct http_call call;
	bool is_over;
	char why[160]; /* empty: text is the policy */
	struct buf text;
};

void
doctor_sts_init(struct doctor_sts *sts, const struct doctor *d, struct doctor_net *net, struct doctor_dns *dns)
{
	struct err err;

	*sts = (struct doctor_sts){.net = net, .http = {.loop = net->loop, .dns = dns->dns, .tls = tls_client_new(&err)},
	    .list = calloc(DOCTOR_STS_MAX, sizeof *sts->list)};
	if (sts->list == NULL)
		fatal("out of memory");
	if (sts->http.tls != NULL && !tls_client_trust(sts->http.tls, d->conf->queue.tls_authorities, &err)) {
		tls_free(sts->http.tls);
		sts->http.tls = NULL;
	}
}

void
doctor_sts_clear(struct doctor_sts *sts)
{
	for (size_t i = 0; i < sts->n; i++) {
		http_call_stop(&sts->list[i].call);
		buf_clear(&sts->list[i].text);
	}
	free(sts->list);
	if (sts->http.tls != NULL)
		tls_free(sts->http.tls);
}

/* ---- fetching -------------------------------------------------------------------------------------------------------- */

static void
fetched(struct http_call *call, const struct http_response *response, const char *why)
{
	struct doctor_sts_fetch *f = container_of(call, struct doctor_sts_fetch, call);

	f->is_over = true;
	f->sts->net->pending--;
	if (response == NULL)
		(void)snprintf(f->why, sizeof f->why, "%s", why);
	else if (response->status != 200)
		(void)snprintf(f->why, sizeof f->why, "the server answers with status %u", response->status);
	else if (strcmp(response->type, "text/plain") != 0)
		(void)snprintf(f->why, sizeof f->why, "it is not text/plain");
	else
		buf_add(&f->text, buf_str(&response->body));
}

static void
fetch(struct doctor_sts *sts, const struct doctor *d, struct str domain)
{
	struct doctor_sts_fetch *f = &sts->list[sts->n++];
	struct http_url url = {.tls = true, .port = (uint16_t)d->conf->queue.mta_sts_port, .target = STR("/.well-known/mta-sts.txt")};

	*f = (struct doctor_sts_fetch){.sts = sts, .domain = domain};
	buf_init(&f->text, HTTP_BODY_MAX);
	http_call_init(&f->call);
	(void)snprintf(url.host, sizeof url.host, "mta-sts.%.*s", STR_FMT(domain));
	http_get(&f->call.request, &url, "text/plain");
	sts->net->pending++;
	http_call_start(&f->call, &sts->http, &url, FETCH_MS, fetched);
}

static bool
has_record(struct doctor_dns *dns, struct str domain)
{
	char name[DNS_NAME_MAX + 1];
	struct str text;
	int n = snprintf(name, sizeof name, "_mta-sts.%.*s", STR_FMT(domain));

	return n > 0 && (size_t)n < sizeof name &&
	    doctor_record_find(doctor_dns_answer(dns, (struct str){name, (size_t)n}, DNS_TXT), DOCTOR_STS, &text) == 1;
}

static bool
has_host(struct doctor_dns *dns, struct str domain)
{
	char name[DNS_NAME_MAX + 1];
	struct str host = {name, (size_t)snprintf(name, sizeof name, "mta-sts.%.*s", STR_FMT(domain))};

	return doctor_dns_answer(dns, host, DNS_A)->n + doctor_dns_answer(dns, host, DNS_AAAA)->n > 0;
}

void
doctor_sts_ask(struct doctor_sts *sts, const struct doctor *d, struct doctor_dns *dns)
{
	for (size_t i = 0; sts->http.tls != NULL && i < d->conf->ndomains && sts->n < DOCTOR_STS_MAX; i++) {
		struct str domain = str_from(d->conf->domains[i].name);

		if (has_record(dns, domain) && has_host(dns, domain))
			fetch(sts, d, domain);
	}
}

/* ---- what came of it --------------------------------------------------------------------------------------------------- */

static void
report_policy(struct doctor *d, struct str domain, const struct sts_policy *policy, const struct dns_answer *mx)
{
	const char *mode = sts_mode_word(policy->mode);
	bool is_good = true;

	for (size_t i = 0; policy->mode != STS_MODE_NONE && i < mx->n; i++) {
		struct str host = mx->records[i].text;

		if (host.n == 0 || sts_policy_has_mx(policy, host))
			continue;
		is_good = false;
		doctor_find(d, policy->mode == STS_MODE_ENFORCE ? DOCTOR_ERROR : DOCTOR_WARNING, "sts-policy-mx", domain,
		    "has an MTA-STS policy (%s) that does not name its exchanger %.*s", mode, STR_FMT(host));
		doctor_advise(d, "Add to the policy: mx: %.*s; and give the record a new id", STR_FMT(host));
	}
	if (is_good)
		doctor_find(d, DOCTOR_OK, "sts-policy", domain, "has an MTA-STS policy (%s) for its exchangers", mode);
}

static void
report(struct doctor_sts_fetch *f, struct doctor *d, struct doctor_dns *dns)
{
	struct sts_policy policy;
	const char *why = f->why;

	if (!f->is_over)
		why = "no answer in time";
	if (why[0] != '\0') {
		doctor_find(d, DOCTOR_ERROR, "sts-unfetched", f->domain, "has an MTA-STS policy that cannot be fetched: %s", why);
		doctor_advise(d, "Serve https://mta-sts.%.*s/.well-known/mta-sts.txt as text/plain, with a certificate for that name",
		    STR_FMT(f->domain));
	} else if (!sts_policy_parse(buf_str(&f->text), &policy, &why)) {
		doctor_find(d, DOCTOR_ERROR, "sts-policy-bad", f->domain, "has an MTA-STS policy that is none: %s", why);
	} else {
		report_policy(d, f->domain, &policy, doctor_dns_answer(dns, f->domain, DNS_MX));
	}
}

void
doctor_sts_report(struct doctor_sts *sts, struct doctor *d, struct doctor_dns *dns)
{
	d->area = DOCTOR_DOMAINS;
	for (size_t i = 0; i < sts->n; i++)
		report(&sts->list[i], d, dns);
}
