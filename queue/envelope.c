#include "queue/envelope_inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLY_MAX 1024
#define TEXT_MAX 400
/* Of how many recipients the memory is kept for the next message. */
#define RECIPIENTS_KEPT 64

void
envelope_init(struct envelope *e, size_t max_bytes, size_t max_recipients, const struct siphash_key *key)
{
	*e = (struct envelope){.max_recipients = max_recipients, .key = key};
	arena_init(&e->arena, max_bytes);
}

void
envelope_clear(struct envelope *e)
{
	arena_clear(&e->arena);
	free(e->recipients);
	free(e->known);
	e->recipients = NULL;
	e->known = NULL;
	e->nrecipients = e->cap = 0;
}

bool
envelope_keep(struct envelope *e, struct str *field, struct str value)
{
	*field = arena_copy(&e->arena, value);
	return field->p != NULL;
}

void
envelope_reset(struct envelope *e)
{
	struct envelope fresh = {.max_recipients = e->max_recipients, .key = e->key};

	if (e->cap > RECIPIENTS_KEPT) {
		free(e->recipients);
	} else {
		fresh.recipients = e->recipients;
		fresh.cap = e->cap;
	}
	free(e->known);
	arena_reset(&e->arena);
	fresh.arena = e->arena;
	*e = fresh;
}

/* ---- recipients ------------------------------------------------------------------------------------------------ */

struct recipient *
envelope_recipient_add(struct envelope *e, struct str address)
{
	struct recipient *r;

	if (e->nrecipients == e->cap) {
		size_t cap = e->cap == 0 ? 1 : e->cap * 2; /* most messages have one */

		if (e->nrecipients >= e->max_recipients)
			return NULL;
		r = reallocarray(e->recipients, cap, sizeof *r);
		if (r == NULL)
			return NULL;
		e->recipients = r;
		e->cap = cap;
	}
	r = &e->recipients[e->nrecipients];
	*r = (struct recipient){.parent = ENVELOPE_NO_PARENT, .state = QUEUE_WAITING, .settled = QUEUE_WAITING};
	r->address = arena_copy(&e->arena, address);
	if (r->address.p == NULL)
		return NULL;
	e->nrecipients++;
	return r;
}

bool
envelope_address_is_sound(struct str s)
{
	if (s.n > ENVELOPE_ADDRESS_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 32 || s.p[i] == 127)
			return false;
	return true;
}

struct str
envelope_return_path(const struct envelope *e, const struct recipient *r)
{
	return r->return_path.p != NULL ? r->return_path : e->sender;
}

size_t
envelope_waiting(const struct envelope *e)
{
	size_t n = 0;

	for (size_t i = 0; i < e->nrecipients; i++)
		n += e->recipients[i].state == QUEUE_WAITING;
	return n;
}

bool
envelope_wants(const struct recipient *r, struct str word)
{
	struct str rest = r->notify, token;

	if (rest.p == NULL)
		return str_equal(word, STR("FAILURE")) || str_equal(word, STR("DELAY"));
	while (str_token(&rest, ',', &token))
		if (str_equal_nocase(token, word))
			return true;
	return false;
}

bool
envelope_is_relayed(const struct recipient *r)
{
	return str_find(r->relay, '[') < r->relay.n;
}

bool
envelope_wants_success(const struct envelope *e, const struct recipient *r)
{
	if (envelope_return_path(e, r).n == 0)
		return false;
	if (r->state == QUEUE_EXPANDED_STATE)
		return r->nchildren > 1 && envelope_wants(r, STR("SUCCESS"));
	if (r->state != QUEUE_DELIVERED)
		return false;
	return envelope_wants(r, STR("SUCCESS")) ||
	    (e->by.trace && envelope_is_relayed(r) && !envelope_wants(r, STR("NEVER")));
}

bool
envelope_must_tell(const struct envelope *e, const struct recipient *r)
{
	return !r->told && (r->state == QUEUE_FAILED || envelope_wants_success(e, r));
}

