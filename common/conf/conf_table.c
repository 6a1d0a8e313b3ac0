#include "common/conf/conf_table.h"

#include <stddef.h>

#include "common/conf/conf.h"

/* Too short a text, or none, does not compile. */
#define DOC(text) (&(text)[0 * sizeof(char[sizeof(text) > 20 ? 1 : -1])])
#define ROW(name, kind, field, standard, ...) \
	{.key = (name), .type = (kind), .offset = offsetof(struct CONF_OF, CONF_IN field), \
	    .default_text = (standard), __VA_ARGS__},

#define CONF_STRING(field, key, standard, text) ROW(key, CONF_TYPE_STRING, field, standard, .doc = DOC(text))
#define CONF_DOMAIN(field, key, standard, text) ROW(key, CONF_TYPE_DOMAIN, field, standard, .doc = DOC(text))
#define CONF_PATH(field, key, standard, text) ROW(key, CONF_TYPE_PATH, field, standard, .doc = DOC(text))
#define CONF_NUMBER(field, key, standard, low, high, text) \
	ROW(key, CONF_TYPE_NUMBER, field, standard, .min = (low), .max = (high), .doc = DOC(text))
#define CONF_SIZE(field, key, standard, low, high, text) \
	ROW(key, CONF_TYPE_SIZE, field, standard, .min = (low), .max = (high), .doc = DOC(text))
#define CONF_TIME_S(field, key, standard, low, high, text) \
	ROW(key, CONF_TYPE_TIME_S, field, standard, .min = (low), .max = (high), .doc = DOC(text))
#define CONF_TIME_MS(field, key, standard, low, high, text) \
	ROW(key, CONF_TYPE_TIME_MS, field, standard, .min = (low), .max = (high), .doc = DOC(text))
#define CONF_TIMES_S(field, key, standard, low, high, text) \
	ROW(key, CONF_TYPE_TIMES_S, field, standard, .min = (low), .max = (high), .doc = DOC(text))
#define CONF_RATE(field, key, standard, text) ROW(key, CONF_TYPE_RATE, field, standard, .doc = DOC(text))
#define CONF_BOOL(field, key, standard, text) ROW(key, CONF_TYPE_BOOL, field, standard, .doc = DOC(text))
#define CONF_ENUM(field, key, enumeration, choice, standard, text) \
	ROW(key, CONF_TYPE_ENUM, field, standard, .words = (choice), .doc = DOC(text))
#define CONF_SET(field, key, choice, standard, text) \
	ROW(key, CONF_TYPE_SET, field, standard, .words = (choice), .doc = DOC(text))
#define CONF_NETWORKS(field, key, standard, text) ROW(key, CONF_TYPE_NETWORKS, field, standard, .doc = DOC(text))
#define CONF_ENDPOINTS(field, key, port, standard, text) \
	ROW(key, CONF_TYPE_ENDPOINTS, field, standard, .default_port = (port), .doc = DOC(text))
#define CONF_SOCKET(field, key, standard, text) ROW(key, CONF_TYPE_SOCKET, field, standard, .doc = DOC(text))
#define CONF_DNS_LISTS(field, key, standard, text) ROW(key, CONF_TYPE_DNS_LISTS, field, standard, .doc = DOC(text))

#define CONF_OF conf

#define CONF_IN
static const struct conf_param global_params[] = {
#include "common/conf/conf.def"
};
#undef CONF_IN

#define CONF_IN smtpd.
static const struct conf_param smtpd_params[] = {
#include "smtpd/conf.def"
};
#undef CONF_IN

#define CONF_IN queue.
static const struct conf_param queue_params[] = {
#include "queue/conf.def"
};
#undef CONF_IN

#define CONF_IN deliver.
static const struct conf_param deliver_params[] = {
#include "deliver/conf.def"
};
#undef CONF_IN

#define CONF_IN popd.
static const struct conf_param popd_params[] = {
#include "popd/conf.def"
};
#undef CONF_IN

#define CONF_IN imapd.
static const struct conf_param imapd_params[] = {
#include "imapd/conf.def"
};
#undef CONF_IN

#define CONF_IN auth.
static const struct conf_param auth_params[] = {
#include "auth/conf.def"
};
#undef CONF_IN

#undef CONF_OF
#define CONF_IN

#define CONF_OF conf_listener
static const struct conf_param listener_params[] = {
#include "common/conf/conf_listener.def"
};
#undef CONF_OF

#define CONF_OF conf_domain
static const struct conf_param domain_params[] = {
#include "common/conf/conf_domain.def"
};
#undef CONF_OF

#define CONF_OF conf_filter
static const struct conf_param filter_params[] = {
#include "common/conf/conf_filter.def"
};
#undef CONF_OF

#define CONF_OF conf_certificate
static const struct conf_param certificate_params[] = {
#include "common/conf/conf_certificate.def"
};

#undef CONF_OF

#define CONF_OF conf_route
static const struct conf_param route_params[] = {
#include "common/conf/conf_route.def"
};
#undef CONF_OF

