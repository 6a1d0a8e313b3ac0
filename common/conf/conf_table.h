/*
 * The rows of the .def files as a table: for the parser of the configuration and for its documentation, nobody else.
 */
#ifndef COMMON_CONF_TABLE_H
#define COMMON_CONF_TABLE_H

#include "common/base/str.h"

enum conf_type {
	CONF_TYPE_STRING,
	CONF_TYPE_DOMAIN,
	CONF_TYPE_PATH,
	CONF_TYPE_NUMBER,
	CONF_TYPE_SIZE,
	CONF_TYPE_TIME_S,
	CONF_TYPE_TIME_MS,
	CONF_TYPE_TIMES_S,
	CONF_TYPE_RATE,
	CONF_TYPE_BOOL,
	CONF_TYPE_ENUM,
	CONF_TYPE_SET,
	CONF_TYPE_NETWORKS,
	CONF_TYPE_ENDPOINTS,
	CONF_TYPE_SOCKET,
	CONF_TYPE_DNS_LISTS,
};

struct conf_param {
	const char *key;
	enum conf_type type;
	size_t offset;		  /* of the field in struct conf, or in that of the section */
	const char *default_text; /* as it would be written in the file */
	const char *min;	  /* for numbers, sizes and times, written likewise; else NULL */
	const char *max;
	const char *words;	  /* for enumerations and sets, separated by blanks */
	uint16_t default_port;	  /* for endpoints */
	const char *doc;
};

enum conf_section {
	CONF_SECTION_GLOBAL,
	CONF_SECTION_SMTPD,
	CONF_SECTION_QUEUE,
	CONF_SECTION_DELIVER,
	CONF_SECTION_POPD,
	CONF_SECTION_IMAPD,
	CONF_SECTION_AUTH,
	CONF_SECTION_LISTENER, /* from here on: those with a [head NAME] in the file */
	CONF_SECTION_DOMAIN,
	CONF_SECTION_FILTER,
	CONF_SECTION_CERTIFICATE,
	CONF_SECTION_ROUTE,
	CONF_SECTION_SITE,
};

#define CONF_SECTIONS (CONF_SECTION_SITE + 1)

struct conf_table {
	const char *name; /* of the folder, or the word in the section's head */
	const struct conf_param *params;
	size_t n;
	size_t first; /* how many parameters the tables before this one have: with an index, a number of its own */
};

const struct conf_table *conf_table(enum conf_section section);
/* The parameter of that key, or NULL; *section says which table it is in: of a key that several sections have, that of
 * the section `here`. */
const struct conf_param *conf_table_find(struct str key, enum conf_section here, enum conf_section *section);
/* The known key that is most like this one, among those that the top of the file (or that section) may have; NULL if
 * none is like it. */
const char *conf_table_suggest(struct str key, enum conf_section section);
/* How many letters must be inserted, removed or replaced to make b of a; `limit` if that many or more. */
unsigned conf_table_distance(struct str a, struct str b, unsigned limit);

#endif
