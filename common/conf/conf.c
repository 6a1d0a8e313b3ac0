#include "common/conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf/conf_finish.h"
#include "common/conf/conf_policy.h"
#include "common/conf/conf_table.h"
#include "common/conf/conf_value.h"
#include "common/dns/idn.h"
#include "common/base/log.h"

#define ARENA_MAX_BYTES (64 * 1024 * 1024)
#define NAME_MAX_BYTES 64

struct parser {
	struct conf *conf;
	struct str directory; /* of the file */
	struct buf *problems;
	unsigned line;
	enum conf_section section; /* GLOBAL stands for all programs' parameters */
	void *base;		   /* the struct that the section fills; NULL where a bad section is skipped */
	unsigned *lines;	   /* of each parameter; those of a section begin anew with each section */
	struct conf_sections sections;
	struct rule_list *policy; /* in a section [policy] */
};

static void *
must_alloc(struct conf *conf, size_t n)
{
	void *p = arena_alloc(&conf->arena, n);

	if (p == NULL)
		fatal("out of memory for the configuration");
	return p;
}

/* The defaults; one that does not parse is our own mistake, and the unit tests look at each. */
static void
set_defaults(struct parser *p, enum conf_section section, void *base)
{
	const struct conf_table *table = conf_table(section);
	struct err err;

	for (size_t i = 0; i < table->n; i++) {
		const struct conf_param *param = &table->params[i];

		if (param->type == CONF_TYPE_ENUM && param->default_text[0] == '\0')
			continue;
		if (!conf_value_parse(param, str_from(param->default_text), p->directory, &p->conf->arena, base, &err))
			fatal("the default of %s: %s", param->key, err.text);
	}
}

static const char *
must_copy(struct conf *conf, struct str s)
{
	struct str copy = arena_copy(&conf->arena, s);

	if (copy.p == NULL)
		fatal("out of memory for the configuration");
	return copy.p;
}

/* A section that is named for a kind need not say it. */
static void
set_kind_of_listener(struct parser *p)
{
	struct conf_listener *listener = p->base;

	if (p->section != CONF_SECTION_LISTENER || listener == NULL)
		return;
	if (p->lines[conf_table(CONF_SECTION_LISTENER)->first] != 0)
		return;
	if (!str_has_word_nocase(STR(LISTENER_KIND_WORDS), str_from(listener->name)) ||
	    !listener_kind_parse(str_from(listener->name), &listener->kind))
		conf_problem(p->conf, listener->line, p->problems, "[listener %s] does not say its kind: one of %s",
		    listener->name, LISTENER_KIND_WORDS);
}

/* The next struct of its section's list, with all defaults; NULL, after complaining, when there are too many. */
static void *
section_add(struct parser *p, void *list, size_t bytes, size_t *n, size_t max)
{
	void *base = (char *)list + bytes * *n;

	if (*n == max) {
		conf_problem(p->conf, p->line, p->problems, "more than %zu sections [%s NAME]", max, conf_table(p->section)->name);
		return NULL;
	}
	++*n;
	set_defaults(p, p->section, base);
	return base;
}

/* Letters, digits, - _ . only. */
static bool
is_plain_name(struct parser *p, struct str name)
{
	bool good = name.n > 0 && name.n <= NAME_MAX_BYTES;

	for (size_t i = 0; i < name.n; i++)
		good = good && (ascii_is_alnum(name.p[i]) || name.p[i] == '-' || name.p[i] == '_' || name.p[i] == '.');
	if (!good)
		conf_problem(p->conf, p->line, p->problems, "\"%.*s\" cannot name a %s: letters, digits, - _ . only, at most %d",
		    STR_FMT(name), conf_table(p->section)->name, NAME_MAX_BYTES);
	return good;
}

