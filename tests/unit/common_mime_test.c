#include "tests/unit/rows.h"

#include "common/mime/mime.h"

static void
dump(struct buf *b, const struct mime_part *part)
{
	buf_addf(b, "%.*s/%.*s h%llu+%llu/%llu b%llu+%llu/%llu/%llu", STR_FMT(part->content_type.type),
	    STR_FMT(part->content_type.subtype), (unsigned long long)part->header.offset,
	    (unsigned long long)part->header.bytes, (unsigned long long)part->header.octets,
	    (unsigned long long)part->body.offset, (unsigned long long)part->body.bytes,
	    (unsigned long long)part->body.octets, (unsigned long long)part->body.lines);
	if (part->first == NULL)
		return;
	buf_addc(b, '(');
	for (const struct mime_part *child = part->first; child != NULL; child = child->next) {
		if (child != part->first)
			buf_addc(b, ' ');
		dump(b, child);
	}
	buf_addc(b, ')');
}

/* Feeds `first` bytes, then the rest in pieces of `step`. */
static void
parse_in_pieces(struct buf *out, struct str message, size_t first, size_t step)
{
	struct mime_parser parser;
	struct mime_part *root;
	struct arena arena;

	buf_reset(out);
	arena_init(&arena, MIME_ARENA_BYTES);
	mime_init(&parser, &arena);
	mime_feed(&parser, str_sub(message, 0, first));
	for (size_t i = first; i < message.n; i += step)
		mime_feed(&parser, str_sub(message, i, step));
	root = mime_finish(&parser);
	assert_non_null(root);
	dump(out, root);
	mime_clear(&parser);
	arena_clear(&arena);
}

#define MIXED "Content-Type: multipart/mixed; boundary=b\n\n" /* 43 bytes, 45 octets */

static const struct {
	struct str message;
	struct str tree;
} rows[] = {
    {STR(""), STR("text/plain h0+0/0 b0+0/0/0")},
    {STR("\n"), STR("text/plain h0+1/2 b1+0/0/0")},
    {STR("\r\n"), STR("text/plain h0+2/2 b2+0/0/0")},
    {STR("S: x"), STR("text/plain h0+4/4 b4+0/0/0")},
    {STR("S: x\n\nHalo\n"), STR("text/plain h0+6/8 b6+5/6/1")},
    {STR("S: x\r\n\r\nHalo\r\nbare\rCR\nmixed"), STR("text/plain h0+8/8 b8+19/20/2")},
    {STR("Content-Type: text/html\n\n<p>"), STR("text/html h0+25/27 b25+3/3/0")},
    /* Broken types are text/plain; a header ends at its empty line only. */
    {STR("Content-Type: text\n\nx"), STR("text/plain h0+20/22 b20+1/1/0")},
    {STR("Content-Type: /x\nno colon here\n\nx"), STR("text/plain h0+32/35 b32+1/1/0")},
    {STR("Content-Type: multipart/mixed\n\n--b\n\nx\n"), STR("text/plain h0+31/33 b31+7/10/3")},
    {STR("Content-Type: multipart/mixed; boundary=\"\"\n\n--\n"), STR("text/plain h0+44/46 b44+3/4/1")},
    /* Two parts; the line end before a boundary is the boundary's. */
    {STR(MIXED "pre\n--b\n\none\n--b\nA: b\n\ntwo\n\n--b--\nepilogue\n"),
	STR("multipart/mixed h0+43/45 b43+43/54/11(text/plain h51+1/2 b52+3/3/0 text/plain h60+6/8 b66+4/5/1)")},
    {STR("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n"),
	STR("multipart/mixed h0+45/45 b45+19/19/4(text/plain h50+2/2 b52+3/3/0)")},
    /* No closing boundary, none at all, and one without a line end. */
    {STR(MIXED "--b\n\none\n"), STR("multipart/mixed h0+43/45 b43+9/12/3(text/plain h47+1/2 b48+4/5/1)")},
    {STR(MIXED "nothing\n"), STR("multipart/mixed h0+43/45 b43+8/9/1(text/plain h51+0/0 b51+0/0/0)")},
    {STR(MIXED "--b\n\none\n--b--"), STR("multipart/mixed h0+43/45 b43+14/17/3(text/plain h47+1/2 b48+3/3/0)")},
    /* Empty parts: without header, without body, without anything. */
    {STR(MIXED "--b\n--b\n\n--b\nA: b\n--b\n\n\n--b--\n"),
	STR("multipart/mixed h0+43/45 b43+30/39/9(text/plain h47+0/0 b47+0/0/0 text/plain h51+1/2 b52+0/0/0"
	    " text/plain h56+4/4 b60+0/0/0 text/plain h65+1/2 b66+0/0/0)")},
    /* What only looks like a boundary; blanks behind one are passed over. */
    {STR(MIXED "--bc\n --b\n--b \t\n\nx\n--b--c\n--B\n--b-\n--b--  \n--b\n"),
	STR("multipart/mixed h0+43/45 b43+47/57/10(text/plain h59+1/2 b60+17/20/3)")},
    /* A boundary that another begins with, and the outer one closing the inner. */
    {STR(MIXED "--b\nContent-Type: multipart/alternative; boundary=bb\n\n--bb\n\nx\n--b--\n"),
	STR("multipart/mixed h0+43/45 b43+68/75/7(multipart/alternative h47+50/52 b97+7/9/2("
	    "text/plain h102+1/2 b103+1/1/0))")},
    {STR(MIXED "--b\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nx\n--b--\n\ny\n--b--\n"),
	STR("multipart/mixed h0+43/45 b43+75/85/10(multipart/alternative h47+49/51 b96+15/20/5("
	    "text/plain h100+1/2 b101+1/1/0))")},
    /* Messages in messages; the one in it has a structure of its own. */
    {STR("Content-Type: message/rfc822\n\nSubject: in\nContent-Type: text/html\n\nx\n"),
	STR("message/rfc822 h0+30/32 b30+39/43/4(text/html h30+37/40 b67+2/3/1)")},
    {STR(MIXED "--b\nContent-Type: message/rfc822\n--b\nContent-Type: message/rfc822\n\n\n--b--\n"),
	STR("multipart/mixed h0+43/45 b43+74/81/7(message/rfc822 h47+28/28 b75+0/0/0(text/plain h75+0/0 b75+0/0/0)"
	    " message/rfc822 h80+30/32 b110+1/2/1(text/plain h110+1/2 b111+0/0/0))")},
    {STR("Content-Type: multipart/digest; boundary=b\n\n--b\n\nS: x\n\nbody\n--b--\n"),
	STR("multipart/digest h0+44/46 b44+22/28/6(message/rfc822 h48+1/2 b49+10/12/2("
	    "text/plain h49+6/8 b55+4/4/0))")},
    {STR("Content-Type: multipart/digest; boundary=b\n\n"),
	STR("multipart/digest h0+44/46 b44+0/0/0(message/rfc822 h44+0/0 b44+0/0/0(text/plain h44+0/0 b44+0/0/0))")},
    /* The boundary in the pieces of RFC 2231; NUL bytes are bytes. */
    {STR("Content-Type: multipart/mixed; boundary*1=\"b\"; boundary*0=a\n\n--ab\n\n\0\n--ab--\n"),
	STR("multipart/mixed h0+61/63 b61+15/19/4(text/plain h66+1/2 b67+1/1/0)")},
};

