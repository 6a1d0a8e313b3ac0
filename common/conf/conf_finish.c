#include "common/conf/conf_finish.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf/conf_policy.h"
#include "common/conf/conf_table.h"
#include "common/base/log.h"

/* sun_path holds 107 bytes; the longest name of a socket takes "/master" of them, and systemd's and our own
 * temporary names some. */
#define RUN_DIRECTORY_MAX 90

void
conf_problem(const struct conf *conf, unsigned line, struct buf *problems, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	if (line > 0)
		buf_addf(problems, "%s:%u: %s\n", conf->path, line, text);
	else
		buf_addf(problems, "%s: %s\n", conf->path, text);
}

/* The line of a parameter at the top of the file, 0 if it has its default. */
static unsigned
line_of(const struct conf *conf, const char *key)
{
	enum conf_section section;
	const struct conf_param *param = conf_table_find(str_from(key), CONF_SECTION_GLOBAL, &section);

	if (param == NULL || section >= CONF_SECTION_LISTENER)
		return 0;
	return conf->lines[conf_table(section)->first + (size_t)(param - conf_table(section)->params)];
}

void
conf_where(const struct conf *conf, const char *key, char *dst, size_t size)
{
	unsigned line = line_of(conf, key);

	if (line > 0)
		(void)snprintf(dst, size, "%s:%u", conf->path, line);
	else
		(void)snprintf(dst, size, "%s", conf->path);
}

static const char *
must_copy(struct conf *conf, struct str s)
{
	struct str copy = arena_copy(&conf->arena, s);

	if (copy.p == NULL)
		fatal("out of memory for the configuration");
	return copy.p;
}

static const char *
in_lower_case(struct conf *conf, const char *name)
{
	size_t n = strlen(name);
	char *copy = arena_alloc(&conf->arena, n + 1);

	if (copy == NULL)
		fatal("out of memory for the configuration");
	for (size_t i = 0; i < n; i++)
		copy[i] = ascii_lower(name[i]);
	return copy;
}

static void
derive_names(struct conf *conf, const char *hostname)
{
	struct str postmaster;

	if (conf->hostname[0] == '\0')
		conf->hostname = must_copy(conf, str_from(hostname));
	conf->hostname = in_lower_case(conf, conf->hostname);
	if (conf->postmaster[0] != '\0')
		return;
	postmaster = arena_printf(&conf->arena, "postmaster@%s", conf->hostname);
	if (postmaster.p == NULL)
		fatal("out of memory for the configuration");
	conf->postmaster = postmaster.p;
}

static void
check_listener(const struct conf *conf, const struct conf_listener *listener, struct buf *problems)
{
	const struct listener_kind_facts *kind = listener_kind_facts(listener->kind);
	struct endpoint endpoint;

	if (listener->path[0] != '\0' && kind->socket == NULL)
		conf_problem(conf, listener->line, problems, "[listener %s]: a socket of kind %s has an address and a port, no path",
		    listener->name, kind->name);
	if (listener->path[0] != '\0' && (listener->address[0] != '\0' || listener->port != 0))
		conf_problem(conf, listener->line, problems, "[listener %s]: either path, or address and port", listener->name);
	if (strlen(listener->path) > RUN_DIRECTORY_MAX)
		conf_problem(conf, listener->line, problems, "[listener %s]: path is longer than %d bytes", listener->name,
		    RUN_DIRECTORY_MAX);
	if (listener->kind == LISTENER_LOCAL && listener->path[0] == '\0')
		conf_problem(conf, listener->line, problems, "[listener %s]: kind local is for programs of this host and needs a path",
		    listener->name);
	if (listener->path[0] != '\0' && listener_kind_is_socket(str_from(listener->name)))
		conf_problem(conf, listener->line, problems, "[listener %s]: one of our own sockets has that name; choose another",
		    listener->name);
	if (listener->proxy_networks.n > 0 && (strcmp(kind->program, "smtpd") != 0 || listener->path[0] != '\0'))
		conf_problem(conf, listener->line, problems, "[listener %s]: proxy_networks are for ports of smtpd", listener->name);
	if (listener->client_certificates == TLS_CLIENT_REQUIRE && listener->client_ca[0] == '\0')
		conf_problem(conf, listener->line, problems, "[listener %s]: client_certificates = require needs a client_ca",
		    listener->name);
	if (listener->address[0] != '\0' && !endpoint_parse_address(str_from(listener->address), 0, &endpoint))
		conf_problem(conf, listener->line, problems, "[listener %s]: address \"%s\" is not an IP address", listener->name,
		    listener->address);
}

