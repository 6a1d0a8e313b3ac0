/*
 * The configuration: one file of `key = value` lines for the whole suite. Every parameter is one row of a table:
 * common/conf/conf.def for what several programs need, FOLDER/conf.def for a program's own, conf_listener.def,
 * conf_domain.def, conf_filter.def and conf_certificate.def for the sections; the section [policy] has rules instead
 * (common/conf/rule.h). A row makes the field below, the parser's row with its range, a line of `merpati check` and an entry of
 * the man page; one without documentation does not compile.
 *
 * To add a parameter: add its row, then `MERPATI_UPDATE=1 make unit` to renew man/merpati.conf.5 and etc/merpati.conf.
 */
#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/dns/dns_list.h"
#include "common/base/err.h"
#include "common/daemon/listener_kind.h"
#include "common/net/network.h"
#include "common/conf/rule.h"
#include "common/tls/tls.h"

struct conf_networks {
	const struct network *list;
	size_t n;
};

struct conf_endpoints {
	const struct endpoint *list;
	size_t n;
};

struct conf_dns_lists {
	const struct dns_list *list;
	size_t n;
};

/* Seconds; never empty. */
struct conf_times {
	const uint64_t *list;
	size_t n;
};

/* So many in that time; ms is 0 when there is none. */
struct conf_rate {
	uint64_t n;
	uint64_t ms;
};

/* In the order of the words in the tables. */
enum conf_language {
	CONF_ENGLISH,
	CONF_INDONESIAN,
};

enum conf_log {
	CONF_LOG_AUTO,
	CONF_LOG_STDERR,
	CONF_LOG_SYSLOG,
	CONF_LOG_JOURNAL,
};

enum conf_filter_kind {
	CONF_FILTER_MILTER,
	CONF_FILTER_POLICY,
};

/* When a filter is away. */
enum conf_on_failure {
	CONF_FAILURE_ACCEPT,
	CONF_FAILURE_DEFER,
	CONF_FAILURE_REFUSE,
};

/* When the sender is not the login's. */
enum conf_submission_sender {
	CONF_SENDER_REFUSE,
	CONF_SENDER_REWRITE,
	CONF_SENDER_ALLOW,
};

/* mx, submission, submissions */
#define CONF_POLICIES 3

/* AUTO: what the domain itself publishes decides; the others: exactly that. */
enum conf_route_tls {
	CONF_TLS_AUTO,
	CONF_TLS_NONE,
	CONF_TLS_MAY,
	CONF_TLS_ENCRYPT,
	CONF_TLS_VERIFY,
	CONF_TLS_DANE,
	CONF_TLS_STS,
};

enum conf_trust_ad {
	CONF_TRUST_AD_AUTO,
	CONF_TRUST_AD_YES,
	CONF_TRUST_AD_NO,
};

enum conf_accounts {
	CONF_ACCOUNTS_SYSTEM,
	CONF_ACCOUNTS_VIRTUAL,
};

enum conf_external {
	CONF_EXTERNAL_NO,
	CONF_EXTERNAL_EMAIL,
	CONF_EXTERNAL_COMMON_NAME,
};

enum conf_scram {
	CONF_SCRAM_AUTO,
	CONF_SCRAM_ALWAYS,
	CONF_SCRAM_NEVER,
};

/* Strings are never NULL: one that is not set and has no default is "". */
#define CONF_STRING(field, key, default_text, doc) const char *field;
#define CONF_DOMAIN(field, key, default_text, doc) const char *field;
#define CONF_PATH(field, key, default_text, doc) const char *field;
#define CONF_NUMBER(field, key, default_text, min, max, doc) uint64_t field;
#define CONF_SIZE(field, key, default_text, min, max, doc) uint64_t field;
#define CONF_TIME_S(field, key, default_text, min, max, doc) uint64_t field;
#define CONF_TIME_MS(field, key, default_text, min, max, doc) uint64_t field;
#define CONF_TIMES_S(field, key, default_text, min, max, doc) struct conf_times field;
#define CONF_RATE(field, key, default_text, doc) struct conf_rate field;
#define CONF_BOOL(field, key, default_text, doc) bool field;
#define CONF_ENUM(field, key, type, words, default_text, doc) type field;
#define CONF_SET(field, key, words, default_text, doc) unsigned field; /* bit i: the i-th of the words */
#define CONF_NETWORKS(field, key, default_text, doc) struct conf_networks field;
#define CONF_ENDPOINTS(field, key, default_port, default_text, doc) struct conf_endpoints field;
#define CONF_SOCKET(field, key, default_text, doc) struct endpoint field; /* .length is 0 when it is not set */
#define CONF_DNS_LISTS(field, key, default_text, doc) struct conf_dns_lists field;

struct conf_smtpd {
#include "smtpd/conf.def"
};

struct conf_queue {
#include "queue/conf.def"
};

struct conf_deliver {
#include "deliver/conf.def"
};

struct conf_popd {
#include "popd/conf.def"
};

struct conf_imapd {
#include "imapd/conf.def"
};

