#include "imapd/match.h"

#include <locale.h>
#include <string.h>
#include <wctype.h>

#include "common/base/log.h"

/* ---- folding --------------------------------------------------------------------------------------------------- */

/* The C library's table of letters is a file. */
static locale_t utf8;

void
match_preload(void)
{
	if (utf8 == (locale_t)0)
		utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (utf8 == (locale_t)0)
		log_warning("no locale C.UTF-8: searches tell small letters from capital ones beyond ASCII");
}

static wint_t
lower(wint_t c)
{
	return utf8 == (locale_t)0 ? c : towlower_l(c, utf8);
}

/* Bytes of the character that begins with c; 1 where no character does. */
static size_t
character_length(char c)
{
	unsigned char byte = (unsigned char)c;

	return byte >= 0xf0 && byte < 0xf8 ? 4 : byte >= 0xe0 && byte < 0xf0 ? 3 : byte >= 0xc0 && byte < 0xe0 ? 2 : 1;
}

static bool
is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

static void
add_character(struct buf *out, wint_t c)
{
	if (c < 0x800) {
		buf_addc(out, (char)(0xc0 | c >> 6));
	} else {
		if (c < 0x10000) {
			buf_addc(out, (char)(0xe0 | c >> 12));
		} else {
			buf_addc(out, (char)(0xf0 | c >> 18));
			buf_addc(out, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		buf_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	buf_addc(out, (char)(0x80 | (c & 0x3f)));
}

/* s: one whole character of several bytes. */
static void
fold_character(struct str s, struct buf *out)
{
	static const unsigned char first_bits[] = {0, 0, 0x1f, 0x0f, 0x07};
	wint_t c = (unsigned char)s.p[0] & first_bits[s.n], folded;

	for (size_t i = 1; i < s.n; i++)
		c = c << 6 | ((unsigned char)s.p[i] & 0x3f);
	folded = lower(c);
	if (folded == c || folded < 0x80)
		buf_add(out, s);
	else
		add_character(out, folded);
}

static void
fold_byte(struct match_fold *f, char c, struct buf *out)
{
	struct str held;

	if (f->held_n > 0 && !is_continuation(c))
		match_fold_end(f, out);
	if (f->held_n == 0 && character_length(c) == 1) {
		buf_addc(out, ascii_lower(c));
		return;
	}
	f->held[f->held_n++] = c;
	held = (struct str){f->held, f->held_n};
	if (held.n < character_length(f->held[0]))
		return;
	fold_character(held, out);
	f->held_n = 0;
}

void
match_fold(struct match_fold *f, struct str in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++)
		fold_byte(f, in.p[i], out);
}

void
match_fold_end(struct match_fold *f, struct buf *out)
{
	buf_add(out, (struct str){f->held, f->held_n});
	f->held_n = 0;
}

/* ---- matching -------------------------------------------------------------------------------------------------- */

/* fallback[n]: how much of the needle is still matched when n bytes were and the next one does not fit (Knuth, Morris,
 * Pratt). */
static void
prepare(struct match *m)
{
	size_t matched = 0;

	for (size_t i = 1; i < m->needle.n; i++) {
		while (matched > 0 && m->needle.p[i] != m->needle.p[matched])
			matched = m->fallback[matched];
		matched += m->needle.p[i] == m->needle.p[matched];
		m->fallback[i + 1] = (uint32_t)matched;
	}
}

bool
match_init(struct match *m, struct arena *a, struct str needle)
{
	struct match_fold fold = {.held_n = 0};
	struct buf folded;

	*m = (struct match){.found = false};
	buf_init(&folded, 2 * needle.n + 16); /* a letter may need a byte more in lower case */
	match_fold(&fold, needle, &folded);
	match_fold_end(&fold, &folded);
	m->needle = arena_copy(a, buf_str(&folded));
	m->fallback = arena_alloc(a, (folded.n + 1) * sizeof *m->fallback);
	buf_clear(&folded);
	if (m->needle.p == NULL || m->fallback == NULL)
		return false;
	prepare(m);
	return true;
}

void
match_restart(struct match *m)
{
	m->matched = 0;
}

void
match_forget(struct match *m)
{
	m->matched = 0;
	m->found = m->needle.n == 0;
}

void
match_feed(struct match *m, struct str folded)
{
	for (size_t i = 0; i < folded.n && !m->found; i++) {
		while (m->matched > 0 && folded.p[i] != m->needle.p[m->matched])
			m->matched = m->fallback[m->matched];
		m->matched += folded.p[i] == m->needle.p[m->matched];
		m->found = m->matched == m->needle.n;
	}
}
