#include "queue/remote_search.h"

#include <stdio.h>
#include <string.h>

#include "common/daemon/daemon.h"
#include "common/base/log.h"
#include "queue/remote_tlsrpt.h"

/* RFC 8305 5: Connection Attempt Delay. */
#define RACE_MS 250
/* How long the addresses of a host are waited for before the next host is asked as well: being slow is no reason to give
 * its mail to a host of a worse preference. */
#define PATIENCE_MS 5000

static void go_on(struct remote_search *s, bool patience_is_over);

/* --- why not ------------------------------------------------------------------------------------------------------------- */

/* A lasting refusal counts only while nobody was merely out of reach: that one might take the mail later. */
static void
remember(struct remote_search *s, enum job_status status, struct str code, struct str words, const char *relay,
    const char *policy)
{
	if (status == JOB_FAILED && s->failure == JOB_DEFERRED)
		return;
	s->failure = status;
	(void)snprintf(s->code, sizeof s->code, "%.*s", STR_FMT(code));
	(void)snprintf(s->words, sizeof s->words, "%.*s", STR_FMT(words));
	(void)snprintf(s->relay, sizeof s->relay, "%s", relay);
	s->policy = policy;
}

void
remote_search_refuse(struct remote_search *s, enum job_status status, struct str code, struct str words)
{
	remember(s, status, code, words, "none", "");
}

/* The server's words need its name in front; ours have it. */
static void
log_failure(const struct remote_search *s, const struct remote_connection *c, const struct smtp_verdict *failure)
{
	bool its_words = failure->words.n > 0 && ascii_is_digit(failure->words.p[0]);

	log_info("%.*s: %s%s%s%.*s", STR_FMT(s->quest.queue_id), its_words ? "host " : "", its_words ? c->relay : "",
	    its_words ? " said: " : "", STR_FMT(failure->words));
}

/* --- candidates ---------------------------------------------------------------------------------------------------------- */

static void
candidate_back(struct remote_search *s, const struct remote_candidate *candidate)
{
	if (s->nagain < sizeof s->again / sizeof s->again[0])
		s->again[s->nagain++] = *candidate;
}

/* What would come back to us is not sent; nor is anything to the exchangers that are no better than we are. */
static bool
leads_back(struct remote_search *s, const struct endpoint *to)
{
	if (!remote_own_has(s->quest.own, to))
		return false;
	remember(s, JOB_FAILED, STR("5.4.6"), STR("mail for this domain loops back to myself"), "none", "");
	s->route.list.n = s->host + 1;
	s->address = s->addresses.n;
	return true;
}

static bool
candidate_take(struct remote_search *s, struct remote_candidate *candidate)
{
	if (s->tried >= REMOTE_SEARCH_TRIES_MAX)
		return false;
	if (s->nagain > 0) {
		*candidate = s->again[--s->nagain];
		return true;
	}
	if (s->looking_up || s->address >= s->addresses.n)
		return false;
	*candidate = (struct remote_candidate){.to = s->addresses.list[s->address++], .host = s->route.list.hosts[s->host],
	    .identity = s->identity_now, .policy = s->policy_now};
	return !leads_back(s, &candidate->to);
}

static bool
has_more_hosts(const struct remote_search *s)
{
	return s->host + 1 < s->route.list.n && s->tried < REMOTE_SEARCH_TRIES_MAX;
}

/* --- attempts ------------------------------------------------------------------------------------------------------------ */

/* The first connection that came about goes on alone. */
static void
won(struct remote_search *s, struct remote_connection *connection)
{
	struct remote_attempt winner = s->attempts[0];
	size_t n = s->nattempts;

	loop_timer_cancel(&s->timer);
	s->has_winner = true;
	/* Those that were begun first are to be tried first again. */
	while (n-- > 0) {
		struct remote_attempt *attempt = &s->attempts[n];

		if (attempt->connection == connection) {
			winner = *attempt;
			continue;
		}
		candidate_back(s, &attempt->candidate);
		remote_connection_release(attempt->connection);
	}
	s->attempts[0] = winner;
	s->nattempts = 1;
}

static void
connected(struct remote_owner *owner, struct remote_connection *connection)
{
	struct remote_search *s = container_of(owner, struct remote_search, owner);

	if (s->nattempts > 0)
		won(s, connection);
}

static struct remote_attempt
attempt_remove(struct remote_search *s, const struct remote_connection *connection)
{
	struct remote_attempt removed = s->attempts[0];

	for (size_t i = 0; i < s->nattempts; i++) {
		if (s->attempts[i].connection != connection)
			continue;
		removed = s->attempts[i];
		s->nattempts--;
		memmove(&s->attempts[i], &s->attempts[i + 1], (s->nattempts - i) * sizeof s->attempts[0]);
		break;
	}
	s->has_winner = false;
	return removed;
}

