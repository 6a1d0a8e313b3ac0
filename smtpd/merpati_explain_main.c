/*
 * merpati-explain: what would become of a recipient, and which rule says so. Run as `merpati explain`.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/daemon/daemon.h"
#include "common/base/json.h"
#include "common/net/socketmap.h"
#include "smtpd/explain.h"
#include "smtpd/policy_client.h"

#define OUTPUT_MAX_BYTES (16UL * 1024 * 1024)
#define ARENA_MAX_BYTES 65536
#define MAP_TIMEOUT_MS 5000
#define PLACE_MAX 4200

struct options {
	const char *conf_path;
	const char *client, *name, *helo, *tls, *certificate, *login, *from, *to, *listener;
	bool json, ask;
};

/* The one session that is played. */
struct playing {
	const struct options *options;
	struct conf *conf;
	enum listener_kind kind;
	struct arena arena;
	struct endpoint client;
	struct address sender, recipient;
	struct rule_facts facts;
	struct explain explain;
	struct buf out;
	/* How it ends: */
	const char *stage; /* MAIL, RCPT */
	struct smtp_reply reply;
	char decided[PLACE_MAX];
	char text[SMTP_REPLY_TEXT_MAX];
};

static int
fail(int status, const char *text)
{
	(void)fprintf(stderr, "merpati explain: %s\n", text);
	return status;
}

/* --- the facts ---------------------------------------------------------------------------------------------------- */

static bool
address_read(struct playing *p, const char *text, unsigned may, struct address *address, struct err *err)
{
	struct str path = arena_printf(&p->arena, text[0] == '<' ? "%s" : "<%s>", text);

	if (path.p == NULL || !address_path_parse(&p->arena, &path, may | ADDRESS_MAY_BE_UTF8, address) || path.n > 0)
		return err_set(err, ERR_PERM, "\"%s\" is no mail address", text);
	return true;
}

static bool
listener_read(struct playing *p, struct err *err)
{
	const char *name = p->options->listener;
	const struct conf_listener *listener;

	p->kind = p->options->login != NULL ? LISTENER_SUBMISSION : LISTENER_MX;
	if (name == NULL)
		return true;
	listener = conf_listener_find(p->conf, str_from(name));
	if (listener != NULL)
		p->kind = listener->kind;
	else if (!listener_kind_parse(str_from(name), &p->kind))
		return err_set(err, ERR_PERM, "there is no listener \"%s\", and no kind of that name", name);
	if (p->kind >= CONF_POLICIES)
		return err_set(err, ERR_PERM, "a listener of kind %s has no policy", listener_kind_facts(p->kind)->name);
	return true;
}

static bool
facts_read(struct playing *p, struct err *err)
{
	const struct options *o = p->options;

	if (!endpoint_parse_address(str_from(o->client), 0, &p->client))
		return err_set(err, ERR_PERM, "\"%s\" is no IP address", o->client);
	if (!address_read(p, o->from, ADDRESS_MAY_BE_NULL | ADDRESS_MAY_LACK_DOMAIN, &p->sender, err) ||
	    !address_read(p, o->to, ADDRESS_MAY_LACK_DOMAIN, &p->recipient, err) || !listener_read(p, err))
		return false;
	p->facts = (struct rule_facts){
	    .conf = p->conf,
	    .client = &p->client.address.any,
	    .in_networks = conf_networks_contain(&p->conf->networks, &p->client.address.any),
	    .client_name = str_from(o->name),
	    .helo = o->helo != NULL ? str_from(o->helo) : o->name != NULL ? str_from(o->name) : STR("client.invalid"),
	    .tls_version = str_from(o->tls),
	    .is_verified = o->certificate != NULL,
	    .ncertificate_names = o->certificate != NULL,
	    .certificate_names = {str_from(o->certificate)},
	    .fingerprint = str_from(o->certificate),
	    .login = str_from(o->login),
	    .sender = &p->sender,
	    .recipient = &p->recipient,
	};
	return true;
}

/* --- asking the others -------------------------------------------------------------------------------------------- */

/* authd's answer about the address, with its domain; TEMP when it does not answer. */
static enum socketmap_status
map_ask(struct playing *p, const char *map, const char *login, const struct address *address)
{
	struct str domain = policy_domain(p->conf, address);
	const char *blank = login != NULL ? " " : "";
	struct buf value;
	struct err err;
	struct str key;
	enum socketmap_status status;

	if (login == NULL)
		login = "";
	key = address->kind == ADDRESS_LOCAL
		  ? arena_printf(&p->arena, "%s%s%.*s@%.*s", login, blank, STR_FMT(address->text), STR_FMT(domain))
		  : arena_printf(&p->arena, "%s%s%.*s", login, blank, STR_FMT(address->text));
	buf_init(&value, SOCKETMAP_REPLY_MAX);
	status = socketmap_lookup(daemon_socket_path(p->conf, "map"), MAP_TIMEOUT_MS, str_from(map), key, &value, &err);
	if (status == SOCKETMAP_TEMP)
		(void)fprintf(stderr, "merpati explain: authd cannot be asked: %s\n", err.text);
	buf_clear(&value);
	return status;
}