static void
a_message_has_the_same_structure_in_any_pieces(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 65536);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct str m = rows[i].message;

		parse_in_pieces(&b, m, m.n, 1);
		assert_str(buf_str(&b), rows[i].tree);
		parse_in_pieces(&b, m, 0, 1);
		assert_str(buf_str(&b), rows[i].tree);
		for (size_t cut = 0; cut <= m.n; cut++) {
			parse_in_pieces(&b, m, cut, m.n);
			assert_str(buf_str(&b), rows[i].tree);
		}
	}
	buf_clear(&b);
}

static void
a_message_cut_anywhere_is_a_message(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 65536);
	for (size_t i = 0; i < ROWS(rows); i++)
		for (size_t n = 0; n <= rows[i].message.n; n++)
			parse_in_pieces(&b, str_sub(rows[i].message, 0, n), n, 1);
	buf_clear(&b);
}

static struct mime_part *
parse(struct arena *arena, struct str message)
{
	struct mime_parser parser;
	struct mime_part *root;

	mime_init(&parser, arena);
	mime_feed(&parser, message);
	root = mime_finish(&parser);
	mime_clear(&parser);
	return root;
}

static void
content_fields_are_read(void **state)
{
	struct arena arena;
	struct mime_part *part;

	(void)state;
	arena_init(&arena, MIME_ARENA_BYTES);
	part = parse(&arena, STR("content-type : (a (nested) comment) TEXT / Plain ;\n charset = \"utf-\\8\" (c); x=a b.txt"
				 " (c) ; bad; =; y=\"un\n closed\nContent-Transfer-Encoding: (c) Base64 ; x\n"
				 "Content-ID:  <a@b> \nContent-Description: =?utf-8?q?a?=\n\tb\n"
				 "Content-Disposition: attachment; filename*0*=us-ascii'en'a%20; filename*1=\"b%20\"\n"
				 "Content-Language: id, (c) en-GB\nContent-MD5: Q2hlY2s=\nContent-Location: http://x/\n"
				 "Content-ID: second\n\n"));
	assert_non_null(part);
	assert_str(part->content_type.type, STR("TEXT"));
	assert_str(part->content_type.subtype, STR("Plain"));
	assert_str(part->content_type.params->name, STR("charset"));
	assert_str(part->content_type.params->value, STR("utf-8"));
	assert_str(part->content_type.params->next->value, STR("a b.txt"));
	assert_str(part->content_type.params->next->next->value, STR("un closed"));
	assert_str(part->encoding, STR("Base64"));
	assert_str(part->id, STR("<a@b>"));
	assert_str(part->description, STR("=?utf-8?q?a?=\tb"));
	assert_str(part->disposition.kind, STR("attachment"));
	assert_str(part->disposition.params->name, STR("filename*0*"));
	assert_str(part->languages->tag, STR("id"));
	assert_str(part->languages->next->tag, STR("en-GB"));
	assert_str(part->md5, STR("Q2hlY2s="));
	assert_str(part->location, STR("http://x/"));
	arena_clear(&arena);
}

