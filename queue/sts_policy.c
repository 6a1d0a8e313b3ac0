#include "queue/sts_policy.h"

#include <string.h>

#define DOMAIN_MAX 253
#define LABEL_MAX 63

/* --- the record in DNS ---------------------------------------------------------------------------------------------------- */

/* sts-ext-name = (ALPHA / DIGIT) *31(ALPHA / DIGIT / "_" / "-" / ".") */
static bool
is_extension_name(struct str name)
{
	if (name.n == 0 || name.n > 32 || !ascii_is_alnum(name.p[0]))
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && name.p[i] != '_' && name.p[i] != '-' && name.p[i] != '.')
			return false;
	return true;
}

/* sts-id-value = 1*32(ALPHA / DIGIT) */
static bool
is_id(struct str id)
{
	for (size_t i = 0; i < id.n; i++)
		if (!ascii_is_alnum(id.p[i]))
			return false;
	return id.n > 0 && id.n <= STS_ID_MAX;
}

static bool
is_extension_value(struct str value)
{
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] <= ' ' || !ascii_is_print(value.p[i]) || value.p[i] == '=')
			return false;
	return value.n > 0;
}

static bool
record_field(struct str field, struct str *id)
{
	size_t equals = str_find(field, '=');
	struct str name = str_sub(field, 0, equals), value = str_skip(field, equals + 1);

	if (!is_extension_name(name))
		return false;
	if (!str_equal(name, STR("id")))
		return is_extension_value(value);
	if (id->n > 0 || !is_id(value))
		return false;
	*id = value;
	return true;
}

/* sts-version 1*(*WSP ";" *WSP sts-field) [*WSP ";" *WSP], where one field is the id */
static bool
record_parse(struct str rest, struct str *id)
{
	struct str field;

	*id = STR_NONE;
	while (str_token(&rest, ';', &field)) {
		field = str_trim(field);
		if (field.n == 0 && str_trim(rest).n == 0)
			break;
		if (!record_field(field, id))
			return false;
	}
	return id->n > 0;
}

/* "v=STSv1" and a semicolon; the rest follows it. */
static bool
is_sts_record(struct str record, struct str *rest)
{
	static const struct str version = STR("v=STSv1");
	size_t semicolon = str_find(record, ';');

	*rest = str_skip(record, semicolon + 1);
	return semicolon < record.n && str_equal(str_trim(str_sub(record, 0, semicolon)), version) && record.p[0] == 'v';
}

bool
sts_record_find(const struct str *records, size_t n, char id[STS_ID_MAX + 1])
{
	struct str rest, the_one = STR_NONE, value;
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		if (is_sts_record(records[i], &rest)) {
			the_one = rest;
			found++;
		}
	return found == 1 && record_parse(the_one, &value) && str_copy(id, STS_ID_MAX + 1, value);
}

/* --- the policy ----------------------------------------------------------------------------------------------------------- */