static int
filter_connect(const struct conf_filter *filter)
{
	const struct timeval time = {.tv_sec = (time_t)(filter->timeout_ms / 1000) + 1};
	int fd = socket(filter->socket.address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
	if (connect(fd, &filter->socket.address.any, filter->socket.length) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static enum parse
filter_converse(int fd, const struct buf *request, struct buf *in, struct policy_reply *reply)
{
	enum parse parse = PARSE_MORE;

	if (send(fd, request->p, request->n, MSG_NOSIGNAL) != (ssize_t)request->n)
		return PARSE_BAD;
	while (parse == PARSE_MORE) {
		char *room = buf_reserve(in, 1024);
		ssize_t n = room != NULL ? recv(fd, room, 1024, 0) : -1;
		struct str rest;

		if (n <= 0)
			return PARSE_BAD;
		buf_commit(in, (size_t)n);
		rest = buf_str(in);
		parse = policy_reply_take(&rest, reply);
	}
	return parse;
}

static void
filter_ask(struct explain *explain, const struct rule *rule, struct policy_reply *reply, char *note, size_t size)
{
	struct playing *p = container_of(explain, struct playing, explain);
	const struct conf_filter *filter = &p->conf->filters[rule->filter_index];
	const struct rule_facts *f = &p->facts;
	const struct policy_request request = {.protocol_state = STR("RCPT"), .protocol_name = STR("ESMTP"),
	    .client_address = str_from(p->options->client), .client_name = f->client_name, .helo_name = f->helo,
	    .sender = f->sender->text, .recipient = f->recipient->text, .sasl_username = f->login,
	    .encryption_protocol = f->tls_version, .instance = STR("explain"), .policy_context = str_from(filter->name)};
	int fd = filter_connect(filter);
	enum parse parse = PARSE_BAD;
	static struct buf out, in; /* the reply borrows from it until the next question */

	buf_init(&out, POLICY_REQUEST_MAX);
	buf_clear(&in);
	buf_init(&in, 2 * POLICY_REPLY_MAX);
	policy_request_add(&out, &request);
	if (fd >= 0)
		parse = filter_converse(fd, &out, &in, reply);
	buf_clear(&out);
	if (fd >= 0)
		(void)close(fd);
	if (parse == PARSE_OK) {
		(void)snprintf(note, size, "answers: %.*s", STR_FMT(str_sub(str_trim(buf_str(&in)), 0, 400)));
	} else {
		*reply = policy_failure(filter);
		(void)snprintf(note, size, "does not answer; its on_failure holds");
	}
}

/* --- playing ------------------------------------------------------------------------------------------------------ */

static void
decide(struct playing *p, const char *stage, const struct smtp_reply *reply, const char *by)
{
	p->stage = stage;
	p->reply = *reply;
	(void)snprintf(p->decided, sizeof p->decided, "%s", by);
}

/* The sender is not the login's. False: and so it is refused. */
static bool
sender_rewrite(struct playing *p)
{
	struct smtp_reply reply = {.code = 553, .status = "5.7.1"};

	if (p->conf->smtpd.submission_sender == CONF_SENDER_REWRITE &&
	    policy_login_address(p->conf, &p->arena, p->facts.login, &p->sender))
		return true;
	reply.text = arena_printf(&p->arena, "Sender address rejected: not owned by user %s", p->options->login);
	decide(p, "MAIL", &reply, "submission_sender");
	return false;
}

/* True: it ends here. */
static bool
play_sender(struct playing *p)
{
	const struct policy_listener *rules = policy_listener(p->kind);
	struct str login = p->facts.login;

	if (!rules->must_authenticate)
		return false;
	if (login.n == 0) {
		decide(p, "MAIL", SMTP_REPLY(530, "5.7.0", "Authentication required"), "users must authenticate");
		return true;
	}
	if (p->conf->smtpd.submission_sender == CONF_SENDER_ALLOW || p->sender.kind == ADDRESS_NULL)
		return false;
	switch (map_ask(p, "sender", p->options->login, &p->sender)) {
	case SOCKETMAP_OK:
		return false;
	case SOCKETMAP_NOTFOUND:
	case SOCKETMAP_PERM:
		return !sender_rewrite(p);
	case SOCKETMAP_TEMP:
		decide(p, "MAIL",
		    SMTP_REPLY(451, "4.3.0", "Sender address rejected: cannot look up now what belongs to user"),
		    "submission_sender");
		return true;
	}
	return false;
}

/* Ours, as far as the rules go: does it exist? */
static void
play_account(struct playing *p)
{
	char decided[PLACE_MAX];

	explain_decision(&p->explain, decided, sizeof decided);
	switch (map_ask(p, "recipient", NULL, &p->recipient)) {
	case SOCKETMAP_OK:
		decide(p, "RCPT",
		    p->explain.end == POLICY_LOCAL ? SMTP_REPLY(250, "2.1.5", "Ok") : &p->explain.play.reply, decided);
		break;
	case SOCKETMAP_NOTFOUND:
		decide(p, "RCPT", SMTP_REPLY(550, "5.1.1", "Recipient address rejected: User unknown"),
		    "authd: there is no such recipient");
		break;
	case SOCKETMAP_PERM:
		decide(p, "RCPT", SMTP_REPLY(550, "5.1.3", "Recipient address rejected: Malformed address"), "authd");
		break;
	case SOCKETMAP_TEMP:
		decide(p, "RCPT", SMTP_REPLY(451, "4.3.0", "Recipient address rejected: Cannot look it up now"),
		    "authd does not answer");
		break;
	}
}

static bool
play(struct playing *p)
{
	char decided[PLACE_MAX];

	if (play_sender(p))
		return true;
	p->explain.facts = &p->facts;
	p->explain.ask = p->options->ask ? filter_ask : NULL;
	if (!explain_play(&p->explain, conf_policy_first(p->conf, p->kind)))
		return false;
	explain_decision(&p->explain, decided, sizeof decided);
	switch (p->explain.end) {
	case POLICY_LOCAL:
	case POLICY_LOCAL_LATER:
		play_account(p);
		break;
	case POLICY_RELAY:
		decide(p, "RCPT", SMTP_REPLY(250, "2.1.5", "Ok"), decided);
		break;
	case POLICY_REFUSE:
		decide(p, "RCPT", &p->explain.play.reply, decided);
		break;
	case POLICY_ASK:
	case POLICY_ASK_LATER:
	case POLICY_GREYLIST:
	case POLICY_SLOW:
	case POLICY_TAG:
	case POLICY_WARN:
		break;
	}
	return true;
}

/* --- telling ------------------------------------------------------------------------------------------------------ */

static const char *
verdict(const struct playing *p)
{
	return p->reply.code < 400 ? "accepted" : p->reply.code < 500 ? "deferred" : "refused";
}

/* As the client gets it. */
static struct str
reply_text(struct playing *p)
{
	bool names = p->reply.code >= 400 && strcmp(p->stage, "RCPT") == 0;
	int n = names ? snprintf(p->text, sizeof p->text, "%u %s <%.*s>: %.*s", p->reply.code, p->reply.status,
			    STR_FMT(p->recipient.text), STR_FMT(p->reply.text))
		      : snprintf(p->text, sizeof p->text, "%u %s %.*s", p->reply.code, p->reply.status, STR_FMT(p->reply.text));

	return (struct str){p->text, n < (int)sizeof p->text ? (size_t)n : sizeof p->text - 1};
}

static void
line_print(struct playing *p, const struct explain_line *line)
{
	char place[PLACE_MAX];

	explain_place(p->conf, line->rule, place, sizeof place);
	buf_addf(&p->out, "%c %s: %.*s\n", line->failed == NULL ? '*' : ' ', place, STR_FMT(line->rule->text));
	if (line->failed != NULL)
		buf_addf(&p->out, "      no: %.*s\n", STR_FMT(line->failed->text));
	if (line->note[0] != '\0')
		buf_addf(&p->out, "      %s\n", line->note);
}

static void
text_print(struct playing *p)
{
	const struct rule_facts *f = &p->facts;

	buf_addf(&p->out, "client %s (%.*s)%s at a listener of kind %s, HELO %.*s, %.*s, login %.*s\n", p->options->client,
	    STR_FMT(f->client_name.n > 0 ? f->client_name : STR("unknown")), f->in_networks ? ", of our networks," : "",
	    listener_kind_facts(p->kind)->name, STR_FMT(f->helo),
	    STR_FMT(f->tls_version.n > 0 ? f->tls_version : STR("in plain")), STR_FMT(f->login.n > 0 ? f->login : STR("none")));
	for (size_t i = 0; i < p->explain.nlines; i++)
		line_print(p, &p->explain.lines[i]);
	buf_addf(&p->out, "%s, decided by: %s\n%s: %.*s\n", verdict(p), p->decided, p->stage, STR_FMT(reply_text(p)));
}

static void
line_json(struct playing *p, const struct explain_line *line, bool is_first)
{
	char place[PLACE_MAX];

	explain_place(p->conf, line->rule, place, sizeof place);
	buf_adds(&p->out, is_first ? "{" : ",{");
	json_add_member(&p->out, "place", str_from(place));
	json_add_member(&p->out, "rule", line->rule->text);
	json_add_key(&p->out, "applies");
	buf_adds(&p->out, line->failed == NULL ? "true" : "false");
	if (line->failed != NULL)
		json_add_member(&p->out, "failed", line->failed->text);
	if (line->note[0] != '\0')
		json_add_member(&p->out, "note", str_from(line->note));
	buf_addc(&p->out, '}');
}

static void
json_print(struct playing *p)
{
	buf_addc(&p->out, '{');
	json_add_member(&p->out, "listener", str_from(listener_kind_facts(p->kind)->name));
	json_add_member(&p->out, "client", str_from(p->options->client));
	json_add_member(&p->out, "sender", p->sender.text);
	json_add_member(&p->out, "recipient", p->recipient.text);
	json_add_key(&p->out, "rules");
	buf_addc(&p->out, '[');
	for (size_t i = 0; i < p->explain.nlines; i++)
		line_json(p, &p->explain.lines[i], i == 0);
	buf_addc(&p->out, ']');
	json_add_member(&p->out, "verdict", str_from(verdict(p)));
	json_add_member(&p->out, "decided_by", str_from(p->decided));
	json_add_member(&p->out, "stage", str_from(p->stage));
	json_add_number(&p->out, "code", p->reply.code);
	json_add_member(&p->out, "status", str_from(p->reply.status));
	json_add_member(&p->out, "reply", reply_text(p));
	buf_adds(&p->out, "}\n");
}

static int
run(struct playing *p)
{
	struct buf problems;
	struct err err;

	if (!conf_load(p->options->conf_path, &p->conf, &err))
		return fail(EX_CONFIG, err.text);
	buf_init(&problems, CONF_PROBLEMS_MAX_BYTES);
	if (!rule_files_load(p->conf->rule_files, &problems, &err))
		return fail(EX_NOINPUT, err.text);
	buf_clear(&problems);
	if (!facts_read(p, &err))
		return fail(EX_USAGE, err.text);
	if (!play(p))
		return fail(EX_OSERR, "out of memory");
	if (p->options->json)
		json_print(p);
	else
		text_print(p);
	if (!buf_ok(&p->out) || fwrite(p->out.p, 1, p->out.n, stdout) != p->out.n || fflush(stdout) != 0)
		return fail(EX_IOERR, "cannot write to standard output");
	return EX_OK;
}

/* --- options ------------------------------------------------------------------------------------------------------ */

static int
usage(void)
{
	(void)fprintf(stderr,
	    "usage: merpati explain [-c FILE] --client ADDRESS --from SENDER --to RECIPIENT [--helo NAME] [--name NAME]\n"
	    "                       [--login LOGIN] [--tls VERSION] [--certificate NAME] [--listener NAME|KIND] [--ask] [--json]\n");
	return EX_USAGE;
}

static bool
options_read(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
	    {"client", required_argument, NULL, 'a'}, {"name", required_argument, NULL, 'n'},
	    {"helo", required_argument, NULL, 'h'}, {"tls", required_argument, NULL, 't'},
	    {"certificate", required_argument, NULL, 'C'}, {"login", required_argument, NULL, 'l'},
	    {"from", required_argument, NULL, 'f'}, {"to", required_argument, NULL, 'r'},
	    {"listener", required_argument, NULL, 'L'}, {"ask", no_argument, NULL, 'q'}, {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	const struct {
		int option;
		const char **value;
	} values[] = {{'c', &o->conf_path}, {'a', &o->client}, {'n', &o->name}, {'h', &o->helo}, {'t', &o->tls},
	    {'C', &o->certificate}, {'l', &o->login}, {'f', &o->from}, {'r', &o->to}, {'L', &o->listener}};
	int option;

	while ((option = getopt_long(argc, argv, "c:", longs, NULL)) != -1) {
		if (option == '?')
			return false;
		o->json = o->json || option == 'j';
		o->ask = o->ask || option == 'q';
		for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
			if (values[i].option == option)
				*values[i].value = optarg;
	}
	return optind == argc && o->client != NULL && o->from != NULL && o->to != NULL;
}

int
main(int argc, char **argv)
{
	struct options options = {.conf_path = conf_default_path()};
	struct playing playing = {.options = &options};
	int status;

	if (!options_read(&options, argc, argv))
		return usage();
	if (options.certificate != NULL && options.tls == NULL)
		options.tls = "TLSv1.3";
	arena_init(&playing.arena, ARENA_MAX_BYTES);
	buf_init(&playing.out, OUTPUT_MAX_BYTES);
	status = run(&playing);
	explain_clear(&playing.explain);
	buf_clear(&playing.out);
	arena_clear(&playing.arena);
	conf_free(playing.conf);
	return status;
}
