#include "common/queue/queue_file.h"

#include <string.h>

#include "common/base/crc32c.h"
#include "common/queue/queue_file_line.h"

static const struct {
	struct str name;
	unsigned places;
} keys[] = {
#define X(constant, key, where, document) [constant] = {STR(key), where},
    QUEUE_KEYS(X)
#undef X
};

struct str
queue_key_name(enum queue_key key)
{
	return keys[key].name;
}

unsigned
queue_key_places(enum queue_key key)
{
	return keys[key].places;
}

bool
queue_key_is_of_recipient(enum queue_key key)
{
	return key == QUEUE_ORIGINAL || key == QUEUE_ORCPT || key == QUEUE_NOTIFY || key == QUEUE_RETURN;
}

static bool
key_find(struct str name, enum queue_key *key)
{
	for (unsigned i = 0; i < QUEUE_KEY_COUNT; i++)
		if (str_equal(keys[i].name, name)) {
			*key = (enum queue_key)i;
			return true;
		}
	return false;
}

static bool
state_is_known(char c)
{
	return c == QUEUE_WAITING || c == QUEUE_DELIVERED || c == QUEUE_FAILED || c == QUEUE_EXPANDED_STATE;
}

/* ---- fixed width ----------------------------------------------------------------------------------------------- */

void
queue_put_decimal(char *p, size_t width, uint64_t value)
{
	while (width > 0) {
		p[--width] = (char)('0' + value % 10);
		value /= 10;
	}
}

void
queue_put_crc(char p[8], uint32_t crc)
{
	for (int i = 0; i < 8; i++)
		p[i] = "0123456789abcdef"[(crc >> (28 - 4 * i)) & 15];
}

