#include "common/store/mailbox_state.h"

#include <string.h>

static const struct str first_line = {"merpati-mailbox 1", 17};

static const char *const use_names[] = {
#define X(constant, attribute) attribute,
    MAILBOX_USES(X)
#undef X
};

static const char *const origin_names[] = {
    [MAILBOX_ORIGIN_NONE] = "",
    [MAILBOX_ORIGIN_DOVECOT] = "dovecot",
    [MAILBOX_ORIGIN_COURIER] = "courier",
    [MAILBOX_ORIGIN_MBSYNC] = "mbsync",
};

unsigned
mailbox_use_parse(struct str attribute)
{
	for (unsigned i = 0; i < MAILBOX_USE_COUNT; i++)
		if (str_equal_nocase(attribute, str_from(use_names[i])))
			return 1u << i;
	return 0;
}

const char *
mailbox_use_name(enum mailbox_use_bit bit)
{
	return use_names[bit];
}

bool
mailbox_keyword_is_good(struct str name)
{
	static const struct str specials = {"(){%*\"\\]", 8};

	if (name.n == 0 || name.n > MAILBOX_KEYWORD_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_print(name.p[i]) || name.p[i] == ' ' || str_find(specials, name.p[i]) < specials.n)
			return false;
	return true;
}

static bool
is_id(struct str s)
{
	if (s.n != MAILBOX_ID_LENGTH)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alnum(s.p[i]))
			return false;
	return true;
}

/* The next n bytes as a number of exactly that many digits. */
static bool
fixed_number(struct str *rest, size_t n, uint32_t *value)
{
	uint64_t number;

	if (rest->n < n || !str_to_u64(str_sub(*rest, 0, n), UINT32_MAX, &number))
		return false;
	*value = (uint32_t)number;
	*rest = str_skip(*rest, n);
	return true;
}

static bool
fixed_word(struct str *rest, struct str word)
{
	if (!str_starts(*rest, word))
		return false;
	*rest = str_skip(*rest, word.n);
	return true;
}

/* next 10DIGIT reserved 10DIGIT boot 36CHAR LF */
bool
mailbox_counter_parse(struct mailbox_state *state, struct str line)
{
	struct str rest = line, boot;
	uint32_t next, reserved;

	if (line.n != MAILBOX_COUNTER_BYTES || line.p[line.n - 1] != '\n')
		return false;
	if (!fixed_word(&rest, STR("next ")) || !fixed_number(&rest, 10, &next) ||
	    !fixed_word(&rest, STR(" reserved ")) || !fixed_number(&rest, 10, &reserved) ||
	    !fixed_word(&rest, STR(" boot ")))
		return false;
	boot = str_sub(rest, 0, MAILBOX_BOOT_ID_LENGTH);
	for (size_t i = 0; i < boot.n; i++)
		if (!ascii_is_alnum(boot.p[i]) && boot.p[i] != '-')
			return false;
	if (next == 0 || next > reserved)
		return false;
	state->next = next;
	state->reserved = reserved;
	return str_copy(state->boot, sizeof state->boot, boot);
}

static bool
number_line(struct str value, uint32_t *number)
{
	uint64_t n;

	if (*number != 0 || !str_to_u64(value, UINT32_MAX, &n) || n == 0)
		return false;
	*number = (uint32_t)n;
	return true;
}

static bool
keyword_line(struct mailbox_state *state, struct str value)
{
	struct str name = str_skip(value, 2);
	size_t i;

	if (value.n < 3 || value.p[0] < 'a' || value.p[0] > 'z' || value.p[1] != ' ' || !mailbox_keyword_is_good(name))
		return false;
	i = (size_t)(value.p[0] - 'a');
	return state->keywords[i][0] == '\0' && str_copy(state->keywords[i], sizeof state->keywords[i], name);
}

static bool
use_line(struct mailbox_state *state, struct str value)
{
	unsigned use = mailbox_use_parse(value);

	state->uses |= use;
	return use != 0;
}

static bool
origin_line(struct mailbox_state *state, struct str value)
{
	for (size_t i = 1; i < sizeof origin_names / sizeof origin_names[0]; i++)
		if (str_equal(value, str_from(origin_names[i]))) {
			state->taking_over = (enum mailbox_origin)i;
			return true;
		}
	return false;
}

static bool
state_line(struct mailbox_state *state, struct str line)
{
	size_t blank = str_find(line, ' ');
	struct str key = str_sub(line, 0, blank), value = str_skip(line, blank + 1);

	if (str_equal(key, STR("uidvalidity")))
		return number_line(value, &state->uidvalidity);
	if (str_equal(key, STR("id")))
		return state->id[0] == '\0' && is_id(value) && str_copy(state->id, sizeof state->id, value);
	if (str_equal(key, STR("keyword")))
		return keyword_line(state, value);
	if (str_equal(key, STR("use")))
		return use_line(state, value);
	if (str_equal(key, STR("taking-over")))
		return origin_line(state, value);
	return false;
}

/* The line ends are part of the format: a file that was cut anywhere is not good. */
static bool
line_take(struct str *rest, struct str *line)
{
	size_t end = str_find(*rest, '\n');

	if (end == rest->n)
		return false;
	*line = str_sub(*rest, 0, end);
	*rest = str_skip(*rest, end + 1);
	return true;
}

bool
mailbox_state_parse(struct mailbox_state *state, struct str text)
{
	struct str line, rest = text;

	*state = (struct mailbox_state){0};
	if (text.n > MAILBOX_STATE_MAX_BYTES || !line_take(&rest, &line) || !str_equal(line, first_line))
		return false;
	(void)mailbox_counter_parse(state, str_sub(rest, 0, MAILBOX_COUNTER_BYTES));
	rest = str_skip(rest, MAILBOX_COUNTER_BYTES);
	for (;;) {
		if (!line_take(&rest, &line))
			return false;
		if (str_equal(line, STR("end")))
			break;
		if (!state_line(state, line))
			return false;
	}
	return rest.n == 0 && state->uidvalidity != 0 && state->id[0] != '\0';
}

void
mailbox_counter_format(struct buf *out, const struct mailbox_state *state)
{
	buf_addf(out, "next %010u reserved %010u boot %.36s\n", state->next, state->reserved, state->boot);
}

void
mailbox_state_format(struct buf *out, const struct mailbox_state *state)
{
	buf_add(out, first_line);
	buf_addc(out, '\n');
	mailbox_counter_format(out, state);
	buf_addf(out, "uidvalidity %u\nid %s\n", state->uidvalidity, state->id);
	for (int i = 0; i < MAILDIR_KEYWORDS_MAX; i++)
		if (state->keywords[i][0] != '\0')
			buf_addf(out, "keyword %c %s\n", 'a' + i, state->keywords[i]);
	for (unsigned i = 0; i < MAILBOX_USE_COUNT; i++)
		if (state->uses & 1u << i)
			buf_addf(out, "use %s\n", use_names[i]);
	if (state->taking_over != MAILBOX_ORIGIN_NONE)
		buf_addf(out, "taking-over %s\n", origin_names[state->taking_over]);
	buf_adds(out, "end\n");
}
