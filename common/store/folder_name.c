#include "common/store/folder_name.h"

#include "common/mime/mutf7.h"
#include "common/store/store.h"

#define INBOX STR("INBOX")

static bool
has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x20 || c == 0x7f)
			return true;
		/* U+0080 to U+009F, given that it is UTF-8 */
		if (c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa0)
			return true;
	}
	return false;
}

bool
folder_name_is_good(struct str name)
{
	struct str level, rest = name;
	unsigned levels = 0;

	if (name.n == 0 || name.n > FOLDER_NAME_MAX || !utf8_is_valid(name) || has_control(name))
		return false;
	while (str_token(&rest, STORE_SEPARATOR, &level))
		if (level.n == 0 || ++levels > FOLDER_LEVELS_MAX)
			return false;
	return true;
}

bool
folder_name_is_inbox(struct str name)
{
	return str_equal_nocase(name, INBOX);
}

/* Appends one level with those of the bytes in `escape` as \xx. */
static void
level_escape(struct buf *out, struct str level, struct str escape)
{
	for (size_t i = 0; i < level.n; i++) {
		char c = level.p[i];

		if (str_find(escape, c) < escape.n)
			buf_addf(out, "\\%02x", (unsigned)c);
		else
			buf_addc(out, c);
	}
}

static bool
level_unescape(struct buf *out, struct str level)
{
	for (size_t i = 0; i < level.n; i++) {
		struct str code = str_sub(level, i, 3);

		if (level.p[i] != '\\') {
			buf_addc(out, level.p[i]);
			continue;
		}
		if (str_equal(code, STR("\\2e")))
			buf_addc(out, '.');
		else if (str_equal(code, STR("\\5c")))
			buf_addc(out, '\\');
		else if (str_equal(code, STR("\\26")))
			buf_addc(out, '&');
		else
			return false;
		i += 2;
	}
	return buf_ok(out);
}

static bool
has_byte(struct str s, char c)
{
	return str_find(s, c) < s.n;
}

/* A level with an escape is ours; one with an `&` may be modified UTF-7. */
static bool
level_from_disk(struct buf *out, struct str level)
{
	size_t start = out->n;

	if (has_byte(level, '\\'))
		return level_unescape(out, level);
	if (has_byte(level, '&') && mutf7_decode(out, level))
		return true;
	buf_truncate(out, start);
	buf_add(out, level);
	return buf_ok(out);
}

static bool
level_to_disk(struct buf *out, struct str level)
{
	size_t start = out->n;
	struct buf back;
	bool same;

	level_escape(out, level, STR(".\\"));
	buf_init(&back, 2 * FOLDER_NAME_MAX);
	same = level_from_disk(&back, str_skip(buf_str(out), start)) && str_equal(buf_str(&back), level);
	buf_clear(&back);
	if (!same) {
		buf_truncate(out, start);
		level_escape(out, level, STR(".\\&"));
	}
	return buf_ok(out);
}

static bool
level_to_mutf7(struct buf *out, struct str level)
{
	return !has_byte(level, '.') && mutf7_encode(out, level);
}

static bool
name_to_disk(struct buf *out, struct str name, bool (*convert)(struct buf *, struct str))
{
	size_t start = out->n;
	struct str level, rest = name;
	bool first = true;

	if (!folder_name_is_good(name) || folder_name_is_inbox(name))
		return false;
	while (str_token(&rest, STORE_SEPARATOR, &level)) {
		buf_addc(out, '.');
		if (!convert(out, first && folder_name_is_inbox(level) ? INBOX : level))
			return false;
		first = false;
	}
	return buf_ok(out) && out->n - start <= FOLDER_NAME_MAX;
}

bool
folder_name_to_disk(struct buf *out, struct str name)
{
	return name_to_disk(out, name, level_to_disk);
}

bool
folder_name_to_disk_mutf7(struct buf *out, struct str name)
{
	size_t start = out->n;

	return name_to_disk(out, name, level_to_mutf7) && has_byte(str_skip(buf_str(out), start), '&');
}

bool
folder_name_from_disk(struct buf *out, struct str directory)
{
	size_t start = out->n;
	struct str level, rest, name;

	if (directory.n < 2 || directory.p[0] != '.')
		return false;
	rest = str_skip(directory, 1);
	while (str_token(&rest, '.', &level)) {
		if (out->n > start)
			buf_addc(out, STORE_SEPARATOR);
		if (level.n == 0 || !level_from_disk(out, level))
			return false;
	}
	name = str_skip(buf_str(out), start);
	return buf_ok(out) && folder_name_is_good(name) && !folder_name_is_inbox(name);
}
