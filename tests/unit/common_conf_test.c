#include "tests/unit/rows.h"

#include <arpa/inet.h>
#include <unistd.h>

#include "common/conf/conf.h"
#include "common/conf/conf_table.h"
#include "common/conf/conf_value.h"

#define PATH "/etc/x/merpati.conf"

/* What conf_parse complains about, without the path in front. */
static struct conf *
parse(struct str text, struct buf *problems)
{
	buf_init(problems, CONF_PROBLEMS_MAX_BYTES);
	return conf_parse(text, PATH, "mail.example.org", problems);
}

static struct conf *
parse_fine(const char *text)
{
	struct buf problems;
	struct conf *conf = parse(str_from(text), &problems);

	assert_str(buf_str(&problems), STR(""));
	buf_clear(&problems);
	return conf;
}

static void
every_default_parses_and_is_documented(void **state)
{
	struct conf *conf = parse_fine("");

	(void)state;
	assert_string_equal(conf->hostname, "mail.example.org");
	assert_string_equal(conf->postmaster, "postmaster@mail.example.org");
	assert_string_equal(conf->spool_directory, "/var/spool/merpati");
	assert_int_equal(conf->message_size_limit_bytes, 50 * 1024 * 1024);
	assert_int_equal(conf->networks.n, 2);
	assert_int_equal(conf->resolvers.n, 0);
	assert_int_equal(conf->log, CONF_LOG_AUTO);
	assert_int_equal(conf->queue.expire_s, 5 * 24 * 3600);
	assert_int_equal(conf->queue.retry_s.n, 1);
	assert_int_equal(conf->queue.retry_s.list[0], 15 * 60);
	assert_int_equal(conf->smtpd.timeout_ms, 300 * 1000);
	assert_false(conf_has_tls(conf));
	conf_free(conf);
}

static void
keys_are_unique_in_their_section_and_at_the_top_of_the_file(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CONF_SECTIONS; i++) {
		const struct conf_table *table = conf_table((enum conf_section)i);

		for (size_t k = 0; k < table->n; k++) {
			enum conf_section section;
			enum conf_section here = i < CONF_SECTION_LISTENER ? CONF_SECTION_GLOBAL : (enum conf_section)i;

			assert_ptr_equal(conf_table_find(str_from(table->params[k].key), here, &section), &table->params[k]);
			assert_int_equal(section, i);
		}
	}
}

static void
the_standard_listeners_and_domains_are_there_without_sections(void **state)
{
	struct conf *conf = parse_fine("hostname = Mail.Example.NET\n");
	const struct conf_domain *domain;

	(void)state;
	assert_int_equal(conf->nlisteners, 7);
	assert_int_equal(conf_listener_find(conf, STR("imaps"))->kind, LISTENER_IMAPS);
	assert_null(conf_listener_find(conf, STR("lmtp")));
	assert_int_equal(conf->ndomains, 2);
	domain = conf_domain_find(conf, STR("MAIL.example.net"));
	assert_non_null(domain);
	assert_int_equal(domain->accounts, CONF_ACCOUNTS_SYSTEM);
	assert_non_null(conf_domain_find(conf, STR("localhost")));
	assert_null(conf_domain_find(conf, STR("example.net")));
	assert_null(conf_domain_find(conf, STR("")));
	conf_free(conf);
}

static void
a_listener_that_is_named_for_a_kind_is_of_that_kind(void **state)
{
	struct conf *conf = parse_fine("[listener mx]\n[listener submission]\n[listener submissions]\n[listener lmtp]\n"
				       "[listener local]\npath = l\n[listener imap]\nkind = imaps\n[listener old]\n"
				       "kind = submit\npath = o\n");
	static const enum listener_kind kinds[] = {LISTENER_MX, LISTENER_SUBMISSION, LISTENER_SUBMISSIONS, LISTENER_LMTP,
	    LISTENER_LOCAL, LISTENER_IMAPS, LISTENER_LOCAL};

	(void)state;
	assert_int_equal(conf->nlisteners, ROWS(kinds));
	for (size_t i = 0; i < ROWS(kinds); i++)
		assert_int_equal(conf->listeners[i].kind, kinds[i]);
	conf_free(conf);
}

