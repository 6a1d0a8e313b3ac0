/*
 * A filter that says anything at all: its negotiation, then packets in answer to one stage after the other, their changes
 * applied to a letter. Whatever comes, the queue file is a good one, and the message a header of fields, an empty line, and a body
 * of lines.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/mime/rfc5322.h"
#include "smtpd/letter.h"

#define OUT_MAX (8 * 1024 * 1024)
#define HEAD "Received: ours\r\nA: 1\r\nB: 2\r\n folded\r\na: 3\r\n"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static struct str
value(const struct milter_macros *macros, struct str name)
{
	(void)macros;
	return name;
}

static const struct milter_macros macros = {value};
static const struct str recipients[] = {STR("a@b.test"), STR("c@d.test")};

static void
letter_begin(struct letter *l, struct queue_writer *w)
{
	static const struct letter_rules rules = {.size_max = 4096, .header_max = 8192, .domain = STR("satu.test")};
	struct str rest = STR(HEAD);
	struct rfc5322_field field;
	uint64_t at;

	queue_writer_init(w, OUT_MAX);
	queue_writer_begin(w, 1, STR(""));
	for (size_t i = 0; i < 2; i++)
		queue_writer_recipient(w, recipients[i]);
	if (!letter_init(l, &rules, recipients, 2))
		abort();
	for (bool ours = true; rfc5322_next(&rest, &field); ours = false) {
		if (!letter_field(l, field.raw, queue_writer_offset(w), ours))
			abort();
		queue_writer_content(w, field.raw);
	}
	at = queue_writer_offset(w);
	queue_writer_content(w, STR("\r\nbody\r\n"));
	letter_body(l, (struct queue_piece){at, 2}, (struct queue_piece){at + 2, 6});
}

/* CR and LF only together, no NUL. */
static void
check_lines(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\0')
			abort();
		if (s.p[i] == '\r' && (i + 1 == s.n || s.p[i + 1] != '\n'))
			abort();
		if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
			abort();
	}
}

static void
check_header(struct str message)
{
	size_t end = str_search(message, STR("\r\n\r\n"));
	struct str header = str_sub(message, 0, end + 2), line;

	if (end == message.n)
		abort();
	for (bool first = true; header.n > 0; first = false) {
		size_t n = str_search(header, STR("\r\n")), colon;

		line = str_sub(header, 0, n);
		header = str_skip(header, n + 2);
		colon = str_find(line, ':');
		if (line.n > 0 && ascii_is_blank(line.p[0]) && !first)
			continue;
		if (colon == 0 || colon == line.n)
			abort();
		for (size_t i = 0; i < colon; i++)
			if (!ascii_is_print(line.p[i]) || line.p[i] == ' ')
				abort();
	}
}

static void
letter_check(struct letter *l, struct queue_writer *w)
{
	struct queue_reader r;
	struct queue_record record;
	struct queue_piece pieces[QUEUE_PIECES_MAX];
	struct buf message;
	struct str in;
	uint64_t good_end;
	size_t n = 0;

	letter_write(l, w);
	if (!queue_writer_ok(w))
		abort();
	in = queue_writer_output(w);
	queue_reader_init(&r);
	while (queue_reader_next(&r, &in, &record) == QUEUE_READ_RECORD)
		if (record.key == QUEUE_PIECES && !queue_pieces_parse(record.value, &r.head, pieces, QUEUE_PIECES_MAX, &n))
			abort();
	if (queue_reader_finish(&r, in, &good_end) != PARSE_OK || n == 0)
		abort();
	buf_init(&message, OUT_MAX);
	for (size_t i = 0; i < n; i++)
		buf_add(&message, str_sub(queue_writer_output(w), pieces[i].offset, pieces[i].length));
	check_lines(buf_str(&message));
	check_header(buf_str(&message));
	buf_clear(&message);
}

static bool
change(struct letter *l, struct queue_writer *w, const struct milter_change *c)
{
	const char *problem;
	struct buf out;
	bool ok;

	if (c->kind != MILTER_BODY_REPLACE)
		return letter_change(l, c, &problem);
	buf_init(&out, OUT_MAX);
	ok = letter_body_replace(l, c->value, queue_writer_offset(w), &out, &problem);
	if (ok)
		queue_writer_content(w, buf_str(&out));
	buf_clear(&out);
	return ok;
}

/* False: it is through with that filter. */
static bool
answers(struct milter *m, struct letter *l, struct queue_writer *w, struct str *in)
{
	for (;;)
		switch (milter_feed(m, in)) {
		case MILTER_MORE:
		case MILTER_BAD:
			return false;
		case MILTER_READY:
		case MILTER_VERDICT:
			return true;
		case MILTER_PROGRESS:
			break;
		case MILTER_CHANGED:
			if (!change(l, w, &m->change))
				return false;
			break;
		}
}

static bool
stage(struct milter *m, struct buf *out, unsigned i)
{
	static const struct milter_peer peer = {STR("h"), AF_INET, STR("192.0.2.1"), 1};

	switch (i) {
	case 0:
		return milter_connect(m, out, &macros, &peer);
	case 1:
		return milter_helo(m, out, &macros, STR("h"));
	case 2:
		return milter_mail(m, out, &macros, recipients, 1);
	case 3:
		return milter_rcpt(m, out, &macros, recipients, 2);
	case 4:
		return milter_data(m, out, &macros);
	case 5:
		return milter_header(m, out, STR("A"), STR(" 1\r\n 2"));
	case 6:
		return milter_end_of_header(m, out, &macros);
	case 7:
		return milter_body(m, out, STR("x\r\n"));
	default:
		return milter_end(m, out, &macros);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str in = {(const char *)bytes, n};
	struct milter m;
	struct letter l, draft;
	struct queue_writer w;
	struct buf out;
	bool whole = true;

	letter_begin(&l, &w);
	if (!letter_copy(&draft, &l))
		abort();
	milter_init(&m);
	buf_init(&out, OUT_MAX);
	milter_negotiate(&m, &out);
	whole = answers(&m, &draft, &w, &in);
	for (unsigned i = 0; whole && i <= 8; i++)
		if (stage(&m, &out, i))
			whole = answers(&m, &draft, &w, &in);
	if (!buf_ok(&out))
		abort();
	if (whole) {
		struct buf end;

		buf_init(&end, 2);
		letter_body_end(&draft, &end);
		queue_writer_content(&w, buf_str(&end));
		buf_clear(&end);
	}
	letter_check(whole ? &draft : &l, &w);
	letter_clear(&draft);
	letter_clear(&l);
	milter_clear(&m);
	buf_clear(&out);
	queue_writer_clear(&w);
	return 0;
}