static bool
is_label(struct str label)
{
	for (size_t i = 0; i < label.n; i++)
		if (!ascii_is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
			return false;
	return label.n > 0 && label.n <= LABEL_MAX;
}

static bool
is_domain(struct str domain)
{
	struct str rest = domain, label;

	if (domain.n == 0 || domain.n > DOMAIN_MAX)
		return false;
	while (str_token(&rest, '.', &label))
		if (!is_label(label))
			return false;
	return domain.p[domain.n - 1] != '.';
}

static bool
is_mx_pattern(struct str pattern)
{
	return is_domain(str_starts(pattern, STR("*.")) ? str_skip(pattern, 2) : pattern);
}

static bool
mode_parse(struct str value, enum sts_mode *mode)
{
	for (*mode = STS_MODE_NONE; *mode <= STS_MODE_ENFORCE; (*mode)++)
		if (str_equal(value, str_from(sts_mode_word(*mode))))
			return true;
	return false;
}

/* Which of the fields that may stand once have been seen: of repeated ones the first counts. */
struct seen {
	bool version, mode, max_age;
};

static const char *
mx_add(struct sts_policy *policy, struct str value)
{
	if (!is_mx_pattern(value))
		return "an mx is no host name";
	if (policy->nmx == STS_MX_MAX)
		return "it has too many exchangers";
	policy->mx[policy->nmx++] = value;
	return NULL;
}

static const char *
max_age_take(struct sts_policy *policy, struct str value)
{
	if (value.n > 10 || !str_to_u64(value, UINT64_MAX, &policy->max_age_s))
		return "its max_age is no number";
	if (policy->max_age_s > STS_AGE_MAX_S)
		policy->max_age_s = STS_AGE_MAX_S;
	return NULL;
}

/* NULL, or what is wrong with it. */
static const char *
field_take(struct sts_policy *policy, struct seen *seen, struct str key, struct str value)
{
	if (str_equal(key, STR("mx")))
		return mx_add(policy, value);
	if (str_equal(key, STR("version")) && !seen->version) {
		seen->version = true;
		return str_equal(value, STR("STSv1")) ? NULL : "its version is not STSv1";
	}
	if (str_equal(key, STR("mode")) && !seen->mode) {
		seen->mode = true;
		return mode_parse(value, &policy->mode) ? NULL : "its mode is unknown";
	}
	if (str_equal(key, STR("max_age")) && !seen->max_age) {
		seen->max_age = true;
		return max_age_take(policy, value);
	}
	return NULL;
}

static bool
is_too_long(const struct sts_policy *policy)
{
	size_t n = 100;

	for (size_t i = 0; i < policy->nmx; i++)
		n += policy->mx[i].n + sizeof "mx: ";
	return n > STS_TEXT_MAX;
}

static const char *
whole(const struct sts_policy *policy, const struct seen *seen)
{
	if (!seen->version)
		return "it has no version";
	if (!seen->mode)
		return "it has no mode";
	if (!seen->max_age)
		return "it has no max_age";
	if (policy->nmx == 0 && policy->mode != STS_MODE_NONE)
		return "it has no mx";
	return is_too_long(policy) ? "its exchangers are too long" : NULL;
}

bool
sts_policy_parse(struct str text, struct sts_policy *policy, const char **why)
{
	struct seen seen = {false, false, false};
	struct str line;

	memset(policy, 0, sizeof *policy);
	*why = NULL;
	while (*why == NULL && str_token(&text, '\n', &line)) {
		size_t colon = str_find(line, ':');

		if (str_trim(line).n == 0)
			continue;
		if (colon == line.n)
			*why = "a line has no colon";
		else
			*why = field_take(policy, &seen, str_trim(str_sub(line, 0, colon)), str_trim(str_skip(line, colon + 1)));
	}
	if (*why == NULL)
		*why = whole(policy, &seen);
	return *why == NULL;
}

const char *
sts_mode_word(enum sts_mode mode)
{
	switch (mode) {
	case STS_MODE_NONE:
		return "none";
	case STS_MODE_TESTING:
		return "testing";
	case STS_MODE_ENFORCE:
		return "enforce";
	}
	return "";
}

void
sts_policy_format(struct buf *out, const struct sts_policy *policy)
{
	buf_addf(out, "version: STSv1\nmode: %s\n", sts_mode_word(policy->mode));
	for (size_t i = 0; i < policy->nmx; i++)
		buf_addf(out, "mx: %.*s\n", STR_FMT(policy->mx[i]));
	buf_addf(out, "max_age: %llu\n", (unsigned long long)policy->max_age_s);
}

/* --- exchangers ----------------------------------------------------------------------------------------------------------- */

static bool
matches(struct str pattern, struct str host)
{
	size_t dot = str_find(host, '.');

	if (!str_starts(pattern, STR("*.")))
		return str_equal_nocase(pattern, host);
	return dot > 0 && dot < host.n && str_equal_nocase(str_skip(pattern, 1), str_skip(host, dot));
}

bool
sts_policy_has_mx(const struct sts_policy *policy, struct str host)
{
	if (host.n > 0 && host.p[host.n - 1] == '.')
		host.n--;
	for (size_t i = 0; i < policy->nmx; i++)
		if (matches(policy->mx[i], host))
			return true;
	return false;
}
