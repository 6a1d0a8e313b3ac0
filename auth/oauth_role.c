/*
 * The process that knows tokens: keys, the server for those that are not signed by them, and the memory of what that
 * server has said.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/introspect.h"
#include "auth/oauth.h"
#include "auth/textfile.h"
#include "auth/token_cache.h"
#include "common/base/log.h"
#include "common/dns/resolver.h"
#include "common/daemon/sandbox.h"
#include "common/tls/tls.h"

#define RELEASE_MS 60000 /* for a front that died without a word */
#define SECRET_MAX 512

struct oauth {
	struct daemon_self *self;
	struct token_rules rules;
	struct jwk_set keys;
	bool has_server;
	struct introspect introspect;
	struct token_cache cache;
	char secret[SECRET_MAX + 1];
	struct channel front;
	struct buf message;
	bool released;
	struct loop_timer draining;
};

/* A token that its server is asked about. */
struct asked {
	struct introspect_request request;
	uint32_t id; /* of the front's request */
	char *token;
};

static struct oauth oauth;

static uint64_t
now_s(void)
{
	return (uint64_t)time(NULL);
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

static void
answer(uint32_t id, enum found found, const char *value)
{
	struct oauth_answer a = {.found = found, .value = str_from(value)};

	oauth_answer_write(&oauth.message, id, &a);
	if (!channel_send(&oauth.front, &oauth.message, -1))
		fatal("the front does not read");
}

static void
asked_free(struct asked *asked)
{
	explicit_bzero(asked->token, strlen(asked->token));
	free(asked->token);
	free(asked);
}

static void
introspected(struct introspect_request *request, struct str body, const char *why)
{
	struct asked *asked = container_of(request, struct asked, request);
	struct token_owner owner;
	struct err err = {0};
	bool understood = false;

	if (why != NULL)
		answer(asked->id, FOUND_TROUBLE, why);
	else if (token_introspection_read(body, &oauth.rules, now_s(), &owner, &understood, &err)) {
		token_cache_store(&oauth.cache, str_from(asked->token), &owner, now_s());
		answer(asked->id, FOUND, owner.name);
	} else
		answer(asked->id, understood ? FOUND_NOT : FOUND_TROUBLE, err.text);
	asked_free(asked);
}

static void
introspect(uint32_t id, struct str token)
{
	const char *name = token_cache_find(&oauth.cache, token, now_s());
	struct asked *asked;

	if (name != NULL) {
		answer(id, FOUND, name);
		return;
	}
	asked = calloc(1, sizeof *asked);
	if (asked == NULL) {
		answer(id, FOUND_TROUBLE, "no memory for a token");
		return;
	}
	asked->id = id;
	asked->token = str_dup(token);
	introspect_ask(&oauth.introspect, &asked->request, token, introspected);
}

/* Who has keys has no need to ask about what is signed; what claims to be and is not lets nobody in. */
static void
token_look(uint32_t id, struct str token)
{
	struct token_owner owner;
	struct err err = {0};

	if (oauth.keys.n > 0 && (token_is_jwt(token) || !oauth.has_server)) {
		if (token_jwt_read(token, &oauth.keys, &oauth.rules, now_s(), &owner, &err))
			answer(id, FOUND, owner.name);
		else
			answer(id, FOUND_NOT, err.text);
	} else if (oauth.has_server)
		introspect(id, token);
	else
		answer(id, FOUND_TROUBLE, "there are no keys for tokens");
}

static void
front_received(struct channel *channel, struct msg *m)
{
	struct str token;

	(void)channel;
	if (m->type == OAUTH_GOODBYE) {
		oauth.released = true;
		if (oauth.self->draining)
			loop_stop(oauth.self->loop);
	} else if (oauth_ask_read(m, &token)) {
		token_look(m->id, token);
		/* The packet was ours alone, whatever borrows from it says const. */
		explicit_bzero((void *)(uintptr_t)token.p, token.n);
	} else
		log_warning("a malformed request from the front was dropped");
}

/* The parent holds the other end too: it is gone, and everything else with it. */
static void
front_closed(struct channel *channel)
{
	(void)channel;
	exit(0);
}

/* --- the process --------------------------------------------------------------------------------------------------- */

static void
drain_expired(struct loop_timer *timer)
{
	(void)timer;
	loop_stop(oauth.self->loop);
}

/* The front of this generation may still have tokens to ask about: it says when it has not. */
static void
oauth_drain(struct daemon_self *self)
{
	if (oauth.released)
		loop_stop(self->loop);
	else
		loop_timer_set(self->loop, &oauth.draining, RELEASE_MS, drain_expired);
}

static void
keys_open(const char *path)
{
	struct textfile file;
	struct buf problems;
	struct err err;

	textfile_init(&file, path);
	buf_init(&problems, 4096);
	if (textfile_refresh(&file, &err) == TEXTFILE_NEW) {
		struct str rest, line;

		if (!jwk_set_read(&oauth.keys, (struct str){file.text, file.n}, &problems))
			log_error("%s: no key for tokens in it", path);
		for (rest = buf_str(&problems); str_token(&rest, '\n', &line);)
			if (line.n > 0)
				log_warning("%s: %.*s", path, STR_FMT(line));
	} else
		log_error("%s", err.text);
	buf_clear(&problems);
	textfile_clear(&file);
}

/* The first line of the file. */
static void
secret_open(const char *path)
{
	struct textfile file;
	struct err err;

	textfile_init(&file, path);
	if (textfile_refresh(&file, &err) == TEXTFILE_NEW) {
		struct str text = {file.text, file.n};

		if (!str_copy(oauth.secret, sizeof oauth.secret, str_trim(str_sub(text, 0, str_find(text, '\n')))))
			log_error("%s: its first line is too long", path);
		explicit_bzero(file.text, file.n);
	} else
		log_error("%s", err.text);
	textfile_clear(&file);
}

static struct dns *
resolver_open(const struct conf *conf, struct loop *loop)
{
	struct resolver_servers servers;

	resolver_find(conf, &servers);
	return resolver_new(loop, &servers);
}

static void
server_open(const struct conf *conf, struct loop *loop)
{
	struct introspect *introspect = &oauth.introspect;
	struct err err;

	introspect_init(introspect);
	if (!http_url_parse(&introspect->url, str_from(conf->auth.oauth_introspection))) {
		log_error("oauth_introspection: not an URL that we can ask: %s", conf->auth.oauth_introspection);
		return;
	}
	introspect->http.loop = loop;
	introspect->http.dns = resolver_open(conf, loop);
	introspect->http.tls = tls_client_new(&err);
	if (introspect->http.tls == NULL || !tls_client_trust(introspect->http.tls, conf->queue.tls_authorities, &err))
		log_error("%s", err.text);
	if (conf->auth.oauth_secret[0] != '\0')
		secret_open(conf->auth.oauth_secret);
	introspect->client = str_from(conf->auth.oauth_client);
	introspect->secret = str_from(oauth.secret);
	oauth.has_server = true;
}

/* What OpenSSL loads when it is first used must be there before the files are out of reach. */
static void
warm_up(void)
{
	struct token_owner owner = {.expires_s = 0};

	token_cache_init(&oauth.cache, 0);
	(void)token_cache_find(&oauth.cache, STR("x"), 1);
	token_cache_store(&oauth.cache, STR("x"), &owner, 1);
	for (size_t i = 0; i < oauth.keys.n; i++)
		(void)jwk_verify(&oauth.keys.list[i], STR("x"), STR("x"));
}

void
oauth_main(struct daemon_self *self)
{
	const struct conf_auth *auth = &self->conf->auth;
	struct sandbox_spec sandbox = {.promises = SANDBOX_STDIO | SANDBOX_LOOP | SANDBOX_SERVE | SANDBOX_INET,
	    .descriptors_max = INTROSPECT_RUNNING_MAX + 2 * DNS_LOOKUPS_MAX + 64};
	struct loop *loop = loop_new();

	if (self->npeers != 1)
		fatal("without a front");
	oauth.self = self;
	oauth.rules = (struct token_rules){.issuer = str_from(auth->oauth_issuer), .audience = str_from(auth->oauth_audience),
	    .scope = str_from(auth->oauth_scope), .name = auth->oauth_name};
	if (auth->oauth_keys[0] != '\0')
		keys_open(auth->oauth_keys);
	if (auth->oauth_introspection[0] != '\0')
		server_open(self->conf, loop);
	warm_up();
	daemon_confine(self, &sandbox);
	token_cache_init(&oauth.cache, auth->oauth_keep_s);
	buf_init(&oauth.message, MSG_MAX_BYTES);
	channel_open(&oauth.front, loop, self->peers[0], front_received, front_closed);
	msg_begin(&oauth.message, OAUTH_HELLO, 0);
	if (!channel_send(&oauth.front, &oauth.message, -1))
		fatal("the front does not read");
	self->drain = oauth_drain;
	daemon_self_open(self, loop);
	loop_run(loop);
}
