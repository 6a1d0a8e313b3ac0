#include "queue/remote_dane.h"

#include <stdio.h>

static void ask(struct remote_dane *dane);

/* False: none of them can be used. */
static bool
records_take(struct remote_dane *dane, const struct dns_answer *answer)
{
	struct tls_dane_record *records = arena_alloc(dane->arena, REMOTE_DANE_RECORDS_MAX * sizeof *records);
	size_t n = 0;

	for (size_t i = 0; records != NULL && i < answer->n && n < REMOTE_DANE_RECORDS_MAX; i++) {
		const struct dns_record *from = &answer->records[i];
		struct tls_dane_record record = {from->tlsa.usage, from->tlsa.selector, from->tlsa.matching, from->text};

		if (!tls_dane_is_usable(&record))
			continue;
		record.association = arena_copy(dane->arena, record.association);
		if (record.association.p != NULL)
			records[n++] = record;
	}
	dane->records = records;
	dane->n = n;
	return n > 0;
}

static void
answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct remote_dane *dane = container_of(query, struct remote_dane, query);

	if (answer->status == DNS_TEMP) {
		dane->state = TLS_DANE_UNKNOWN;
	} else if (answer->status == DNS_FOUND && answer->is_secure) {
		dane->base = dane->bases[dane->asked - 1];
		dane->state = records_take(dane, answer) ? TLS_DANE_USABLE : TLS_DANE_UNUSABLE;
		if (dane->arena->failed)
			dane->state = TLS_DANE_UNKNOWN;
	} else if (dane->asked < dane->nbases) {
		ask(dane);
		return;
	}
	dane->found(dane);
}

static void
ask(struct remote_dane *dane)
{
	struct str base = dane->bases[dane->asked++];
	char name[DNS_NAME_MAX + 16];

	(void)snprintf(name, sizeof name, "_%u._tcp.%.*s", (unsigned)dane->port, STR_FMT(base));
	dns_ask(dane->dns, &dane->query, str_from(name), DNS_TLSA, answered);
}

/* The host's own name is an alias, and that at least is secure: then it is the base domain (RFC 7672 2.2.2). */
static void
alias_answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct remote_dane *dane = container_of(query, struct remote_dane, query);

	if (answer->status == DNS_FOUND && answer->is_secure) {
		ask(dane);
		return;
	}
	if (answer->status == DNS_TEMP)
		dane->state = TLS_DANE_UNKNOWN;
	dane->found(dane);
}

bool
remote_dane_start(struct remote_dane *dane, struct dns *dns, const struct remote_dane_host *host,
    struct arena *arena, void (*found)(struct remote_dane *))
{
	bool is_alias = !str_equal_nocase(host->expanded, host->name);

	*dane = (struct remote_dane){.found = found, .dns = dns, .arena = arena, .port = host->port};
	if (!host->is_secure && !is_alias)
		return true;
	if (host->is_secure && is_alias) {
		dane->bases[dane->nbases++] = arena_copy(arena, host->expanded);
		if (dane->bases[0].p == NULL) {
			dane->state = TLS_DANE_UNKNOWN;
			return true;
		}
	}
	dane->bases[dane->nbases++] = host->name;
	if (host->is_secure)
		ask(dane);
	else
		dns_ask(dns, &dane->query, host->name, DNS_CNAME, alias_answered);
	return false;
}

void
remote_dane_stop(struct remote_dane *dane)
{
	dns_cancel(&dane->query);
}
