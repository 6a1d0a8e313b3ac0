#include "common/queue/queue_file.h"

#include "common/base/crc32c.h"
#include "common/queue/queue_file_line.h"

enum phase {
	PHASE_HEAD,
	PHASE_ENVELOPE,
	PHASE_CONTENT,
	PHASE_CLOSING,
	PHASE_HISTORY,
	PHASE_CUT, /* behind the first record of the history that is not whole: nothing valid may follow */
	PHASE_UNFINISHED,
	PHASE_BAD,
};

void
queue_reader_init(struct queue_reader *r)
{
	*r = (struct queue_reader){.phase = PHASE_HEAD};
}

static enum queue_read
bad(struct queue_reader *r, const char *problem)
{
	r->phase = PHASE_BAD;
	r->problem = problem;
	return QUEUE_READ_BAD;
}

static void
take(struct queue_reader *r, struct str *input, size_t n)
{
	*input = str_skip(*input, n);
	r->offset += n;
}

/* False when it is not all there. */
static bool
head_next(struct queue_reader *r, struct str *input)
{
	switch (queue_head_parse(*input, &r->head)) {
	case PARSE_MORE:
		return false;
	case PARSE_BAD:
		(void)bad(r, r->head.version > QUEUE_FILE_VERSION ? "it is of a newer version" : "the head is damaged");
		return true;
	case PARSE_OK:
		break;
	}
	take(r, input, QUEUE_HEAD_BYTES);
	r->phase = r->head.complete ? PHASE_ENVELOPE : PHASE_UNFINISHED;
	return true;
}

static unsigned
place_of(const struct queue_reader *r)
{
	switch ((enum phase)r->phase) {
	case PHASE_ENVELOPE:
		return IN_ENVELOPE;
	case PHASE_CLOSING:
		return IN_CLOSING;
	case PHASE_HISTORY:
		return IN_HISTORY;
	case PHASE_HEAD:
	case PHASE_CONTENT:
	case PHASE_CUT:
	case PHASE_UNFINISHED:
	case PHASE_BAD:
		break;
	}
	return 0;
}

#define BIT(key) (1U << (key))
_Static_assert(QUEUE_KEY_COUNT <= 32, "a bit for each key");
#define OF_RECIPIENT (BIT(QUEUE_ORIGINAL) | BIT(QUEUE_ORCPT) | BIT(QUEUE_NOTIFY) | BIT(QUEUE_RETURN))

/* The order of the records: time, sender, then any once; what is of a recipient, after one and once for each. In the
 * closing all of that begins anew. */
static const char *
order_problem(struct queue_reader *r, enum queue_key key)
{
	unsigned once = r->phase == PHASE_HISTORY ? OF_RECIPIENT : ~(BIT(QUEUE_RECIPIENT) | BIT(QUEUE_REMOVED));

	if ((queue_key_places(key) & place_of(r)) == 0)
		return "a record out of place";
	if (r->phase == PHASE_ENVELOPE && key != QUEUE_TIME && !(r->seen & BIT(QUEUE_TIME)))
		return "the first record is not the time";
	if (r->phase == PHASE_ENVELOPE && key != QUEUE_TIME && key != QUEUE_SENDER && !(r->seen & BIT(QUEUE_SENDER)))
		return "the second record is not the sender";
	if (queue_key_is_of_recipient(key) && !(r->seen & BIT(QUEUE_RECIPIENT)))
		return "a record of a recipient without one";
	if (r->seen & once & BIT(key))
		return "a record twice";
	if (key == QUEUE_RECIPIENT)
		r->seen &= ~OF_RECIPIENT;
	if (r->phase == PHASE_HISTORY && key != QUEUE_RECIPIENT && !queue_key_is_of_recipient(key))
		r->seen &= ~BIT(QUEUE_RECIPIENT);
	r->seen |= BIT(key);
	return NULL;
}

static const char *
removed_problem(const struct queue_reader *r, struct str value)
{
	uint64_t index;

	if (!queue_value_number(&value, &index) || value.p != NULL || index >= r->head.recipients)
		return "the removal of nobody";
	return NULL;
}

static const char *
pieces_problem(struct queue_reader *r, struct str value)
{
	struct queue_piece pieces[QUEUE_PIECES_MAX];
	size_t n;

	if (!queue_pieces_parse(value, &r->head, pieces, QUEUE_PIECES_MAX, &n))
		return "pieces that do not fit the content";
	return NULL;
}

static const char *
end_problem(struct queue_reader *r, struct str value)
{
	uint64_t length = r->head.content_end - r->head.content_offset, said;
	uint32_t crc;

	if (!queue_value_number(&value, &said) || !queue_get_crc(value, &crc))
		return "a malformed end record";
	if (said != length || (!(r->seen & BIT(QUEUE_PIECES)) && r->head.message_size != length))
		return "the lengths do not agree";
	if (!r->content_skipped && crc != r->content_crc)
		return "the content is damaged";
	r->phase = PHASE_HISTORY;
	r->seen = 0;
	return NULL;
}

/* The recipients that an alias became count only once `expanded` stands behind them all. */
static const char *
history_problem(struct queue_reader *r, const struct queue_record *record)
{
	struct str value = record->value;
	uint64_t parent, count;

	if (record->key == QUEUE_RECIPIENT || queue_key_is_of_recipient(record->key)) {
		r->provisional += record->key == QUEUE_RECIPIENT;
		return NULL;
	}
	if (record->key == QUEUE_EXPANDED) {
		if (!queue_value_number(&value, &parent) || !queue_value_number(&value, &count) || value.p != NULL ||
		    count != r->provisional)
			return "an expansion that does not fit";
		r->provisional = 0;
	}
	if (r->provisional > 0)
		return "recipients without expansion";
	r->good_end = r->offset;
	return NULL;
}