static void
standard_listeners(struct conf *conf, struct conf_sections *sections)
{
	static const enum listener_kind kinds[] = {LISTENER_MX, LISTENER_SUBMISSION, LISTENER_SUBMISSIONS, LISTENER_POP3,
	    LISTENER_POP3S, LISTENER_IMAP, LISTENER_IMAPS};
	size_t n = sizeof kinds / sizeof kinds[0];

	sections->listeners = arena_alloc(&conf->arena, n * sizeof *sections->listeners);
	if (sections->listeners == NULL)
		fatal("out of memory for the configuration");
	for (size_t i = 0; i < n; i++)
		sections->listeners[i] = (struct conf_listener){
		    .name = listener_kind_facts(kinds[i])->name, .kind = kinds[i], .address = "", .path = "", .client_ca = ""};
	sections->nlisteners = n;
}

static void
standard_domains(struct conf *conf, struct conf_sections *sections)
{
	sections->domains = arena_alloc(&conf->arena, 2 * sizeof *sections->domains);
	if (sections->domains == NULL)
		fatal("out of memory for the configuration");
	sections->domains[0] = (struct conf_domain){.name = conf->hostname, .accounts = CONF_ACCOUNTS_SYSTEM};
	sections->domains[1] = (struct conf_domain){.name = "localhost", .accounts = CONF_ACCOUNTS_SYSTEM};
	sections->ndomains = strcmp(conf->hostname, "localhost") == 0 ? 1 : 2;
}

/* By name; of one name the first in the file first. */
static int
domain_compare(const void *a, const void *b)
{
	const struct conf_domain *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	if (order != 0)
		return order;
	return x->line < y->line ? -1 : x->line > y->line;
}

static void
check_domains(struct conf *conf, struct conf_sections *sections, struct buf *problems)
{
	struct conf_domain *d = sections->domains;

	for (size_t i = 0; i < sections->ndomains; i++)
		d[i].name = in_lower_case(conf, d[i].name);
	qsort(d, sections->ndomains, sizeof *d, domain_compare);
	for (size_t i = 1; i < sections->ndomains; i++)
		if (strcmp(d[i - 1].name, d[i].name) == 0)
			conf_problem(conf, d[i].line, problems, "[domain %s] is there already, in line %u", d[i].name, d[i - 1].line);
}

static void
check_listeners(const struct conf *conf, const struct conf_sections *sections, struct buf *problems)
{
	const struct conf_listener *l = sections->listeners;

	for (size_t i = 0; i < sections->nlisteners; i++) {
		check_listener(conf, &l[i], problems);
		for (size_t k = 0; k < i; k++)
			if (strcmp(l[i].name, l[k].name) == 0)
				conf_problem(conf, l[i].line, problems, "[listener %s] is there already, in line %u", l[i].name,
				    l[k].line);
	}
}

