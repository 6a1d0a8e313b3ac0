#include "common/conf/conf_value.h"

#include <stdio.h>
#include <string.h>

#include "common/conf/conf.h"

#define RATE_MAX 1000000
#define RATE_TIME_MAX_MS (24ULL * 3600 * 1000)
#define LIST_MAX 1024

/* Reads digits off the front of *text. */
static bool
take_number(struct str *text, uint64_t *number)
{
	size_t n = 0;

	while (n < text->n && ascii_is_digit(text->p[n]))
		n++;
	if (!str_to_u64(str_sub(*text, 0, n), UINT64_MAX, number))
		return false;
	*text = str_skip(*text, n);
	return true;
}

static bool
scale(uint64_t number, uint64_t unit, uint64_t *value)
{
	return unit != 0 && !__builtin_mul_overflow(number, unit, value);
}

bool
conf_value_size(struct str text, uint64_t *bytes)
{
	uint64_t number, unit = 0;

	if (!take_number(&text, &number))
		return false;
	if (text.n == 0)
		unit = 1;
	else if (text.n == 1 && ascii_upper(text.p[0]) == 'K')
		unit = 1024;
	else if (text.n == 1 && ascii_upper(text.p[0]) == 'M')
		unit = 1024 * 1024;
	else if (text.n == 1 && ascii_upper(text.p[0]) == 'G')
		unit = 1024 * 1024 * 1024;
	return scale(number, unit, bytes);
}

bool
conf_value_time(struct str text, uint64_t *ms)
{
	static const struct {
		struct str name;
		uint64_t ms;
	} units[] = {
	    {STR("ms"), 1},
	    {STR("s"), 1000},
	    {STR("m"), 60 * 1000},
	    {STR("h"), 3600 * 1000},
	    {STR("d"), 24 * 3600 * 1000},
	};
	uint64_t number, unit = 0;

	if (!take_number(&text, &number))
		return false;
	if (text.n == 0 && number == 0)
		unit = 1;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (str_equal_nocase(text, units[i].name))
			unit = units[i].ms;
	return scale(number, unit, ms);
}

bool
conf_value_is_domain(struct str text)
{
	struct str label;

	if (text.n == 0 || text.n > 253)
		return false;
	while (str_token(&text, '.', &label)) {
		if (label.n == 0 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!ascii_is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
				return false;
	}
	return true;
}

/* The next item of a list separated by commas or blanks; false at its end. */
static bool
take_item(struct str *rest, struct str *item)
{
	size_t n = 0;

	while (rest->n > 0 && (ascii_is_blank(rest->p[0]) || rest->p[0] == ','))
		*rest = str_skip(*rest, 1);
	while (n < rest->n && !ascii_is_blank(rest->p[n]) && rest->p[n] != ',')
		n++;
	*item = str_sub(*rest, 0, n);
	*rest = str_skip(*rest, n);
	return n > 0;
}

static size_t
count_items(struct str rest)
{
	struct str item;
	size_t n = 0;

	while (take_item(&rest, &item))
		n++;
	return n;
}

static bool
no_memory(struct err *err)
{
	return err_set(err, ERR_LIMIT, "the configuration is too large");
}

/* Room for the list's items, at least one. */
static void *
list_alloc(struct str text, size_t item_bytes, struct arena *arena, struct err *err)
{
	size_t n = count_items(text);
	void *list;

	if (n > LIST_MAX) {
		(void)err_set(err, ERR_LIMIT, "more than %d values", LIST_MAX);
		return NULL;
	}
	list = arena_alloc(arena, (n > 0 ? n : 1) * item_bytes);
	if (list == NULL)
		(void)no_memory(err);
	return list;
}

static bool
parse_string(struct str text, struct arena *arena, const char **field, struct err *err)
{
	struct str copy;

	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < 32 || text.p[i] == 127)
			return err_set(err, ERR_PERM, "there is a control character in the value");
	copy = arena_copy(arena, text);
	if (copy.p == NULL)
		return no_memory(err);
	*field = copy.p;
	return true;
}

static bool
parse_domain(struct str text, struct arena *arena, const char **field, struct err *err)
{
	if (text.n > 0 && !conf_value_is_domain(text))
		return err_set(err, ERR_PERM, "\"%.*s\" is not a domain name such as \"mail.example.org\"", STR_FMT(text));
	return parse_string(text, arena, field, err);
}

static bool
parse_path(struct str text, struct str directory, struct arena *arena, const char **field, struct err *err)
{
	struct str path;

	if (text.n == 0 || text.p[0] == '/')
		return parse_string(text, arena, field, err);
	path = arena_printf(arena, "%.*s/%.*s", STR_FMT(directory), STR_FMT(text));
	if (path.p == NULL)
		return no_memory(err);
	return parse_string(path, arena, field, err);
}