static void
a_whole_file_is_understood(void **state)
{
	static const char text[] = "# a comment\r\n"
				   "hostname = satu.test   # and one behind a value\r\n"
				   "\r\n"
				   "\tspool_directory = spool\n"
				   "run_directory=/run/m\n"
				   "syslog_tag = \"post#fix\" # quoted\n"
				   "smtpd_banner = \"  two blanks \"\n"
				   "networks = 10.0.0.0/8, 192.0.2.1\t2001:db8::/32 [::1]\n"
				   "resolvers = 127.0.0.1:5353 [::1]:53 9.9.9.9\n"
				   "dns_lists = zen.test*2=127.0.0.[2..11], white.test*-1\n"
				   "retry = 5m, 10m 15m\n"
				   "debug = YES\n"
				   "log = Syslog\n"
				   "tls_certificate = c.pem\n"
				   "tls_key = k.pem\n"
				   "[domain satu.test]\n"
				   "accounts = virtual\n"
				   "[ listener  in ]\n"
				   "kind = mx\n"
				   "client_certificates = ask\n"
				   "client_ca = ca.pem\n"
				   "address = 127.0.0.2\n"
				   "port = 2525\n"
				   "[listener l]\n"
				   "kind = lmtp\n"
				   "path = lmtp.sock\n"
				   "[filter sign]\n"
				   "socket = inet:127.0.0.1:8891\n"
				   "listeners = submission, submissions\n"
				   "[filter grey]\n"
				   "kind = policy\n"
				   "socket = unix:/run/grey\n"
				   "on_failure = accept\n"
				   "[certificate dua]\n"
				   "certificate = dua.pem\n"
				   "key = /k/dua.pem\n"
				   "[domain DUA.test]";
	struct conf *conf = parse_fine(text);
	const struct conf_listener *in = conf_listener_find(conf, STR("in"));

	(void)state;
	assert_string_equal(conf->hostname, "satu.test");
	assert_string_equal(conf->spool_directory, "/etc/x/spool");
	assert_string_equal(conf->syslog_tag, "post#fix");
	assert_string_equal(conf->smtpd.banner, "  two blanks ");
	assert_int_equal(conf->networks.n, 4);
	assert_int_equal(conf->resolvers.n, 3);
	assert_int_equal(conf->smtpd.dns_lists.n, 2);
	assert_int_equal(conf->smtpd.dns_lists.list[1].weight, -1);
	assert_int_equal(ntohs(conf->resolvers.list[0].address.v4.sin_port), 5353);
	assert_int_equal(ntohs(conf->resolvers.list[2].address.v4.sin_port), 53);
	assert_int_equal(conf->queue.retry_s.n, 3);
	assert_int_equal(conf->queue.retry_s.list[1], 600);
	assert_true(conf->debug);
	assert_int_equal(conf->log, CONF_LOG_SYSLOG);
	assert_int_equal(conf->nlisteners, 2);
	assert_int_equal(in->kind, LISTENER_MX);
	assert_int_equal(in->port, 2525);
	assert_string_equal(in->address, "127.0.0.2");
	assert_int_equal(in->client_certificates, TLS_CLIENT_ASK);
	assert_string_equal(in->client_ca, "/etc/x/ca.pem");
	assert_int_equal(conf_listener_find(conf, STR("l"))->client_certificates, TLS_CLIENT_NONE);
	assert_int_equal(conf->ncertificates, 2);
	assert_string_equal(conf->certificates[0].certificate, "/etc/x/c.pem");
	assert_string_equal(conf->certificates[0].key, "/etc/x/k.pem");
	assert_string_equal(conf->certificates[1].name, "dua");
	assert_string_equal(conf->certificates[1].certificate, "/etc/x/dua.pem");
	assert_string_equal(conf->certificates[1].key, "/k/dua.pem");
	assert_string_equal(conf_listener_find(conf, STR("l"))->path, "/etc/x/lmtp.sock");
	assert_int_equal(conf->nfilters, 2);
	assert_string_equal(conf->filters[0].name, "sign");
	assert_int_equal(conf->filters[0].kind, CONF_FILTER_MILTER);
	assert_int_equal(conf->filters[0].listeners, LISTENER_BIT(LISTENER_SUBMISSION) | LISTENER_BIT(LISTENER_SUBMISSIONS));
	assert_int_equal(ntohs(conf->filters[0].socket.address.v4.sin_port), 8891);
	assert_int_equal(conf->filters[0].on_failure, CONF_FAILURE_DEFER);
	assert_int_equal(conf->filters[1].kind, CONF_FILTER_POLICY);
	assert_string_equal(conf->filters[1].socket.address.local.sun_path, "/run/grey");
	assert_int_equal(conf->filters[1].on_failure, CONF_FAILURE_ACCEPT);
	assert_int_equal(conf->ndomains, 2);
	assert_int_equal(conf_domain_find(conf, STR("satu.test"))->accounts, CONF_ACCOUNTS_VIRTUAL);
	assert_int_equal(conf_domain_find(conf, STR("dua.test"))->accounts, CONF_ACCOUNTS_SYSTEM);
	conf_free(conf);
}

