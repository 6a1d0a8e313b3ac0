#include "smtpd/guard_core.h"

#include "common/conf/conf.h"

void
guard_rules_set(struct guard_rules *rules, const struct conf *conf)
{
	const struct conf_smtpd *c = &conf->smtpd;

	*rules = (struct guard_rules){
	    .limits = {
	        [GUARD_ADDRESS] = {c->clients_per_address, {[GUARD_CONNECTS] = c->connects_per_minute,
	            [GUARD_MESSAGES] = c->address_messages_per_hour, [GUARD_RECIPIENTS] = c->address_recipients_per_hour}},
	        [GUARD_NETWORK] = {c->clients_per_network, {[GUARD_CONNECTS] = c->network_connects_per_minute,
	            [GUARD_MESSAGES] = c->network_messages_per_hour, [GUARD_RECIPIENTS] = c->network_recipients_per_hour}},
	        [GUARD_LOGIN] = {c->clients_per_login, {[GUARD_MESSAGES] = c->login_messages_per_hour,
	            [GUARD_RECIPIENTS] = c->login_recipients_per_hour}},
	        [GUARD_SENDER] = {0, {[GUARD_MESSAGES] = c->sender_messages_per_hour,
	            [GUARD_RECIPIENTS] = c->sender_recipients_per_hour}},
	    },
	    .client_memory_ms = c->client_memory_s * 1000,
	    .refuse = (int64_t)c->dns_lists_refuse,
	    .welcome = -(int64_t)c->dns_lists_welcome,
	    .grey = {.delay_ms = c->greylist_delay_s * 1000, .window_ms = c->greylist_window_s * 1000,
	        .lifetime_ms = c->greylist_lifetime_s * 1000, .allow_after = c->greylist_allow_after},
	};
}

void
guard_core_init(struct guard_core *core, const struct guard_rules *rules, struct guard_memory *memory)
{
	core->rules = *rules;
	core->memory = memory;
	guard_live_init(&core->live);
}

static struct guard_key
key_of(const struct guard_core *core, const struct guard_client *client, enum guard_kind kind)
{
	struct str address = {(const char *)client->address, client->address_n};

	return guard_key_address(&core->memory->key, kind, address);
}

/* Whose limit it is stands in *j already. */
static void
refuse(struct guard_core *core, const struct guard_client *client, struct guard_judgement *j, enum guard_verdict verdict,
    uint64_t now_ms)
{
	struct guard_key key = key_of(core, client, GUARD_ADDRESS);

	j->verdict = verdict;
	if (!client->exempt)
		guard_rates_add(&core->memory->rates, &key, GUARD_REFUSALS, 1, now_ms);
}

/* ---- connections -------------------------------------------------------------------------------------------------------- */

static void
live_remove(struct guard_core *core, struct guard_client *client)
{
	for (unsigned kind = 0; kind <= GUARD_LOGIN; kind++) {
		guard_live_remove(&core->live, client->live[kind]);
		client->live[kind] = NULL;
	}
}

static bool
live_add(struct guard_core *core, struct guard_client *client, enum guard_kind kind, uint64_t max)
{
	struct guard_key key = key_of(core, client, kind);

	client->live[kind] = guard_live_add(&core->live, &key, max);
	return client->live[kind] != NULL;
}

static bool
is_too_fast(const struct guard_core *core, const struct guard_client *client, uint64_t now_ms, struct guard_judgement *j)
{
	for (j->kind = GUARD_ADDRESS; j->kind <= GUARD_NETWORK; j->kind++) {
		struct guard_key key = key_of(core, client, j->kind);
		uint64_t max = core->rules.limits[j->kind].rates[GUARD_CONNECTS];

		if (guard_rates_left(&core->memory->rates, &key, GUARD_CONNECTS, max, now_ms, &j->until_ms) == 0)
			return true;
	}
	return false;
}

