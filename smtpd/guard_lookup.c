#include "smtpd/guard_lookup.h"

#include <stdlib.h>
#include <string.h>

#define REFUSING_MAX 512

static void forward_next(struct guard_lookup *l);

static void
end(struct guard_lookup *l)
{
	dns_cancel(&l->ptr);
	dns_cancel(&l->forward);
	for (size_t i = 0; i < l->nlists; i++)
		dns_cancel(&l->asked[i].query);
	loop_timer_cancel(&l->deadline);
}

static void
deadline_over(struct loop_timer *timer)
{
	struct guard_lookup *l = container_of(timer, struct guard_lookup, deadline);

	end(l);
	l->finished(l);
}

/* One question less. When it was the last the owner is told; nothing may touch the lookup then. */
static void
settle(struct guard_lookup *l)
{
	if (--l->pending > 0)
		return;
	end(l);
	l->finished(l);
}

/* ---- lists --------------------------------------------------------------------------------------------------------------- */

static bool
counts(const struct dns_list *list, const struct dns_answer *answer)
{
	for (size_t i = 0; i < answer->n && answer->status == DNS_FOUND; i++)
		if (dns_list_counts(list, answer->records[i].address.v4))
			return true;
	return false;
}

static void
list_answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct guard_lookup_list *entry = container_of(query, struct guard_lookup_list, query);
	struct guard_lookup *l = entry->lookup;

	if (counts(entry->list, answer)) {
		l->score += entry->list->weight;
		if (entry->list->weight > 0)
			buf_addf(&l->refusing, "%s%s", l->refusing.n > 0 ? " " : "", entry->list->domain);
	}
	settle(l);
}

static void
lists_ask(struct guard_lookup *l, struct str address, const struct dns_list *lists)
{
	char name[DNS_NAME_MAX + 1];

	for (size_t i = 0; i < l->nlists; i++) {
		l->asked[i].lookup = l;
		l->asked[i].list = &lists[i];
		if (!dns_list_name(name, address, lists[i].domain))
			continue;
		l->pending++;
		dns_ask(l->dns, &l->asked[i].query, str_from(name), DNS_A, list_answered);
	}
}

/* ---- the name ------------------------------------------------------------------------------------------------------------- */

static bool
has_address(const struct guard_lookup *l, const struct dns_answer *answer)
{
	for (size_t i = 0; i < answer->n && answer->status == DNS_FOUND; i++)
		if (memcmp(&answer->records[i].address, l->address, l->address_n) == 0)
			return true;
	return false;
}

static void
forward_answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct guard_lookup *l = container_of(query, struct guard_lookup, forward);

	if (has_address(l, answer)) {
		(void)str_copy(l->name, sizeof l->name, str_from(l->names[l->next_name - 1]));
		settle(l);
	} else {
		forward_next(l);
	}
}

static void
forward_next(struct guard_lookup *l)
{
	if (l->next_name == l->nnames) {
		settle(l);
		return;
	}
	dns_ask(l->dns, &l->forward, str_from(l->names[l->next_name++]), l->address_n == 4 ? DNS_A : DNS_AAAA,
	    forward_answered);
}

static void
ptr_answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct guard_lookup *l = container_of(query, struct guard_lookup, ptr);

	for (size_t i = 0; i < answer->n && answer->status == DNS_FOUND && l->nnames < GUARD_LOOKUP_NAMES_MAX; i++)
		if (str_copy(l->names[l->nnames], sizeof l->names[0], answer->records[i].text) && l->names[l->nnames][0] != '\0')
			l->nnames++;
	forward_next(l);
}

static void
name_ask(struct guard_lookup *l, struct str address)
{
	char name[DNS_NAME_MAX + 1];

	if (!dns_list_name(name, address, address.n == 4 ? "in-addr.arpa" : "ip6.arpa"))
		return;
	l->pending++;
	dns_ask(l->dns, &l->ptr, str_from(name), DNS_PTR, ptr_answered);
}

void
guard_lookup_start(struct guard_lookup *l, struct loop *loop, struct dns *dns, struct str address,
    const struct guard_lookup_wishes *wishes, void (*finished)(struct guard_lookup *))
{
	*l = (struct guard_lookup){.finished = finished, .loop = loop, .dns = dns};
	l->asked = calloc(wishes->nlists + 1, sizeof *l->asked);
	l->nlists = l->asked != NULL ? wishes->nlists : 0;
	l->address_n = (unsigned char)(address.n < sizeof l->address ? address.n : sizeof l->address);
	memcpy(l->address, address.p, l->address_n);
	buf_init(&l->refusing, REFUSING_MAX);
	if (wishes->name)
		name_ask(l, address);
	lists_ask(l, address, wishes->lists);
	loop_timer_set(loop, &l->deadline, l->pending > 0 ? wishes->deadline_ms : 0, deadline_over);
}

void
guard_lookup_clear(struct guard_lookup *l)
{
	end(l);
	buf_clear(&l->refusing);
	free(l->asked);
	l->asked = NULL;
	l->nlists = 0;
}