#define A30 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *text;
	const char *problem; /* the first one, after "PATH:" */
} wrong[] = {
    {"hostnam = x\n", "1: unknown key \"hostnam\"; did you mean \"hostname\"?"},
    {"\n\nimap_linger_time = 1m\n", "3: unknown key \"imap_linger_time\"; did you mean \"imap_linger\"?"},
    {"zzzzqqqq = 1\n", "1: unknown key \"zzzzqqqq\""},
    {"= 1\n", "1: unknown key \"\""},
    {"hostname satu.test\n", "1: no \"=\": a line is \"key = value\", \"[section NAME]\" or \"# comment\""},
    {"hostname = a b\n", "1: hostname: \"a b\" is not a domain name such as \"mail.example.org\""},
    {"debug = no\ndebug = yes\n", "2: debug is set already, in line 1"},
    {"debug = perhaps\n", "1: debug: \"perhaps\" must be yes or no"},
    {"log = file\n", "1: log: \"file\" is none of: auto stderr syslog journal"},
    {"smtpd_workers = 0\n", "1: smtpd_workers: \"0\" must be from 1 to 64"},
    {"smtpd_workers = 65\n", "1: smtpd_workers: \"65\" must be from 1 to 64"},
    {"smtpd_workers = -1\n", "1: smtpd_workers: \"-1\": a number is digits only"},
    {"smtpd_workers =\n", "1: smtpd_workers: \"\": a number is digits only"},
    {"expire = 5 days\n", "1: expire: \"5 days\": a time is a number and s, m, h or d, such as \"15m\""},
    {"expire = 5\n", "1: expire: \"5\": a time is a number and s, m, h or d, such as \"15m\""},
    {"expire = 31d\n", "1: expire: \"31d\" must be from 1s to 30d"},
    {"expire = 500ms\n", "1: expire: \"500ms\": a time is a number and s, m, h or d, such as \"15m\""},
    {"expire = 99999999999999999999d\n",
	"1: expire: \"99999999999999999999d\": a time is a number and s, m, h or d, such as \"15m\""},
    {"expire = 18446744073709551615d\n",
	"1: expire: \"18446744073709551615d\": a time is a number and s, m, h or d, such as \"15m\""},
    {"retry = \n", "1: retry: needs at least one time, such as \"15m\""},
    {"retry = 5m soon\n", "1: retry: \"soon\": a time is a number and s, m, h or d, such as \"15m\""},
    {"message_size_limit = 50MB\n",
	"1: message_size_limit: \"50MB\": a size is a number and K, M, G or nothing, such as \"50M\""},
    {"message_size_limit = 1T\n",
	"1: message_size_limit: \"1T\": a size is a number and K, M, G or nothing, such as \"50M\""},
    {"message_size_limit = 18446744073709551615G\n",
	"1: message_size_limit: \"18446744073709551615G\": a size is a number and K, M, G or nothing, such as \"50M\""},
    {"networks = 10.0.0.1/8\n", "1: networks: \"10.0.0.1/8\" has bits set past /8; did you mean \"10.0.0.0/8\"?"},
    {"networks = 2001:db8::1/64\n",
	"1: networks: \"2001:db8::1/64\" has bits set past /64; did you mean \"2001:db8::/64\"?"},
    {"networks = 10.0.0.0/33\n", "1: networks: \"10.0.0.0/33\": the number of bits must be 0 to 32"},
    {"networks = 10.0.0.0/\n", "1: networks: \"10.0.0.0/\": the number of bits must be 0 to 32"},
    {"networks = home\n", "1: networks: \"home\" is not an IP address"},
    {"dns_lists = zen.test white\n", "1: dns_lists: \"white\" does not begin with the domain of a list"},
    {"resolvers = ns1.example.org\n", "1: resolvers: \"ns1.example.org\" is not ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT, "
				      "such as \"192.0.2.1\" or \"[2001:db8::1]:53\""},
    {"resolvers = 127.0.0.1:0\n", "1: resolvers: \"127.0.0.1:0\" is not ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT, such as "
				  "\"192.0.2.1\" or \"[2001:db8::1]:53\""},
    {"smtpd_banner = \"x\n", "1: smtpd_banner: the closing \" is missing, or something follows it"},
    {"smtpd_banner = \"x\" y\n", "1: smtpd_banner: the closing \" is missing, or something follows it"},
    {"smtpd_banner = a\001b\n", "1: smtpd_banner: there is a control character in the value"},
    {"oauth_keys = k\noauth_issuer = i\n", "1: oauth_keys needs an oauth_issuer and an oauth_audience"},
    {"oauth_introspection = http://127.0.0.1.idp.test/\n",
	"1: oauth_introspection must be an URL with https, or with http of 127.0.0.1 or [::1]"},
    {"oauth_introspection = http://idp.test/\n",
	"1: oauth_introspection must be an URL with https, or with http of 127.0.0.1 or [::1]"},
    {"auth_scram = maybe\n", "1: auth_scram: \"maybe\" is none of: auto always never"},
    {"tls_key = k\n", "1: tls_key needs a tls_certificate"},
    {"tls_certificate = k\n", "1: tls_certificate needs a tls_key"},
    {"recipient_delimiter = +-\n", "1: recipient_delimiter \"+-\" must be one of + - _ = # / ~, or empty"},
    {"syslog_tag = a b\n",
	"1: syslog_tag \"a b\" must have 1 to 31 characters, none of them a blank or one of / [ ] :"},
    {"run_directory = /" A30 A30 A30 "\n", "1: run_directory \"/" A30 A30 A30 "\" is longer than 90 bytes"},
    {"kind = mx\n", "1: \"kind\" belongs in a section [listener NAME]"},
    {"[listener a]\nkind = mx\naccounts = virtual\n", "3: \"accounts\" belongs in a section [domain NAME]"},
    {"[listener a]\nkind = mx\ndebug = yes\n",
	"3: \"debug\" belongs at the top of the file, before the first section"},
    {"[listener a]\nkind = mx\nprot = 25\n", "3: unknown key \"prot\"; did you mean \"port\"?"},
    {"[listener a]\nkind = http\n", "2: kind: \"http\" is none of: " LISTENER_KIND_WORDS},
    {"[listener a]\nport = 25\n", "1: [listener a] does not say its kind: one of " LISTENER_KIND_WORDS},
    {"[listener a]\n[listener b]\nkind = mx\n", "1: [listener a] does not say its kind: one of " LISTENER_KIND_WORDS},
    {"[listener a]\nkind = mx\nport = 65536\n", "3: port: \"65536\" must be from 0 to 65535"},
    {"[listener a]\nkind = mx\naddress = localhost\n", "1: [listener a]: address \"localhost\" is not an IP address"},
    {"[listener a]\nkind = mx\npath = x\n", "1: [listener a]: a socket of kind mx has an address and a port, no path"},
    {"[listener a]\nkind = lmtp\npath = x\nport = 24\n", "1: [listener a]: either path, or address and port"},
    {"[listener lmtp]\npath = x\n", "1: [listener lmtp]: one of our own sockets has that name; choose another"},
    {"[listener local]\n", "1: [listener local]: kind local is for programs of this host and needs a path"},
    {"[listener submit]\nkind = local\npath = x\n",
	"1: \"submit\" cannot name a listener: one of our own sockets has that name"},
    {"[listener a]\nkind = submit\nport = 1\n",
	"1: [listener a]: kind local is for programs of this host and needs a path"},
    {"[listener a]\nkind = mx\n[listener a]\nkind = mx\n", "3: [listener a] is there already, in line 1"},
    {"[domain a.test]\n[domain A.TEST]\n", "2: [domain a.test] is there already, in line 1"},
    {"[domain a..b]\n", "1: \"a..b\" is not a domain name such as \"example.org\""},
    {"[listener sasl]\nkind = mx\n", "1: \"sasl\" cannot name a listener: one of our own sockets has that name"},
    {"[filter a]\n", "1: [filter a] does not say its socket, such as \"inet:127.0.0.1:8891\" or "
		      "\"unix:/run/opendkim/opendkim.sock\""},
    {"[filter a]\nsocket = inet:127.0.0.1\n",
	"2: socket: \"inet:127.0.0.1\" is not unix:PATH or inet:ADDRESS:PORT, such as \"inet:127.0.0.1:8891\""},
    {"[filter a]\nsocket = unix:relative\n",
	"2: socket: \"unix:relative\" is not unix:PATH or inet:ADDRESS:PORT, such as \"inet:127.0.0.1:8891\""},
    {"[filter a]\nsocket = unix:/s\nlisteners = mx imap\n", "3: listeners: \"imap\" is none of: " LISTENER_SMTP_WORDS},
    {"[filter a]\nsocket = unix:/s\n[filter a]\nsocket = unix:/s\n", "3: [filter a] is there already, in line 1"},
    {"tls_certificate = c\ntls_key = k\n[certificate a]\nkey = k\n", "3: [certificate a] needs both certificate and key"},
    {"tls_certificate = c\ntls_key = k\n[certificate a]\ncertificate = c\nkey = k\n[certificate a]\ncertificate = c\nkey = k\n",
	"6: [certificate a] is there already, in line 3"},
    {"[certificate a]\ncertificate = c\nkey = k\n", "1: [certificate a] is for clients that ask for its name; the one for all "
						       "others is missing: tls_certificate"},
    {"[listener a]\nkind = mx\nclient_certificates = require\n",
	"1: [listener a]: client_certificates = require needs a client_ca"},
    {"[policy imap]\n", "1: there is no [policy imap]: [policy] or [policy mx] is for mail of other servers, [policy submission] "
			 "and [policy submissions] for that of users"},
    {"[policy]\n[policy mx]\n", "2: [policy mx] is there already, in line 1"},
    {"[policy]\n# rules\n\nrefuse when client is trusted\naccept whn client is known\n",
	"5: \"whn\" stands where \"when\" or the end of the line must"},
    {"[policy]\nask greylist when client is unknown\n", "2: ask greylist: there is no section [filter greylist]"},
    {"[policy]\nask a\n[filter a]\nsocket = unix:/s\n",
	"2: ask a: [filter a] is a milter, which sees all mail of its listeners and is not asked; did you forget \"kind = policy\" "
	"there?"},
    {"[domain]\n", "1: \"\" is not a domain name such as \"example.org\""},
    {"[listener a:b]\n", "1: \"a:b\" cannot name a listener: letters, digits, - _ . only, at most 64"},
    {"[mailbox a]\n", "1: unknown section \"mailbox\"; there are [listener NAME], [domain NAME], [filter NAME], [certificate NAME], "
	"[route NAME], [site NAME] and [policy]"},
    {"[route a b]\n", "1: \"a b\" is none of \"*\", a domain such as \"example.org\", and \".example.org\" for those below it"},
    {"[route *]\nlogin = x\ntls = verify\n", "1: [route *]: a login needs a relay, and a password_file or token_file"},
    {"[route *]\nlogin = x\nrelay = y\npassword_file = /p\n",
	"1: [route *]: a password goes under TLS only: tls = encrypt, verify or dane"},
    {"[site google]\nconnections = 5\n", "1: [site google] covers nothing: it needs domains or exchangers"},
    {"[site a]\ndomains = a.test\n[site a]\ndomains = b.test\n", "3: [site a] is there already, in line 1"},
    {"[site a]\ndomains = a.test\nrate = 100\n",
	"3: rate: \"100\" is not NUMBER/TIME, such as \"100/1m\", of at most 1000000 in at most a day"},
    {"[site a]\ndomains = a.test\nrate = 0/1m\n",
	"3: rate: \"0/1m\" is not NUMBER/TIME, such as \"100/1m\", of at most 1000000 in at most a day"},
    {"[site a]\ndomains = a.test\nrate = 5/2d\n",
	"3: rate: \"5/2d\" is not NUMBER/TIME, such as \"100/1m\", of at most 1000000 in at most a day"},
    {"[site a b]\n", "1: \"a b\" cannot name a site: letters, digits, - _ . only, at most 64"},
    {"[route a.test]\n[route A.test]\n", "2: [route A.test] is there already, in line 1"},
    {"[route .a.test]\ntls = maybe\n", "2: tls: \"maybe\" is none of: auto none may encrypt verify dane sts"},
    {"[]\n", "1: unknown section \"\"; there are [listener NAME], [domain NAME], [filter NAME], [certificate NAME], [route NAME], [site NAME] and [policy]"},
    {"[\n", "1: a section is \"[KIND NAME]\", such as \"[domain example.org]\"; the ] is missing"},
    {"[listener a\n", "1: a section is \"[KIND NAME]\", such as \"[domain example.org]\"; the ] is missing"},
    {"# only this is wrong\n[bad x]\nno equals here\nand = nothing of it is read\n",
	"2: unknown section \"bad\"; there are [listener NAME], [domain NAME], [filter NAME], [certificate NAME], [route NAME], [site NAME] and [policy]"},
};

