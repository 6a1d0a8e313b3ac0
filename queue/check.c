#include "queue/check.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf/conf.h"
#include "common/daemon/daemon.h"
#include "common/base/log.h"
#include "queue/check_route.h"
#include "queue/check_tls.h"
#include "queue/run_directories.h"
#include "queue/run_sockets.h"

static void found(struct check *check, bool is_error, const char *key, const char *format, va_list ap)
    __attribute__((format(printf, 4, 0)));

static void
found(struct check *check, bool is_error, const char *key, const char *format, va_list ap)
{
	char text[1024], where[512];
	size_t n;

	conf_where(check->conf, key != NULL ? key : "", where, sizeof where);
	n = (size_t)snprintf(text, sizeof text, "%s: %s%s%s", where, is_error ? "" : "warning: ", key != NULL ? key : "",
	    key != NULL ? ": " : "");
	if (n < sizeof text)
		(void)vsnprintf(text + n, sizeof text - n, format, ap);
	if (is_error)
		check->errors++;
	else
		check->warnings++;
	check->found(check, is_error, text);
}

void
check_error(struct check *check, const char *key, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	found(check, true, key, format, ap);
	va_end(ap);
}

void
check_warning(struct check *check, const char *key, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	found(check, false, key, format, ap);
	va_end(ap);
}

static bool
has_virtual_domain(const struct conf *conf)
{
	for (size_t i = 0; i < conf->ndomains; i++)
		if (conf->domains[i].accounts == CONF_ACCOUNTS_VIRTUAL)
			return true;
	return false;
}

static void
check_users(struct check *check)
{
	static const char *const users[] = {"_smtpd", "_filter", "_queue", "_remote", "_deliver", "_auth", "_login", "_key"};
	struct daemon_user user;
	struct err err;

	for (size_t i = 0; i < sizeof users / sizeof users[0]; i++)
		if (!daemon_user_find(users[i], &user, &err))
			check_error(check, NULL, "%s", err.text);
	if (has_virtual_domain(check->conf) && !daemon_user_find(check->conf->virtual_user, &user, &err))
		check_error(check, "virtual_user", "%s", err.text);
}

/* A file that the keeper of passwords or of the configuration must protect. */
static void
check_file(struct check *check, const char *key, const char *path, mode_t forbidden, bool required)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		if (required || errno != ENOENT)
			check_error(check, key, "%s: %s", path, strerror(errno));
		return;
	}
	if (!S_ISREG(st.st_mode))
		check_error(check, key, "%s is not a file", path);
	else if (st.st_mode & forbidden)
		check_error(check, key, "%s can be %s by everybody; say: chmod o-rw %s", path,
		    st.st_mode & forbidden & S_IWOTH ? "changed" : "read", path);
}

static void
check_files(struct check *check)
{
	const struct conf *conf = check->conf;

	check_file(check, NULL, conf->path, S_IWOTH, true);
	check_file(check, "aliases_file", conf->aliases_file, S_IWOTH, false);
	if (!has_virtual_domain(conf))
		return;
	check_file(check, "users_file", conf->users_file, S_IROTH | S_IWOTH, false);
	if (access(conf->users_file, F_OK) != 0 && errno == ENOENT)
		check_warning(check, "users_file", "%s is not there, so the virtual domains have no accounts; say: merpati user add "
		    "NAME@DOMAIN", conf->users_file);
}

static void
check_rules(struct check *check)
{
	struct buf problems;
	struct str rest, line;
	struct err err;

	buf_init(&problems, CONF_PROBLEMS_MAX_BYTES);
	if (!rule_files_load(check->conf->rule_files, &problems, &err))
		check_error(check, NULL, "[policy]: %s", err.text);
	rest = buf_str(&problems);
	while (str_token(&rest, '\n', &line))
		if (line.n > 0)
			check_warning(check, NULL, "[policy]: %.*s", STR_FMT(line));
	buf_clear(&problems);
}

static void
check_directories(struct check *check)
{
	char problem[512];

	for (size_t i = 0; run_directories_problem(check->conf, i, problem, sizeof problem); i++)
		if (problem[0] != '\0')
			check_warning(check, NULL, "%s", problem);
}

/* The first port that an ordinary user may listen on. */
static unsigned
first_ordinary_port(void)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
	unsigned port = 1024;

	if (file == NULL)
		return port;
	if (fscanf(file, "%u", &port) != 1)
		port = 1024;
	(void)fclose(file);
	return port;
}

static void
check_listeners(struct check *check)
{
	const struct conf *conf = check->conf;
	bool takes_tls = false;

	for (size_t i = 0; i < conf->nlisteners; i++) {
		const struct conf_listener *l = &conf->listeners[i];
		uint16_t port = run_socket_port(l, daemon_is_privileged());

		takes_tls = takes_tls || listener_kind_facts(l->kind)->tls_at_once;
		if (l->path[0] == '\0' && !daemon_is_privileged() && port < first_ordinary_port())
			check_error(check, NULL, "[listener %s]: only root may listen on port %u", l->name, port);
		if (l->line > 0 && listener_kind_facts(l->kind)->tls_at_once && !conf_has_tls(conf))
			check_error(check, NULL, "[listener %s] of kind %s needs tls_certificate and tls_key", l->name,
			    listener_kind_facts(l->kind)->name);
	}
	if (!conf_has_tls(conf))
		check_warning(check, "tls_certificate", "without a certificate TLS is not offered%s",
		    takes_tls ? ", and the ports for it do not answer" : "");
}

static void
check_names(struct check *check)
{
	const struct conf *conf = check->conf;

	if (strchr(conf->hostname, '.') == NULL)
		check_warning(check, "hostname", "\"%s\" has no domain; other servers want a name that is in DNS, such as "
		    "\"mail.example.org\"", conf->hostname);
	for (size_t i = 0; i < conf->networks.n; i++)
		if (conf->networks.list[i].prefix == 0)
			check_warning(check, "networks", "all the world may relay through this server");
}

void
check_essentials(struct check *check)
{
	check_users(check);
	check_tls(check);
}

void
check_all(struct check *check)
{
	check_names(check);
	check_essentials(check);
	check_listeners(check);
	check_files(check);
	check_rules(check);
	check_routes(check);
	check_directories(check);
}

static void
print(struct check *check, bool is_error, const char *text)
{
	(void)check;
	(void)is_error;
	(void)fprintf(stderr, "%s\n", text);
}

static unsigned
count_lines(struct str text)
{
	unsigned n = 0;

	for (size_t i = 0; i < text.n; i++)
		n += text.p[i] == '\n';
	return n;
}

int
check_main(const char *conf_path)
{
	struct check check = {.found = print};
	struct conf *conf;
	struct buf problems;

	buf_init(&problems, CONF_PROBLEMS_MAX_BYTES);
	(void)conf_load_all(conf_path, &conf, &problems);
	(void)fprintf(stderr, "%.*s", STR_FMT(buf_str(&problems)));
	check.errors = count_lines(buf_str(&problems));
	if (!buf_ok(&problems))
		(void)fprintf(stderr, "... and more\n");
	buf_clear(&problems);
	if (conf != NULL) {
		check.conf = conf;
		check_all(&check);
	}
	conf_free(conf);
	if (check.errors == 0) {
		(void)printf("%s: no errors, %u warning%s\n", conf_path, check.warnings, check.warnings == 1 ? "" : "s");
		return EX_OK;
	}
	(void)fprintf(stderr, "%s: %u error%s\n", conf_path, check.errors, check.errors == 1 ? "" : "s");
	return EX_CONFIG;
}