static void
listener_begin(struct parser *p, struct str name)
{
	struct conf_listener *listener;
	enum listener_kind kind;

	if (!is_plain_name(p, name))
		return;
	/* That of a kind which also goes over TCP: see check_listener. */
	if (listener_kind_is_socket(name) && listener_kind_parse(name, &kind) && listener_kind_facts(kind)->port == 0) {
		conf_problem(p->conf, p->line, p->problems, "\"%.*s\" cannot name a listener: one of our own sockets has that name",
		    STR_FMT(name));
		return;
	}
	listener = section_add(p, p->sections.listeners, sizeof *listener, &p->sections.nlisteners, CONF_LISTENERS_MAX);
	if (listener == NULL)
		return;
	listener->line = p->line;
	listener->name = must_copy(p->conf, name);
	p->base = listener;
}

static void
domain_begin(struct parser *p, struct str name)
{
	struct conf_domain *domain;
	char ascii[256];

	if (!idn_to_ascii(name, ascii, sizeof ascii) || !conf_value_is_domain(str_from(ascii))) {
		conf_problem(p->conf, p->line, p->problems, "\"%.*s\" is not a domain name such as \"example.org\"", STR_FMT(name));
		return;
	}
	domain = section_add(p, p->sections.domains, sizeof *domain, &p->sections.ndomains, CONF_DOMAINS_MAX);
	if (domain == NULL)
		return;
	domain->line = p->line;
	domain->name = must_copy(p->conf, str_from(ascii));
	p->base = domain;
}

static void
filter_begin(struct parser *p, struct str name)
{
	struct conf_filter *filter;

	if (!is_plain_name(p, name))
		return;
	filter = section_add(p, p->sections.filters, sizeof *filter, &p->sections.nfilters, CONF_FILTERS_MAX);
	if (filter == NULL)
		return;
	filter->line = p->line;
	filter->name = must_copy(p->conf, name);
	p->base = filter;
}

static bool
is_route_name(struct str name)
{
	if (str_equal(name, STR("*")))
		return true;
	return conf_value_is_domain(name.n > 0 && name.p[0] == '.' ? str_skip(name, 1) : name);
}

static void
route_begin(struct parser *p, struct str name)
{
	struct conf_route *route;

	if (!is_route_name(name)) {
		conf_problem(p->conf, p->line, p->problems, "\"%.*s\" is none of \"*\", a domain such as \"example.org\", and "
		    "\".example.org\" for those below it", STR_FMT(name));
		return;
	}
	route = section_add(p, p->sections.routes, sizeof *route, &p->sections.nroutes, CONF_ROUTES_MAX);
	if (route == NULL)
		return;
	route->line = p->line;
	route->name = must_copy(p->conf, name);
	p->base = route;
}

static void
site_begin(struct parser *p, struct str name)
{
	struct conf_site *site;

	if (!is_plain_name(p, name))
		return;
	site = section_add(p, p->sections.sites, sizeof *site, &p->sections.nsites, CONF_SITES_MAX);
	if (site == NULL)
		return;
	site->line = p->line;
	site->name = must_copy(p->conf, name);
	p->base = site;
}

/* The first of the list is for tls_certificate. */
static void
certificate_begin(struct parser *p, struct str name)
{
	struct conf_certificate *certificate;

	if (!is_plain_name(p, name))
		return;
	certificate = section_add(p, p->sections.certificates + 1, sizeof *certificate, &p->sections.ncertificates,
	    CONF_CERTIFICATES_MAX);
	if (certificate == NULL)
		return;
	certificate->line = p->line;
	certificate->name = must_copy(p->conf, name);
	p->base = certificate;
}

/* The sections that the file may have. */
static const struct {
	enum conf_section section;
	void (*begin)(struct parser *p, struct str name); /* sets p->base, or complains */
} section_heads[] = {
    {CONF_SECTION_LISTENER, listener_begin},
    {CONF_SECTION_DOMAIN, domain_begin},
    {CONF_SECTION_FILTER, filter_begin},
    {CONF_SECTION_CERTIFICATE, certificate_begin},
    {CONF_SECTION_ROUTE, route_begin},
    {CONF_SECTION_SITE, site_begin},
};

