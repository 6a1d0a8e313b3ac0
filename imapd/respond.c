#include "imapd/respond.h"

#include <string.h>

#include "common/store/maildir_name.h"
#include "common/mime/mutf7.h"

#define QUOTED_MAX 4096 /* longer strings are literals: some clients read lines into buffers of their own */

static bool
can_quote(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_print(s.p[i]) && s.p[i] != '\t')
			return false;
	return s.n <= QUOTED_MAX;
}

static void
add_quoted(struct buf *out, struct str s)
{
	buf_addc(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_addc(out, '\\');
		buf_addc(out, s.p[i]);
	}
	buf_addc(out, '"');
}

static size_t
count_nuls(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\0';
	return n;
}

static void
add_literal(struct buf *out, struct str s)
{
	buf_addf(out, "{%zu}\r\n", s.n - count_nuls(s));
	while (s.n > 0) {
		size_t n = str_find(s, '\0');

		buf_add(out, str_sub(s, 0, n));
		s = str_skip(s, n + 1);
	}
}

void
respond_string(struct buf *out, struct str s)
{
	if (can_quote(s))
		add_quoted(out, s);
	else
		add_literal(out, s);
}

void
respond_nstring(struct buf *out, struct str s)
{
	if (s.p == NULL)
		buf_adds(out, "NIL");
	else
		respond_string(out, s);
}

static bool
is_atom(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_print(s.p[i]) || memchr(" (){%*\"\\]", s.p[i], 9) != NULL)
			return false;
	return s.n > 0 && !str_equal_nocase(s, STR("NIL"));
}

void
respond_astring(struct buf *out, struct str s)
{
	if (is_atom(s))
		buf_add(out, s);
	else
		respond_string(out, s);
}

void
respond_mailbox(struct buf *out, struct str utf8)
{
	struct buf encoded;

	buf_init(&encoded, 8 * utf8.n + 16);
	if (mutf7_encode(&encoded, utf8) && buf_ok(&encoded))
		respond_astring(out, buf_str(&encoded));
	else
		respond_astring(out, utf8);
	buf_clear(&encoded);
}

static void
add_word(struct buf *out, bool *first, const char *word)
{
	if (!*first)
		buf_addc(out, ' ');
	buf_adds(out, word);
	*first = false;
}

void
respond_flags(struct buf *out, const struct respond_flags *flags)
{
	static const struct {
		enum maildir_flag flag;
		const char *name;
	} names[] = {
	    {MAILDIR_REPLIED, "\\Answered"},
	    {MAILDIR_FLAGGED, "\\Flagged"},
	    {MAILDIR_TRASHED, "\\Deleted"},
	    {MAILDIR_SEEN, "\\Seen"},
	    {MAILDIR_DRAFT, "\\Draft"},
	};
	bool first = true;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if ((flags->flags & (unsigned)names[i].flag) != 0)
			add_word(out, &first, names[i].name);
	if (flags->recent)
		add_word(out, &first, "\\Recent");
	if ((flags->flags & MAILDIR_PASSED) != 0)
		add_word(out, &first, "$Forwarded");
	for (unsigned i = 0; i < MAILDIR_KEYWORDS_MAX; i++) {
		const char *name = (flags->keywords >> i & 1) != 0 ? flags->name(flags->context, i) : NULL;

		if (name != NULL)
			add_word(out, &first, name);
	}
}

void
respond_date_time(struct buf *out, struct date date)
{
	char text[DATE_IMAP_SIZE];

	buf_addf(out, "\"%s\"", date_format_imap(text, date));
}