void
guard_core_connect(struct guard_core *core, struct guard_client *client, uint64_t now_ms, struct guard_judgement *j)
{
	*j = (struct guard_judgement){.verdict = GUARD_GO};
	if (client->exempt)
		return;
	if (is_too_fast(core, client, now_ms, j)) {
		refuse(core, client, j, GUARD_TOO_FAST, now_ms);
		return;
	}
	for (j->kind = GUARD_ADDRESS; j->kind <= GUARD_NETWORK; j->kind++) {
		if (!live_add(core, client, j->kind, core->rules.limits[j->kind].connections)) {
			live_remove(core, client);
			refuse(core, client, j, GUARD_TOO_MANY, now_ms);
			return;
		}
	}
	j->kind = GUARD_ADDRESS;
	for (enum guard_kind kind = GUARD_ADDRESS; kind <= GUARD_NETWORK; kind++) {
		struct guard_key key = key_of(core, client, kind);

		guard_rates_add(&core->memory->rates, &key, GUARD_CONNECTS, 1, now_ms);
	}
}

void
guard_core_connected(struct guard_core *core, struct guard_client *client)
{
	if (client->exempt)
		return;
	(void)live_add(core, client, GUARD_ADDRESS, 0);
	(void)live_add(core, client, GUARD_NETWORK, 0);
}

void
guard_core_listed(struct guard_core *core, const struct guard_client *client, int64_t score, uint64_t now_ms,
    struct guard_judgement *j)
{
	if (score >= core->rules.refuse && j->verdict == GUARD_GO)
		refuse(core, client, j, GUARD_LISTED, now_ms);
}

bool
guard_core_is_known(const struct guard_core *core, const struct guard_client *client, uint64_t now_ms)
{
	struct guard_key key = key_of(core, client, GUARD_ADDRESS);
	struct guard_slot *slot = guard_table_find(&core->memory->passed, key.hash);

	if (slot == NULL || slot->used_ms > now_ms || now_ms - slot->used_ms > core->rules.client_memory_ms)
		return false;
	slot->used_ms = now_ms;
	return true;
}

void
guard_core_passed(struct guard_core *core, const struct guard_client *client, uint64_t now_ms)
{
	struct guard_key key = key_of(core, client, GUARD_ADDRESS);

	(void)guard_table_make(&core->memory->passed, key.hash, now_ms);
}

uint64_t
guard_core_errors(const struct guard_core *core, const struct guard_client *client, uint64_t now_ms)
{
	struct guard_key key = key_of(core, client, GUARD_ADDRESS);

	return guard_rates_count(&core->memory->rates, &key, GUARD_ERRORS, now_ms);
}

void
guard_core_gone(struct guard_core *core, struct guard_client *client, const struct guard_report *report, uint64_t now_ms)
{
	live_remove(core, client);
	for (enum guard_kind kind = GUARD_ADDRESS; kind <= GUARD_NETWORK && !client->exempt; kind++) {
		struct guard_key key = key_of(core, client, kind);

		guard_rates_add(&core->memory->rates, &key, GUARD_MESSAGES, report->messages, now_ms);
		guard_rates_add(&core->memory->rates, &key, GUARD_RECIPIENTS, report->recipients, now_ms);
		guard_rates_add(&core->memory->rates, &key, GUARD_ERRORS, report->errors, now_ms);
	}
}

/* ---- messages ------------------------------------------------------------------------------------------------------------ */

/* Whose limits hold for this author: at most GUARD_KINDS keys. */
static size_t
keys_of(const struct guard_core *core, const struct guard_client *client, const struct guard_author *author,
    struct guard_key keys[GUARD_KINDS])
{
	size_t n = 0;

	if (author->login.n > 0) {
		keys[0] = guard_key_name(&core->memory->key, GUARD_LOGIN, author->login);
		return 1;
	}
	if (client->exempt)
		return 0;
	keys[n++] = key_of(core, client, GUARD_ADDRESS);
	keys[n++] = key_of(core, client, GUARD_NETWORK);
	/* The null sender is everybody's. */
	if (author->sender.n > 0 && core->rules.limits[GUARD_SENDER].rates[GUARD_MESSAGES] +
	        core->rules.limits[GUARD_SENDER].rates[GUARD_RECIPIENTS] > 0)
		keys[n++] = guard_key_name(&core->memory->key, GUARD_SENDER, author->sender);
	return n;
}