static void
check_route(const struct conf *conf, const struct conf_route *r, struct buf *problems)
{
	if (r->tls == CONF_TLS_STS && r->relay[0] != '\0')
		conf_problem(conf, r->line, problems, "[route %s]: MTA-STS is of a domain's own exchangers, not of a relay",
		    r->name);
	if (r->login[0] == '\0')
		return;
	if (r->relay[0] == '\0' || (r->password_file[0] == '\0' && r->token_file[0] == '\0'))
		conf_problem(conf, r->line, problems, "[route %s]: a login needs a relay, and a password_file or token_file",
		    r->name);
	if (r->tls < CONF_TLS_ENCRYPT || r->tls == CONF_TLS_STS)
		conf_problem(conf, r->line, problems, "[route %s]: a password goes under TLS only: tls = encrypt, verify or dane",
		    r->name);
}

static void
check_routes(const struct conf *conf, const struct conf_sections *sections, struct buf *problems)
{
	const struct conf_route *r = sections->routes;

	for (size_t i = 0; i < sections->nroutes; i++) {
		check_route(conf, &r[i], problems);
		for (size_t k = 0; k < i; k++)
			if (str_equal_nocase(str_from(r[i].name), str_from(r[k].name)))
				conf_problem(conf, r[i].line, problems, "[route %s] is there already, in line %u", r[i].name,
				    r[k].line);
	}
}

static void
check_sites(const struct conf *conf, const struct conf_sections *sections, struct buf *problems)
{
	const struct conf_site *s = sections->sites;

	for (size_t i = 0; i < sections->nsites; i++) {
		if (s[i].domains[0] == '\0' && s[i].exchangers[0] == '\0')
			conf_problem(conf, s[i].line, problems, "[site %s] covers nothing: it needs domains or exchangers", s[i].name);
		for (size_t k = 0; k < i; k++)
			if (strcmp(s[i].name, s[k].name) == 0)
				conf_problem(conf, s[i].line, problems, "[site %s] is there already, in line %u", s[i].name,
				    s[k].line);
	}
}

static void
check_filters(const struct conf *conf, const struct conf_sections *sections, struct buf *problems)
{
	const struct conf_filter *f = sections->filters;

	for (size_t i = 0; i < sections->nfilters; i++) {
		if (f[i].socket.length == 0)
			conf_problem(conf, f[i].line, problems, "[filter %s] does not say its socket, such as "
			    "\"inet:127.0.0.1:8891\" or \"unix:/run/opendkim/opendkim.sock\"", f[i].name);
		for (size_t k = 0; k < i; k++)
			if (strcmp(f[i].name, f[k].name) == 0)
				conf_problem(conf, f[i].line, problems, "[filter %s] is there already, in line %u", f[i].name,
				    f[k].line);
	}
}

static void
check_certificates(const struct conf *conf, const struct conf_sections *sections, struct buf *problems)
{
	const struct conf_certificate *c = sections->certificates + 1;

	for (size_t i = 0; i < sections->ncertificates; i++) {
		if (c[i].certificate[0] == '\0' || c[i].key[0] == '\0')
			conf_problem(conf, c[i].line, problems, "[certificate %s] needs both certificate and key", c[i].name);
		for (size_t k = 0; k < i; k++)
			if (strcmp(c[i].name, c[k].name) == 0)
				conf_problem(conf, c[i].line, problems, "[certificate %s] is there already, in line %u", c[i].name,
				    c[k].line);
	}
	if (sections->ncertificates > 0 && conf->tls_certificate[0] == '\0')
		conf_problem(conf, c[0].line, problems, "[certificate %s] is for clients that ask for its name; the one for all "
		    "others is missing: tls_certificate", c[0].name);
}

static void
take_certificates(struct conf *conf, struct conf_sections *sections)
{
	sections->certificates[0] = (struct conf_certificate){
	    .name = "", .certificate = conf->tls_certificate, .key = conf->tls_key};
	if (conf->tls_certificate[0] == '\0' || conf->tls_key[0] == '\0')
		return;
	conf->certificates = sections->certificates;
	conf->ncertificates = sections->ncertificates + 1;
}

/* The host, and nothing that only begins like it. */
static bool
url_is_of(struct str url, struct str host)
{
	struct str behind = str_skip(url, host.n);

	return str_starts(url, host) && (behind.n == 0 || behind.p[0] == ':' || behind.p[0] == '/');
}

