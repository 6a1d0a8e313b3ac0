#include "queue/doctor_address.h"

#include "common/dns/dns_list.h"

static struct str
bytes_of(const struct endpoint *e)
{
	if (e->address.any.sa_family == AF_INET)
		return (struct str){(const char *)&e->address.v4.sin_addr, sizeof e->address.v4.sin_addr};
	return (struct str){(const char *)&e->address.v6.sin6_addr, sizeof e->address.v6.sin6_addr};
}

bool
doctor_addresses_has(const struct doctor_addresses *set, const struct endpoint *endpoint)
{
	for (size_t i = 0; i < set->n; i++)
		if (str_equal(bytes_of(&set->list[i]), bytes_of(endpoint)))
			return true;
	return false;
}

bool
doctor_addresses_meet(const struct doctor_addresses *a, const struct doctor_addresses *b)
{
	for (size_t i = 0; i < a->n; i++)
		if (doctor_addresses_has(b, &a->list[i]))
			return true;
	return false;
}

static void
add(struct doctor_addresses *set, const struct endpoint *endpoint)
{
	if (set->n < DOCTOR_ADDRESSES_MAX && !doctor_addresses_has(set, endpoint))
		set->list[set->n++] = *endpoint;
}

void
doctor_addresses_own(struct doctor_addresses *own, const struct conf *conf)
{
	struct remote_own listening;

	own->n = 0;
	remote_own_find(&listening, conf);
	for (size_t i = 0; i < listening.n; i++)
		add(own, &listening.list[i]);
}

void
doctor_addresses_ask(struct doctor_dns *dns, struct str host)
{
	doctor_dns_ask(dns, host, DNS_A);
	doctor_dns_ask(dns, host, DNS_AAAA);
}

static void
add_records(struct doctor_addresses *set, const struct dns_answer *answer, bool is_v6)
{
	for (size_t i = 0; i < answer->n; i++) {
		struct endpoint e = {.length = is_v6 ? sizeof e.address.v6 : sizeof e.address.v4};

		if (is_v6) {
			e.address.v6.sin6_family = AF_INET6;
			e.address.v6.sin6_addr = answer->records[i].address.v6;
		} else {
			e.address.v4.sin_family = AF_INET;
			e.address.v4.sin_addr = answer->records[i].address.v4;
		}
		add(set, &e);
	}
}

void
doctor_addresses_add(struct doctor_addresses *set, struct doctor_dns *dns, struct str host)
{
	add_records(set, doctor_dns_answer(dns, host, DNS_A), false);
	add_records(set, doctor_dns_answer(dns, host, DNS_AAAA), true);
}

bool
doctor_address_reverse(char name[DNS_NAME_MAX + 1], const struct endpoint *endpoint)
{
	return dns_list_name(name, bytes_of(endpoint),
	    endpoint->address.any.sa_family == AF_INET ? "in-addr.arpa" : "ip6.arpa");
}