static void
parameters_are_joined_as_rfc_2231_says(void **state)
{
	static const struct {
		struct str field;
		struct str value, charset;
	} params[] = {
	    {STR("a/b; name=x"), STR("x"), STR("")},
	    {STR("a/b; NAME=\"x y\""), STR("x y"), STR("")},
	    {STR("a/b; name*=utf-8'id'%41%zz%4"), STR("A%zz%4"), STR("utf-8")},
	    {STR("a/b; name*=plain"), STR("plain"), STR("")},
	    {STR("a/b; name*=one'quote"), STR("one'quote"), STR("")},
	    {STR("a/b; name*=x''"), STR(""), STR("x")},
	    {STR("a/b; name*1=b; name*0=a; name*3=no"), STR("ab"), STR("")},
	    {STR("a/b; name*0*=iso-8859-1''%e9; name*1=%e9; name*2*=%e9"), STR("\xe9%e9\xe9"), STR("iso-8859-1")},
	    {STR("a/b; name=x; name*=''y"), STR("y"), STR("")},
	    {STR("a/b; other=x; names=z"), STR(""), STR("")},
	    {STR("a/b; name=; x=y"), STR(""), STR("")},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(params); i++) {
		struct mime_type type;
		struct str charset;
		struct arena arena;

		arena_init(&arena, 65536);
		assert_true(mime_type_parse(&arena, params[i].field, &type));
		assert_str(mime_param_value(&arena, type.params, STR("name"), &charset), params[i].value);
		assert_str(charset, params[i].charset);
		arena_clear(&arena);
	}
}

static struct str
repeat(struct buf *b, const char *s, size_t times)
{
	for (size_t i = 0; i < times; i++)
		buf_adds(b, s);
	assert_true(buf_ok(b));
	return buf_str(b);
}

static void
depth_parts_and_headers_have_limits(void **state)
{
	struct arena arena;
	struct mime_part *part;
	struct buf b;
	unsigned n = 0;

	(void)state;
	buf_init(&b, 16 * 1024 * 1024);
	arena_init(&arena, MIME_ARENA_BYTES);
	part = parse(&arena, repeat(&b, "Content-Type: message/rfc822\n\n", 1000));
	assert_non_null(part);
	for (; part->first != NULL; part = part->first)
		n++;
	assert_int_equal(n, MIME_DEPTH_MAX - 1);
	assert_true(mime_is_type(part, "application", "octet-stream"));

	arena_reset(&arena);
	buf_reset(&b);
	buf_adds(&b, MIXED);
	part = parse(&arena, repeat(&b, "--b\nContent-Type: a/b\n\nx\n", 5000));
	assert_non_null(part);
	n = 0;
	for (const struct mime_part *child = part->first; child != NULL; child = child->next)
		n++;
	assert_int_equal(n, MIME_PARTS_MAX - 1);
	assert_int_equal(part->last->body.offset + part->last->body.bytes, part->body.offset + part->body.bytes);

	arena_reset(&arena);
	buf_reset(&b);
	buf_adds(&b, "Content-Type: a/b");
	part = parse(&arena, repeat(&b, ";x=", 3000000));
	assert_non_null(part);
	assert_int_equal(part->header.bytes, 9000017);
	assert_int_equal(part->header_text.n, MIME_HEADER_MAX);

	arena_reset(&arena);
	buf_reset(&b);
	buf_adds(&b, MIXED);
	part = parse(&arena, repeat(&b, "--b\nContent-Type:a/b;a=;a=;a=;a=;a=;a=;a=;a=;a=;a=;a=;a=;a=;a=;a=;a=;a=\n\n",
				 5000));
	assert_non_null(part);
	buf_clear(&b);
	arena_clear(&arena);
}

static void
a_full_arena_fails_the_parse_and_nothing_else(void **state)
{
	static const struct str message = STR(MIXED "--b\nContent-Type: message/rfc822; a=b\nContent-Disposition: x; y=z\n\n"
						    "Subject: x\nContent-Language: id\n\nx\n--b--\n");
	bool parsed = false;

	(void)state;
	for (size_t max = 0; max < 65536 && !parsed; max += 8) {
		struct arena arena;

		arena_init(&arena, max);
		parsed = parse(&arena, message) != NULL;
		assert_true(parsed || max < 8192);
		arena_clear(&arena);
	}
	assert_true(parsed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_message_has_the_same_structure_in_any_pieces),
	    cmocka_unit_test(a_message_cut_anywhere_is_a_message),
	    cmocka_unit_test(content_fields_are_read),
	    cmocka_unit_test(parameters_are_joined_as_rfc_2231_says),
	    cmocka_unit_test(depth_parts_and_headers_have_limits),
	    cmocka_unit_test(a_full_arena_fails_the_parse_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
