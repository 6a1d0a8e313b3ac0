#include "common/login/sasl_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/base64.h"
#include "common/base/log.h"
#include "common/login/authd_link.h"

#define OUT_MAX 65536
#define IN_MAX 16384
#define COOKIE_MAX 128
#define MECHANISMS_MAX 255
#define ANSWER_TIMEOUT_MS 60000
#define RECONNECT_MS 1000
#define SETS_MAX 32 /* lists that the server has offered, of which each is kept: connections hold on to them */
#define VERSION_MAJOR 1
#define VERSION_LINE "VERSION\t1\t2\n"

LIST_HEAD(requests, sasl_request);

/* One list of mechanisms as the server has sent it, and what becomes of it for each kind of peer. */
struct sasl_set {
	SLIST_ENTRY(sasl_set) link;
	char *offered; /* "1 PLAIN\n": for whom, and which */
	char lists[SASL_OFFERS][MECHANISMS_MAX + 1];
};

struct sasl_client {
	struct loop *loop;
	struct authd_link link;
	struct requests requests;
	uint32_t last_id;
	struct buf scratch; /* the unescaped words of the answer that is handed out */
	char cookie[COOKIE_MAX + 1];
	SLIST_HEAD(, sasl_set) sets;
	size_t nsets;
	const struct sasl_set *set; /* the one in force */
	struct buf offered; /* of a list under way */
	struct loop_timer reconnect;
};

static bool line_handle(struct authd_link *link, struct str line);
static void link_lost(struct authd_link *link);
static void request_expired(struct loop_timer *timer);
static void reconnect_expired(struct loop_timer *timer);

/* --- mechanisms ---------------------------------------------------------------------------------------------------- */

/* For whom a mechanism is; 0: for nobody here. */
static unsigned
offer_of(struct str name, struct str properties)
{
	bool plain = str_equal(name, STR("OAUTHBEARER")) || str_equal(name, STR("XOAUTH2")), private = false, bound = false;
	struct str word;

	while (str_token(&properties, '\t', &word)) {
		plain = plain || str_equal(word, STR("plaintext"));
		private = private || str_equal(word, STR("private"));
		bound = bound || str_equal(word, STR("channel-binding"));
	}
	if (str_equal(name, STR("EXTERNAL")))
		return SASL_OFFER_CERTIFICATE;
	if (bound)
		return SASL_OFFER_BINDING;
	if (private)
		return 0;
	if (plain)
		return SASL_OFFER_PLAIN;
	return str_starts(name, STR("SCRAM-")) ? SASL_OFFER_SCRAM : 0;
}

static void
set_fill(struct sasl_set *set)
{
	struct str rest = str_from(set->offered), line;

	while (str_token(&rest, '\n', &line)) {
		for (unsigned offers = 0; line.n > 2 && offers < SASL_OFFERS; offers++) {
			char *list = set->lists[offers];
			size_t n = strlen(list);

			if (offers & (unsigned)(line.p[0] - '0'))
				(void)snprintf(list + n, sizeof set->lists[offers] - n, "%s%.*s", n > 0 ? " " : "",
				    STR_FMT(str_skip(line, 2)));
		}
	}
}

/* A server that changes its mind without end does not fill our memory: then the latest list that was kept holds. */
static void
set_use(struct sasl_client *client, struct str offered)
{
	struct sasl_set *set;

	SLIST_FOREACH(set, &client->sets, link)
		if (str_equal(str_from(set->offered), offered)) {
			client->set = set;
			return;
		}
	if (client->nsets == SETS_MAX)
		return;
	set = calloc(1, sizeof *set);
	if (set == NULL)
		fatal("out of memory for the SASL client");
	set->offered = str_dup(offered);
	set_fill(set);
	SLIST_INSERT_HEAD(&client->sets, set, link);
	client->nsets++;
	client->set = set;
}

/* --- the client ---------------------------------------------------------------------------------------------------- */