/* "[word name]" */
static void
section_begin(struct parser *p, struct str head)
{
	struct str rest, word;

	set_kind_of_listener(p);
	p->base = NULL;
	p->policy = NULL;
	if (head.p[head.n - 1] != ']') {
		conf_problem(p->conf, p->line, p->problems, "a section is \"[KIND NAME]\", such as \"[domain example.org]\"; the ] is "
		    "missing");
		return;
	}
	rest = str_sub(head, 1, head.n - 2);
	(void)str_word(&rest, &word);
	if (str_equal(word, STR("policy"))) {
		p->section = CONF_SECTION_LISTENER;
		p->policy = conf_policy_begin(p->conf, str_trim(rest), p->line, p->problems);
		return;
	}
	for (size_t i = 0; i < sizeof section_heads / sizeof section_heads[0]; i++) {
		const struct conf_table *table = conf_table(section_heads[i].section);

		if (!str_equal(word, str_from(table->name)))
			continue;
		p->section = section_heads[i].section;
		memset(p->lines + table->first, 0, table->n * sizeof *p->lines);
		section_heads[i].begin(p, str_trim(rest));
		return;
	}
	p->section = CONF_SECTION_LISTENER;
	conf_problem(p->conf, p->line, p->problems, "unknown section \"%.*s\"; there are [listener NAME], [domain NAME], "
	    "[filter NAME], [certificate NAME], [route NAME], [site NAME] and [policy]", STR_FMT(word));
}

/* A value ends at a blank and #; in double quotes it may hold both, and begin and end with blanks. */
static bool
value_text(struct str *value)
{
	struct str rest;
	size_t n;

	if (value->n > 0 && value->p[0] == '"') {
		n = str_find(str_skip(*value, 1), '"') + 1;
		rest = str_trim(str_skip(*value, n + 1));
		if (n >= value->n || (rest.n > 0 && rest.p[0] != '#'))
			return false;
		*value = str_sub(*value, 1, n - 1);
		return true;
	}
	for (n = 0; n < value->n; n++)
		if (value->p[n] == '#' && (n == 0 || ascii_is_blank(value->p[n - 1])))
			break;
	*value = str_trim(str_sub(*value, 0, n));
	return true;
}

static void
unknown_key(struct parser *p, struct str key)
{
	const char *near = conf_table_suggest(key, p->section);

	if (near != NULL)
		conf_problem(p->conf, p->line, p->problems, "unknown key \"%.*s\"; did you mean \"%s\"?", STR_FMT(key), near);
	else
		conf_problem(p->conf, p->line, p->problems, "unknown key \"%.*s\"", STR_FMT(key));
}

/* The parameter of that key, if it may stand where the parser is. */
static const struct conf_param *
parameter_here(struct parser *p, struct str key, enum conf_section *section)
{
	const struct conf_param *param = conf_table_find(key, p->section, section);
	bool in_section = p->section >= CONF_SECTION_LISTENER;

	if (param == NULL) {
		unknown_key(p, key);
		return NULL;
	}
	if (*section >= CONF_SECTION_LISTENER && *section != p->section) {
		conf_problem(p->conf, p->line, p->problems, "\"%s\" belongs in a section [%s NAME]", param->key,
		    conf_table(*section)->name);
		return NULL;
	}
	if (*section < CONF_SECTION_LISTENER && in_section) {
		conf_problem(p->conf, p->line, p->problems, "\"%s\" belongs at the top of the file, before the first section",
		    param->key);
		return NULL;
	}
	return param;
}

static void
assignment(struct parser *p, struct str key, struct str value)
{
	enum conf_section section;
	const struct conf_param *param = parameter_here(p, key, &section);
	unsigned *line;
	struct err err;

	if (param == NULL)
		return;
	line = &p->lines[conf_table(section)->first + (size_t)(param - conf_table(section)->params)];
	if (*line > 0) {
		conf_problem(p->conf, p->line, p->problems, "%s is set already, in line %u", param->key, *line);
		return;
	}
	*line = p->line;
	if (!value_text(&value))
		conf_problem(p->conf, p->line, p->problems, "%s: the closing \" is missing, or something follows it", param->key);
	else if (!conf_value_parse(param, value, p->directory, &p->conf->arena, p->base, &err))
		conf_problem(p->conf, p->line, p->problems, "%s: %s", param->key, err.text);
}