static void
a_problem_names_file_line_and_remedy(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(wrong); i++) {
		struct buf problems;
		struct conf *conf = parse(str_from(wrong[i].text), &problems);
		struct str rest = buf_str(&problems), line = STR_NONE;

		(void)str_token(&rest, '\n', &line);
		assert_true(str_starts(line, STR(PATH ":")));
		assert_str(str_skip(line, sizeof PATH), str_from(wrong[i].problem));
		assert_non_null(conf);
		conf_free(conf);
		buf_clear(&problems);
	}
}

static void
all_problems_are_told_not_only_the_first(void **state)
{
	struct buf problems;
	struct conf *conf = parse(STR("a = 1\nsmtpd_workers = x\nexpire = never\n"), &problems);

	(void)state;
	assert_str(buf_str(&problems),
	    STR(PATH ":1: unknown key \"a\"\n" PATH ":2: smtpd_workers: \"x\": a number is digits only\n" PATH
		     ":3: expire: \"never\": a time is a number and s, m, h or d, such as \"15m\"\n"));
	assert_int_equal(conf->smtpd.workers, 2); /* the default stays */
	conf_free(conf);
	buf_clear(&problems);
}

static void
a_file_cut_at_any_offset_is_no_harm(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(wrong); i++) {
		for (size_t n = 0; n <= strlen(wrong[i].text); n++) {
			/* A copy of exactly that size, so that the sanitizer sees a read behind it. */
			char *copy = malloc(n + 1);
			struct buf problems;

			memcpy(copy, wrong[i].text, n);
			copy = realloc(copy, n > 0 ? n : 1);
			conf_free(parse((struct str){copy, n}, &problems));
			buf_clear(&problems);
			free(copy);
		}
	}
}

