#include "tests/unit/rows.h"

#include "common/smtp/crlf.h"

static const struct {
	const char *wire, *disk;
} rows[] = {
    {"", ""},
    {"a", "a"},
    {"a\r\n", "a\n"},
    {"a\r\nb\r\n", "a\nb\n"},
    {"\r\n\r\n", "\n\n"},
    {"a\rb\r\n", "a\rb\n"},
    {"a\r\r\n", "a\r\r\n"},
    {"a\r\r\r\n", "a\r\r\r\n"},
    {"\r\r\n\r\n", "\r\r\n\n"},
    {"a\r\r\nb\r\n", "a\r\r\nb\n"},
    {"a\r", "a\r"},
    {"\r\r", "\r\r"},
    {"a\r\n\r", "a\n\r"},
};

/* In pieces of `step` bytes with `room` bytes of output at a time. */
static struct str
to_disk(struct buf *out, struct str in, size_t step, size_t room)
{
	struct crlf c = {0};
	char piece[64];
	size_t n;

	buf_reset(out);
	for (size_t i = 0; i < in.n; i += step) {
		struct str rest = str_sub(in, i, step);

		while (rest.n > 0) {
			size_t taken = crlf_to_disk(&c, rest, piece, room, &n);

			assert_true(taken > 0 || n > 0);
			assert_true(n <= room);
			buf_add(out, (struct str){piece, n});
			rest = str_skip(rest, taken);
		}
	}
	n = crlf_to_disk_end(&c, piece);
	buf_add(out, (struct str){piece, n});
	return buf_str(out);
}

static struct str
to_wire(struct buf *out, struct str in, size_t step, size_t room)
{
	struct crlf c = {0}, count = {0};
	size_t extra = 0;

	buf_reset(out);
	for (size_t i = 0; i < in.n; i += step) {
		struct str rest = str_sub(in, i, step);

		extra += crlf_wire_extra(&count, rest);
		while (rest.n > 0) {
			char piece[64];
			size_t n, taken = crlf_to_wire(&c, rest, piece, room, &n);

			assert_true(taken > 0 || n > 0);
			buf_add(out, (struct str){piece, n});
			rest = str_skip(rest, taken);
		}
	}
	assert_int_equal(out->n, in.n + extra);
	return buf_str(out);
}

static void
what_came_in_goes_out_in_any_pieces(void **state)
{
	struct buf disk, wire;

	(void)state;
	buf_init(&disk, 4096);
	buf_init(&wire, 4096);
	for (size_t i = 0; i < ROWS(rows); i++)
		for (size_t step = 1; step < 8; step++)
			for (size_t room = 2; room < 9; room++) {
				struct str s = to_disk(&disk, str_from(rows[i].wire), step, room);

				assert_str(s, str_from(rows[i].disk));
				assert_str(to_wire(&wire, s, step, room), str_from(rows[i].wire));
			}
	buf_clear(&disk);
	buf_clear(&wire);
}

static void
every_text_whose_lines_end_in_crlf_survives(void **state)
{
	static const char alphabet[] = {'x', '\r', 0 /* stands for CRLF */};
	struct buf in, disk, wire;

	(void)state;
	buf_init(&in, 4096);
	buf_init(&disk, 4096);
	buf_init(&wire, 4096);
	for (unsigned code = 0; code < 3 * 3 * 3 * 3 * 3 * 3 * 3; code++) {
		unsigned rest = code;

		buf_reset(&in);
		for (int i = 0; i < 7; i++, rest /= 3)
			if (alphabet[rest % 3] == 0)
				buf_adds(&in, "\r\n");
			else
				buf_addc(&in, alphabet[rest % 3]);
		assert_str(to_wire(&wire, to_disk(&disk, buf_str(&in), 3, 4), 2, 5), buf_str(&in));
	}
	buf_clear(&in);
	buf_clear(&disk);
	buf_clear(&wire);
}

static void
files_of_other_tools_with_crlf_are_served_as_they_are(void **state)
{
	struct buf wire;

	(void)state;
	buf_init(&wire, 4096);
	assert_str(to_wire(&wire, STR("a\r\nb\nc\r\n"), 1, 2), STR("a\r\nb\r\nc\r\n"));
	buf_clear(&wire);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_came_in_goes_out_in_any_pieces),
	    cmocka_unit_test(every_text_whose_lines_end_in_crlf_survives),
	    cmocka_unit_test(files_of_other_tools_with_crlf_are_served_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
