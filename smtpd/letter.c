#include "smtpd/letter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/smtp/orcpt.h"
#include "common/smtp/xtext.h"

/* Of added recipients, a sender and a reason: what LETTER_RECIPIENTS_ADDED_MAX of the longest addresses take. */
#define ARENA_MAX (4 * 1024 * 1024)
#define ADDRESS_MAX 1024
/* The line ends that a filter does not count but we write. */
#define TEXT_MORE 65536

bool
letter_init(struct letter *l, const struct letter_rules *rules, const struct str *recipients, size_t n)
{
	*l = (struct letter){.rules = *rules, .recipients = recipients, .nrecipients = n};
	buf_init(&l->text, rules->header_max + TEXT_MORE);
	arena_init(&l->arena, ARENA_MAX);
	l->removed = calloc(n > 0 ? n : 1, 1);
	return l->removed != NULL;
}

void
letter_clear(struct letter *l)
{
	buf_clear(&l->text);
	arena_clear(&l->arena);
	free(l->fields);
	free(l->removed);
	l->fields = NULL;
	l->removed = NULL;
	l->nfields = l->cap = 0;
}

/* --- fields ----------------------------------------------------------------------------------------------------------- */

static bool
fields_reserve(struct letter *l)
{
	size_t cap = l->cap == 0 ? 32 : l->cap * 2;
	struct letter_field *fields;

	if (l->nfields < l->cap)
		return true;
	if (l->nfields >= LETTER_FIELDS_MAX)
		return false;
	fields = reallocarray(l->fields, cap, sizeof *fields);
	if (fields == NULL)
		return false;
	l->fields = fields;
	l->cap = cap;
	return true;
}

static bool
field_put(struct letter *l, size_t position, const struct letter_field *field)
{
	if (!fields_reserve(l))
		return false;
	memmove(l->fields + position + 1, l->fields + position, (l->nfields - position) * sizeof *l->fields);
	l->fields[position] = *field;
	l->nfields++;
	return true;
}

static struct str
field_raw(const struct letter *l, const struct letter_field *f)
{
	return str_sub(buf_str(&l->text), f->at, f->n);
}

bool
letter_field(struct letter *l, struct str raw, uint64_t offset, bool is_hidden)
{
	struct letter_field field = {.offset = offset, .at = (uint32_t)l->text.n, .n = (uint32_t)raw.n,
	    .name_n = (uint32_t)str_find(raw, ':'), .is_hidden = is_hidden};

	buf_add(&l->text, raw);
	return buf_ok(&l->text) && field_put(l, l->nfields, &field);
}

void
letter_body(struct letter *l, struct queue_piece separator, struct queue_piece body)
{
	l->separator = separator;
	l->body = body;
}

/* Blanks before the colon are obsolete, but no part of the name. */
static struct str
field_name(struct str raw, const struct letter_field *f)
{
	return str_trim(str_sub(raw, 0, f->name_n));
}

bool
letter_next(const struct letter *l, size_t *position, struct str *name, struct str *value)
{
	for (; *position < l->nfields; (*position)++) {
		const struct letter_field *f = &l->fields[*position];
		struct str raw = field_raw(l, f);

		if (f->is_hidden || f->is_removed)
			continue;
		*name = field_name(raw, f);
		*value = str_skip(raw, f->name_n + 1);
		if (str_ends_nocase(*value, STR("\r\n")))
			value->n -= 2;
		(*position)++;
		return true;
	}
	return false;
}

bool
letter_has_recipient(const struct letter *l, size_t index)
{
	return l->removed[index] == 0;
}

bool
letter_has_recipients(const struct letter *l)
{
	for (size_t i = 0; i < l->nrecipients; i++)
		if (l->removed[i] == 0)
			return true;
	for (const struct letter_recipient *r = l->added; r != NULL; r = r->next)
		if (!r->is_removed)
			return true;
	return false;
}

/* --- copies ------------------------------------------------------------------------------------------------------------- */

static bool
keep(struct letter *l, struct str *field, struct str value)
{
	*field = value.p == NULL ? STR_NONE : arena_copy(&l->arena, value);
	return value.p == NULL || field->p != NULL;
}

static struct letter_recipient *
recipient_add(struct letter *l, struct str address)
{
	struct letter_recipient *r = arena_alloc(&l->arena, sizeof *r), **last = &l->added;

	if (r == NULL || !keep(l, &r->address, address))
		return NULL;
	while (*last != NULL)
		last = &(*last)->next;
	*last = r;
	l->nadded++;
	return r;
}