static void
parse_line(struct parser *p, struct str line)
{
	size_t equals;

	line = str_trim(line);
	if (line.n == 0 || line.p[0] == '#')
		return;
	if (line.p[0] == '[') {
		section_begin(p, line);
		return;
	}
	if (p->policy != NULL) {
		conf_policy_line(p->conf, p->policy, p->directory, line, p->line, p->problems);
		return;
	}
	if (p->base == NULL) /* in a section that was refused: one complaint is enough */
		return;
	equals = str_find(line, '=');
	if (equals == line.n)
		conf_problem(p->conf, p->line, p->problems, "no \"=\": a line is \"key = value\", \"[section NAME]\" or \"# comment\"");
	else
		assignment(p, str_trim(str_sub(line, 0, equals)), str_trim(str_skip(line, equals + 1)));
}

/* At most so many sections can follow: room for their structs is made at once. */
static size_t
count_sections(struct str text)
{
	struct str line;
	size_t n = 0;

	while (str_token(&text, '\n', &line)) {
		line = str_trim(line);
		n += line.n > 0 && line.p[0] == '[';
	}
	return n;
}

static struct str
directory_of(const char *path)
{
	struct str s = str_from(path);
	size_t slash = str_find_last(s, '/');

	if (slash == s.n)
		return STR(".");
	return slash == 0 ? STR("/") : str_sub(s, 0, slash);
}

static void
parser_begin(struct parser *p, struct str text, const char *path)
{
	size_t nsections = count_sections(text) + 1;
	const struct conf_table *last = conf_table(CONF_SECTIONS - 1);
	struct conf *conf = p->conf;

	conf->path = must_copy(conf, str_from(path));
	p->directory = directory_of(path);
	p->lines = must_alloc(conf, (last->first + last->n) * sizeof *p->lines);
	conf->lines = p->lines;
	p->sections.listeners = must_alloc(conf,
	    (nsections < CONF_LISTENERS_MAX ? nsections : CONF_LISTENERS_MAX) * sizeof *p->sections.listeners);
	p->sections.domains = must_alloc(conf,
	    (nsections < CONF_DOMAINS_MAX ? nsections : CONF_DOMAINS_MAX) * sizeof *p->sections.domains);
	p->sections.filters = must_alloc(conf,
	    (nsections < CONF_FILTERS_MAX ? nsections : CONF_FILTERS_MAX) * sizeof *p->sections.filters);
	p->sections.routes = must_alloc(conf,
	    (nsections < CONF_ROUTES_MAX ? nsections : CONF_ROUTES_MAX) * sizeof *p->sections.routes);
	p->sections.sites = must_alloc(conf,
	    (nsections < CONF_SITES_MAX ? nsections : CONF_SITES_MAX) * sizeof *p->sections.sites);
	p->sections.certificates = must_alloc(conf,
	    ((nsections < CONF_CERTIFICATES_MAX ? nsections : CONF_CERTIFICATES_MAX) + 1) * sizeof *p->sections.certificates);
	for (unsigned i = 0; i < CONF_SECTION_LISTENER; i++)
		set_defaults(p, (enum conf_section)i, conf);
	p->section = CONF_SECTION_GLOBAL;
	p->base = conf;
}

struct conf *
conf_parse(struct str text, const char *path, const char *hostname, struct buf *problems)
{
	struct parser p = {.conf = calloc(1, sizeof *p.conf), .problems = problems};
	struct str line;

	if (p.conf == NULL)
		fatal("out of memory for the configuration");
	arena_init(&p.conf->arena, ARENA_MAX_BYTES);
	parser_begin(&p, text, path);
	while (str_token(&text, '\n', &line)) {
		p.line++;
		parse_line(&p, line);
	}
	set_kind_of_listener(&p);
	conf_finish(p.conf, &p.sections, hostname, problems);
	return p.conf;
}

void
conf_free(struct conf *conf)
{
	if (conf == NULL)
		return;
	rule_files_clear(conf->rule_files);
	arena_clear(&conf->arena);
	free(conf);
}

