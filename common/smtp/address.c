#include "common/smtp/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/mime/mutf7.h"

#define LABEL_MAX 63 /* RFC 1035 2.3.4 */
#define IPV6_TAG STR("IPv6:")

static bool
is_utf8_byte(char c)
{
	return (unsigned char)c >= 0x80;
}

/* RFC 5322 3.2.3 */
static bool
is_atext(char c)
{
	return ascii_is_alnum(c) || is_utf8_byte(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

bool
address_local_is_atom(struct str local)
{
	bool after_dot = true;

	for (size_t i = 0; i < local.n; i++) {
		if (local.p[i] == '.' ? after_dot : !is_atext(local.p[i]))
			return false;
		after_dot = local.p[i] == '.';
	}
	return !after_dot;
}

static bool
local_is_good(struct str local, unsigned may)
{
	bool utf8 = false;

	if (local.n == 0 || local.n > ADDRESS_LOCAL_MAX)
		return false;
	for (size_t i = 0; i < local.n; i++) {
		utf8 |= is_utf8_byte(local.p[i]);
		if (!ascii_is_print(local.p[i]) && !is_utf8_byte(local.p[i]))
			return false;
	}
	return !utf8 || ((may & ADDRESS_MAY_BE_UTF8) && utf8_is_valid(local));
}

/* --- domains and literals -------------------------------------------------------------------------------------------- */

static bool
label_is_good(struct str label)
{
	if (label.n == 0 || label.n > LABEL_MAX || label.p[0] == '-' || label.p[label.n - 1] == '-')
		return false;
	for (size_t i = 0; i < label.n; i++)
		if (!ascii_is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_' && !is_utf8_byte(label.p[i]))
			return false;
	return true;
}

static bool
is_all_digits(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_digit(s.p[i]))
			return false;
	return true;
}

static bool
domain_is_good(struct str domain, unsigned may)
{
	struct str rest = domain, label = STR_NONE;
	bool utf8 = false;

	if (domain.n == 0 || domain.n > ADDRESS_DOMAIN_MAX)
		return false;
	while (str_token(&rest, '.', &label))
		if (!label_is_good(label))
			return false;
	for (size_t i = 0; i < domain.n; i++)
		utf8 |= is_utf8_byte(domain.p[i]);
	if (utf8 && (!(may & ADDRESS_MAY_BE_UTF8) || !utf8_is_valid(domain)))
		return false;
	return !is_all_digits(label); /* else 127.0.0.1 would be a domain */
}

bool
address_is_domain(struct str s)
{
	return domain_is_good(s, 0);
}

#define LITERAL_SIZE (sizeof "[IPv6:]" + INET6_ADDRSTRLEN)

/* Writes the literal in its one form; ADDRESS_NULL when it is none (RFC 5321 4.1.3). */
static enum address_kind
literal_parse(struct str s, char canonical[LITERAL_SIZE])
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr v6;
	struct in_addr v4;

	if (s.n < 2 || s.p[0] != '[' || s.p[s.n - 1] != ']')
		return ADDRESS_NULL;
	s = str_sub(s, 1, s.n - 2);
	if (str_starts_nocase(s, IPV6_TAG)) {
		if (!str_copy(text, sizeof text, str_skip(s, IPV6_TAG.n)) || inet_pton(AF_INET6, text, &v6) != 1)
			return ADDRESS_NULL;
		memcpy(canonical, "[IPv6:", 6);
		(void)inet_ntop(AF_INET6, &v6, canonical + 6, INET6_ADDRSTRLEN);
	} else {
		if (!str_copy(text, sizeof text, s) || inet_pton(AF_INET, text, &v4) != 1)
			return ADDRESS_NULL;
		canonical[0] = '[';
		(void)inet_ntop(AF_INET, &v4, canonical + 1, INET_ADDRSTRLEN);
	}
	memcpy(canonical + strlen(canonical), "]", 2);
	return canonical[1] == 'I' ? ADDRESS_LITERAL_V6 : ADDRESS_LITERAL_V4;
}

bool
address_is_literal(struct str s)
{
	char canonical[LITERAL_SIZE];

	return literal_parse(s, canonical) != ADDRESS_NULL;
}

/* --- making ------------------------------------------------------------------------------------------------------------- */

static size_t
put_local(char *out, struct str local)
{
	size_t n = 0;

	if (address_local_is_atom(local)) {
		memcpy(out, local.p, local.n);
		return local.n;
	}
	out[n++] = '"';
	for (size_t i = 0; i < local.n; i++) {
		if (local.p[i] == '"' || local.p[i] == '\\')
			out[n++] = '\\';
		out[n++] = local.p[i];
	}
	out[n++] = '"';
	return n;
}

static size_t
put_domain(char *out, struct str domain)
{
	for (size_t i = 0; i < domain.n; i++)
		out[i] = ascii_lower(domain.p[i]);
	return domain.n;
}

bool
address_make(struct arena *a, struct str local, struct str domain, unsigned may, struct address *address)
{
	char text[ADDRESS_TEXT_MAX], literal[LITERAL_SIZE];
	enum address_kind kind = ADDRESS_DOMAIN;
	size_t n, local_n;

	if (!local_is_good(local, may))
		return false;
	local_n = n = put_local(text, local);
	if (domain.n == 0) {
		kind = ADDRESS_LOCAL;
		if (!(may & ADDRESS_MAY_LACK_DOMAIN))
			return false;
	} else {
		text[n++] = '@';
	}
	if (domain.n > 0 && domain.p[0] == '[') {
		kind = literal_parse(domain, literal);
		if (kind == ADDRESS_NULL)
			return false;
		memcpy(text + n, literal, strlen(literal));
		n += strlen(literal);
	} else if (domain.n > 0) {
		if (!domain_is_good(domain, may))
			return false;
		n += put_domain(text + n, domain);
	}
	address->kind = kind;
	address->text = arena_copy(a, (struct str){text, n});
	address->local = local_n == local.n ? str_sub(address->text, 0, local_n) : arena_copy(a, local);
	address->domain = str_skip(address->text, kind == ADDRESS_LOCAL ? local_n : local_n + 1);
	return address->text.p != NULL && address->local.p != NULL;
}

/* --- reading ------------------------------------------------------------------------------------------------------------ */

/* Quoted-string = DQUOTE *QcontentSMTP DQUOTE; out gets what it means. */
static bool
take_quoted(struct str *rest, char *out, size_t *n)
{
	size_t i = 1;

	*n = 0;
	while (i < rest->n && rest->p[i] != '"') {
		if (rest->p[i] == '\\' && ++i == rest->n)
			return false;
		if (*n == ADDRESS_LOCAL_MAX)
			return false;
		out[(*n)++] = rest->p[i++];
	}
	if (i == rest->n)
		return false;
	*rest = str_skip(*rest, i + 1);
	return true;
}

static bool
take_local(struct str *rest, char *out, size_t *n)
{
	size_t i = 0;

	if (rest->n > 0 && rest->p[0] == '"')
		return take_quoted(rest, out, n);
	while (i < rest->n && (is_atext(rest->p[i]) || rest->p[i] == '.'))
		i++;
	*n = i;
	if (i > ADDRESS_LOCAL_MAX)
		return false;
	if (i > 0)
		memcpy(out, rest->p, i);
	*rest = str_skip(*rest, i);
	return true;
}

/* Up to what ends a domain; a literal up to its bracket. What it says is judged by address_make. */
static struct str
take_domain(struct str *rest)
{
	bool literal = rest->n > 0 && rest->p[0] == '[';
	size_t i = 0;
	struct str domain;

	while (i < rest->n && (literal ? rest->p[i] != ']' : strchr(">,:\"@ ", rest->p[i]) == NULL || rest->p[i] == '\0'))
		i++;
	if (literal && i < rest->n)
		i++;
	domain = str_sub(*rest, 0, i);
	*rest = str_skip(*rest, i);
	return domain;
}

static bool
take_char(struct str *rest, char c)
{
	if (rest->n == 0 || rest->p[0] != c)
		return false;
	*rest = str_skip(*rest, 1);
	return true;
}

/* A-d-l ":" of RFC 5321 4.1.2: to be accepted, and to be passed over. */
static bool
skip_route(struct str *rest)
{
	if (rest->n == 0 || rest->p[0] != '@')
		return true;
	do {
		struct str domain;

		if (!take_char(rest, '@'))
			return false;
		domain = take_domain(rest);
		if (!domain_is_good(domain, ADDRESS_MAY_BE_UTF8) && !address_is_literal(domain))
			return false;
	} while (take_char(rest, ','));
	return take_char(rest, ':');
}

static bool
take_mailbox(struct arena *a, struct str *rest, unsigned may, struct address *address)
{
	char local[ADDRESS_LOCAL_MAX];
	struct str domain = STR_NONE;
	size_t n;

	if (!take_local(rest, local, &n))
		return false;
	if (take_char(rest, '@')) {
		domain = take_domain(rest);
		if (domain.n == 0)
			return false;
	}
	return address_make(a, (struct str){local, n}, domain, may, address);
}

bool
address_path_parse(struct arena *a, struct str *rest, unsigned may, struct address *address)
{
	struct str in = *rest;

	if (!take_char(&in, '<'))
		return false;
	if ((may & ADDRESS_MAY_BE_NULL) && take_char(&in, '>')) {
		*address = (struct address){ADDRESS_NULL, STR(""), STR(""), STR("")};
		*rest = in;
		return true;
	}
	if (!skip_route(&in) || !take_mailbox(a, &in, may, address) || !take_char(&in, '>'))
		return false;
	*rest = in;
	return true;
}

bool
address_parse(struct arena *a, struct str text, unsigned may, struct address *address)
{
	return take_mailbox(a, &text, may, address) && text.n == 0;
}

bool
address_has_utf8(const struct address *address)
{
	for (size_t i = 0; i < address->text.n; i++)
		if (is_utf8_byte(address->text.p[i]))
			return true;
	return false;
}

/* --- sub-addresses ------------------------------------------------------------------------------------------------------- */

static size_t
find_delimiter(struct str local, char delimiter)
{
	size_t i = str_find(local, delimiter);

	return delimiter == '\0' || i == 0 ? local.n : i;
}

struct str
address_account(const struct address *address, char delimiter)
{
	return str_sub(address->local, 0, find_delimiter(address->local, delimiter));
}

struct str
address_detail(const struct address *address, char delimiter)
{
	size_t i = find_delimiter(address->local, delimiter);

	return i == address->local.n ? STR_NONE : str_skip(address->local, i + 1);
}
