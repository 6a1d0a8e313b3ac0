/*
 * Notifications about anything: the first bytes pick kind, language and types, the rest, cut at bytes 1, are the words of
 * strangers. Whatever they are, the parts stay four, no line is without its end or too long, and nothing beyond ASCII is in a
 * notification that says it has none. Original recipients are written for RCPT as well.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/smtp/orcpt.h"
#include "queue/dsn.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n);

#define OWN_ID "4jYT0M6nsPz3gG5r"
#define BOUNDARY "\r\n--=_" OWN_ID
#define LINE_MAX_BYTES 998

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
lines_check(struct str text, bool is_8bit)
{
	size_t line = 0, parts = 0;

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		check(c != '\0' && (is_8bit || (unsigned char)c < 128));
		check(c != '\r' || (i + 1 < text.n && text.p[i + 1] == '\n'));
		check(c != '\n' || (i > 0 && text.p[i - 1] == '\r'));
		line = c == '\n' ? 0 : line + 1;
		check(line <= LINE_MAX_BYTES + 1);
		parts += str_starts(str_skip(text, i), STR(BOUNDARY));
	}
	check(parts == 4);
}

/* As a parameter it is one word of printable ASCII. */
static void
parameter_check(struct str orcpt)
{
	struct buf b;

	buf_init(&b, 1024 * 1024);
	if (orcpt_add_parameter(&b, orcpt))
		for (size_t i = 0; i < b.n; i++)
			check(ascii_is_print(b.p[i]) && b.p[i] != ' ');
	else
		check(b.n == 0);
	buf_clear(&b);
}

static struct str
take(struct str *rest, size_t max)
{
	struct str token;

	return str_token(rest, '\x01', &token) ? str_sub(token, 0, max) : STR_NONE;
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	struct str rest = {(const char *)input + 2, n - 2};
	struct dsn_recipient r[2] = {0};
	struct dsn dsn = {.hostname = STR("satu.test"), .queue_id = STR("4jYT0M6kbqzm4yGB"), .own_id = STR(OWN_ID)};
	struct buf b;

	if (n < 2)
		return 0;
	dsn.kind = (enum dsn_kind)(input[0] % DSN_KINDS);
	dsn.language = (enum dsn_language)(input[0] / 16 % DSN_LANGUAGES);
	dsn.is_utf8 = input[1] & 1;
	dsn.header_is_utf8 = input[1] & 2;
	dsn.returns_whole = input[1] & 4;
	dsn.has_envid = input[1] & 8;
	dsn.to = take(&rest, 300); /* what an envelope can hold goes into one line */
	dsn.sender = take(&rest, 300);
	dsn.client = take(&rest, 300);
	dsn.envid = take(&rest, 10000);
	for (size_t i = 0; i < 2; i++) {
		r[i].action = (enum dsn_action)(input[1] / 16 % DSN_ACTIONS);
		r[i].address = take(&rest, 300);
		r[i].original = take(&rest, 300);
		r[i].orcpt = take(&rest, 10000);
		r[i].code = take(&rest, 100);
		r[i].relay = take(&rest, 400);
		r[i].reply = take(&rest, 10000);
		r[i].tried_ms = i;
		parameter_check(r[i].orcpt);
	}
	buf_init(&b, 4 * 1024 * 1024);
	dsn_begin(&b, &dsn, r, 2);
	buf_adds(&b, "Subject: x\r\n");
	dsn_end(&b, &dsn);
	check(buf_ok(&b));
	lines_check(buf_str(&b), dsn_is_8bit(&dsn));
	buf_clear(&b);
	return 0;
}
