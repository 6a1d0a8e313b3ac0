/*
 * What follows from several parameters together: defaults that depend on others, and contradictions. Pure; for
 * conf_parse only.
 */
#ifndef COMMON_CONF_FINISH_H
#define COMMON_CONF_FINISH_H

#include "common/conf/conf.h"

/* The sections as read so far; listeners and domains are filled up with the standard ones, domains sorted. */
struct conf_sections {
	struct conf_listener *listeners;
	size_t nlisteners;
	struct conf_domain *domains;
	size_t ndomains;
	struct conf_filter *filters;
	size_t nfilters;
	struct conf_route *routes;
	size_t nroutes;
	struct conf_site *sites;
	size_t nsites;
	struct conf_certificate *certificates; /* with a place before the first, for tls_certificate; not counted: */
	size_t ncertificates;
};

void conf_finish(struct conf *conf, struct conf_sections *sections, const char *hostname, struct buf *problems);

/* Adds "PATH:LINE: ..." to problems; without the line when it is 0. */
void conf_problem(const struct conf *conf, unsigned line, struct buf *problems, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
