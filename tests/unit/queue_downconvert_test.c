/*
 * Whole messages, for servers that take less: what comes out, whether read and written whole, byte by byte, or cut anywhere.
 */
#include "tests/unit/rows.h"

#include "queue/downconvert.h"

#define TO7 DOWNCONVERT_TO_7BIT
#define TO8 DOWNCONVERT_TO_8BIT

#define ROW(target, in, need, out) {target, STR(in), need, out}
#define NEEDED DOWNCONVERT_NEEDED
#define NOT_NEEDED DOWNCONVERT_NOT_NEEDED
#define IMPOSSIBLE DOWNCONVERT_IMPOSSIBLE

#define QP "Content-Transfer-Encoding: quoted-printable\r\n"
#define B64 "Content-Transfer-Encoding: base64\r\n"
#define MIME "MIME-Version: 1.0\r\n"
#define UNKNOWN "Content-Type: text/plain; charset=unknown-8bit\r\n"
#define MIXED MIME "Content-Type: multipart/mixed; boundary=b\r\n"
#define HUNDRED "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
#define THOUSAND HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED

static const struct row {
	enum downconvert_target target;
	struct str in;
	enum downconvert_need need;
	const char *out; /* or why not: words of it */
} rows[] = {
    /* Nothing to do. */
    ROW(TO7, "", NOT_NEEDED, NULL),
    ROW(TO7, "Subject: x\r\n\r\nhalo\r\n", NOT_NEEDED, NULL),
    ROW(TO7, "Content-Transfer-Encoding: 8bit\r\n\r\nhalo\r\n", NOT_NEEDED, NULL),
    ROW(TO8, "\r\nh\xc3\xa9\r\n", NOT_NEEDED, NULL),
    ROW(TO8, "Content-Transfer-Encoding: binary\r\n\r\nh\xc3\xa9\r\n", NOT_NEEDED, NULL),
    /* One body. */
    ROW(TO7, "Subject: x\r\n\r\nh\xc3\xa9\r\n", NEEDED, "Subject: x\r\n" MIME UNKNOWN QP "\r\nh=C3=A9\r\n"),
    ROW(TO7, MIME "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nSubject: x\r\n\r\nh\xc3\xa9",
	NEEDED, MIME "Content-Type: text/plain; charset=utf-8\r\nSubject: x\r\n" QP "\r\nh=C3=A9"),
    ROW(TO7, "content-transfer-encoding :\r\n 8bit\r\nMime-version: 1.0\r\ncontent-type: text/html\r\n\r\n\xe9\r\n", NEEDED,
	"Mime-version: 1.0\r\ncontent-type: text/html\r\n" QP "\r\n=E9\r\n"),
    ROW(TO7, MIME "Content-Type: image/png\r\n\r\n\x89PNG\r\n", NEEDED, MIME "Content-Type: image/png\r\n" B64 "\r\niVBORw0K"),
    ROW(TO7, "\r\n\xe9", NEEDED, MIME UNKNOWN QP "\r\n=E9"),
    /* A body that only the wire minds. */
    ROW(TO8, MIME "Content-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\na\nb\r\n\xe9", NEEDED,
	MIME "Content-Type: text/plain\r\n" QP "\r\na=0Ab\r\n=E9"),
    ROW(TO8, MIME "Content-Type: text/plain\r\n\r\na\0b", NEEDED, MIME "Content-Type: text/plain\r\n" B64 "\r\nYQBi"),
    ROW(TO8, "\r\n" THOUSAND "\r\n", NEEDED, NULL),
    ROW(TO8, "\r\na\r", NEEDED, MIME UNKNOWN QP "\r\na=0D"),
    /* Parts, each by itself. */
    ROW(TO7, MIXED "Content-Transfer-Encoding: 8bit\r\n\r\nvorwort \xe9\r\n--b\r\n\r\nascii\r\n--b\r\nContent-Type: text/plain\r\n\r\n"
	     "\xe9 \r\n\r\n--b\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n\r\n\xff\r\n--b--\r\nende\r\n", NEEDED,
	MIXED "Content-Transfer-Encoding: 7bit\r\n\r\nvorwort ?\r\n--b\r\n\r\nascii\r\n--b\r\nContent-Type: text/plain\r\n" QP
	      "\r\n=E9=20\r\n\r\n--b\r\nContent-Type: a/b\r\n" B64 "\r\n/w==\r\n--b--\r\nende\r\n"),
    ROW(TO7, "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\xe9\r\n--b--\r\n", NEEDED,
	"Content-Type: multipart/mixed; boundary=b\r\n" MIME "\r\n--b\r\n" QP "\r\n=E9\r\n--b--\r\n"),
    ROW(TO7, MIXED "\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\nw6k=\r\n--b\r\n\r\n\xe9\r\n--b--", NEEDED,
	MIXED "\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\nw6k=\r\n--b\r\n" QP "\r\n=E9\r\n--b--"),
    /* A message within: its own header tells of it, the outer one cannot be encoded. */
    ROW(TO7, MIME "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: y\r\n\r\n\xe9\r\n", NEEDED,
	MIME "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: y\r\n" MIME UNKNOWN QP
	     "\r\n=E9\r\n"),
    ROW(TO8, MIME "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\nSubject: y\r\n\r\n\xe9\n\r\n",
	NEEDED,
	MIME "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: y\r\n" MIME UNKNOWN QP
	     "\r\n=E9=0A\r\n"),
    /* Not to be touched. */
    ROW(TO7, "Subject: \xe9\r\n\r\nx\r\n", IMPOSSIBLE, "header"),
    ROW(TO7, MIME "Content-Type: message/rfc822\r\n\r\nSubject: \xe9\r\n\r\nx\r\n", IMPOSSIBLE, "header"),
    ROW(TO7, MIME "Content-Transfer-Encoding: base64\r\n\r\nw6k=\xe9\r\n", IMPOSSIBLE, "not encoded as it says"),
    ROW(TO7, MIME "Content-Transfer-Encoding: quoted-printable\r\n\r\n\xe9\r\n", IMPOSSIBLE, "not encoded as it says"),
    ROW(TO7, MIME "Content-Transfer-Encoding: x-uuencode\r\n\r\n\xe9\r\n", IMPOSSIBLE, "not encoded as it says"),
    ROW(TO7, MIME "Content-Type: message/partial; id=a; number=1\r\n\r\n\xe9\r\n", IMPOSSIBLE, "must not be encoded"),
    ROW(TO7, MIME "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xe9\r\n--b\r\n\r\nx\r\n--b--\r\n", IMPOSSIBLE,
	"signed"),
    ROW(TO7, MIME "Content-Type: multipart/encrypted; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
		  "--c\r\n\r\n\xe9\r\n--c--\r\n--b--\r\n", IMPOSSIBLE, "signed or encrypted"),
    ROW(TO7, MIXED "\r\n\xe9\r\n--b\r\nContent-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b--\r\n",
	IMPOSSIBLE, "around what is signed"),
    ROW(TO7, MIXED "\r\n--b\xe9\r\n--b\r\n\r\nx\r\n--b--\r\n", IMPOSSIBLE, "looks like a boundary"),
    /* What is beside a signature may be. */
    ROW(TO7, MIXED "\r\n--b\r\nContent-Type: multipart/signed; boundary=c\r\n\r\n--c\r\nContent-Transfer-Encoding: 8bit\r\n\r\nx\r\n"
		   "--c--\r\n--b\r\n\r\n\xe9\r\n--b--\r\n", NEEDED,
	MIXED "\r\n--b\r\nContent-Type: multipart/signed; boundary=c\r\n\r\n--c\r\nContent-Transfer-Encoding: 8bit\r\n\r\nx\r\n"
	      "--c--\r\n--b\r\n" QP "\r\n=E9\r\n--b--\r\n"),
    /* Nor does a header without a body come to harm. */
    ROW(TO7, MIXED "\r\n--b\r\nContent-Transfer-Encoding: 8bit\r\n--b\r\n\r\n\xe9\r\n--b--\r\n", NEEDED,
	MIXED "\r\n--b\r\n\r\n--b\r\n" QP "\r\n=E9\r\n--b--\r\n"),
};