static bool
envelope_copy(struct letter *copy, const struct letter *l)
{
	memcpy(copy->removed, l->removed, l->nrecipients);
	for (const struct letter_recipient *r = l->added; r != NULL; r = r->next) {
		struct letter_recipient *to = r->is_removed ? NULL : recipient_add(copy, r->address);

		if (!r->is_removed && (to == NULL || !keep(copy, &to->orcpt, r->orcpt) || !keep(copy, &to->notify, r->notify)))
			return false;
	}
	copy->has_sender = l->has_sender;
	return keep(copy, &copy->sender, l->sender) && keep(copy, &copy->ret, l->ret) &&
	    keep(copy, &copy->envid, l->envid) && keep(copy, &copy->hold, l->hold);
}

/* What was removed is gone for good: a next filter counts without it. */
static bool
fields_copy(struct letter *copy, const struct letter *l)
{
	for (size_t i = 0; i < l->nfields; i++) {
		const struct letter_field *f = &l->fields[i];

		if (!f->is_removed && !letter_field(copy, field_raw(l, f), f->offset, f->is_hidden))
			return false;
	}
	return true;
}

bool
letter_copy(struct letter *copy, const struct letter *l)
{
	if (letter_init(copy, &l->rules, l->recipients, l->nrecipients) && envelope_copy(copy, l) && fields_copy(copy, l)) {
		letter_body(copy, l->separator, l->body);
		copy->changed = l->changed;
		copy->has_8bit = l->has_8bit;
		return true;
	}
	letter_clear(copy);
	return false;
}

/* --- changes of fields ---------------------------------------------------------------------------------------------------- */

static bool
fail(const char **problem, const char *text)
{
	*problem = text;
	return false;
}

/* RFC 5322 2.2 */
static bool
is_field_name(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_print(name.p[i]) || name.p[i] == ' ' || name.p[i] == ':')
			return false;
	return name.n > 0;
}

static bool
has_8bit(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] > 127)
			return true;
	return false;
}

/* Up to the next line end of whatever kind, which is taken too. */
static struct str
line_take(struct str *rest)
{
	size_t n = 0, end;

	while (n < rest->n && rest->p[n] != '\r' && rest->p[n] != '\n')
		n++;
	end = n;
	if (end < rest->n && rest->p[end] == '\r')
		end++;
	if (end < rest->n && rest->p[end] == '\n')
		end++;
	return (struct str){rest->p, (*rest = str_skip(*rest, end), n)};
}

/* The field with its line end, whatever the value holds. */
static void
field_text_add(struct buf *text, const struct milter_change *c)
{
	struct str rest = c->value;

	buf_add(text, c->name);
	buf_addc(text, ':');
	if (!c->has_space)
		buf_addc(text, ' ');
	buf_add(text, line_take(&rest));
	while (rest.n > 0) {
		struct str line = line_take(&rest);

		if (str_trim(line).n == 0)
			continue;
		buf_adds(text, ascii_is_blank(line.p[0]) ? "\r\n" : "\r\n\t");
		buf_add(text, line);
	}
	buf_adds(text, "\r\n");
}

static bool
field_make(struct letter *l, const struct milter_change *c, struct letter_field *field, const char **problem)
{
	size_t at = l->text.n;

	if (!is_field_name(c->name))
		return fail(problem, "a field with a name that is none");
	if (str_find(c->value, '\0') < c->value.n)
		return fail(problem, "a NUL in a field");
	field_text_add(&l->text, c);
	if (!buf_ok(&l->text))
		return fail(problem, "the header would become too large");
	*field = (struct letter_field){.at = (uint32_t)at, .n = (uint32_t)(l->text.n - at), .name_n = (uint32_t)c->name.n};
	l->has_8bit = l->has_8bit || has_8bit(c->value);
	return true;
}

static bool
field_insert(struct letter *l, const struct milter_change *c, size_t position, const char **problem)
{
	struct letter_field field;

	if (!field_make(l, c, &field, problem))
		return false;
	return field_put(l, position, &field) || fail(problem, "too many fields");
}