#define CONF_OF conf_site
static const struct conf_param site_params[] = {
#include "common/conf/conf_site.def"
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum first {
	FIRST_SMTPD = COUNT(global_params),
	FIRST_QUEUE = FIRST_SMTPD + COUNT(smtpd_params),
	FIRST_DELIVER = FIRST_QUEUE + COUNT(queue_params),
	FIRST_POPD = FIRST_DELIVER + COUNT(deliver_params),
	FIRST_IMAPD = FIRST_POPD + COUNT(popd_params),
	FIRST_AUTH = FIRST_IMAPD + COUNT(imapd_params),
	FIRST_LISTENER = FIRST_AUTH + COUNT(auth_params),
	FIRST_DOMAIN = FIRST_LISTENER + COUNT(listener_params),
	FIRST_FILTER = FIRST_DOMAIN + COUNT(domain_params),
	FIRST_CERTIFICATE = FIRST_FILTER + COUNT(filter_params),
	FIRST_ROUTE = FIRST_CERTIFICATE + COUNT(certificate_params),
	FIRST_SITE = FIRST_ROUTE + COUNT(route_params),
};

static const struct conf_table tables[CONF_SECTIONS] = {
    [CONF_SECTION_GLOBAL] = {"common", global_params, COUNT(global_params), 0},
    [CONF_SECTION_SMTPD] = {"smtpd", smtpd_params, COUNT(smtpd_params), FIRST_SMTPD},
    [CONF_SECTION_QUEUE] = {"queue", queue_params, COUNT(queue_params), FIRST_QUEUE},
    [CONF_SECTION_DELIVER] = {"deliver", deliver_params, COUNT(deliver_params), FIRST_DELIVER},
    [CONF_SECTION_POPD] = {"popd", popd_params, COUNT(popd_params), FIRST_POPD},
    [CONF_SECTION_IMAPD] = {"imapd", imapd_params, COUNT(imapd_params), FIRST_IMAPD},
    [CONF_SECTION_AUTH] = {"auth", auth_params, COUNT(auth_params), FIRST_AUTH},
    [CONF_SECTION_LISTENER] = {"listener", listener_params, COUNT(listener_params), FIRST_LISTENER},
    [CONF_SECTION_DOMAIN] = {"domain", domain_params, COUNT(domain_params), FIRST_DOMAIN},
    [CONF_SECTION_FILTER] = {"filter", filter_params, COUNT(filter_params), FIRST_FILTER},
    [CONF_SECTION_CERTIFICATE] = {"certificate", certificate_params, COUNT(certificate_params), FIRST_CERTIFICATE},
    [CONF_SECTION_ROUTE] = {"route", route_params, COUNT(route_params), FIRST_ROUTE},
    [CONF_SECTION_SITE] = {"site", site_params, COUNT(site_params), FIRST_SITE},
};

const struct conf_table *
conf_table(enum conf_section section)
{
	return &tables[section];
}

static const struct conf_param *
find_in(const struct conf_table *table, struct str key)
{
	for (size_t i = 0; i < table->n; i++)
		if (str_equal(key, str_from(table->params[i].key)))
			return &table->params[i];
	return NULL;
}

const struct conf_param *
conf_table_find(struct str key, enum conf_section here, enum conf_section *section)
{
	const struct conf_param *own = find_in(&tables[here], key);

	*section = here;
	if (own != NULL)
		return own;
	for (unsigned i = 0; i < CONF_SECTIONS; i++) {
		const struct conf_param *param = find_in(&tables[i], key);

		if (param != NULL) {
			*section = (enum conf_section)i;
			return param;
		}
	}
	return NULL;
}

#define KEY_MAX 48

/* Levenshtein's distance, one row at a time. */
unsigned
conf_table_distance(struct str a, struct str b, unsigned limit)
{
	unsigned row[KEY_MAX + 1];

	if (a.n > KEY_MAX || b.n > KEY_MAX)
		return limit;
	for (size_t j = 0; j <= b.n; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= a.n; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b.n; j++) {
			unsigned best = diagonal + (ascii_lower(a.p[i - 1]) != ascii_lower(b.p[j - 1]));

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b.n] < limit ? row[b.n] : limit;
}

/* May a key of table i stand in the section? The programs' parameters all stand at the top of the file. */
static bool
is_allowed(unsigned i, enum conf_section section)
{
	return section >= CONF_SECTION_LISTENER ? i == section : i < CONF_SECTION_LISTENER;
}

const char *
conf_table_suggest(struct str key, enum conf_section section)
{
	unsigned best = key.n < 6 ? 3 : (unsigned)(key.n < KEY_MAX ? key.n : KEY_MAX) / 2;
	const char *found = NULL;

	for (unsigned i = 0; i < CONF_SECTIONS; i++) {
		for (size_t k = 0; is_allowed(i, section) && k < tables[i].n; k++) {
			unsigned distance = conf_table_distance(key, str_from(tables[i].params[k].key), best);

			if (distance < best) {
				best = distance;
				found = tables[i].params[k].key;
			}
		}
	}
	return found;
}
