#include "common/store/maildir_name.h"

#include <string.h>

/* The letters of the flags, in the order of enum maildir_flag_bit. */
static const char flag_letters[] = {
#define X(constant, letter) letter,
    MAILDIR_FLAGS(X)
#undef X
};

static const struct str flags_mark = {":2,", 3};

static bool
may_be_message(struct str name)
{
	return name.n > 0 && name.n <= MAILDIR_NAME_MAX && name.p[0] != '.' && str_find(name, '/') == name.n &&
	       str_find(name, '\0') == name.n;
}

/* A field that stands twice is spoilt for good: hence the count. */
struct number_field {
	unsigned seen;
	bool good;
	uint64_t value;
};

static void
number_read(struct number_field *field, struct str value)
{
	field->good = ++field->seen == 1 && str_to_u64(value, UINT64_MAX, &field->value);
}

static bool
is_tag(struct str s)
{
	if (s.n != MAILDIR_TAG_LENGTH)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alnum(s.p[i]))
			return false;
	return true;
}

static bool
uid_read(struct maildir_name *n, struct str value)
{
	size_t dot = str_find(value, '.');
	uint64_t uid;

	if (!is_tag(str_skip(value, dot + 1)) || !str_to_u64(str_sub(value, 0, dot), UINT32_MAX, &uid) || uid == 0)
		return false;
	n->uid = (uint32_t)uid;
	return str_copy(n->tag, sizeof n->tag, str_skip(value, dot + 1));
}

static void
fields_read(struct maildir_name *n)
{
	struct number_field size = {0}, wire_size = {0}, mbsync_uid = {0};
	struct str field, rest = str_skip(n->base, str_find(n->base, ',') + 1);
	unsigned uids = 0;

	while (rest.n > 0 && str_token(&rest, ',', &field)) {
		struct str value = str_skip(field, 2);

		if (str_starts(field, STR("S=")))
			number_read(&size, value);
		else if (str_starts(field, STR("W=")))
			number_read(&wire_size, value);
		else if (str_starts(field, STR("U=")))
			number_read(&mbsync_uid, value);
		else if (str_starts(field, STR("u=")) && (++uids > 1 || !uid_read(n, value)))
			n->uid = 0;
	}
	if (n->uid == 0)
		n->tag[0] = '\0';
	n->has_size = size.good;
	n->size = size.good ? size.value : 0;
	n->has_wire_size = wire_size.good;
	n->wire_size = wire_size.good ? wire_size.value : 0;
	n->mbsync_uid = mbsync_uid.good && mbsync_uid.value <= UINT32_MAX ? (uint32_t)mbsync_uid.value : 0;
}

static int
flag_bit(char letter)
{
	for (int i = 0; i < MAILDIR_FLAG_COUNT; i++)
		if (flag_letters[i] == letter)
			return i;
	return -1;
}

static bool
is_keyword(char letter)
{
	return letter >= 'a' && letter <= 'z';
}

static void
letters_read(struct maildir_name *n)
{
	for (size_t i = 0; i < n->letters.n; i++) {
		char letter = n->letters.p[i];
		int bit = flag_bit(letter);

		if (bit >= 0)
			n->flags |= 1u << bit;
		else if (is_keyword(letter))
			n->keywords |= 1u << (letter - 'a');
	}
}

bool
maildir_name_parse(struct maildir_name *n, struct str name)
{
	size_t colon;

	*n = (struct maildir_name){0};
	if (!may_be_message(name))
		return false;
	colon = str_find(name, ':');
	if (colon == 0)
		return false;
	n->base = str_sub(name, 0, colon);
	if (str_starts(str_skip(name, colon), flags_mark))
		n->letters = str_skip(name, colon + flags_mark.n);
	fields_read(n);
	letters_read(n);
	return true;
}

void
maildir_name_unique(struct buf *out, const struct maildir_unique *unique)
{
	buf_addf(out, "%llu.M%06uP%uQ%uR%08x.", (unsigned long long)unique->seconds, unique->microseconds, unique->pid,
	    unique->counter, unique->random);
	for (size_t i = 0; i < unique->host.n && i < MAILDIR_HOST_MAX; i++) {
		char c = unique->host.p[i];

		buf_addc(out, ascii_is_alnum(c) || c == '-' || c == '.' ? c : '_');
	}
	if (unique->host.n == 0)
		buf_addc(out, '_');
}

void
maildir_name_base(struct buf *out, struct str unique, uint64_t size, uint64_t wire_size, uint32_t uid, const char *tag)
{
	buf_add(out, unique);
	buf_addf(out, ",S=%llu,W=%llu,u=%u.%.4s", (unsigned long long)size, (unsigned long long)wire_size, uid, tag);
}

void
maildir_name_rebase(struct buf *out, struct str base, uint64_t size, uint64_t wire_size, uint32_t uid, const char *tag)
{
	struct str field, rest = base;
	bool first = true;

	while (str_token(&rest, ',', &field)) {
		bool ours = str_starts(field, STR("S=")) || str_starts(field, STR("W=")) || str_starts(field, STR("u="));

		if (!first && ours)
			continue;
		if (!first)
			buf_addc(out, ',');
		buf_add(out, field);
		first = false;
	}
	maildir_name_base(out, STR(""), size, wire_size, uid, tag);
}

void
maildir_name_format(struct buf *out, struct str base, unsigned flags, uint32_t keywords, struct str old_letters)
{
	bool upper[26] = {false};

	buf_add(out, base);
	buf_add(out, flags_mark);
	for (size_t i = 0; i < old_letters.n; i++)
		if (old_letters.p[i] >= 'A' && old_letters.p[i] <= 'Z' && flag_bit(old_letters.p[i]) < 0)
			upper[old_letters.p[i] - 'A'] = true;
	for (int i = 0; i < MAILDIR_FLAG_COUNT; i++)
		if (flags & 1u << i)
			upper[flag_letters[i] - 'A'] = true;
	for (int i = 0; i < 26; i++)
		if (upper[i])
			buf_addc(out, (char)('A' + i));
	for (int i = 0; i < MAILDIR_KEYWORDS_MAX; i++)
		if (keywords & 1u << i)
			buf_addc(out, (char)('a' + i));
}
