#include "tests/unit/rows.h"

#include "common/base/buf.h"
#include "common/smtp/dot.h"

static const struct {
	struct str in;
	bool ended;
	struct str content;
	struct str rest; /* behind the end, or not to be judged yet */
	unsigned found;
} rows[] = {
    {STR(".\r\n"), true, STR(""), STR(""), 0},
    {STR(".\r\nQUIT\r\n"), true, STR(""), STR("QUIT\r\n"), 0},
    {STR("a\r\n.\r\n"), true, STR("a\r\n"), STR(""), 0},
    {STR("a\r\n..\r\nb\r\n.\r\nx"), true, STR("a\r\n.\r\nb\r\n"), STR("x"), 0},
    {STR("..a\r\n.b\r\n...\r\n.\r\n"), true, STR(".a\r\nb\r\n..\r\n"), STR(""), 0},
    {STR("a.\r\n.\r\n"), true, STR("a.\r\n"), STR(""), 0},
    {STR("a\tb\x1f\r\n\r\n\r\n.\r\n"), true, STR("a\tb\x1f\r\n\r\n\r\n"), STR(""), 0},
    {STR("a\r\n."), false, STR("a\r\n"), STR("."), 0},
    {STR("a\r\n.\r"), false, STR("a\r\n"), STR(".\r"), 0},
    {STR("a\r"), false, STR("a"), STR("\r"), 0},
    {STR("a\n.\nb"), false, STR("a\n.\nb"), STR(""), DOT_BARE_LF},
    {STR("a\n.\r\nb\r\n.\r\n"), true, STR("a\n.\r\nb\r\n"), STR(""), DOT_BARE_LF},
    {STR("a\r.\r\nb\r\n.\r\n"), true, STR("a\r.\r\nb\r\n"), STR(""), DOT_BARE_CR},
    {STR("a\r\n.\nb\r\n.\r\n"), true, STR("a\r\n\nb\r\n"), STR(""), DOT_BARE_LF},
    {STR("a\r\n.\rb\r\n.\r\n"), true, STR("a\r\n\rb\r\n"), STR(""), DOT_BARE_CR},
    {STR("a\r\n.\r\r\n.\r\n"), true, STR("a\r\n\r\r\n"), STR(""), DOT_BARE_CR},
    {STR("a\r\r\n.\r\n"), true, STR("a\r\r\n"), STR(""), DOT_BARE_CR},
    {STR("a\r\n\0.\r\n.\r\n"), true, STR("a\r\n\0.\r\n"), STR(""), DOT_NUL},
    {STR("a\r\n.\0\r\n.\r\n"), true, STR("a\r\n\0\r\n"), STR(""), DOT_NUL},
    {STR("\n\r\0\n.\r\n.\r\n"), true, STR("\n\r\0\n.\r\n"), STR(""), DOT_NUL | DOT_BARE_CR | DOT_BARE_LF},
};

/* Offers what there is up to each of the ends in turn, as a connection's buffer would. */
static void
read_in_pieces(struct dot_reader *reader, struct str in, size_t first, size_t step, struct buf *content, struct str *rest,
    bool *ended)
{
	size_t have = first, at = 0;

	*ended = false;
	for (;;) {
		struct str piece;
		size_t n = dot_read(reader, str_sub(in, at, have - at), &piece, ended);

		buf_add(content, piece);
		at += n;
		if (*ended || (n == 0 && have == in.n))
			break;
		if (n == 0)
			have = in.n - have > step ? have + step : in.n;
	}
	*rest = str_skip(in, at);
}

static void
only_crlf_dot_crlf_ends_whatever_the_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		for (size_t cut = 0; cut <= rows[i].in.n; cut++) {
			for (size_t step = 1; step <= rows[i].in.n; step += rows[i].in.n - 1) {
				struct dot_reader reader = {0};
				struct buf content;
				struct str rest;
				bool ended;

				buf_init(&content, 256);
				read_in_pieces(&reader, rows[i].in, cut, step, &content, &rest, &ended);
				assert_int_equal(ended, rows[i].ended);
				assert_str(buf_str(&content), rows[i].content);
				assert_str(rest, rows[i].rest);
				assert_int_equal(reader.found, rows[i].found);
				buf_clear(&content);
			}
		}
	}
}

/* Every string of up to seven of these bytes: the reader must agree with the definition, found by plain search. */
static void
every_mix_of_cr_lf_dot_and_nul_agrees_with_the_definition(void **state)
{
	static const char letters[] = {'\r', '\n', '.', '\0', 'x'};

	(void)state;
	for (size_t n = 1; n <= 7; n++) {
		size_t count = 1;

		for (size_t i = 0; i < n; i++)
			count *= sizeof letters;
		for (size_t number = 0; number < count; number++) {
			char text[7 + 2] = "\r\n";
			struct dot_reader reader = {0};
			struct buf content;
			struct str rest, with_crlf = {text, n + 2};
			size_t rem = number, end;
			bool ended;

			for (size_t i = 0; i < n; i++, rem /= sizeof letters)
				text[2 + i] = letters[rem % sizeof letters];
			end = str_search(with_crlf, STR("\r\n.\r\n"));
			buf_init(&content, 64);
			read_in_pieces(&reader, (struct str){text + 2, n}, number % (n + 1), 1, &content, &rest, &ended);
			assert_int_equal(ended, end < with_crlf.n);
			if (ended)
				assert_int_equal(rest.n, with_crlf.n - end - 5);
			buf_clear(&content);
		}
	}
}