static bool
is_fit_to_talk(const struct remote_connection *c)
{
	return smtp_client_need(&c->client) == SMTP_NEED_NOTHING && stream_is_open(&c->stream);
}

/* RFC 8460 is about the exchangers of domains. */
static bool
is_told(const struct remote_search *s)
{
	return s->quest.sources->reports != NULL && s->quest.route == NULL && !s->quest.is_report &&
	    s->quest.next_hop->kind == NEXT_HOP_DOMAIN;
}

static void
opened(struct remote_owner *owner, struct remote_connection *connection, const struct smtp_verdict *failure)
{
	struct remote_search *s = container_of(owner, struct remote_search, owner);
	struct remote_attempt attempt = attempt_remove(s, connection);

	if (is_told(s))
		remote_tlsrpt_session(s->quest.sources->reports, &s->route, connection, attempt.candidate.host,
		    &attempt.candidate.to);
	if (failure == NULL) {
		remote_search_stop(s);
		s->found(s, connection);
		return;
	}
	log_failure(s, connection, failure);
	remember(s, failure->outcome == SMTP_FAILED ? JOB_FAILED : JOB_DEFERRED, failure->code, failure->words,
	    connection->relay, tls_policy_word(connection->policy.by));
	s->unfit = s->unfit || connection->client.unfit || is_fit_to_talk(connection);
	/* Once more without. */
	if (connection->tls_failed && attempt.candidate.policy.need == TLS_NEED_MAY) {
		attempt.candidate.policy.need = TLS_NEED_PLAIN;
		candidate_back(s, &attempt.candidate);
	}
	remote_connection_release(connection);
	go_on(s, false);
}

/* The address of the route that is of the same family. */
static const struct endpoint *
source_of(const struct conf_route *route, const struct endpoint *to)
{
	for (size_t i = 0; i < route->source.n; i++)
		if (route->source.list[i].address.any.sa_family == to->address.any.sa_family)
			return &route->source.list[i];
	return NULL;
}

/* One connection; false when it cannot even be begun. path, or fd: of a socket, then the candidate has only a host. */
static bool
attempt_begin(struct remote_search *s, const struct remote_candidate *candidate, const char *path, int fd)
{
	struct remote_context *context = s->quest.context;
	struct remote_target target = {
	    .host = candidate->host,
	    .to = path == NULL && fd < 0 ? &candidate->to : NULL,
	    .fd = fd,
	    .path = path,
	    .lmtp = s->quest.lmtp,
	    .identity = candidate->identity,
	    .policy = candidate->policy,
	    .must_keep_tls = s->quest.must_keep_tls,
	};
	const struct conf_route *route = s->quest.route;
	struct remote_connection *connection;
	struct err err;
	char words[JOB_REPLY_MAX];

	if (route != NULL) {
		target.from = target.to != NULL ? source_of(route, target.to) : NULL;
		target.implicit_tls = route->implicit_tls;
		target.credentials = s->quest.credentials;
	}
	s->tried++;
	connection = remote_connection_open(context, &target, &s->owner, &err);
	if (connection == NULL) {
		(void)snprintf(words, sizeof words, "connect to %.*s: %s", STR_FMT(target.host), err.text);
		remember(s, JOB_DEFERRED, STR("4.4.1"), str_from(words), "none", "");
		return false;
	}
	s->attempts[s->nattempts++] = (struct remote_attempt){connection, *candidate};
	if (connection->connected)
		won(s, connection);
	return true;
}

/* --- TLS ----------------------------------------------------------------------------------------------------------------- */

static enum conf_route_tls
configured_tls(const struct remote_search *s)
{
	enum conf_route_tls tls = s->quest.route != NULL ? s->quest.route->tls : CONF_TLS_AUTO;

	return tls == CONF_TLS_AUTO && s->quest.waives_tls ? CONF_TLS_MAY : tls;
}

/* Of DANE-TA the domain's name will do as well as the host's, where the host is one of its exchangers (RFC 7672 3.2.2). */
static void
identity_make(struct remote_search *s)
{
	struct remote_identity *identity = &s->identity_now;

	*identity = (struct remote_identity){.name = s->route.list.hosts[s->host]};
	if (s->dane.state != TLS_DANE_USABLE)
		return;
	identity->name = s->dane.base;
	identity->dane = s->dane.records;
	identity->ndane = s->dane.n;
	if (s->quest.next_hop->kind == NEXT_HOP_DOMAIN) {
		identity->domains[0] = s->route.domain;
		identity->domains[1] = s->route.expanded;
	}
}