bool
queue_get_crc(struct str s, uint32_t *crc)
{
	/* One more than the value of the digit; 0: it is none. */
	static const unsigned char digits[256] = {['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7,
	    ['7'] = 8, ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16};
	bool good = s.n == 8;

	*crc = 0;
	for (size_t i = 0; good && i < 8; i++) {
		unsigned digit = digits[(unsigned char)s.p[i]];

		good = digit > 0;
		*crc = *crc << 4 | ((digit - 1) & 15);
	}
	return good;
}

/* ---- head ------------------------------------------------------------------------------------------------------ */

/*
 * head = "merpati-queue " version(2) SP content-offset(10) SP content-end(16) SP message-size(16) SP recipients(8)
 *        SP crc8 LF
 */
#define MAGIC "merpati-queue "
#define CRC_AT (QUEUE_HEAD_BYTES - 9)

static const struct {
	size_t at;
	size_t width;
} head_fields[] = {{14, 2}, {17, 10}, {28, 16}, {45, 16}, {62, 8}};
#define HEAD_FIELDS (sizeof head_fields / sizeof head_fields[0])

void
queue_head_format(char bytes[QUEUE_HEAD_BYTES], const struct queue_head *head)
{
	const uint64_t values[HEAD_FIELDS] = {head->version, head->content_offset, head->content_end,
	    head->message_size, head->recipients};

	memset(bytes, ' ', QUEUE_HEAD_BYTES);
	memcpy(bytes, MAGIC, sizeof MAGIC - 1);
	for (size_t i = 0; i < HEAD_FIELDS; i++)
		queue_put_decimal(bytes + head_fields[i].at, head_fields[i].width, values[i]);
	queue_put_crc(bytes + CRC_AT, crc32c(0, (struct str){bytes, CRC_AT}));
	bytes[QUEUE_HEAD_BYTES - 1] = '\n';
}

static bool
head_is_sound(const struct queue_head *head)
{
	if (head->version < QUEUE_FILE_VERSION_MIN || head->version > QUEUE_FILE_VERSION)
		return false;
	if (!head->complete)
		return head->content_offset == 0 && head->message_size == 0 && head->recipients == 0;
	return head->content_offset >= QUEUE_HEAD_BYTES && head->content_end >= head->content_offset &&
	    head->recipients <= QUEUE_RECIPIENTS_MAX;
}

enum parse
queue_head_parse(struct str bytes, struct queue_head *head)
{
	char again[QUEUE_HEAD_BYTES];
	uint64_t values[HEAD_FIELDS];

	*head = (struct queue_head){.version = 0};
	if (!str_starts(STR(MAGIC), str_sub(bytes, 0, sizeof MAGIC - 1)))
		return PARSE_BAD;
	if (bytes.n < QUEUE_HEAD_BYTES)
		return PARSE_MORE;
	for (size_t i = 0; i < HEAD_FIELDS; i++)
		if (!str_to_u64(str_sub(bytes, head_fields[i].at, head_fields[i].width), UINT64_MAX, &values[i]))
			return PARSE_BAD;
	head->version = (unsigned)values[0];
	head->content_offset = values[1];
	head->content_end = values[2];
	head->message_size = values[3];
	head->recipients = values[4];
	head->complete = head->content_end > 0;
	queue_head_format(again, head);
	if (memcmp(again, bytes.p, QUEUE_HEAD_BYTES) != 0)
		head->version = 0;
	return head_is_sound(head) ? PARSE_OK : PARSE_BAD;
}

/* ---- a line ---------------------------------------------------------------------------------------------------- */

#define KEY_MAX 16
#define LENGTH_DIGITS_MAX 5
/* Behind the value: comma, space, checksum, newline. */
#define TRAILER 11

void
queue_line_format(struct buf *b, enum queue_key key, struct str value)
{
	size_t begin = b->n;
	char digits[LENGTH_DIGITS_MAX], trailer[TRAILER] = ", 00000000\n";
	size_t at = sizeof digits, n = value.n;

	if (value.n > QUEUE_VALUE_MAX) {
		b->failed = true;
		return;
	}
	if (key == QUEUE_RECIPIENT)
		buf_add(b, STR("w "));
	buf_add(b, keys[key].name);
	buf_addc(b, ' ');
	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	buf_add(b, (struct str){digits + at, sizeof digits - at});
	buf_addc(b, ':');
	buf_add(b, value);
	buf_addc(b, ',');
	if (!buf_ok(b))
		return;
	queue_put_crc(trailer + 2, crc32c(0, str_skip(buf_str(b), begin)));
	buf_add(b, (struct str){trailer + 1, TRAILER - 1});
}

/* The digits before the colon: canonical, at most QUEUE_VALUE_MAX. */
static enum parse
length_parse(struct str *s, size_t *length)
{
	size_t n = str_find(str_sub(*s, 0, LENGTH_DIGITS_MAX + 1), ':');
	uint64_t value;

	if (n == s->n)
		return n == 0 || (n <= LENGTH_DIGITS_MAX && str_to_u64(*s, QUEUE_VALUE_MAX, &value)) ? PARSE_MORE
												      : PARSE_BAD;
	if (n > LENGTH_DIGITS_MAX || !str_to_u64(str_sub(*s, 0, n), QUEUE_VALUE_MAX, &value) ||
	    (n > 1 && s->p[0] == '0'))
		return PARSE_BAD;
	*length = (size_t)value;
	*s = str_skip(*s, n + 1);
	return PARSE_OK;
}

static enum parse
key_parse(struct str *s, struct queue_record *record)
{
	bool has_state = s->n >= 2 && s->p[1] == ' ';
	size_t n;

	if (s->n < 2)
		return PARSE_MORE;
	if (has_state) {
		if (!state_is_known(s->p[0]))
			return PARSE_BAD;
		record->state = (enum queue_state)s->p[0];
		*s = str_skip(*s, 2);
	}
	n = str_find(str_sub(*s, 0, KEY_MAX), ' ');
	if (n == s->n && n < KEY_MAX)
		return PARSE_MORE;
	if (!key_find(str_sub(*s, 0, n), &record->key) || (record->key == QUEUE_RECIPIENT) != has_state)
		return PARSE_BAD;
	*s = str_skip(*s, n + 1);
	return PARSE_OK;
}

/* line: up to and with the comma. */
static uint32_t
line_crc(struct str line, bool has_state)
{
	static const char waiting = QUEUE_WAITING;

	if (!has_state)
		return crc32c(0, line);
	return crc32c(crc32c(0, (struct str){&waiting, 1}), str_skip(line, 1));
}

enum parse
queue_line_parse(struct str *input, struct queue_record *record, bool *only_newline)
{
	struct str s = *input;
	enum parse result;
	size_t length, n;
	uint32_t crc;

	*record = (struct queue_record){.state = QUEUE_WAITING};
	*only_newline = false;
	result = key_parse(&s, record);
	if (result == PARSE_OK)
		result = length_parse(&s, &length);
	if (result != PARSE_OK)
		return result;
	if (s.n < length + TRAILER)
		return PARSE_MORE;
	record->value = str_sub(s, 0, length);
	s = str_skip(s, length);
	n = (size_t)(s.p - input->p) + 1;
	if (s.p[0] != ',' || s.p[1] != ' ' || !queue_get_crc(str_sub(s, 2, 8), &crc) ||
	    crc != line_crc(str_sub(*input, 0, n), record->key == QUEUE_RECIPIENT))
		return PARSE_BAD;
	*input = str_skip(s, TRAILER);
	*only_newline = s.p[TRAILER - 1] != '\n';
	return *only_newline ? PARSE_BAD : PARSE_OK;
}

/* ---- values ---------------------------------------------------------------------------------------------------- */

bool
queue_value_number(struct str *value, uint64_t *number)
{
	struct str token;

	return str_token(value, ' ', &token) && str_to_u64(token, UINT64_MAX, number);
}

void
queue_deliver_by_format(struct buf *b, const struct queue_deliver_by *by)
{
	buf_addf(b, "%llu %c%s", (unsigned long long)by->time_ms, by->mode, by->trace ? "T" : "");
}

bool
queue_deliver_by_parse(struct str value, struct queue_deliver_by *by)
{
	if (!queue_value_number(&value, &by->time_ms) || value.n < 1 || (value.p[0] != 'R' && value.p[0] != 'N'))
		return false;
	by->mode = value.p[0];
	by->trace = value.n > 1;
	return value.n == 1 || str_equal(str_skip(value, 1), STR("T"));
}

bool
queue_priority_parse(struct str value, int *priority)
{
	bool negative = value.n > 0 && value.p[0] == '-';
	uint64_t n;

	if (!str_to_u64(negative ? str_skip(value, 1) : value, 9, &n))
		return false;
	*priority = negative ? -(int)n : (int)n;
	return true;
}

/* A token may neither be empty nor hold a blank, or the next reader would count differently. */
static struct str
token_or(struct str s, const char *otherwise)
{
	return s.n == 0 || str_find(s, ' ') < s.n ? str_from(otherwise) : s;
}

void
queue_attempt_format(struct buf *b, const struct queue_attempt *attempt)
{
	struct str code = token_or(attempt->code, "4.0.0"), relay = token_or(attempt->relay, "none");

	buf_addf(b, "%llu %llu %c %.*s %.*s ", (unsigned long long)attempt->time_ms,
	    (unsigned long long)attempt->recipient, (char)attempt->outcome, STR_FMT(code), STR_FMT(relay));
	buf_add(b, attempt->reply);
}

bool
queue_attempt_parse(struct str value, struct queue_attempt *attempt)
{
	struct str outcome;

	if (!queue_value_number(&value, &attempt->time_ms) || !queue_value_number(&value, &attempt->recipient))
		return false;
	if (!str_token(&value, ' ', &outcome) || outcome.n != 1 || !state_is_known(outcome.p[0]))
		return false;
	attempt->outcome = (enum queue_state)outcome.p[0];
	attempt->security = STR_NONE;
	if (!str_token(&value, ' ', &attempt->code) || !str_token(&value, ' ', &attempt->relay) || value.p == NULL)
		return false;
	attempt->reply = value;
	return true;
}

void
queue_tls_format(struct buf *b, uint64_t recipient, struct str security)
{
	buf_addf(b, "%llu %.*s", (unsigned long long)recipient, STR_FMT(security));
}

bool
queue_tls_parse(struct str value, uint64_t *recipient, struct str *security)
{
	if (!queue_value_number(&value, recipient) || value.n == 0)
		return false;
	*security = value;
	return true;
}

bool
queue_pieces_parse(struct str value, const struct queue_head *head, struct queue_piece *pieces, size_t max, size_t *n)
{
	uint64_t sum = 0;

	for (*n = 0; value.p != NULL; (*n)++) {
		struct queue_piece piece;

		if (*n == max || !queue_value_number(&value, &piece.offset) ||
		    !queue_value_number(&value, &piece.length))
			return false;
		if (piece.offset < head->content_offset || piece.offset > head->content_end ||
		    piece.length > head->content_end - piece.offset || piece.length > UINT64_MAX - sum)
			return false;
		sum += piece.length;
		pieces[*n] = piece;
	}
	return *n > 0 && sum == head->message_size;
}