/* Ours counts: 0 is above it. What was removed does not. */
static size_t
position_of(const struct letter *l, uint32_t index)
{
	size_t i = 0;

	for (; i < l->nfields; i++)
		if (!l->fields[i].is_removed && index-- == 0)
			break;
	return i;
}

/*
 * Until the filter is done, what it removed counts as if it were there, so that it can remove the second and the third of
 * a name in either order. A field that is not there is added (libmilter's smfi_chgheader).
 */
static bool
field_change(struct letter *l, const struct milter_change *c, const char **problem)
{
	uint32_t index = c->index > 0 ? c->index : 1;

	for (size_t i = 0; i < l->nfields; i++) {
		struct letter_field *f = &l->fields[i], changed;

		if (f->is_hidden || !str_equal_nocase(field_name(field_raw(l, f), f), c->name) || --index > 0)
			continue;
		if (c->value.n == 0) {
			f->is_removed = true;
			return true;
		}
		if (!field_make(l, c, &changed, problem))
			return false;
		*f = changed;
		return true;
	}
	return c->value.n == 0 || field_insert(l, c, l->nfields, problem);
}

/* --- changes of the envelope ---------------------------------------------------------------------------------------------- */

#define PATH_MAX_BYTES (ADDRESS_MAX + 2)

/* An address, with or without <>. A domain is not needed: what has none is of this host. */
static bool
address_take(struct letter *l, struct str text, unsigned may, struct str *address)
{
	char path[PATH_MAX_BYTES + 1];
	struct str rest = str_trim(text);
	struct address parsed;
	int n = 0;

	if (rest.n > ADDRESS_MAX)
		return false;
	if (rest.n == 0 || rest.p[0] != '<') {
		n = snprintf(path, sizeof path, "<%.*s>", STR_FMT(rest));
		rest = (struct str){path, (size_t)n};
	}
	if (!address_path_parse(&l->arena, &rest, may | ADDRESS_MAY_LACK_DOMAIN | ADDRESS_MAY_BE_UTF8, &parsed) || rest.n > 0)
		return false;
	if (parsed.kind == ADDRESS_LOCAL)
		*address = arena_printf(&l->arena, "%.*s@%.*s", STR_FMT(parsed.text), STR_FMT(l->rules.domain));
	else
		*address = arena_copy(&l->arena, parsed.text);
	return address->p != NULL;
}

/* The value of a parameter in "A=b C=d"; .p NULL: not there. */
static struct str
parameter(struct str list, struct str keyword)
{
	struct str word;

	while (str_word(&list, &word)) {
		size_t equals = str_find(word, '=');

		if (equals < word.n && str_equal_nocase(str_sub(word, 0, equals), keyword))
			return str_skip(word, equals + 1);
	}
	return STR_NONE;
}

/* RFC 3461 4.1, 4.3 */
static bool
is_notify(struct str value)
{
	struct str word;
	size_t n = 0;

	if (str_equal_nocase(value, STR("NEVER")))
		return true;
	for (; str_token(&value, ',', &word); n++)
		if (!str_has_word_nocase(STR("SUCCESS FAILURE DELAY"), word) || word.n == 0)
			return false;
	return n > 0;
}

static bool
is_ret(struct str value)
{
	return value.n > 0 && str_has_word_nocase(STR("FULL HDRS"), value);
}

static bool
keyword_keep(struct letter *l, struct str value, bool (*is_valid)(struct str), struct str *field)
{
	return value.p == NULL || (is_valid(value) && keep(l, field, value));
}

/* Kept decoded, as the queue file has it. */
static bool
decoded_keep(struct letter *l, struct str value, bool (*decode)(struct buf *, struct str), struct str *field)
{
	struct buf b;
	bool ok;

	if (value.p == NULL)
		return true;
	buf_init(&b, ADDRESS_MAX);
	ok = decode(&b, value) && buf_ok(&b);
	for (size_t i = 0; ok && i < b.n; i++)
		ok = (unsigned char)b.p[i] >= 32 && b.p[i] != 127;
	ok = ok && keep(l, field, buf_str(&b));
	buf_clear(&b);
	return ok;
}