static const char *
record_problem(struct queue_reader *r, const struct queue_record *record)
{
	const char *problem = order_problem(r, record->key);

	if (problem != NULL)
		return problem;
	if (record->key == QUEUE_RECIPIENT && r->seen_recipients++ == QUEUE_RECIPIENTS_MAX)
		return "too many recipients";
	if (r->phase == PHASE_HISTORY)
		return history_problem(r, record);
	if (record->key == QUEUE_REMOVED)
		return removed_problem(r, record->value);
	if (record->key == QUEUE_PIECES)
		return pieces_problem(r, record->value);
	if (record->key == QUEUE_END) {
		problem = end_problem(r, record->value);
		r->good_end = r->offset;
	}
	return problem;
}

static void
envelope_done(struct queue_reader *r)
{
	if (r->seen_recipients != r->head.recipients || r->seen_recipients == 0)
		(void)bad(r, "the number of recipients is not the head's");
	else
		r->phase = PHASE_CONTENT;
}

/*
 * A crash while appending leaves the beginning of a record, or zeros; nothing that counts comes after it. A whole
 * record after it means that the damage is of another kind.
 */
static enum queue_read
cut_next(struct queue_reader *r, struct str *input)
{
	struct queue_record record;
	bool only_newline;
	struct str s;

	for (;;) {
		if (r->inside_line) {
			size_t n = str_find(*input, '\n');

			r->inside_line = n == input->n;
			take(r, input, r->inside_line ? n : n + 1);
			if (r->inside_line)
				return QUEUE_READ_MORE;
		}
		s = *input;
		switch (queue_line_parse(&s, &record, &only_newline)) {
		case PARSE_MORE:
			return QUEUE_READ_MORE;
		case PARSE_OK:
			return bad(r, "the history is damaged");
		case PARSE_BAD:
			r->inside_line = true;
			break;
		}
	}
}

/* A record of the envelope ends before the content does; one that does not parse is damage there, a cut in history. */
static enum queue_read
record_next(struct queue_reader *r, struct str *input, struct queue_record *record)
{
	struct str before = *input;
	const char *problem;
	bool only_newline;

	switch (queue_line_parse(input, record, &only_newline)) {
	case PARSE_MORE:
		return QUEUE_READ_MORE;
	case PARSE_BAD:
		if (r->phase != PHASE_HISTORY)
			return bad(r, "a record is damaged");
		r->phase = PHASE_CUT;
		r->inside_line = !only_newline;
		r->offset += before.n - input->n;
		return cut_next(r, input);
	case PARSE_OK:
		break;
	}
	record->offset = r->offset;
	r->offset += before.n - input->n;
	if (r->phase == PHASE_ENVELOPE && r->offset > r->head.content_offset)
		return bad(r, "the envelope is longer than the head says");
	problem = record_problem(r, record);
	return problem != NULL ? bad(r, problem) : QUEUE_READ_RECORD;
}

static void
closing_begin(struct queue_reader *r)
{
	r->phase = PHASE_CLOSING;
	r->seen = 0;
}

static void
content_next(struct queue_reader *r, struct str *input)
{
	uint64_t left = r->head.content_end - r->offset;
	size_t n = input->n < left ? input->n : (size_t)left;

	r->content_crc = crc32c(r->content_crc, str_sub(*input, 0, n));
	take(r, input, n);
	if (r->offset == r->head.content_end)
		closing_begin(r);
}

enum queue_read
queue_reader_next(struct queue_reader *r, struct str *input, struct queue_record *record)
{
	for (;;)
		switch ((enum phase)r->phase) {
		case PHASE_HEAD:
			if (!head_next(r, input))
				return QUEUE_READ_MORE;
			break;
		case PHASE_ENVELOPE:
			if (r->offset < r->head.content_offset)
				return record_next(r, input, record);
			envelope_done(r);
			break;
		case PHASE_CONTENT:
			content_next(r, input);
			if (r->phase == PHASE_CONTENT)
				return QUEUE_READ_MORE;
			break;
		case PHASE_CLOSING:
		case PHASE_HISTORY:
			return record_next(r, input, record);
		case PHASE_CUT:
			return cut_next(r, input);
		case PHASE_UNFINISHED:
			return QUEUE_READ_UNFINISHED;
		case PHASE_BAD:
			return QUEUE_READ_BAD;
		}
}

bool
queue_reader_at_content(const struct queue_reader *r)
{
	return r->phase == PHASE_CONTENT ||
	    (r->phase == PHASE_ENVELOPE && r->offset == r->head.content_offset);
}

void
queue_reader_skip_content(struct queue_reader *r)
{
	if (!queue_reader_at_content(r))
		return;
	if (r->phase == PHASE_ENVELOPE)
		envelope_done(r);
	if (r->phase != PHASE_CONTENT)
		return;
	r->content_skipped = r->content_skipped || r->offset != r->head.content_end;
	r->offset = r->head.content_end;
	closing_begin(r);
}

enum parse
queue_reader_finish(struct queue_reader *r, struct str rest, uint64_t *good_end)
{
	struct queue_record record;

	*good_end = r->good_end;
	if (r->phase == PHASE_HISTORY && rest.n > 0) {
		r->phase = PHASE_CUT;
		r->inside_line = true;
	}
	if (r->phase == PHASE_CUT && queue_reader_next(r, &rest, &record) == QUEUE_READ_BAD)
		return PARSE_BAD;
	if (r->phase != PHASE_HISTORY && r->phase != PHASE_CUT) {
		if (r->phase != PHASE_BAD && r->phase != PHASE_UNFINISHED)
			(void)bad(r, "the file is cut");
		return PARSE_BAD;
	}
	return PARSE_OK;
}