static void
give(void (*to)(struct downconvert *, struct str), struct downconvert *d, struct str in, size_t cut)
{
	while (in.n > 0) {
		struct str piece = str_sub(in, 0, cut == 0 ? 1 : cut);

		to(d, piece);
		in = str_skip(in, piece.n);
		cut = cut == 0 ? 0 : in.n;
	}
}

static enum downconvert_need
survey(struct downconvert *d, struct str in, size_t cut, const char **why)
{
	give(downconvert_parse, d, in, cut);
	downconvert_parse_end(d);
	give(downconvert_look, d, in, cut);
	return downconvert_decide(d, why);
}

static void
convert(struct downconvert *d, struct str in, size_t cut, struct buf *out)
{
	buf_reset(out);
	downconvert_begin(d);
	while (in.n > 0) {
		struct str piece = str_sub(in, 0, cut == 0 ? 1 : cut);
		size_t before = out->n;

		downconvert_write(d, piece, out);
		assert_true(out->n - before <= piece.n * DOWNCONVERT_GROWTH + DOWNCONVERT_SLACK);
		in = str_skip(in, piece.n);
		cut = cut == 0 ? 0 : in.n;
	}
	downconvert_end(d, out);
	assert_true(buf_ok(out));
}

static void
row_run(const struct row *row, size_t cut, struct buf *out)
{
	struct downconvert *d = downconvert_new(row->target);
	const char *why = NULL;

	assert_int_equal(survey(d, row->in, cut, &why), row->need);
	if (row->need == IMPOSSIBLE)
		assert_non_null(strstr(why, row->out));
	for (unsigned twice = 0; row->need == NEEDED && row->out != NULL && twice < 2; twice++) {
		convert(d, row->in, cut, out);
		assert_str(buf_str(out), str_from(row->out));
	}
	downconvert_free(d);
}

