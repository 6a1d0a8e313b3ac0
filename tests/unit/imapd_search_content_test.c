#include "tests/unit/rows.h"

#include "imapd/match.h"
#include "imapd/search_content.h"

static struct str
fold_in_pieces(struct buf *out, struct str in, size_t step)
{
	struct match_fold fold = {.held_n = 0};

	buf_reset(out);
	for (size_t i = 0; i < in.n; i += step)
		match_fold(&fold, str_sub(in, i, step), out);
	match_fold_end(&fold, out);
	return buf_str(out);
}

static void
letters_are_folded_in_any_pieces(void **state)
{
	static const struct {
		struct str in, out;
	} rows[] = {
	    {STR("Halo 123 \xc3\x89\xc3\xa9"), STR("halo 123 \xc3\xa9\xc3\xa9")},
	    {STR("\xd0\x9f\xd1\x80\xd0\x98"), STR("\xd0\xbf\xd1\x80\xd0\xb8")},
	    {STR("\xf0\x90\x90\x80x"), STR("\xf0\x90\x90\xa8x")},
	    {STR("\xc3"), STR("\xc3")},
	    {STR("\xc3X\xff\xe2\x82Y"), STR("\xc3x\xff\xe2\x82y")},
	};
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < ROWS(rows); i++)
		for (size_t step = 1; step <= rows[i].in.n; step++)
			assert_str(fold_in_pieces(&b, rows[i].in, step), rows[i].out);
	buf_clear(&b);
}

static void
texts_are_found_in_any_pieces(void **state)
{
	static const struct {
		struct str needle, text;
		bool found;
	} rows[] = {
	    {STR(""), STR(""), true},
	    {STR("a"), STR(""), false},
	    {STR("LO"), STR("halo"), true},
	    {STR("aab"), STR("aaaaab"), true},
	    {STR("abab"), STR("abacabab"), true},
	    {STR("abcabd"), STR("abcabcabd"), true},
	    {STR("abcabd"), STR("abcabcab"), false},
	    {STR("ab"), STR("a"), false},
	};
	struct arena arena;
	struct match m;

	(void)state;
	arena_init(&arena, 65536);
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_true(match_init(&m, &arena, rows[i].needle));
		for (size_t step = 1; step <= rows[i].text.n + 1; step++) {
			match_forget(&m);
			for (size_t at = 0; at < rows[i].text.n; at += step)
				match_feed(&m, str_sub(rows[i].text, at, step));
			assert_int_equal(m.found, rows[i].found);
		}
		match_forget(&m);
		match_feed(&m, str_sub(rows[i].text, 0, rows[i].text.n / 2));
		match_restart(&m);
		match_feed(&m, STR("\xff"));
	}
	arena_clear(&arena);
}

#define MESSAGE \
	"From: =?utf-8?q?Ren=C3=A9?= <r@satu.test>\nSubject: Surat\n =?utf-8?b?cGVydGFtYQ==?=\n" \
	"Date: 1 Jan 2020 00:30:00 +0700\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n" \
	"pembuka\n--b\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n" \
	"caf=E9 ter=\nsembunyi\n--b\nContent-Type: message/rfc822\n\nSubject: =?utf-8?q?di=20dalam?=\n\nisi\n" \
	"--b\nContent-Type: application/octet-stream\n\nlampiran\n--b--\nekor\n"

static enum search_truth
search_in(struct str keys, struct str message, size_t step)
{
	struct parse_text t = {.rest = keys};
	struct search_content content;
	struct search_facts facts = {.sequence = 1, .uid = 1};
	struct mime_parser parser;
	struct mime_part *part;
	struct search search;
	struct arena arena;
	enum search_truth truth;

	arena_init(&arena, MIME_ARENA_BYTES);
	t.arena = &arena;
	assert_true(search_parse(&t, &search));
	assert_true(search_content_init(&content, &arena, &search));
	mime_init(&parser, &arena);
	mime_feed(&parser, message);
	part = mime_finish(&parser);
	mime_clear(&parser);
	facts.content = content.truths;
	search_content_begin(&content);
	search_content_header(&content, part->header_text);
	while (part != NULL) {
		if (search_content_part(&content, part))
			for (size_t i = 0; i < part->body.bytes; i += step)
				search_content_feed(&content, str_sub(str_sub(message, part->body.offset, part->body.bytes), i, step));
		search_content_part_end(&content);
		if (part->first != NULL) {
			part = part->first;
			continue;
		}
		while (part != NULL && part->next == NULL)
			part = part->parent;
		part = part == NULL ? NULL : part->next;
	}
	search_content_end(&content);
	truth = search_eval(search.root, &facts);
	search_content_clear(&content);
	arena_clear(&arena);
	return truth;
}

static void
messages_are_searched_as_text(void **state)
{
	static const struct {
		struct str keys;
		enum search_truth truth;
	} rows[] = {
	    {STR("FROM {5}\r\nREN\xc3\x89"), SEARCH_YES},
	    {STR("FROM r@satu"), SEARCH_YES},
	    {STR("TO satu"), SEARCH_NO},
	    {STR("SUBJECT \"surat pertama\""), SEARCH_YES},
	    {STR("HEADER mime-version \"\""), SEARCH_YES},
	    {STR("HEADER x-none \"\""), SEARCH_NO},
	    {STR("SENTON 1-Jan-2020"), SEARCH_YES},
	    {STR("SENTBEFORE 1-Jan-2020"), SEARCH_NO},
	    {STR("SENTSINCE 1-Jan-2020"), SEARCH_YES},
	    {STR("BODY {5}\r\nCAF\xc3\x89"), SEARCH_YES},
	    {STR("BODY tersembunyi"), SEARCH_YES},
	    {STR("BODY \"di dalam\""), SEARCH_YES},
	    {STR("BODY isi"), SEARCH_YES},
	    {STR("BODY lampiran"), SEARCH_NO},
	    {STR("BODY pertama"), SEARCH_NO},
	    {STR("TEXT pertama"), SEARCH_YES},
	    {STR("TEXT isi"), SEARCH_YES},
	    {STR("TEXT \"subject: surat\""), SEARCH_YES},
	    {STR("BODY isiekor"), SEARCH_NO},
	    {STR("OR BODY tidak BODY isi"), SEARCH_YES},
	    {STR("NOT TEXT tidak"), SEARCH_YES},
	    {STR("BODY \"\""), SEARCH_YES},
	};
	static const struct str message = STR(MESSAGE);

	(void)state;
	match_preload();
	for (size_t i = 0; i < ROWS(rows); i++)
		for (size_t step = 1; step <= message.n; step += step < 8 ? 1 : 97)
			assert_int_equal(search_in(rows[i].keys, message, step), rows[i].truth);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(letters_are_folded_in_any_pieces),
	    cmocka_unit_test(texts_are_found_in_any_pieces),
	    cmocka_unit_test(messages_are_searched_as_text),
	};

	match_preload();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