struct sasl_client *
sasl_client_new(struct loop *loop, const char *path)
{
	struct sasl_client *client = calloc(1, sizeof *client);

	if (client == NULL)
		fatal("out of memory for the SASL client");
	client->loop = loop;
	client->link = (struct authd_link){.line = line_handle, .lost = link_lost};
	authd_link_init(&client->link, loop, path, IN_MAX, OUT_MAX);
	LIST_INIT(&client->requests);
	buf_init(&client->scratch, IN_MAX);
	buf_init(&client->offered, MECHANISMS_MAX);
	SLIST_INIT(&client->sets);
	set_use(client, STR("1 PLAIN\n1 LOGIN\n"));
	loop_timer_set(loop, &client->reconnect, 0, reconnect_expired);
	return client;
}

static void
request_end(struct sasl_request *request)
{
	LIST_REMOVE(request, link);
	loop_timer_cancel(&request->timer);
	request->client = NULL;
}

void
sasl_client_free(struct sasl_client *client)
{
	struct sasl_request *request;
	struct sasl_set *set;

	if (client == NULL)
		return;
	loop_timer_cancel(&client->reconnect);
	while ((set = SLIST_FIRST(&client->sets)) != NULL) {
		SLIST_REMOVE_HEAD(&client->sets, link);
		free(set->offered);
		free(set);
	}
	while ((request = LIST_FIRST(&client->requests)) != NULL)
		request_end(request);
	authd_link_clear(&client->link);
	buf_clear(&client->scratch);
	buf_clear(&client->offered);
	free(client);
}

struct str
sasl_client_mechanisms(const struct sasl_client *client, unsigned offers)
{
	return str_from(client->set->lists[offers % SASL_OFFERS]);
}

struct str
sasl_client_cookie(const struct sasl_client *client)
{
	return str_from(client->cookie);
}

static bool
client_connect(struct sasl_client *client)
{
	struct err err;

	if (authd_link_open(&client->link, VERSION_LINE, &err)) {
		loop_timer_cancel(&client->reconnect);
		return true;
	}
	/* Somebody waits for it only if there is a request; otherwise it may simply not have been started yet. */
	if (!LIST_EMPTY(&client->requests))
		log_warning("%s", err.text);
	loop_timer_set(client->loop, &client->reconnect, RECONNECT_MS, reconnect_expired);
	return false;
}

static void
reconnect_expired(struct loop_timer *timer)
{
	struct sasl_client *client = container_of(timer, struct sasl_client, reconnect);

	if (!client_connect(client) || authd_link_flush(&client->link))
		return;
	authd_link_close(&client->link);
	link_lost(&client->link);
}

/* To be answered with TEMP from the loop. */
static void
request_fail_soon(struct sasl_request *request)
{
	request->failed = true;
	loop_timer_set(request->client->loop, &request->timer, 0, request_expired);
}

static void
request_answer(struct sasl_request *request, const struct sasl_answer *answer)
{
	if (answer->result != SASL_CONTINUE)
		request_end(request);
	request->answered(request, answer);
}

static void
request_expired(struct loop_timer *timer)
{
	struct sasl_request *request = container_of(timer, struct sasl_request, timer);
	struct sasl_answer answer = {.result = SASL_TEMP, .id = request->id, .reason = STR("authd does not answer")};

	if (!request->failed && authd_link_is_open(&request->client->link)) {
		buf_addf(&request->client->link.out, "CANCEL\t%u\n", request->id);
		(void)authd_link_flush(&request->client->link);
	}
	request_answer(request, &answer);
}