/* The least that any of the limits leaves. */
static uint64_t
left_of(const struct guard_core *core, const struct guard_key *keys, size_t n, enum guard_rate rate, uint64_t now_ms,
    struct guard_judgement *j)
{
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < n; i++) {
		uint64_t max = core->rules.limits[keys[i].kind].rates[rate];
		uint64_t left = guard_rates_left(&core->memory->rates, &keys[i], rate, max, now_ms, &j->until_ms);

		if (left < least) {
			least = left;
			j->kind = keys[i].kind;
		}
	}
	return least;
}

static void
count_for(struct guard_core *core, const struct guard_key *keys, size_t n, enum guard_rate rate, uint64_t count,
    uint64_t now_ms)
{
	for (size_t i = 0; i < n; i++)
		guard_rates_add(&core->memory->rates, &keys[i], rate, count, now_ms);
}

static bool
grant(struct guard_core *core, const struct guard_client *client, const struct guard_key *keys, size_t n, uint64_t now_ms,
    struct guard_judgement *j)
{
	uint64_t left = left_of(core, keys, n, GUARD_RECIPIENTS, now_ms, j);

	if (left == 0) {
		refuse(core, client, j, GUARD_TOO_MANY_RECIPIENTS, now_ms);
		return false;
	}
	j->granted = left < GUARD_GRANT ? left : GUARD_GRANT;
	count_for(core, keys, n, GUARD_RECIPIENTS, j->granted, now_ms);
	return true;
}

static bool
login_is_connected(struct guard_core *core, struct guard_client *client, const struct guard_key *key)
{
	struct guard_live_subject *subject = client->live[GUARD_LOGIN];

	if (subject != NULL && subject->key.hash == key->hash)
		return true;
	guard_live_remove(&core->live, subject);
	client->live[GUARD_LOGIN] = guard_live_add(&core->live, key, core->rules.limits[GUARD_LOGIN].connections);
	return client->live[GUARD_LOGIN] != NULL;
}

void
guard_core_message(struct guard_core *core, struct guard_client *client, const struct guard_author *author,
    uint64_t now_ms, struct guard_judgement *j)
{
	struct guard_key keys[GUARD_KINDS];
	size_t n = keys_of(core, client, author, keys);

	*j = (struct guard_judgement){.verdict = GUARD_GO};
	if (author->login.n > 0 && !login_is_connected(core, client, &keys[0])) {
		j->kind = GUARD_LOGIN;
		refuse(core, client, j, GUARD_TOO_MANY, now_ms);
		return;
	}
	if (left_of(core, keys, n, GUARD_MESSAGES, now_ms, j) == 0) {
		refuse(core, client, j, GUARD_TOO_MANY_MESSAGES, now_ms);
		return;
	}
	if (grant(core, client, keys, n, now_ms, j))
		count_for(core, keys, n, GUARD_MESSAGES, 1, now_ms);
}

void
guard_core_recipients(struct guard_core *core, const struct guard_client *client, const struct guard_author *author,
    uint64_t now_ms, struct guard_judgement *j)
{
	struct guard_key keys[GUARD_KINDS];
	size_t n = keys_of(core, client, author, keys);

	*j = (struct guard_judgement){.verdict = GUARD_GO};
	(void)grant(core, client, keys, n, now_ms, j);
}

void
guard_core_return(struct guard_core *core, const struct guard_client *client, const struct guard_author *author,
    uint64_t n, uint64_t now_ms)
{
	struct guard_key keys[GUARD_KINDS];
	size_t nkeys = keys_of(core, client, author, keys);

	for (size_t i = 0; i < nkeys; i++)
		guard_rates_return(&core->memory->rates, &keys[i], GUARD_RECIPIENTS, n, now_ms);
}

void
guard_core_grey(struct guard_core *core, const struct guard_triplet *triplet, uint64_t now_ms, struct guard_judgement *j)
{
	const struct guard_grey grey = {&core->rules.grey, &core->memory->grey, &core->memory->key};

	*j = (struct guard_judgement){.verdict = GUARD_GO};
	if (!guard_grey_ask(&grey, triplet, now_ms, &j->until_ms))
		j->verdict = GUARD_GREY;
}