/* Decides for the host that is looked up now; false when it is not to be used. */
static bool
policy_decide(struct remote_search *s)
{
	struct tls_facts facts = {.requiretls = s->quest.must_keep_tls, .name_is_certain = s->route.is_secure,
	    .configured = configured_tls(s), .dane = s->dane.state,
	    .sts = remote_route_sts(&s->route, s->route.list.hosts[s->host])};
	char words[JOB_REPLY_MAX];

	identity_make(s);
	s->policy_now = tls_policy_decide(&facts);
	if (s->policy_now.refusal.p == NULL)
		return true;
	if (is_told(s))
		remote_tlsrpt_refused(s->quest.sources->reports, &s->route, s->route.list.hosts[s->host], &s->policy_now);
	(void)snprintf(words, sizeof words, "%.*s: %.*s", STR_FMT(s->route.list.hosts[s->host]),
	    STR_FMT(s->policy_now.refusal));
	log_info("%.*s: %s", STR_FMT(s->quest.queue_id), words);
	remember(s, s->policy_now.code.p[0] == '5' ? JOB_FAILED : JOB_DEFERRED, s->policy_now.code, str_from(words), "none",
	    tls_policy_word(s->policy_now.by));
	return false;
}

/* --- hosts --------------------------------------------------------------------------------------------------------------- */

/* All is known that there is to know of the host. */
static void
host_found(struct remote_search *s)
{
	s->looking_up = false;
	s->address = 0;
	if (s->addresses.n > 0 && !policy_decide(s))
		s->addresses.n = 0;
	go_on(s, true);
}

static void
dane_found(struct remote_dane *dane)
{
	host_found(container_of(dane, struct remote_search, dane));
}

/* Where DNSSEC does not even secure that this is the host, its records would prove nothing. */
static bool
dane_begin(struct remote_search *s)
{
	struct remote_dane_host host = {.name = s->route.list.hosts[s->host], .expanded = str_from(s->addresses.name),
	    .is_secure = s->addresses.is_secure, .port = s->quest.next_hop->port};

	s->dane.state = TLS_DANE_NONE;
	return s->addresses.n > 0 && s->route.is_secure && !s->quest.lmtp && tls_policy_wants_dane(configured_tls(s)) &&
	    s->quest.context->tls != NULL && !remote_dane_start(&s->dane, s->quest.sources->dns, &host, s->quest.arena, dane_found);
}

static void
addresses_found(struct remote_addresses *addresses)
{
	struct remote_search *s = container_of(addresses, struct remote_search, addresses);
	struct str host = s->route.list.hosts[s->host];
	char words[JOB_REPLY_MAX];

	if (addresses->n == 0 && addresses->temporary) {
		(void)snprintf(words, sizeof words, "DNS does not tell the addresses of %.*s: %.*s", STR_FMT(host),
		    STR_FMT(addresses->reason));
		remember(s, JOB_DEFERRED, STR("4.4.3"), str_from(words), "none", "");
	} else if (addresses->n == 0) {
		(void)snprintf(words, sizeof words, "%.*s has no address in DNS", STR_FMT(host));
		remember(s, JOB_FAILED, s->route.implicit ? STR("5.1.2") : STR("5.4.4"), str_from(words), "none", "");
	}
	if (!dane_begin(s))
		host_found(s);
}

static void
look_up(struct remote_search *s)
{
	s->addresses.n = 0;
	s->address = 0;
	s->dane.state = TLS_DANE_NONE;
	if (s->quest.next_hop->kind == NEXT_HOP_ADDRESS) {
		s->addresses.list[0] = s->quest.next_hop->address;
		s->addresses.n = policy_decide(s) ? 1 : 0;
		return;
	}
	s->looking_up = true;
	remote_addresses_start(&s->addresses, s->quest.sources->dns, s->route.list.hosts[s->host], s->quest.next_hop->port,
	    addresses_found);
}

/* --- what next ----------------------------------------------------------------------------------------------------------- */

static void
timer_expired(struct loop_timer *timer)
{
	go_on(container_of(timer, struct remote_search, timer), true);
}

/* While what is under way does not answer. Not when connections are scarce: then one at a time must do. */
static void
wait_a_moment(struct remote_search *s)
{
	const struct remote_context *context = s->quest.context;
	bool has_candidates = s->nagain > 0 || s->address < s->addresses.n;

	if (s->has_winner || s->nattempts >= REMOTE_SEARCH_AT_ONCE_MAX ||
	    context->connections >= context->conf->queue.remote_connections || (!has_candidates && !has_more_hosts(s)))
		return;
	loop_timer_set(context->loop, &s->timer, has_candidates ? RACE_MS : PATIENCE_MS, timer_expired);
}