static void
problems_without_end_stay_within_their_limit(void **state)
{
	struct buf text, problems;
	struct conf *conf;

	(void)state;
	buf_init(&text, CONF_FILE_MAX_BYTES);
	while (text.n < CONF_FILE_MAX_BYTES - 8)
		buf_adds(&text, "x=1\n");
	conf = parse(buf_str(&text), &problems);
	assert_false(buf_ok(&problems));
	assert_true(problems.n <= CONF_PROBLEMS_MAX_BYTES);
	conf_free(conf);
	buf_clear(&problems);
	buf_reset(&text);
	for (unsigned i = 0; i < CONF_DOMAINS_MAX + 1; i++)
		buf_addf(&text, "[domain d%u.test]\n", i);
	conf = parse(buf_str(&text), &problems);
	assert_int_equal(conf->ndomains, CONF_DOMAINS_MAX);
	assert_str(buf_str(&problems), STR(PATH ":4097: more than 4096 sections [domain NAME]\n"));
	assert_non_null(conf_domain_find(conf, STR("d4095.test")));
	conf_free(conf);
	buf_clear(&problems);
	buf_clear(&text);
}

static const struct {
	const char *a, *b;
	unsigned distance;
} distances[] = {
    {"", "", 0},
    {"a", "", 1},
    {"hostname", "hostname", 0},
    {"hostnam", "hostname", 1},
    {"HOSTNAME", "hostname", 0},
    {"kitten", "sitting", 3},
    {"prot", "port", 2},
    {"abc", "xyz", 3},
};

