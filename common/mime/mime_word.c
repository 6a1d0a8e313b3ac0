#include "common/mime/mime_word.h"

#include <string.h>

#include "common/mime/mime_charset.h"
#include "common/mime/mime_decode.h"

#define WORD_MAX_BYTES 1000 /* RFC 2047 says 75; longer ones are in real mail */

struct word {
	struct str charset;
	enum mime_encoding encoding;
	struct str text;
	size_t n; /* bytes of it all */
};

static bool
has_blank(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (ascii_is_blank(s.p[i]) || s.p[i] == '\r' || s.p[i] == '\n')
			return true;
	return false;
}

/* "=?" charset ["*" language] "?" encoding "?" text "?=" */
static bool
find_word(struct str s, struct word *word)
{
	struct str rest = str_skip(str_sub(s, 0, WORD_MAX_BYTES), 2), encoding;

	if (!str_starts(s, STR("=?")))
		return false;
	word->charset = str_sub(rest, 0, str_find(rest, '?'));
	rest = str_skip(rest, word->charset.n + 1);
	encoding = str_sub(rest, 0, str_find(rest, '?'));
	rest = str_skip(rest, encoding.n + 1);
	word->text = str_sub(rest, 0, str_search(rest, STR("?=")));
	if (word->text.n == rest.n || word->charset.n == 0 || has_blank(word->charset) || has_blank(word->text))
		return false;
	word->charset = str_sub(word->charset, 0, str_find(word->charset, '*'));
	word->n = (size_t)(word->text.p - s.p) + word->text.n + 2;
	if (str_equal_nocase(encoding, STR("b")))
		word->encoding = MIME_BASE64;
	else if (str_equal_nocase(encoding, STR("q")))
		word->encoding = MIME_QUOTED_PRINTABLE;
	else
		return false;
	return true;
}

static bool
decode_word(const struct word *word, struct buf *out)
{
	char decoded[WORD_MAX_BYTES + MIME_DECODE_SLACK], text[WORD_MAX_BYTES];
	struct mime_decoder decoder;
	struct mime_charset charset;
	size_t n;

	memcpy(text, word->text.p, word->text.n);
	if (word->encoding == MIME_QUOTED_PRINTABLE)
		for (size_t i = 0; i < word->text.n; i++)
			if (text[i] == '_')
				text[i] = ' ';
	mime_decoder_init(&decoder, word->encoding);
	n = mime_decode(&decoder, (struct str){text, word->text.n}, decoded);
	n += mime_decode_end(&decoder, decoded + n);
	if (!mime_charset_open(&charset, word->charset))
		return false;
	mime_charset_convert(&charset, (struct str){decoded, n}, out);
	mime_charset_end(&charset, out);
	mime_charset_close(&charset);
	return true;
}

static size_t
count_blanks(struct str s)
{
	size_t n = 0;

	while (n < s.n && (ascii_is_blank(s.p[n]) || s.p[n] == '\r' || s.p[n] == '\n'))
		n++;
	return n;
}

/* The folding itself is not part of the value, the blanks are. */
static void
add_blanks(struct str blanks, struct buf *out)
{
	for (size_t i = 0; i < blanks.n; i++)
		if (ascii_is_blank(blanks.p[i]))
			buf_addc(out, blanks.p[i]);
}

/* Up to the next blank or what may begin an encoded word; not empty. */
static struct str
plain_run(struct str s)
{
	size_t n = 1;

	while (n < s.n && !ascii_is_blank(s.p[n]) && s.p[n] != '\r' && s.p[n] != '\n' && s.p[n] != '=')
		n++;
	return str_sub(s, 0, n);
}

void
mime_word_decode(struct str value, struct buf *out)
{
	bool after_word = false;

	value = str_trim(value);
	while (value.n > 0) {
		struct str blanks = str_sub(value, 0, count_blanks(value)), text = str_skip(value, blanks.n);
		struct word word;
		bool is_word = find_word(text, &word);

		if (!is_word || !after_word)
			add_blanks(blanks, out);
		after_word = is_word && decode_word(&word, out);
		if (!after_word) {
			text = is_word ? str_sub(text, 0, word.n) : plain_run(text);
			buf_add(out, text);
		}
		value = str_skip(value, blanks.n + (after_word ? word.n : text.n));
	}
}