/* ---- what happens to it ---------------------------------------------------------------------------------------- */

bool
envelope_attempt(struct envelope *e, size_t index, const struct queue_attempt *attempt)
{
	struct recipient *r = &e->recipients[index];

	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): whoever has an index has recipients */
	r->state = attempt->outcome;
	r->recorded = false;
	r->told = false;
	r->tried_ms = attempt->time_ms;
	/* A site says the same each time: then nothing grows. */
	if (!str_equal(r->code, attempt->code) || r->code.p == NULL)
		r->code = arena_copy(&e->arena, str_sub(attempt->code, 0, TEXT_MAX));
	if (!str_equal(r->relay, attempt->relay) || r->relay.p == NULL)
		r->relay = arena_copy(&e->arena, str_sub(attempt->relay, 0, TEXT_MAX));
	if (!str_equal(r->security, attempt->security))
		r->security = arena_copy(&e->arena, str_sub(attempt->security, 0, TEXT_MAX));
	if (!str_equal(r->reply, attempt->reply) || r->reply.p == NULL)
		r->reply = arena_copy(&e->arena, str_sub(attempt->reply, 0, REPLY_MAX));
	return r->code.p != NULL && r->relay.p != NULL && r->reply.p != NULL;
}

bool
envelope_is_literal(const struct envelope *e, size_t index)
{
	struct str address = e->recipients[index].address;
	uint32_t parent = e->recipients[index].parent;

	while (parent != ENVELOPE_NO_PARENT) {
		if (str_equal_nocase(e->recipients[parent].address, address))
			return true;
		parent = e->recipients[parent].parent;
	}
	return false;
}

static size_t
depth(const struct envelope *e, size_t index)
{
	size_t n = 0;

	for (uint32_t at = e->recipients[index].parent; at != ENVELOPE_NO_PARENT; at = e->recipients[at].parent)
		n++;
	return n;
}

/* ---- which addresses it has ------------------------------------------------------------------------------------ */

/* Addresses that differ only in case are one. */
static uint64_t
address_hash(const struct envelope *e, struct str s)
{
	char lower[ENVELOPE_ADDRESS_MAX];
	size_t n = s.n < sizeof lower ? s.n : sizeof lower;

	for (size_t i = 0; i < n; i++)
		lower[i] = ascii_lower(s.p[i]);
	return siphash(e->key, (struct str){lower, n});
}

/* The slot of the address, or the free one where it would go. */
static uint32_t *
known_slot(const struct envelope *e, struct str address)
{
	size_t at = address_hash(e, address) & (e->known_slots - 1);

	while (e->known[at] != 0 && !str_equal_nocase(e->recipients[e->known[at] - 1].address, address))
		at = (at + 1) & (e->known_slots - 1);
	return &e->known[at];
}

static void
known_add(struct envelope *e, size_t index)
{
	uint32_t *slot = known_slot(e, e->recipients[index].address);

	if (*slot != 0)
		return;
	*slot = (uint32_t)index + 1;
	e->known_n++;
}

static void
known_forget(struct envelope *e)
{
	free(e->known);
	e->known = NULL;
	e->known_slots = e->known_n = 0;
}

/* Makes room for `more` further addresses, at most two thirds full. */
static bool
known_reserve(struct envelope *e, size_t more)
{
	size_t slots = 64;
	uint32_t *table;

	if (e->known != NULL && e->known_slots / 3 * 2 >= e->known_n + more)
		return true;
	while (slots / 3 * 2 < e->nrecipients + more)
		slots *= 2;
	table = calloc(slots, sizeof *table);
	if (table == NULL)
		return false;
	known_forget(e);
	e->known = table;
	e->known_slots = slots;
	for (size_t i = 0; i < e->nrecipients; i++)
		known_add(e, i);
	return true;
}

/*
 * Should `address` become a child of `index`? Not when the message has it already; but an alias that names itself, or
 * one that it came from, means the mailbox of that name: once.
 */