static void
a_near_key_is_found_by_edit_distance(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(distances); i++) {
		struct str a = str_from(distances[i].a), b = str_from(distances[i].b);

		assert_int_equal(conf_table_distance(a, b, 100), distances[i].distance);
		assert_int_equal(conf_table_distance(b, a, 100), distances[i].distance);
	}
}

static const struct {
	const char *network;
	const char *address;
	bool inside;
} memberships[] = {
    {"127.0.0.0/8", "127.255.0.1", true},
    {"127.0.0.0/8", "128.0.0.1", false},
    {"10.1.2.3", "10.1.2.3", true},
    {"10.1.2.3", "10.1.2.2", false},
    {"0.0.0.0/0", "203.0.113.9", true},
    {"0.0.0.0/0", "::1", false},
    {"10.128.0.0/9", "10.128.0.1", true},
    {"10.128.0.0/9", "10.127.0.1", false},
    {"127.0.0.0/8", "::ffff:127.0.0.1", true},
    {"127.0.0.0/8", "::ffff:128.0.0.1", false},
    {"::1", "::1", true},
    {"[::1]", "::1", true},
    {"::/0", "2001:db8::1", true},
    {"::/0", "::ffff:127.0.0.1", false},
    {"2001:db8::/32", "2001:db8:ffff::1", true},
    {"2001:db8::/33", "2001:db8:8000::1", false},
    {"[2001:db8::]/33", "2001:db8:7fff::1", true},
};