struct conf_auth {
#include "auth/conf.def"
};

struct conf_listener {
	const char *name;
	unsigned line; /* of its section; 0 for a standard one */
#include "common/conf/conf_listener.def"
};

struct conf_domain {
	const char *name; /* in lower case */
	unsigned line;
#include "common/conf/conf_domain.def"
};

/* name: "*", a domain, or "." and a domain for all below it. */
struct conf_route {
	const char *name;
	unsigned line;
#include "common/conf/conf_route.def"
};

struct conf_site {
	const char *name;
	unsigned line;
#include "common/conf/conf_site.def"
};

struct conf_filter {
	const char *name;
	unsigned line;
#include "common/conf/conf_filter.def"
};

/* The first is that of tls_certificate and tls_key. */
struct conf_certificate {
	const char *name;
	unsigned line;
#include "common/conf/conf_certificate.def"
};

struct conf {
#include "common/conf/conf.def"
	struct conf_smtpd smtpd;
	struct conf_queue queue;
	struct conf_deliver deliver;
	struct conf_popd popd;
	struct conf_imapd imapd;
	struct conf_auth auth;
	/* Those of the file, else the standard ones; sockets between our own programs are not among them. */
	const struct conf_listener *listeners;
	size_t nlisteners;
	/* Those of the file, else hostname and localhost with system accounts. Sorted by name. */
	const struct conf_domain *domains;
	size_t ndomains;
	/* In the order of the file, in which mail passes through them. */
	const struct conf_filter *filters;
	size_t nfilters;
	const struct conf_route *routes; /* in the order of the file */
	size_t nroutes;
	const struct conf_site *sites; /* in the order of the file */
	size_t nsites;
	/* Empty: no TLS. Else the first is for clients that ask for no name, or for none of the others'. */
	const struct conf_certificate *certificates;
	size_t ncertificates;
	/* What becomes of recipients, for each kind of listener in the order of their words: those of the sections [policy],
	 * else the standard list. */
	struct rule_list policies[CONF_POLICIES];
	struct rule_file *rule_files; /* that those name; not read by conf_load */
	const char *path;     /* of the file */
	const unsigned *lines; /* where each parameter was set: see conf_where */
	struct arena arena;
};

#undef CONF_STRING
#undef CONF_DOMAIN
#undef CONF_PATH
#undef CONF_NUMBER
#undef CONF_SIZE
#undef CONF_TIME_S
#undef CONF_TIME_MS
#undef CONF_TIMES_S
#undef CONF_RATE
#undef CONF_BOOL
#undef CONF_ENUM
#undef CONF_SET
#undef CONF_NETWORKS
#undef CONF_ENDPOINTS
#undef CONF_SOCKET
#undef CONF_DNS_LISTS

#define CONF_FILE_MAX_BYTES (1024 * 1024)
#define CONF_LISTENERS_MAX 256
#define CONF_DOMAINS_MAX 4096
#define CONF_CERTIFICATES_MAX 1000
#define CONF_FILTERS_MAX 32
#define CONF_ROUTES_MAX 1000
#define CONF_SITES_MAX 100
#define CONF_PROBLEMS_MAX_BYTES 65536

/* What -c overrides: $MERPATI_CONF, else the installed place. */
const char *conf_default_path(void);

/* Reads the file; *conf is the caller's until conf_free. On failure err tells the first problem with file and line. */
bool conf_load(const char *path, struct conf **conf, struct err *err);
/*
 * The same for `merpati check`: goes on after a problem with the parameter's default and writes each as a line
 * "PATH:LINE: what" into problems (of maximum CONF_PROBLEMS_MAX_BYTES). *conf is NULL only if there is no file to read.
 */
bool conf_load_all(const char *path, struct conf **conf, struct buf *problems);
/*
 * The pure part: text is what the file at path holds; hostname is the default for that parameter. Never NULL.
 * Relative paths are taken from path's directory.
 */
struct conf *conf_parse(struct str text, const char *path, const char *hostname, struct buf *problems);
void conf_free(struct conf *conf);

/* The kind of accounts of one of our domains (any case, and in UTF-8 or A-labels); NULL when the domain is not ours. */
const struct conf_domain *conf_domain_find(const struct conf *conf, struct str domain);
/* The domain of an address that was written without one (mail of cron, `sendmail root`): hostname if it is one of ours,
 * else the first of our domains, those with system accounts before the others. */
const char *conf_origin(const struct conf *conf);
const struct conf_listener *conf_listener_find(const struct conf *conf, struct str name);
/* The first rule for mail that comes to a listener of that kind; NULL when there is none. */
const struct rule *conf_policy_first(const struct conf *conf, enum listener_kind kind);
bool conf_networks_contain(const struct conf_networks *networks, const struct sockaddr *address);
/* There is a certificate with its key. */
bool conf_has_tls(const struct conf *conf);
/* "PATH:LINE" where the key was set, or "PATH" when it has its default. */
void conf_where(const struct conf *conf, const char *key, char *dst, size_t size);

#endif