/* Tokens that anybody could have been given, or anybody on the way could read, let nobody in. */
static void
check_oauth(const struct conf *conf, struct buf *problems)
{
	const struct conf_auth *auth = &conf->auth;
	struct str url = str_from(auth->oauth_introspection);

	if (auth->oauth_keys[0] != '\0' && (auth->oauth_issuer[0] == '\0' || auth->oauth_audience[0] == '\0'))
		conf_problem(conf, line_of(conf, "oauth_keys"), problems, "oauth_keys needs an oauth_issuer and an oauth_audience");
	if (url.n > 0 && !str_starts(url, STR("https://")) && !url_is_of(url, STR("http://127.0.0.1")) &&
	    !url_is_of(url, STR("http://[::1]")))
		conf_problem(conf, line_of(conf, "oauth_introspection"), problems,
		    "oauth_introspection must be an URL with https, or with http of 127.0.0.1 or [::1]");
}

static void
check_together(const struct conf *conf, struct buf *problems)
{
	const char *delimiter = conf->recipient_delimiter;

	if (conf->tls_certificate[0] != '\0' && conf->tls_key[0] == '\0')
		conf_problem(conf, line_of(conf, "tls_certificate"), problems, "tls_certificate needs a tls_key");
	if (conf->tls_certificate[0] == '\0' && conf->tls_key[0] != '\0')
		conf_problem(conf, line_of(conf, "tls_key"), problems, "tls_key needs a tls_certificate");
	if (strlen(conf->run_directory) > RUN_DIRECTORY_MAX)
		conf_problem(conf, line_of(conf, "run_directory"), problems, "run_directory \"%s\" is longer than %d bytes",
		    conf->run_directory, RUN_DIRECTORY_MAX);
	if (strlen(delimiter) > 1 || (delimiter[0] != '\0' && strchr("+-_=#/~", delimiter[0]) == NULL))
		conf_problem(conf, line_of(conf, "recipient_delimiter"), problems,
		    "recipient_delimiter \"%s\" must be one of + - _ = # / ~, or empty", delimiter);
	if (conf->syslog_tag[0] == '\0' || strlen(conf->syslog_tag) > 31 || strpbrk(conf->syslog_tag, " /[]:") != NULL)
		conf_problem(conf, line_of(conf, "syslog_tag"), problems,
		    "syslog_tag \"%s\" must have 1 to 31 characters, none of them a blank or one of / [ ] :", conf->syslog_tag);
	if (conf->spool_directory[0] == '\0' || conf->run_directory[0] == '\0' || conf->cache_directory[0] == '\0')
		conf_problem(conf, 0, problems, "spool_directory, run_directory and cache_directory must not be empty");
}

void
conf_finish(struct conf *conf, struct conf_sections *sections, const char *hostname, struct buf *problems)
{
	derive_names(conf, hostname);
	check_listeners(conf, sections, problems);
	if (sections->nlisteners == 0)
		standard_listeners(conf, sections);
	if (sections->ndomains == 0)
		standard_domains(conf, sections);
	check_domains(conf, sections, problems);
	check_routes(conf, sections, problems);
	check_sites(conf, sections, problems);
	check_filters(conf, sections, problems);
	check_certificates(conf, sections, problems);
	check_together(conf, problems);
	check_oauth(conf, problems);
	conf->listeners = sections->listeners;
	conf->nlisteners = sections->nlisteners;
	conf->domains = sections->domains;
	conf->ndomains = sections->ndomains;
	conf->routes = sections->routes;
	conf->nroutes = sections->nroutes;
	conf->sites = sections->sites;
	conf->nsites = sections->nsites;
	conf->filters = sections->filters;
	conf->nfilters = sections->nfilters;
	take_certificates(conf, sections);
	conf_policy_finish(conf, problems);
}