static void
a_client_is_inside_the_networks_that_hold_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(memberships); i++) {
		struct network network;
		struct endpoint endpoint;
		struct err err;

		assert_true(network_parse(str_from(memberships[i].network), &network, &err));
		assert_true(endpoint_parse_address(str_from(memberships[i].address), 1, &endpoint));
		assert_int_equal(network_contains(&network, &endpoint.address.any), memberships[i].inside);
	}
}

static void
a_file_is_read_and_its_first_problem_reported(void **state)
{
	char path[] = "/tmp/conf-test-XXXXXX";
	int fd = mkstemp(path);
	struct conf *conf;
	struct err err;
	char where[64], expected[256];

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "debug = yes\nretry = x\nexpire = y\n", 33), 33);
	assert_false(conf_load(path, &conf, &err));
	assert_null(conf);
	(void)snprintf(expected, sizeof expected,
	    "%s:2: retry: \"x\": a time is a number and s, m, h or d, such as \"15m\" (and more: merpati check)", path);
	assert_string_equal(err.text, expected);
	assert_int_equal(ftruncate(fd, 12), 0);
	assert_true(conf_load(path, &conf, &err));
	assert_true(conf->debug);
	conf_where(conf, "debug", where, sizeof where);
	(void)snprintf(expected, sizeof expected, "%s:1", path);
	assert_string_equal(where, expected);
	conf_where(conf, "retry", where, sizeof where);
	assert_string_equal(where, path);
	conf_free(conf);
	(void)close(fd);
	(void)unlink(path);
	assert_false(conf_load(path, &conf, &err));
	assert_non_null(strstr(err.text, "No such file"));
}

