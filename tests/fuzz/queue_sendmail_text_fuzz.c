/*
 * What a program gives to sendmail: the first byte chooses -i and -t. In pieces it is the same message as whole; lines end
 * in CRLF only; where the header ends is told the same of every longer beginning; and what leaves says no Bcc after -t.
 */
#include <stdlib.h>

#include "common/mime/rfc5322.h"
#include "queue/sendmail_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define MAX_BYTES (1024 * 1024)

static void
read_lines(struct buf *out, struct str input, size_t step, bool ignore_dots)
{
	struct sendmail_lines lines = {.ignore_dots = ignore_dots};

	buf_init(out, MAX_BYTES);
	for (size_t at = 0; at < input.n; at += step)
		sendmail_lines_feed(&lines, str_sub(input, at, step), out);
	sendmail_lines_end(&lines, out);
}

/* Every CR is before a LF and every LF behind a CR. */
static void
check_lines(struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\n' && (i == 0 || text.p[i - 1] != '\r'))
			abort();
		if (text.p[i] == '\r' && (i + 1 == text.n || text.p[i + 1] != '\n'))
			abort();
	}
}

static void
check_header_end(struct str text)
{
	size_t whole, part;
	bool ends = sendmail_header_ends(text, &whole);

	for (size_t cut = 0; cut < text.n && cut < 300; cut++)
		if (sendmail_header_ends(str_sub(text, 0, cut), &part) && (!ends || part != whole))
			abort();
}

static void
check_header(struct str text, bool takes)
{
	struct sendmail_header_rules rules = {
	    .takes_recipients = takes, .from = STR("a@satu.test"), .full_name = STR("B. A."), .domain = STR("satu.test")};
	struct sendmail_recipients recipients = {.list = NULL};
	struct arena arena;
	struct buf out;

	arena_init(&arena, 4 * MAX_BYTES);
	buf_init(&out, 4 * MAX_BYTES);
	if (sendmail_header(&rules, text, &arena, &recipients, &out)) {
		struct str header = buf_str(&out);
		struct rfc5322_field field;

		while (takes && rfc5322_next(&header, &field))
			if (str_equal_nocase(field.name, STR("Bcc")) || str_equal_nocase(field.name, STR("Resent-Bcc")))
				abort();
		for (size_t i = 0; i < recipients.n; i++)
			if (recipients.list[i].n == 0 || recipients.list[i].n > ADDRESS_TEXT_MAX)
				abort();
	}
	sendmail_recipients_clear(&recipients);
	buf_clear(&out);
	arena_clear(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str input = {(const char *)bytes + 1, n - 1};
	struct buf whole, pieces;
	bool ignore_dots, takes;
	size_t end;

	if (n < 2)
		return 0;
	ignore_dots = bytes[0] & 1;
	takes = bytes[0] & 2;
	read_lines(&whole, input, input.n, ignore_dots);
	read_lines(&pieces, input, 1, ignore_dots);
	if (!str_equal(buf_str(&whole), buf_str(&pieces)))
		abort();
	check_lines(buf_str(&whole));
	check_header_end(buf_str(&whole));
	(void)sendmail_header_ends(buf_str(&whole), &end);
	check_header(str_sub(buf_str(&whole), 0, end), takes);
	buf_clear(&whole);
	buf_clear(&pieces);
	return 0;
}
