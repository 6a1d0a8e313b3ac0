#include "common/dns/dns_list.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static void
set_add(uint32_t set[8], unsigned value)
{
	set[value / 32] |= 1U << value % 32;
}

static bool
set_has(const uint32_t set[8], unsigned value)
{
	return (set[value / 32] >> value % 32 & 1) != 0;
}

static bool
number_take(struct str *rest, unsigned *number)
{
	uint64_t value;
	size_t n = 0;

	while (n < rest->n && ascii_is_digit(rest->p[n]))
		n++;
	if (!str_to_u64(str_sub(*rest, 0, n), 255, &value))
		return false;
	*rest = str_skip(*rest, n);
	*number = (unsigned)value;
	return true;
}

static bool
token_take(struct str *rest, struct str token)
{
	if (!str_starts(*rest, token))
		return false;
	*rest = str_skip(*rest, token.n);
	return true;
}

/* N or N..N */
static bool
range_take(struct str *rest, uint32_t set[8])
{
	unsigned first, last;

	if (!number_take(rest, &first))
		return false;
	last = first;
	if (token_take(rest, STR("..")) && !number_take(rest, &last))
		return false;
	for (unsigned i = first; i <= last; i++)
		set_add(set, i);
	return first <= last;
}

/* N, or [RANGE;RANGE ...] */
static bool
octet_take(struct str *rest, uint32_t set[8])
{
	unsigned number;

	if (!token_take(rest, STR("["))) {
		if (!number_take(rest, &number))
			return false;
		set_add(set, number);
		return true;
	}
	do {
		if (!range_take(rest, set))
			return false;
	} while (token_take(rest, STR(";")));
	return token_take(rest, STR("]"));
}

static bool
filter_take(struct str *rest, struct dns_list *list)
{
	if (list->has_filter)
		return false;
	list->has_filter = true;
	for (unsigned i = 0; i < 4; i++)
		if ((i > 0 && !token_take(rest, STR("."))) || !octet_take(rest, list->filter[i]))
			return false;
	return true;
}

static bool
weight_take(struct str *rest, struct dns_list *list)
{
	bool negative = token_take(rest, STR("-"));
	uint64_t value;
	size_t n = 0;

	while (n < rest->n && ascii_is_digit(rest->p[n]))
		n++;
	if (!str_to_u64(str_sub(*rest, 0, n), DNS_LIST_WEIGHT_MAX, &value))
		return false;
	*rest = str_skip(*rest, n);
	list->weight = negative ? -(int)value : (int)value;
	return true;
}

/* The domain is all up to the first * or =; it has at least two labels, so that a forgotten blank shows. */
static bool
domain_take(struct str *rest, struct dns_list *list)
{
	struct dns_question question;
	size_t n = 0;

	while (n < rest->n && rest->p[n] != '*' && rest->p[n] != '=')
		n++;
	if (!dns_question_set(&question, str_sub(*rest, 0, n), DNS_A) || strchr(question.name, '.') == NULL ||
	    !str_copy(list->domain, sizeof list->domain, str_from(question.name)))
		return false;
	*rest = str_skip(*rest, n);
	return true;
}

bool
dns_list_parse(struct str s, struct dns_list *list, struct err *err)
{
	struct str rest = s;
	bool has_weight = false;

	*list = (struct dns_list){.weight = 1};
	if (!domain_take(&rest, list))
		return err_set(err, ERR_PERM, "\"%.*s\" does not begin with the domain of a list", STR_FMT(s));
	while (rest.n > 0) {
		if (token_take(&rest, STR("=")) && filter_take(&rest, list))
			continue;
		if (!has_weight && token_take(&rest, STR("*")) && weight_take(&rest, list)) {
			has_weight = true;
			continue;
		}
		return err_set(err, ERR_PERM,
		    "\"%.*s\" is not DOMAIN, DOMAIN*WEIGHT or DOMAIN*WEIGHT=FILTER, such as \"list.example*2=127.0.0.[2..11;20]\"",
		    STR_FMT(s));
	}
	return true;
}

bool
dns_list_counts(const struct dns_list *list, struct in_addr address)
{
	uint32_t host = ntohl(address.s_addr);

	if (!list->has_filter)
		return host >> 24 == 127 && host >> 8 != 0x7fffff;
	for (unsigned i = 0; i < 4; i++)
		if (!set_has(list->filter[i], host >> (24 - 8 * i) & 0xff))
			return false;
	return true;
}

bool
dns_list_name(char name[DNS_NAME_MAX + 1], struct str address, const char *domain)
{
	char reversed[4 * 16 + 1];
	size_t at = 0;
	int n;

	reversed[0] = '\0';
	for (size_t i = address.n; i-- > 0;) {
		unsigned byte = (unsigned char)address.p[i];

		if (address.n == 4)
			n = snprintf(reversed + at, sizeof reversed - at, "%u.", byte);
		else
			n = snprintf(reversed + at, sizeof reversed - at, "%x.%x.", byte & 15, byte >> 4);
		if (n < 0 || (size_t)n >= sizeof reversed - at)
			return false;
		at += (size_t)n;
	}
	n = snprintf(name, DNS_NAME_MAX + 1, "%s%s", reversed, domain);
	return n > 0 && n <= DNS_NAME_MAX;
}