/* The connection is gone: what waited on it cannot be told any more. */
static void
link_lost(struct authd_link *link)
{
	struct sasl_client *client = container_of(link, struct sasl_client, link);
	struct sasl_answer answer = {.result = SASL_TEMP, .reason = STR("authd went away")};
	struct requests lost = LIST_HEAD_INITIALIZER(lost);
	struct sasl_request *request;

	client->cookie[0] = '\0';
	loop_timer_set(client->loop, &client->reconnect, RECONNECT_MS, reconnect_expired);
	while ((request = LIST_FIRST(&client->requests)) != NULL) {
		LIST_REMOVE(request, link);
		LIST_INSERT_HEAD(&lost, request, link);
	}
	while ((request = LIST_FIRST(&lost)) != NULL) {
		answer.id = request->id;
		request_answer(request, &answer);
	}
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

/* "=" is how the protocols write an empty initial response. */
static bool
response_read(struct str *response)
{
	if (str_equal(*response, STR("=")))
		*response = STR("");
	return response->n <= SASL_LINE_MAX && base64_is_good(*response);
}

static void
parameter_add(struct buf *out, const char *key, struct str value)
{
	if (value.n == 0)
		return;
	buf_addf(out, "\t%s=", key);
	sasl_escape(out, value);
}

static void
bindings_add(struct buf *out, const struct sasl_peer *peer)
{
	for (size_t i = 0; i < peer->nbindings; i++) {
		buf_addf(out, "\tchannel_binding=%s:", peer->bindings[i].type);
		base64_encode(out, (struct str){(const char *)peer->bindings[i].bytes, peer->bindings[i].n});
	}
}

static void
auth_line_add(struct buf *out, uint32_t id, const struct sasl_peer *peer, struct str mechanism,
    const struct str *response)
{
	buf_addf(out, "AUTH\t%u\t", id);
	for (size_t i = 0; i < mechanism.n; i++)
		buf_addc(out, ascii_upper(mechanism.p[i]));
	parameter_add(out, "service", peer->service);
	if (peer->secured)
		buf_adds(out, "\tsecured=tls");
	parameter_add(out, "lip", peer->local);
	parameter_add(out, "rip", peer->remote);
	if (peer->certificate.n > 0)
		buf_adds(out, "\tvalid-client-cert");
	parameter_add(out, "cert_username", peer->certificate);
	bindings_add(out, peer);
	if (response != NULL) {
		buf_adds(out, "\tresp=");
		buf_add(out, *response);
	}
	buf_addc(out, '\n');
}

/* Sends what was added to the output, as one line or not at all; the answer's time begins now. */
static void
request_send(struct sasl_request *request, size_t before)
{
	struct sasl_client *client = request->client;

	if (!buf_ok(&client->link.out)) {
		buf_truncate(&client->link.out, before);
		client->link.out.failed = false;
		request_fail_soon(request);
	} else {
		loop_timer_set(client->loop, &request->timer, ANSWER_TIMEOUT_MS, request_expired);
		if (!authd_link_flush(&client->link))
			request_fail_soon(request);
	}
}

bool
sasl_start(struct sasl_client *client, struct sasl_request *request, const struct sasl_peer *peer,
    struct str mechanism, const struct str *initial,
    void (*answered)(struct sasl_request *, const struct sasl_answer *))
{
	struct str response = initial == NULL ? STR_NONE : *initial;
	size_t before;

	if (!sasl_mechanism_is_good(mechanism) || !response_read(&response))
		return false;
	memset(request, 0, sizeof *request);
	request->answered = answered;
	request->client = client;
	request->id = ++client->last_id;
	LIST_INSERT_HEAD(&client->requests, request, link);
	if (!client_connect(client)) {
		request_fail_soon(request);
		return true;
	}
	before = client->link.out.n;
	auth_line_add(&client->link.out, request->id, peer, mechanism, initial == NULL ? NULL : &response);
	request_send(request, before);
	return true;
}

bool
sasl_continue(struct sasl_request *request, struct str response)
{
	struct sasl_client *client = request->client;
	size_t before = client->link.out.n;

	if (!response_read(&response))
		return false;
	buf_addf(&client->link.out, "CONT\t%u\t", request->id);
	buf_add(&client->link.out, response);
	buf_addc(&client->link.out, '\n');
	request_send(request, before);
	return true;
}

void
sasl_cancel(struct sasl_request *request)
{
	struct sasl_client *client = request->client;

	if (client == NULL)
		return;
	if (!request->failed && authd_link_is_open(&client->link)) {
		buf_addf(&client->link.out, "CANCEL\t%u\n", request->id);
		(void)authd_link_flush(&client->link);
	}
	request_end(request);
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

/* The unescaped form of an answer's word, in the scratch buffer; empty when it is malformed. The buffer was given its
 * whole size before the first, so earlier ones stay where they are. */
static struct str
unescaped(struct sasl_client *client, struct str word)
{
	size_t before = client->scratch.n;

	if (sasl_unescape(&client->scratch, word))
		return str_skip(buf_str(&client->scratch), before);
	buf_truncate(&client->scratch, before);
	return STR("");
}

static void
answer_parameters(struct sasl_client *client, struct str rest, struct sasl_answer *answer)
{
	struct str word, key, value;

	while (str_token(&rest, '\t', &word)) {
		sasl_parameter(word, &key, &value);
		if (str_equal(key, STR("user")))
			answer->user = unescaped(client, value);
		else if (str_equal(key, STR("reason")))
			answer->reason = unescaped(client, value);
		else if (answer->result == SASL_FAIL &&
			 (str_equal(key, STR("temp")) || str_equal(word, STR("code=temp_fail"))))
			answer->result = SASL_TEMP;
		else if (answer->result == SASL_OK && (str_equal(key, STR("nologin")) || str_equal(key, STR("proxy"))))
			answer->result = SASL_FAIL; /* Dovecot: the password is right, but this is not the place to log in */
	}
}

static struct sasl_request *
request_by_id(struct sasl_client *client, uint64_t id)
{
	struct sasl_request *request;

	LIST_FOREACH(request, &client->requests, link)
		if (request->id == id && !request->failed)
			return request;
	return NULL;
}

/* OK, FAIL, CONT. Answers to what was cancelled meanwhile are nobody's. */
static bool
answer_handle(struct sasl_client *client, enum sasl_result result, struct str rest)
{
	struct sasl_answer answer = {.result = result};
	struct sasl_request *request;
	struct str word;
	uint64_t id;

	if (!str_token(&rest, '\t', &word) || !str_to_u64(word, SASL_ID_MAX, &id))
		return false;
	request = request_by_id(client, id);
	if (request == NULL)
		return true;
	answer.id = request->id;
	buf_reset(&client->scratch);
	if (buf_reserve(&client->scratch, IN_MAX) == NULL)
		return false;
	if (result == SASL_CONTINUE) {
		answer.challenge = str_token(&rest, '\t', &word) ? word : STR("");
		if (!base64_is_good(answer.challenge))
			return false;
		/* The peer takes its time now; whoever talks to it holds the watch. */
		loop_timer_cancel(&request->timer);
	} else
		answer_parameters(client, rest, &answer);
	if (answer.result == SASL_OK && answer.user.n == 0)
		return false;
	request_answer(request, &answer);
	return true;
}

static bool
version_handle(struct str rest)
{
	struct str major;
	uint64_t value;

	return str_token(&rest, '\t', &major) && str_to_u64(major, VERSION_MAJOR, &value) && value == VERSION_MAJOR;
}

/* MECH name parameters... */
static bool
mech_handle(struct sasl_client *client, struct str rest)
{
	struct str name;
	unsigned offer;

	if (!str_token(&rest, '\t', &name) || !sasl_mechanism_is_good(name))
		return false;
	offer = offer_of(name, rest);
	if (offer != 0)
		buf_addf(&client->offered, "%u %.*s\n", offer, STR_FMT(name));
	return true;
}

/* The end of a list: of the handshake, or of one that came later. */
static bool
done_handle(struct sasl_client *client)
{
	if (buf_ok(&client->offered) && client->offered.n > 0)
		set_use(client, buf_str(&client->offered));
	buf_reset(&client->offered);
	return true;
}

/* One line of the server. False when it cannot be meant for us. */
static bool
line_handle(struct authd_link *link, struct str line)
{
	struct sasl_client *client = container_of(link, struct sasl_client, link);
	struct str rest = line, word;

	(void)str_token(&rest, '\t', &word);
	if (str_equal(word, STR("OK")))
		return answer_handle(client, SASL_OK, rest);
	if (str_equal(word, STR("FAIL")))
		return answer_handle(client, SASL_FAIL, rest);
	if (str_equal(word, STR("CONT")))
		return answer_handle(client, SASL_CONTINUE, rest);
	if (str_equal(word, STR("VERSION")))
		return version_handle(rest);
	if (str_equal(word, STR("MECH")))
		return mech_handle(client, rest);
	if (str_equal(word, STR("COOKIE")))
		return str_copy(client->cookie, sizeof client->cookie, rest);
	if (str_equal(word, STR("DONE")))
		return done_handle(client);
	return true; /* SPID, CUID, and what later versions add */
}