const char *
conf_default_path(void)
{
	const char *path = getenv("MERPATI_CONF");

	return path != NULL && path[0] != '\0' ? path : MERPATI_CONF;
}

static bool
read_all(int fd, const char *path, struct buf *text, struct err *err)
{
	for (;;) {
		char *p = buf_reserve(text, 4096);
		ssize_t n;

		if (p == NULL)
			return err_set(err, ERR_LIMIT, "%s is larger than %d bytes", path, CONF_FILE_MAX_BYTES);
		n = read(fd, p, 4096);
		if (n == 0)
			return true;
		if (n > 0)
			buf_commit(text, (size_t)n);
		else if (errno != EINTR)
			return err_sys(err, "%s", path);
	}
}

static bool
read_file(const char *path, struct buf *text, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return err_sys(err, "%s", path);
	ok = read_all(fd, path, text, err);
	(void)close(fd);
	return ok;
}

static struct conf *
load(const char *path, struct buf *problems, struct err *err)
{
	char hostname[256] = "localhost";
	struct conf *conf = NULL;
	struct buf text;
	char *full = realpath(path, NULL); /* what lies beside it is found wherever we are later */

	if (full == NULL) {
		(void)err_sys(err, "%s", path);
		return NULL;
	}
	if (gethostname(hostname, sizeof hostname - 1) != 0 || !conf_value_is_domain(str_from(hostname)))
		(void)str_copy(hostname, sizeof hostname, STR("localhost"));
	buf_init(&text, CONF_FILE_MAX_BYTES + 4096);
	if (read_file(full, &text, err))
		conf = conf_parse(buf_str(&text), full, hostname, problems);
	buf_clear(&text);
	free(full);
	return conf;
}

bool
conf_load_all(const char *path, struct conf **conf, struct buf *problems)
{
	struct err err;

	*conf = load(path, problems, &err);
	if (*conf == NULL)
		buf_addf(problems, "%s\n", err.text);
	return problems->n == 0 && buf_ok(problems);
}

bool
conf_load(const char *path, struct conf **conf, struct err *err)
{
	struct buf problems;
	struct str rest, first;

	buf_init(&problems, CONF_PROBLEMS_MAX_BYTES);
	*conf = load(path, &problems, err);
	if (*conf != NULL && problems.n > 0) {
		rest = buf_str(&problems);
		(void)str_token(&rest, '\n', &first);
		(void)err_set(err, ERR_PERM, "%.*s%s", STR_FMT(first), rest.n > 0 ? " (and more: merpati check)" : "");
		conf_free(*conf);
		*conf = NULL;
	}
	buf_clear(&problems);
	return *conf != NULL;
}

const struct conf_domain *
conf_domain_find(const struct conf *conf, struct str domain)
{
	size_t low = 0, high = conf->ndomains;
	char name[256];

	if (!idn_to_ascii(domain, name, sizeof name))
		return NULL;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, conf->domains[middle].name);

		if (order == 0)
			return &conf->domains[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const char *
conf_origin(const struct conf *conf)
{
	if (conf->ndomains == 0 || conf_domain_find(conf, str_from(conf->hostname)) != NULL)
		return conf->hostname;
	for (size_t i = 0; i < conf->ndomains; i++)
		if (conf->domains[i].accounts == CONF_ACCOUNTS_SYSTEM)
			return conf->domains[i].name;
	return conf->domains[0].name;
}

const struct conf_listener *
conf_listener_find(const struct conf *conf, struct str name)
{
	for (size_t i = 0; i < conf->nlisteners; i++)
		if (str_equal(name, str_from(conf->listeners[i].name)))
			return &conf->listeners[i];
	return NULL;
}

const struct rule *
conf_policy_first(const struct conf *conf, enum listener_kind kind)
{
	return kind < CONF_POLICIES ? conf->policies[kind].first : NULL;
}

bool
conf_networks_contain(const struct conf_networks *networks, const struct sockaddr *address)
{
	for (size_t i = 0; i < networks->n; i++)
		if (network_contains(&networks->list[i], address))
			return true;
	return false;
}

bool
conf_has_tls(const struct conf *conf)
{
	return conf->ncertificates > 0;
}