static bool
is_new(const struct envelope *e, size_t index, struct str address)
{
	bool is_ancestor = false;

	if (*known_slot(e, address) == 0)
		return true;
	for (size_t at = index;; at = e->recipients[at].parent) {
		is_ancestor = is_ancestor || str_equal_nocase(e->recipients[at].address, address);
		if (e->recipients[at].parent == ENVELOPE_NO_PARENT)
			break;
	}
	if (!is_ancestor)
		return false;
	for (size_t i = 0; i < e->nrecipients; i++)
		if (str_equal_nocase(e->recipients[i].address, address) && envelope_is_literal(e, i))
			return false;
	return true;
}

static bool
child_add(struct envelope *e, size_t index, struct str address, struct str return_path)
{
	struct recipient *child = envelope_recipient_add(e, address);
	struct recipient *parent = &e->recipients[index];

	if (child == NULL)
		return false;
	child->parent = (uint32_t)index;
	child->recorded = true;
	child->original = parent->original.p != NULL ? parent->original : parent->address;
	child->return_path = parent->return_path;
	/* For a list this is the end of the way; what its members get has another sender (RFC 3461 5.2.7.4). */
	if (return_path.p != NULL && !envelope_keep(e, &child->return_path, return_path))
		return false;
	if (return_path.p == NULL) {
		child->orcpt = parent->orcpt;
		child->notify = parent->notify;
	}
	known_add(e, e->nrecipients - 1);
	return true;
}

/* The list of words without SUCCESS. */
static struct str
without_success(struct envelope *e, struct str notify)
{
	struct str rest = notify, word, result = STR("NEVER");

	while (str_token(&rest, ',', &word)) {
		if (str_equal_nocase(word, STR("SUCCESS")))
			continue;
		result = str_equal(result, STR("NEVER")) ? word
							 : arena_printf(&e->arena, "%.*s,%.*s", STR_FMT(result), STR_FMT(word));
	}
	return result;
}

/* RFC 3461 5.2.7.3: that an alias of several was expanded is the success; what becomes of each is not told any more. */
static void
expanded_to(struct envelope *e, size_t index, size_t first)
{
	struct str notify = e->recipients[index].notify;

	e->recipients[index].nchildren = (uint32_t)(e->nrecipients - first);
	if (e->recipients[index].nchildren < 2 || notify.p == NULL || !envelope_wants(&e->recipients[index], STR("SUCCESS")))
		return;
	notify = without_success(e, notify);
	for (size_t i = first; i < e->nrecipients; i++)
		if (e->recipients[i].notify.p != NULL)
			e->recipients[i].notify = notify;
}

bool
envelope_expand(struct envelope *e, size_t index, struct str addresses, struct str domain, struct str return_path)
{
	size_t before = e->nrecipients, commas = 0;
	struct str token;

	for (size_t i = 0; i < addresses.n; i++)
		commas += addresses.p[i] == ',';
	if (depth(e, index) >= ENVELOPE_DEPTH_MAX || !known_reserve(e, commas + 1))
		return false;
	while (str_token(&addresses, ',', &token)) {
		struct str address = str_trim(token);
		bool added = true;

		if (address.n == 0 || !envelope_address_is_sound(address))
			continue;
		if (str_find_last(address, '@') == address.n) {
			address = arena_printf(&e->arena, "%.*s@%.*s", STR_FMT(address), STR_FMT(domain));
			added = address.p != NULL;
		}
		if (added && is_new(e, index, address))
			added = child_add(e, index, address, return_path);
		if (!added) {
			e->nrecipients = before;
			known_forget(e);
			return false;
		}
	}
	e->recipients[index].state = QUEUE_EXPANDED_STATE;
	e->recipients[index].recorded = false;
	expanded_to(e, index, before);
	return true;
}

/* ---- the history of the file ----------------------------------------------------------------------------------- */