/* The definition of what must not be in content, byte by byte. */
static unsigned
bare_in(struct str s)
{
	unsigned found = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\0')
			found |= DOT_NUL;
		if (s.p[i] == '\r' && (i + 1 == s.n || s.p[i + 1] != '\n'))
			found |= DOT_BARE_CR;
		if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
			found |= DOT_BARE_LF;
	}
	return found;
}

/* In two pieces, all of each being taken. */
static void
read_counted(struct dot_reader *reader, struct str in, size_t cut, struct buf *content)
{
	struct str parts[] = {str_sub(in, 0, cut), str_skip(in, cut)}, piece;
	bool ended;

	for (size_t i = 0; i < 2; i++)
		while (parts[i].n > 0) {
			parts[i] = str_skip(parts[i], dot_read(reader, parts[i], &piece, &ended));
			buf_add(content, piece);
			assert_false(ended);
		}
	if (dot_read_end(reader, &piece))
		buf_add(content, piece);
}

static void
counted_content_is_taken_as_it_is_wherever_it_is_cut(void **state)
{
	static const char letters[] = {'\r', '\n', '.', '\0', 'x'};

	(void)state;
	for (size_t n = 0; n <= 6; n++) {
		size_t count = 1;

		for (size_t i = 0; i < n; i++)
			count *= sizeof letters;
		for (size_t number = 0; number < count; number++) {
			char text[6];
			size_t rem = number;

			for (size_t i = 0; i < n; i++, rem /= sizeof letters)
				text[i] = letters[rem % sizeof letters];
			for (size_t cut = 0; cut <= n; cut++) {
				struct dot_reader plain = {.counted = true}, normal = {.counted = true, .normalise = true};
				struct buf content;

				buf_init(&content, 64);
				read_counted(&plain, (struct str){text, n}, cut, &content);
				assert_str(buf_str(&content), ((struct str){text, n}));
				assert_int_equal(plain.found, bare_in((struct str){text, n}));
				buf_reset(&content);
				read_counted(&normal, (struct str){text, n}, cut, &content);
				assert_int_equal(bare_in(buf_str(&content)), 0);
				buf_clear(&content);
			}
		}
	}
}

static void
normalised_content_has_no_bare_cr_lf_or_nul(void **state)
{
	static const struct {
		struct str in, content;
	} normal[] = {
	    {STR("a\nb\r\n.\r\n"), STR("a\r\nb\r\n")},
	    {STR("a\n.\n.\r\n.\r\n"), STR("a\r\n.\r\n.\r\n")},
	    {STR("a\rb\0c\r\n.\r\n"), STR("a\r\nbc\r\n")},
	    {STR("a\r\r\n.\r\n"), STR("a\r\n\r\n")},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(normal); i++) {
		for (size_t cut = 0; cut <= normal[i].in.n; cut++) {
			struct dot_reader reader = {.normalise = true};
			struct buf content;
			struct str rest;
			bool ended;

			buf_init(&content, 256);
			read_in_pieces(&reader, normal[i].in, cut, 1, &content, &rest, &ended);
			assert_true(ended);
			assert_str(buf_str(&content), normal[i].content);
			assert_int_not_equal(reader.found, 0);
			buf_clear(&content);
		}
	}
}

static void
write_all(struct str in, size_t step, size_t room, struct buf *wire)
{
	struct dot_writer writer = {0};
	char out[64], end[DOT_WRITE_END_MAX];

	for (size_t at = 0; at < in.n;) {
		size_t written, n = dot_write(&writer, str_sub(in, at, step), out, room, &written);

		assert_true(n > 0 && written <= room);
		buf_add(wire, (struct str){out, written});
		at += n;
	}
	buf_add(wire, (struct str){end, dot_write_end(&writer, end)});
}

static void
written_content_is_stuffed_and_has_crlf_only(void **state)
{
	static const struct {
		struct str in, wire;
	} out[] = {
	    {STR(""), STR(".\r\n")},
	    {STR("a\r\n"), STR("a\r\n.\r\n")},
	    {STR("a"), STR("a\r\n.\r\n")},
	    {STR(".\r\n..\r\n.a\r\nb.\r\n"), STR("..\r\n...\r\n..a\r\nb.\r\n.\r\n")},
	    {STR("a\n.\nb\n"), STR("a\r\n..\r\nb\r\n.\r\n")},
	    {STR("a\r.\rb\r"), STR("a\r\n..\r\nb\r\n.\r\n")},
	    {STR("a\r\r\nb\n\r\n"), STR("a\r\n\r\nb\r\n\r\n.\r\n")},
	    {STR("\r\n\tx\r\n"), STR("\r\n\tx\r\n.\r\n")},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(out); i++) {
		for (size_t step = 1; step <= out[i].in.n + 1; step++) {
			for (size_t room = DOT_WRITE_ROOM_MIN; room < 20; room++) {
				struct buf wire;

				buf_init(&wire, 256);
				write_all(out[i].in, step, room, &wire);
				assert_str(buf_str(&wire), out[i].wire);
				buf_clear(&wire);
			}
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_crlf_dot_crlf_ends_whatever_the_pieces),
	    cmocka_unit_test(every_mix_of_cr_lf_dot_and_nul_agrees_with_the_definition),
	    cmocka_unit_test(counted_content_is_taken_as_it_is_wherever_it_is_cut),
	    cmocka_unit_test(normalised_content_has_no_bare_cr_lf_or_nul),
	    cmocka_unit_test(written_content_is_stuffed_and_has_crlf_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