static size_t
count_rules(const struct conf *conf, enum listener_kind kind)
{
	size_t n = 0;

	for (const struct rule *rule = conf_policy_first(conf, kind); rule != NULL; rule = rule->next)
		n++;
	return n;
}

static void
each_kind_of_listener_has_its_policy(void **state)
{
	struct conf *conf = parse_fine("");
	size_t standard = count_rules(conf, LISTENER_MX);

	(void)state;
	assert_true(standard > 0);
	assert_int_equal(count_rules(conf, LISTENER_SUBMISSIONS), standard);
	assert_null(conf_policy_first(conf, LISTENER_LOCAL));
	conf_free(conf);

	/* What stands there takes the standard list's place, or has it in its midst. */
	conf = parse_fine("[policy]\nrefuse \"no # comment\" when client is 192.0.2.1 # a comment\nstandard\naccept\n"
			  "[policy submission]\naccept\n[domain a.test]\n");
	assert_int_equal(count_rules(conf, LISTENER_MX), standard + 2);
	assert_int_equal(conf_policy_first(conf, LISTENER_MX)->line, 2);
	assert_str(conf_policy_first(conf, LISTENER_MX)->words, STR("no # comment"));
	assert_int_equal(count_rules(conf, LISTENER_SUBMISSION), 1);
	assert_int_equal(count_rules(conf, LISTENER_SUBMISSIONS), 1);
	assert_int_equal(conf->ndomains, 1);
	conf_free(conf);

	/* A policy server that no rule names is asked last. */
	conf = parse_fine("[filter p]\nkind = policy\nsocket = unix:/s\nlisteners = mx\n");
	assert_int_equal(count_rules(conf, LISTENER_MX), standard + 1);
	assert_int_equal(count_rules(conf, LISTENER_SUBMISSION), standard);
	conf_free(conf);
	conf = parse_fine("[policy submission]\nask p\n[filter m]\nsocket = unix:/m\n[filter p]\nkind = policy\nsocket = unix:/s\n");
	assert_int_equal(count_rules(conf, LISTENER_MX), standard);
	assert_int_equal(conf_policy_first(conf, LISTENER_SUBMISSIONS)->filter_index, 1);
	conf_free(conf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_default_parses_and_is_documented),
	    cmocka_unit_test(keys_are_unique_in_their_section_and_at_the_top_of_the_file),
	    cmocka_unit_test(the_standard_listeners_and_domains_are_there_without_sections),
	    cmocka_unit_test(a_listener_that_is_named_for_a_kind_is_of_that_kind),
	    cmocka_unit_test(a_whole_file_is_understood),
	    cmocka_unit_test(a_problem_names_file_line_and_remedy),
	    cmocka_unit_test(each_kind_of_listener_has_its_policy),
	    cmocka_unit_test(all_problems_are_told_not_only_the_first),
	    cmocka_unit_test(a_file_cut_at_any_offset_is_no_harm),
	    cmocka_unit_test(problems_without_end_stay_within_their_limit),
	    cmocka_unit_test(a_near_key_is_found_by_edit_distance),
	    cmocka_unit_test(a_client_is_inside_the_networks_that_hold_it),
	    cmocka_unit_test(a_file_is_read_and_its_first_problem_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