static void
go_on(struct remote_search *s, bool patience_is_over)
{
	struct remote_candidate candidate;

	loop_timer_cancel(&s->timer);
	if (s->has_winner)
		return; /* an answer of DNS that nobody needs at present */
	for (;;) {
		while (s->nattempts < REMOTE_SEARCH_AT_ONCE_MAX && candidate_take(s, &candidate))
			if (attempt_begin(s, &candidate, NULL, -1)) {
				wait_a_moment(s);
				return;
			}
		if (s->looking_up || (s->nattempts > 0 && (!patience_is_over || !has_more_hosts(s))))
			break;
		if (!has_more_hosts(s)) {
			s->failed(s);
			return;
		}
		s->host++;
		look_up(s);
	}
	if (s->nattempts > 0 && !s->looking_up)
		wait_a_moment(s);
}

/* A socket on this host: no addresses, no TLS. */
static void
socket_begin(struct remote_search *s, const char *path, int fd)
{
	struct remote_candidate local = {.host = s->route.list.hosts[0], .policy = {.need = TLS_NEED_PLAIN}};

	if (!attempt_begin(s, &local, path, fd))
		go_on(s, false);
}

static void
dialled(struct connector_query *dial, int fd, const char *reason)
{
	struct remote_search *s = container_of(dial, struct remote_search, dial);
	char words[JOB_REPLY_MAX];

	if (fd >= 0) {
		socket_begin(s, NULL, fd);
		return;
	}
	s->tried++;
	(void)snprintf(words, sizeof words, "connect to %.*s: %s", STR_FMT(s->route.list.hosts[0]), reason);
	log_info("%.*s: %s", STR_FMT(s->quest.queue_id), words);
	remember(s, JOB_DEFERRED, STR("4.4.1"), str_from(words), "none", "");
	s->failed(s);
}

static void
hosts_begin(struct remote_search *s)
{
	struct remote_context *context = s->quest.context;
	const struct next_hop *next_hop = s->quest.next_hop;

	s->host = 0;
	switch (next_hop->kind) {
	case NEXT_HOP_SOCKET:
		socket_begin(s, daemon_socket_path(context->conf, next_hop->name.p), -1);
		return;
	case NEXT_HOP_PATH:
		connector_ask(&context->connector, &s->dial, (size_t)(s->quest.route - context->conf->routes), dialled);
		return;
	case NEXT_HOP_DOMAIN:
	case NEXT_HOP_HOST:
	case NEXT_HOP_ADDRESS:
		break;
	}
	look_up(s);
	if (!s->looking_up)
		go_on(s, false);
}

static void
route_found(struct remote_route *route)
{
	struct remote_search *s = container_of(route, struct remote_search, route);

	if (route->status == JOB_DELIVERED) {
		hosts_begin(s);
		return;
	}
	remember(s, route->status, route->code, route->reason, "none", "");
	s->failed(s);
}

bool
remote_search_asks_domain(const struct remote_search *s)
{
	enum conf_route_tls configured = configured_tls(s);

	return tls_policy_wants_sts(configured, s->quest.must_keep_tls) || tls_policy_wants_dane(configured);
}

static void
begin(struct loop_timer *timer)
{
	struct remote_search *s = container_of(timer, struct remote_search, timer);
	struct remote_quest *quest = &s->quest;
	struct remote_sources sources = *quest->sources;

	if (!remote_search_asks_domain(s))
		sources.sts = NULL;
	if (s->failure != JOB_DELIVERED)
		s->failed(s);
	else if (remote_route_start(&s->route, &sources, quest->next_hop, quest->arena, route_found))
		route_found(&s->route);
}

void
remote_search_start(struct remote_search *s, const struct remote_quest *quest)
{
	s->quest = *quest;
	s->owner = (struct remote_owner){.connected = connected, .opened = opened};
	s->host = s->address = s->nagain = s->nattempts = 0;
	s->addresses.n = 0;
	s->looking_up = s->has_winner = false;
	s->tried = 0;
	loop_timer_set(quest->context->loop, &s->timer, 0, begin);
}

void
remote_search_stop(struct remote_search *s)
{
	loop_timer_cancel(&s->timer);
	remote_route_stop(&s->route);
	remote_addresses_stop(&s->addresses);
	remote_dane_stop(&s->dane);
	connector_cancel(&s->dial);
	while (s->nattempts > 0)
		remote_connection_release(s->attempts[--s->nattempts].connection);
}