static bool
recipient_change_add(struct letter *l, const struct milter_change *c, const char **problem)
{
	struct letter_recipient *r;
	struct str address;

	if (l->nadded >= LETTER_RECIPIENTS_ADDED_MAX)
		return fail(problem, "adds too many recipients");
	if (!address_take(l, c->name, 0, &address))
		return fail(problem, "adds a recipient that is no address");
	for (size_t i = 0; i < l->nrecipients; i++)
		if (str_equal(l->recipients[i], address)) {
			l->removed[i] = 0;
			return true;
		}
	for (r = l->added; r != NULL; r = r->next)
		if (!r->is_removed && str_equal(r->address, address))
			return true;
	r = recipient_add(l, address);
	if (r == NULL)
		return fail(problem, "adds more recipients than there is memory for");
	if (!decoded_keep(l, parameter(c->value, STR("ORCPT")), orcpt_decode, &r->orcpt) ||
	    !keyword_keep(l, parameter(c->value, STR("NOTIFY")), is_notify, &r->notify))
		return fail(problem, "adds a recipient with malformed parameters");
	return true;
}

/* Whom the message does not go to need not be removed. */
static bool
recipient_change_remove(struct letter *l, const struct milter_change *c, const char **problem)
{
	struct str address;

	if (!address_take(l, c->name, 0, &address))
		return fail(problem, "removes a recipient that is no address");
	for (size_t i = 0; i < l->nrecipients; i++)
		if (str_equal_nocase(l->recipients[i], address))
			l->removed[i] = 1;
	for (struct letter_recipient *r = l->added; r != NULL; r = r->next)
		if (str_equal_nocase(r->address, address))
			r->is_removed = true;
	return true;
}

static bool
sender_change(struct letter *l, const struct milter_change *c, const char **problem)
{
	if (!address_take(l, c->name, ADDRESS_MAY_BE_NULL, &l->sender))
		return fail(problem, "a sender that is no address");
	if (!keyword_keep(l, parameter(c->value, STR("RET")), is_ret, &l->ret) ||
	    !decoded_keep(l, parameter(c->value, STR("ENVID")), xtext_decode, &l->envid))
		return fail(problem, "a sender with malformed parameters");
	l->has_sender = true;
	return true;
}

static bool
hold(struct letter *l, const struct milter_change *c, const char **problem)
{
	char reason[LETTER_HOLD_MAX];
	size_t n = c->value.n < sizeof reason ? c->value.n : sizeof reason;

	for (size_t i = 0; i < n; i++)
		reason[i] = ascii_is_print(c->value.p[i]) ? c->value.p[i] : '?';
	l->hold = arena_copy(&l->arena, (struct str){reason, n});
	return l->hold.p != NULL || fail(problem, "memory is out");
}

bool
letter_change(struct letter *l, const struct milter_change *c, const char **problem)
{
	l->changed = true;
	switch (c->kind) {
	case MILTER_FIELD_ADD:
		return field_insert(l, c, l->nfields, problem);
	case MILTER_FIELD_INSERT:
		return field_insert(l, c, position_of(l, c->index), problem);
	case MILTER_FIELD_CHANGE:
		return field_change(l, c, problem);
	case MILTER_RECIPIENT_ADD:
		return recipient_change_add(l, c, problem);
	case MILTER_RECIPIENT_REMOVE:
		return recipient_change_remove(l, c, problem);
	case MILTER_SENDER_CHANGE:
		return sender_change(l, c, problem);
	case MILTER_HOLD:
		return hold(l, c, problem);
	case MILTER_BODY_REPLACE:
		break;
	}
	return fail(problem, "a new body out of place");
}

/* --- a new body ------------------------------------------------------------------------------------------------------------- */

/* Bytes up to the next one that is not simply copied. */
static size_t
plain(struct str s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != '\r' && s.p[n] != '\n' && s.p[n] != '\0')
		n++;
	return n;
}

static void
body_byte(struct letter *l, char c, struct buf *out)
{
	if (c == '\r' || !l->after_cr)
		buf_adds(out, "\r\n");
	l->after_cr = c == '\r';
	l->inside_line = false;
}

bool
letter_body_replace(struct letter *l, struct str piece, uint64_t offset, struct buf *out, const char **problem)
{
	size_t before = out->n;

	if (!l->body_is_new) {
		l->body = (struct queue_piece){offset, 0};
		l->body_is_new = l->changed = true;
		l->after_cr = l->inside_line = false;
	}
	l->has_8bit = l->has_8bit || has_8bit(piece);
	while (piece.n > 0) {
		size_t n = plain(piece);

		if (n > 0) {
			buf_add(out, str_sub(piece, 0, n));
			l->after_cr = false;
			l->inside_line = true;
		} else if (piece.p[0] == '\0') {
			return fail(problem, "a NUL in the body");
		} else {
			body_byte(l, piece.p[0], out);
			n = 1;
		}
		piece = str_skip(piece, n);
	}
	l->body.length += out->n - before;
	if (!buf_ok(out) || l->body.length > l->rules.size_max)
		return fail(problem, "a body that is too large");
	return true;
}