/* The number in the unit of the parameter's field. */
static bool
parse_unit(const struct conf_param *param, struct str text, uint64_t *value)
{
	uint64_t ms;

	switch (param->type) {
	case CONF_TYPE_NUMBER:
		return str_to_u64(text, UINT64_MAX, value);
	case CONF_TYPE_SIZE:
		return conf_value_size(text, value);
	case CONF_TYPE_TIME_MS:
		return conf_value_time(text, value);
	case CONF_TYPE_TIME_S:
	case CONF_TYPE_TIMES_S:
		if (!conf_value_time(text, &ms) || ms % 1000 != 0)
			return false;
		*value = ms / 1000;
		return true;
	case CONF_TYPE_STRING:
	case CONF_TYPE_DOMAIN:
	case CONF_TYPE_PATH:
	case CONF_TYPE_RATE:
	case CONF_TYPE_BOOL:
	case CONF_TYPE_ENUM:
	case CONF_TYPE_SET:
	case CONF_TYPE_NETWORKS:
	case CONF_TYPE_ENDPOINTS:
	case CONF_TYPE_SOCKET:
	case CONF_TYPE_DNS_LISTS:
		break;
	}
	return false;
}

static const char *
form_of(enum conf_type type)
{
	switch (type) {
	case CONF_TYPE_SIZE:
		return "a size is a number and K, M, G or nothing, such as \"50M\"";
	case CONF_TYPE_TIME_MS:
		return "a time is a number and ms, s, m, h or d, such as \"15m\"";
	case CONF_TYPE_TIME_S:
	case CONF_TYPE_TIMES_S:
		return "a time is a number and s, m, h or d, such as \"15m\"";
	case CONF_TYPE_NUMBER:
	case CONF_TYPE_STRING:
	case CONF_TYPE_DOMAIN:
	case CONF_TYPE_PATH:
	case CONF_TYPE_RATE:
	case CONF_TYPE_BOOL:
	case CONF_TYPE_ENUM:
	case CONF_TYPE_SET:
	case CONF_TYPE_NETWORKS:
	case CONF_TYPE_ENDPOINTS:
	case CONF_TYPE_SOCKET:
	case CONF_TYPE_DNS_LISTS:
		break;
	}
	return "a number is digits only";
}

static bool
parse_range(const struct conf_param *param, struct str text, uint64_t *field, struct err *err)
{
	uint64_t value, min, max;

	if (!parse_unit(param, text, &value))
		return err_set(err, ERR_PERM, "\"%.*s\": %s", STR_FMT(text), form_of(param->type));
	if (!parse_unit(param, str_from(param->min), &min) || !parse_unit(param, str_from(param->max), &max))
		return err_set(err, ERR_PERM, "the range of this parameter is broken");
	if (value < min || value > max)
		return err_set(err, ERR_PERM, "\"%.*s\" must be from %s to %s", STR_FMT(text), param->min, param->max);
	*field = value;
	return true;
}

static bool
parse_times(const struct conf_param *param, struct str text, struct arena *arena, struct conf_times *field,
    struct err *err)
{
	uint64_t *list = list_alloc(text, sizeof *list, arena, err);
	struct str item;
	size_t n = 0;

	if (list == NULL)
		return false;
	while (take_item(&text, &item))
		if (!parse_range(param, item, &list[n++], err))
			return false;
	if (n == 0)
		return err_set(err, ERR_PERM, "needs at least one time, such as \"15m\"");
	*field = (struct conf_times){list, n};
	return true;
}

/* "100/1m", or "100/m" */
static bool
parse_rate(struct str text, struct conf_rate *field, struct err *err)
{
	struct conf_rate rate = {0, 0};
	struct str number, time = text;
	char with_one[8];

	if (text.n == 0) {
		*field = rate;
		return true;
	}
	(void)str_token(&time, '/', &number);
	if (time.n > 0 && time.n < sizeof with_one - 1 && !ascii_is_digit(time.p[0])) {
		(void)snprintf(with_one, sizeof with_one, "1%.*s", STR_FMT(time));
		time = str_from(with_one);
	}
	if (!str_to_u64(number, RATE_MAX, &rate.n) || rate.n == 0 || !conf_value_time(time, &rate.ms) || rate.ms == 0 ||
	    rate.ms > RATE_TIME_MAX_MS)
		return err_set(err, ERR_PERM, "\"%.*s\" is not NUMBER/TIME, such as \"100/1m\", of at most %d in at most a day",
		    STR_FMT(text), RATE_MAX);
	*field = rate;
	return true;
}

static bool
parse_bool(struct str text, bool *field, struct err *err)
{
	static const struct str yes[] = {STR("yes"), STR("true"), STR("on")};
	static const struct str no[] = {STR("no"), STR("false"), STR("off")};

	for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
		if (str_equal_nocase(text, yes[i]) || str_equal_nocase(text, no[i])) {
			*field = str_equal_nocase(text, yes[i]);
			return true;
		}
	}
	return err_set(err, ERR_PERM, "\"%.*s\" must be yes or no", STR_FMT(text));
}

