#include "queue/envelope_inner.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

/* A record that is read, and the field that it is for: of the envelope, or of the recipient before it. */
struct reading {
	struct envelope *e;
	const struct queue_record *record;
	void *field;
	const char **problem;
};

static bool
damage(const char **problem, const char *text)
{
	*problem = text;
	return false;
}

/* ---- plain values ------------------------------------------------------------------------------------------------ */

/* That it is there says all. */
static bool
read_flag(const struct reading *r)
{
	*(bool *)r->field = true;
	return true;
}

/* Begins with the time. */
static bool
read_time(const struct reading *r)
{
	struct str value = r->record->value;

	return queue_value_number(&value, r->field) || damage(r->problem, "a malformed time");
}

static bool
read_text(const struct reading *r)
{
	return envelope_keep(r->e, r->field, r->record->value);
}

static bool
read_address(const struct reading *r)
{
	if (!envelope_address_is_sound(r->record->value))
		return damage(r->problem, "a sender or return path that is no address");
	return read_text(r);
}

/* ---- the envelope's ---------------------------------------------------------------------------------------------- */

static bool
read_body(const struct reading *r)
{
	r->e->is_8bit = true;
	r->e->is_binary = str_equal(r->record->value, STR("BINARYMIME"));
	return true;
}

static bool
read_envid(const struct reading *r)
{
	r->e->has_envid = true;
	return read_text(r);
}

static bool
read_deliver_by(const struct reading *r)
{
	return queue_deliver_by_parse(r->record->value, r->field) || damage(r->problem, "a malformed time of delivery");
}

static bool
read_priority(const struct reading *r)
{
	r->e->has_priority = true;
	return queue_priority_parse(r->record->value, r->field) || damage(r->problem, "a malformed priority");
}

static bool
read_recipient(const struct reading *r)
{
	struct recipient *recipient;

	if (r->record->value.n == 0 || !envelope_address_is_sound(r->record->value))
		return damage(r->problem, "a recipient that is no address");
	recipient = envelope_recipient_add(r->e, r->record->value);
	if (recipient == NULL)
		return false;
	recipient->offset = r->record->offset;
	recipient->settled = r->record->state;
	r->e->children++;
	return true;
}

/* ---- the closing's and the history's ------------------------------------------------------------------------------ */

/* A filter took it out: as an alias that stands for nobody. */
static bool
read_removed(const struct reading *r)
{
	struct envelope *e = r->e;
	struct str value = r->record->value;
	uint64_t index;

	if (!queue_value_number(&value, &index) || index >= e->nrecipients)
		return damage(r->problem, "the removal of nobody");
	assert(e->recipients != NULL);
	e->recipients[index].state = QUEUE_EXPANDED_STATE;
	e->recipients[index].recorded = true;
	return true;
}

static bool
read_pieces(const struct reading *r)
{
	struct queue_piece pieces[QUEUE_PIECES_MAX];
	struct envelope *e = r->e;
	struct queue_piece *copy;
	size_t n;

	/* The reader has checked them already. */
	if (!queue_pieces_parse(r->record->value, &e->head, pieces, QUEUE_PIECES_MAX, &n))
		return false;
	copy = arena_alloc(&e->arena, n * sizeof *copy);
	if (copy == NULL)
		return false;
	memcpy(copy, pieces, n * sizeof *copy);
	e->pieces = copy;
	e->npieces = n;
	return true;
}

static bool
read_end(const struct reading *r)
{
	r->e->children = 0;
	return true;
}

static bool
read_expanded(const struct reading *r)
{
	struct envelope *e = r->e;
	struct str value = r->record->value;
	uint64_t parent, count;

	if (!queue_value_number(&value, &parent) || !queue_value_number(&value, &count) || count != e->children ||
	    parent >= e->nrecipients - count)
		return damage(r->problem, "an expansion of nobody");
	for (size_t i = e->nrecipients - count; i < e->nrecipients; i++)
		e->recipients[i].parent = (uint32_t)parent;
	e->recipients[parent].state = QUEUE_EXPANDED_STATE;
	e->recipients[parent].recorded = true;
	e->recipients[parent].nchildren = (uint32_t)count;
	e->children = 0;
	return true;
}

static bool
read_attempt(const struct reading *r)
{
	struct queue_attempt attempt;

	if (!queue_attempt_parse(r->record->value, &attempt) || attempt.recipient >= r->e->nrecipients ||
	    attempt.outcome == QUEUE_EXPANDED_STATE)
		return damage(r->problem, "an attempt for nobody");
	if (!envelope_attempt(r->e, attempt.recipient, &attempt))
		return false;
	r->e->recipients[attempt.recipient].recorded = true;
	return true;
}

/* What an attempt that is recorded was sent by is for those who look at the file. */
static bool
read_tls(const struct reading *r)
{
	struct str security;
	uint64_t index;

	return (queue_tls_parse(r->record->value, &index, &security) && index < r->e->nrecipients) ||
	    damage(r->problem, "the TLS of an attempt for nobody");
}

static bool
read_deferred(const struct reading *r)
{
	struct str value = r->record->value;
	uint64_t time_ms;

	if (!queue_value_number(&value, &time_ms) || !queue_value_number(&value, &r->e->deferrals) ||
	    !queue_value_number(&value, &r->e->due_ms))
		return damage(r->problem, "a malformed deferral");
	return true;
}

/* Of what happened nothing is kept. */
static bool
read_past(const struct reading *r)
{
	uint64_t time_ms;
	struct reading time = *r;

	time.field = &time_ms;
	return read_time(&time);
}