static void
messages_are_converted_however_they_are_cut(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 65536);
	for (size_t i = 0; i < ROWS(rows); i++) {
		print_message("    row %zu\n", i);
		for (size_t cut = 0; cut < 300 && cut <= rows[i].in.n + 1; cut++)
			row_run(&rows[i], cut, &out);
	}
	buf_clear(&out);
}

static void
long_lines_are_broken_by_encoding(void **state)
{
	struct str in = STR(MIME "Content-Type: text/plain\r\n\r\n" THOUSAND "\r\n");
	struct downconvert *d = downconvert_new(TO8);
	struct str rest, line;
	const char *why;
	struct buf out;

	(void)state;
	buf_init(&out, 65536);
	assert_int_equal(survey(d, in, in.n, &why), NEEDED);
	convert(d, in, in.n, &out);
	rest = buf_str(&out);
	while (str_token(&rest, '\n', &line))
		assert_true(line.n <= 77);
	downconvert_free(d);
	buf_clear(&out);
}

static void
what_is_too_deep_is_left_alone(void **state)
{
	struct downconvert *d = downconvert_new(TO7);
	struct buf in;
	const char *why;

	(void)state;
	buf_init(&in, 65536);
	for (unsigned i = 0; i < 60; i++)
		buf_adds(&in, "Content-Type: message/rfc822\r\n\r\n");
	buf_adds(&in, "\r\n\xe9\r\n");
	assert_int_equal(survey(d, buf_str(&in), in.n, &why), IMPOSSIBLE);
	assert_non_null(strstr(why, "too deep"));
	downconvert_free(d);
	buf_clear(&in);
}

static void
what_has_too_many_parts_is_left_alone(void **state)
{
	struct downconvert *d = downconvert_new(TO7);
	struct buf in;
	const char *why;

	(void)state;
	buf_init(&in, 65536);
	buf_adds(&in, MIXED "\r\n");
	for (unsigned i = 0; i < 1100; i++)
		buf_adds(&in, "--b\r\n\r\n\xe9\r\n");
	assert_int_equal(survey(d, buf_str(&in), in.n, &why), IMPOSSIBLE);
	downconvert_free(d);
	buf_clear(&in);
}

static void
the_growth_of_tiny_parts_is_bounded(void **state)
{
	struct downconvert *d = downconvert_new(TO7);
	struct buf in, out;
	const char *why;

	(void)state;
	buf_init(&in, 65536);
	buf_init(&out, 1048576);
	buf_adds(&in, MIME "Content-Type: multipart/digest; boundary=b\r\n\r\n");
	for (unsigned i = 0; i < 400; i++)
		buf_adds(&in, "--b\r\n\r\n\r\n\xe9\r\n");
	assert_int_equal(survey(d, buf_str(&in), in.n, &why), NEEDED);
	convert(d, buf_str(&in), in.n, &out);
	downconvert_free(d);
	buf_clear(&in);
	buf_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(messages_are_converted_however_they_are_cut),
	    cmocka_unit_test(long_lines_are_broken_by_encoding),
	    cmocka_unit_test(what_is_too_deep_is_left_alone),
	    cmocka_unit_test(what_has_too_many_parts_is_left_alone),
	    cmocka_unit_test(the_growth_of_tiny_parts_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