/* The place of the word among those of the parameter. */
static bool
find_word(const struct conf_param *param, struct str text, unsigned *index, struct err *err)
{
	struct str rest = str_from(param->words), word;

	if (str_equal_nocase(text, STR("submit"))) /* as the kind of listener `local` was called once */
		text = STR("local");
	for (*index = 0; str_word(&rest, &word); ++*index)
		if (str_equal_nocase(text, word))
			return true;
	return err_set(err, ERR_PERM, "\"%.*s\" is none of: %s", STR_FMT(text), param->words);
}

static bool
parse_enum(const struct conf_param *param, struct str text, void *field, struct err *err)
{
	unsigned value;

	_Static_assert(sizeof(enum listener_kind) == sizeof value && sizeof(enum conf_log) == sizeof value,
	    "enumerations are stored as unsigned");
	if (!find_word(param, text, &value, err))
		return false;
	memcpy(field, &value, sizeof value);
	return true;
}

static bool
parse_set(const struct conf_param *param, struct str text, unsigned *field, struct err *err)
{
	struct str item;
	unsigned set = 0, i;

	while (take_item(&text, &item)) {
		if (!find_word(param, item, &i, err))
			return false;
		set |= 1U << i;
	}
	*field = set;
	return true;
}

static bool
parse_socket(struct str text, struct endpoint *field, struct err *err)
{
	if (text.n == 0) {
		*field = (struct endpoint){.length = 0};
		return true;
	}
	return endpoint_parse_socket(text, field) ||
	    err_set(err, ERR_PERM, "\"%.*s\" is not unix:PATH or inet:ADDRESS:PORT, such as \"inet:127.0.0.1:8891\"",
		STR_FMT(text));
}

static bool
parse_networks(struct str text, struct arena *arena, struct conf_networks *field, struct err *err)
{
	struct network *list = list_alloc(text, sizeof *list, arena, err);
	struct str item;
	size_t n = 0;

	if (list == NULL)
		return false;
	while (take_item(&text, &item))
		if (!network_parse(item, &list[n++], err))
			return false;
	*field = (struct conf_networks){list, n};
	return true;
}

static bool
parse_endpoints(const struct conf_param *param, struct str text, struct arena *arena, struct conf_endpoints *field,
    struct err *err)
{
	struct endpoint *list = list_alloc(text, sizeof *list, arena, err);
	struct str item;
	size_t n = 0;

	if (list == NULL)
		return false;
	while (take_item(&text, &item))
		if (!endpoint_parse(item, param->default_port, &list[n++]))
			return err_set(err, ERR_PERM, "\"%.*s\" is not ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT, such as "
			    "\"192.0.2.1\" or \"[2001:db8::1]:53\"", STR_FMT(item));
	*field = (struct conf_endpoints){list, n};
	return true;
}

static bool
parse_dns_lists(struct str text, struct arena *arena, struct conf_dns_lists *field, struct err *err)
{
	struct dns_list *list;
	struct str item;
	size_t n = 0;

	if (count_items(text) > DNS_LISTS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d lists", DNS_LISTS_MAX);
	list = list_alloc(text, sizeof *list, arena, err);
	if (list == NULL)
		return false;
	while (take_item(&text, &item))
		if (!dns_list_parse(item, &list[n++], err))
			return false;
	*field = (struct conf_dns_lists){list, n};
	return true;
}

bool
conf_value_parse(const struct conf_param *param, struct str text, struct str directory, struct arena *arena, void *base,
    struct err *err)
{
	void *field = (char *)base + param->offset;

	switch (param->type) {
	case CONF_TYPE_STRING:
		return parse_string(text, arena, field, err);
	case CONF_TYPE_DOMAIN:
		return parse_domain(text, arena, field, err);
	case CONF_TYPE_PATH:
		return parse_path(text, directory, arena, field, err);
	case CONF_TYPE_NUMBER:
	case CONF_TYPE_SIZE:
	case CONF_TYPE_TIME_S:
	case CONF_TYPE_TIME_MS:
		return parse_range(param, text, field, err);
	case CONF_TYPE_TIMES_S:
		return parse_times(param, text, arena, field, err);
	case CONF_TYPE_RATE:
		return parse_rate(text, field, err);
	case CONF_TYPE_BOOL:
		return parse_bool(text, field, err);
	case CONF_TYPE_ENUM:
		return parse_enum(param, text, field, err);
	case CONF_TYPE_SET:
		return parse_set(param, text, field, err);
	case CONF_TYPE_NETWORKS:
		return parse_networks(text, arena, field, err);
	case CONF_TYPE_ENDPOINTS:
		return parse_endpoints(param, text, arena, field, err);
	case CONF_TYPE_SOCKET:
		return parse_socket(text, field, err);
	case CONF_TYPE_DNS_LISTS:
		return parse_dns_lists(text, arena, field, err);
	}
	return false;
}