static void
history_recipient(struct buf *b, const struct recipient *r)
{
	queue_append_recipient(b, r->address);
	if (r->original.p != NULL)
		queue_append_record(b, QUEUE_ORIGINAL, r->original);
	if (r->orcpt.p != NULL)
		queue_append_record(b, QUEUE_ORCPT, r->orcpt);
	if (r->notify.p != NULL)
		queue_append_record(b, QUEUE_NOTIFY, r->notify);
	if (r->return_path.p != NULL)
		queue_append_record(b, QUEUE_RETURN, r->return_path);
}

static void
history_expanded(struct buf *b, size_t parent, size_t count)
{
	char value[64];
	int n = snprintf(value, sizeof value, "%zu %zu", parent, count);

	queue_append_record(b, QUEUE_EXPANDED, (struct str){value, (size_t)n});
}

/* A file of an older version gets no key that its readers do not know. */
static void
history_tls(const struct envelope *e, struct buf *b, size_t index)
{
	struct buf value;

	if (e->recipients[index].security.n == 0 || e->head.version < QUEUE_FILE_VERSION)
		return;
	buf_init(&value, QUEUE_VALUE_MAX);
	queue_tls_format(&value, index, e->recipients[index].security);
	queue_append_record(b, QUEUE_TLS, buf_str(&value));
	buf_clear(&value);
}

static void
history_attempt(struct buf *b, size_t index, const struct recipient *r)
{
	struct queue_attempt attempt = {.time_ms = r->tried_ms, .recipient = index, .outcome = r->state,
	    .code = r->code, .relay = r->relay, .reply = r->reply};
	struct buf value;

	buf_init(&value, QUEUE_VALUE_MAX);
	queue_attempt_format(&value, &attempt);
	queue_append_record(b, QUEUE_ATTEMPT, buf_str(&value));
	buf_clear(&value);
}

/* Children stand in a row behind one another, each family followed by the word that it is whole. */
static void
history_children(struct envelope *e, struct buf *b)
{
	size_t begin = e->written;

	for (size_t i = e->written; i < e->nrecipients; i++) {
		struct recipient *r = &e->recipients[i];

		r->offset = e->end + b->n;
		history_recipient(b, r);
		if (i + 1 < e->nrecipients && e->recipients[i + 1].parent == r->parent)
			continue;
		history_expanded(b, r->parent, i + 1 - begin);
		e->recipients[r->parent].recorded = true;
		begin = i + 1;
	}
}

void
envelope_history(struct envelope *e, struct buf *b)
{
	history_children(e, b);
	for (size_t i = 0; i < e->nrecipients; i++) {
		const struct recipient *r = &e->recipients[i];

		if (r->recorded)
			continue;
		if (r->state == QUEUE_EXPANDED_STATE) {
			history_expanded(b, i, 0);
			continue;
		}
		history_tls(e, b, i);
		history_attempt(b, i, r);
	}
}

void
envelope_written(struct envelope *e, const struct buf *b)
{
	e->end += b->n;
	e->cut = false;
	e->written = e->nrecipients;
	for (size_t i = 0; i < e->nrecipients; i++)
		e->recipients[i].recorded = true;
}

void
envelope_unwritten(struct envelope *e, uint64_t end, size_t written)
{
	e->end = end;
	e->cut = true;
	e->written = written;
	for (size_t i = 0; i < e->nrecipients; i++) {
		struct recipient *r = &e->recipients[i];

		/* An alias is recorded with what it became, if it became anything. */
		if (r->state != r->settled && (r->state != QUEUE_EXPANDED_STATE || r->nchildren == 0))
			r->recorded = false;
	}
}

bool
envelope_is_unrecorded(const struct envelope *e)
{
	for (size_t i = 0; i < e->nrecipients; i++) {
		const struct recipient *r = &e->recipients[i];

		if (!r->recorded && (r->state == QUEUE_DELIVERED || r->state == QUEUE_FAILED))
			return true;
	}
	return false;
}