void
letter_body_end(struct letter *l, struct buf *out)
{
	if (!l->body_is_new || !l->inside_line)
		return;
	buf_adds(out, "\r\n");
	l->body.length += 2;
	l->inside_line = false;
}

/* --- the end ---------------------------------------------------------------------------------------------------------------- */

struct pieces {
	struct queue_piece all[QUEUE_PIECES_MAX];
	size_t n;
};

static void
piece_add(struct pieces *p, uint64_t offset, uint64_t length)
{
	struct queue_piece *last = p->n > 0 ? &p->all[p->n - 1] : NULL;

	if (length == 0)
		return;
	if (last != NULL && last->offset + last->length == offset)
		last->length += length;
	else if (p->n < QUEUE_PIECES_MAX)
		p->all[p->n++] = (struct queue_piece){offset, length};
}

/* How many pieces the header takes if what is not in the file yet is appended to it in order. */
static size_t
pieces_of_header(const struct letter *l)
{
	uint64_t end = 0;
	size_t n = 0;
	bool was_new = false;

	for (size_t i = 0; i < l->nfields; i++) {
		const struct letter_field *f = &l->fields[i];
		bool is_new = f->offset == 0;

		if (f->is_removed)
			continue;
		n += n == 0 || is_new != was_new || (!is_new && f->offset != end);
		end = f->offset + f->n;
		was_new = is_new;
	}
	return n;
}

/* A header in too many pieces is written anew as a whole. */
static void
header_write(struct letter *l, struct queue_writer *w, struct pieces *p)
{
	bool whole = pieces_of_header(l) + 2 > QUEUE_PIECES_MAX;

	for (size_t i = 0; i < l->nfields; i++) {
		struct letter_field *f = &l->fields[i];

		if (f->is_removed)
			continue;
		if (whole || f->offset == 0) {
			f->offset = queue_writer_offset(w);
			queue_writer_content(w, field_raw(l, f));
		}
		piece_add(p, f->offset, f->n);
	}
}

static void
removed_write(struct queue_writer *w, size_t index)
{
	char digits[24];
	int n = snprintf(digits, sizeof digits, "%zu", index);

	queue_writer_record(w, QUEUE_REMOVED, (struct str){digits, (size_t)n});
}

static void
recipients_write(const struct letter *l, struct queue_writer *w)
{
	for (size_t i = 0; i < l->nrecipients; i++)
		if (l->removed[i] != 0)
			removed_write(w, i);
	for (const struct letter_recipient *r = l->added; r != NULL; r = r->next) {
		if (r->is_removed)
			continue;
		queue_writer_recipient(w, r->address);
		if (r->orcpt.p != NULL)
			queue_writer_record(w, QUEUE_ORCPT, r->orcpt);
		if (r->notify.p != NULL)
			queue_writer_record(w, QUEUE_NOTIFY, r->notify);
	}
}

static void
envelope_write(const struct letter *l, struct queue_writer *w)
{
	if (l->has_sender)
		queue_writer_record(w, QUEUE_SENDER, l->sender);
	if (l->ret.p != NULL)
		queue_writer_record(w, QUEUE_RET, l->ret);
	if (l->envid.p != NULL)
		queue_writer_record(w, QUEUE_ENVID, l->envid);
	if (l->has_8bit && !l->rules.is_8bit)
		queue_writer_record(w, QUEUE_BODY, STR("8BITMIME"));
	if (l->hold.p != NULL)
		queue_writer_record(w, QUEUE_HOLD, l->hold);
	recipients_write(l, w);
}

void
letter_write(struct letter *l, struct queue_writer *w)
{
	struct pieces p = {.n = 0};

	header_write(l, w, &p);
	piece_add(&p, l->separator.offset, l->separator.length);
	piece_add(&p, l->body.offset, l->body.length);
	queue_writer_content_end(w);
	envelope_write(l, w);
	queue_writer_end_pieces(w, p.all, p.n);
}