/* The time, then the route. */
static bool
read_rerouted(const struct reading *r)
{
	struct str value = r->record->value;

	return read_past(r) && envelope_keep(r->e, r->field, str_skip(value, str_find(value, ' ') + 1));
}

/* ---- all ---------------------------------------------------------------------------------------------------------- */

enum owner {
	NOBODY, /* there is no such record */
	ENVELOPE,
	RECIPIENT, /* the one before it */
};

#define OF_ENVELOPE(field) ENVELOPE, offsetof(struct envelope, field)
#define OF_RECIPIENT(field) RECIPIENT, offsetof(struct recipient, field)

static const struct {
	bool (*read)(const struct reading *reading);
	enum owner owner;
	size_t offset; /* of the field */
} kinds[QUEUE_KEY_COUNT] = {
    [QUEUE_TIME] = {read_time, OF_ENVELOPE(time_ms)},
    [QUEUE_SENDER] = {read_address, OF_ENVELOPE(sender)},
    [QUEUE_CLIENT] = {read_text, OF_ENVELOPE(client)},
    [QUEUE_LOGIN] = {read_text, OF_ENVELOPE(login)},
    [QUEUE_BODY] = {read_body, OF_ENVELOPE(is_8bit)},
    [QUEUE_SMTPUTF8] = {read_flag, OF_ENVELOPE(is_smtputf8)},
    [QUEUE_ABOUT] = {read_text, OF_ENVELOPE(about)},
    [QUEUE_RET] = {read_text, OF_ENVELOPE(ret)},
    [QUEUE_ENVID] = {read_envid, OF_ENVELOPE(envid)},
    [QUEUE_REQUIRETLS] = {read_flag, OF_ENVELOPE(requires_tls)},
    [QUEUE_RELEASE] = {read_time, OF_ENVELOPE(release_ms)},
    [QUEUE_DELIVER_BY] = {read_deliver_by, OF_ENVELOPE(by)},
    [QUEUE_PRIORITY] = {read_priority, OF_ENVELOPE(priority)},
    [QUEUE_RECIPIENT] = {read_recipient, OF_ENVELOPE(recipients)},
    [QUEUE_ORIGINAL] = {read_text, OF_RECIPIENT(original)},
    [QUEUE_ORCPT] = {read_text, OF_RECIPIENT(orcpt)},
    [QUEUE_NOTIFY] = {read_text, OF_RECIPIENT(notify)},
    [QUEUE_RETURN] = {read_address, OF_RECIPIENT(return_path)},
    [QUEUE_HOLD] = {read_text, OF_ENVELOPE(hold)},
    [QUEUE_REMOVED] = {read_removed, OF_ENVELOPE(recipients)},
    [QUEUE_PIECES] = {read_pieces, OF_ENVELOPE(pieces)},
    [QUEUE_END] = {read_end, OF_ENVELOPE(children)},
    [QUEUE_EXPANDED] = {read_expanded, OF_ENVELOPE(recipients)},
    [QUEUE_TLS] = {read_tls, OF_ENVELOPE(recipients)},
    [QUEUE_ATTEMPT] = {read_attempt, OF_ENVELOPE(recipients)},
    [QUEUE_DEFERRED] = {read_deferred, OF_ENVELOPE(due_ms)},
    [QUEUE_WARNED] = {read_time, OF_ENVELOPE(warned_ms)},
    [QUEUE_HELD] = {read_time, OF_ENVELOPE(held_ms)},
    [QUEUE_RELEASED] = {read_past, OF_ENVELOPE(held_ms)},
    [QUEUE_REROUTED] = {read_rerouted, OF_ENVELOPE(reroute)},
};

bool
envelope_add(struct envelope *e, const struct queue_record *record, const char **problem)
{
	struct reading reading = {.e = e, .record = record, .problem = problem};
	enum owner owner = record->key < QUEUE_KEY_COUNT ? kinds[record->key].owner : NOBODY;
	char *of = (char *)e;

	*problem = NULL;
	if (owner == NOBODY)
		return damage(problem, "an unknown record");
	if (owner == RECIPIENT && e->nrecipients == 0)
		return damage(problem, "a record of no recipient");
	if (owner == RECIPIENT)
		of = (char *)&e->recipients[e->nrecipients - 1];
	reading.field = of + kinds[record->key].offset;
	return kinds[record->key].read(&reading);
}

static bool
states_are_backed(const struct envelope *e)
{
	for (size_t i = 0; i < e->nrecipients; i++) {
		const struct recipient *r = &e->recipients[i];

		if (r->settled != QUEUE_WAITING && r->settled != r->state)
			return false;
	}
	return true;
}

bool
envelope_finish(struct envelope *e, const struct queue_reader *r, uint64_t good_end, uint64_t size,
    const char **problem)
{
	struct queue_piece *whole;

	*problem = NULL;
	e->nrecipients -= e->children;
	e->children = 0;
	e->written = e->nrecipients;
	e->head = r->head;
	e->end = good_end;
	e->cut = size > good_end;
	if (!states_are_backed(e))
		return damage(problem, "a recipient's state that no record backs");
	for (size_t i = 0; i < e->nrecipients; i++)
		e->recipients[i].recorded = true;
	if (e->npieces > 0)
		return true;
	whole = arena_alloc(&e->arena, sizeof *whole);
	if (whole == NULL)
		return false;
	*whole = (struct queue_piece){e->head.content_offset, e->head.content_end - e->head.content_offset};
	e->pieces = whole;
	e->npieces = 1;
	return true;
}
