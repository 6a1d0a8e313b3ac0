#include "deliver/handoff.h"

/* An address that goes into header fields and log lines: no control character, so no line end. */
static bool
is_address(struct str s)
{
	if (s.n > HANDOFF_ADDRESS_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 127)
			return false;
	return true;
}

void
handoff_ask_encode(struct buf *b, uint32_t id, const struct handoff_ask *ask)
{
	msg_begin(b, HANDOFF_ASK, id);
	msg_add_str(b, ask->address);
	msg_add_u64(b, ask->writer);
}

bool
handoff_ask_decode(struct msg *m, struct handoff_ask *ask)
{
	uint64_t writer;

	ask->address = msg_get_str(m);
	writer = msg_get_u64(m);
	ask->writer = writer != 0;
	return msg_done(m) && writer <= 1 && ask->address.n > 0 && is_address(ask->address);
}

void
handoff_answer_encode(struct buf *b, uint32_t id, const struct handoff_answer *answer)
{
	msg_begin(b, HANDOFF_ANSWER, id);
	msg_add_u64(b, answer->found);
	msg_add_str(b, answer->key);
}

bool
handoff_answer_decode(struct msg *m, struct handoff_answer *answer)
{
	uint64_t found = msg_get_u64(m);

	answer->key = msg_get_str(m);
	if (!msg_done(m) || found >= HANDOFF_FOUNDS || answer->key.n > HANDOFF_KEY_MAX)
		return false;
	answer->found = (enum handoff_found)found;
	return (answer->found == HANDOFF_FOUND) == (answer->key.n > 0);
}

void
handoff_letter_encode(struct buf *b, uint32_t id, const struct handoff_letter *letter)
{
	msg_begin(b, HANDOFF_LETTER, id);
	msg_add_str(b, letter->sender);
	msg_add_u64(b, letter->nrecipients);
	for (size_t i = 0; i < letter->nrecipients; i++)
		msg_add_str(b, letter->recipients[i]);
	msg_add_u64(b, letter->in_file);
	msg_add_u64(b, letter->size);
	msg_add_u64(b, letter->verbatim);
	msg_add_str(b, letter->in_file ? STR_NONE : letter->content);
}

bool
handoff_letter_decode(struct msg *m, struct handoff_letter *letter)
{
	uint64_t n, in_file, verbatim;

	letter->sender = msg_get_str(m);
	n = msg_get_u64(m);
	if (n == 0 || n > HANDOFF_RECIPIENTS_MAX || !is_address(letter->sender))
		return false;
	letter->nrecipients = (size_t)n;
	for (size_t i = 0; i < letter->nrecipients; i++) {
		letter->recipients[i] = msg_get_str(m);
		if (letter->recipients[i].n == 0 || !is_address(letter->recipients[i]))
			return false;
	}
	in_file = msg_get_u64(m);
	letter->in_file = in_file != 0;
	letter->size = msg_get_u64(m);
	verbatim = msg_get_u64(m);
	letter->verbatim = verbatim != 0;
	letter->content = msg_get_str(m);
	if (!msg_done(m) || in_file > 1 || verbatim > 1)
		return false;
	return letter->in_file ? m->fd >= 0 && letter->content.n == 0 : letter->content.n == letter->size;
}

void
handoff_result_encode(struct buf *b, uint32_t id, const struct handoff_result *result)
{
	msg_begin(b, HANDOFF_RESULT, id);
	msg_add_u64(b, result->n);
	for (size_t i = 0; i < result->n; i++)
		msg_add_u64(b, result->status[i]);
}

bool
handoff_result_decode(struct msg *m, struct handoff_result *result)
{
	uint64_t n = msg_get_u64(m);

	if (n > HANDOFF_RECIPIENTS_MAX)
		return false;
	result->n = (size_t)n;
	for (size_t i = 0; i < result->n; i++) {
		uint64_t status = msg_get_u64(m);

		if (status >= HANDOFF_STATUSES)
			return false;
		result->status[i] = (enum handoff_status)status;
	}
	return msg_done(m);
}
