/*
 * The documentation in the tree is what the tables say. With MERPATI_UPDATE=1 in the environment it is renewed instead.
 */
#include "tests/unit/rows.h"

#include "common/conf/conf.h"
#include "common/conf/conf_doc.h"

#define TEXT_MAX (1024 * 1024)

static void
read_whole(const char *path, struct buf *text)
{
	FILE *file = fopen(path, "r");

	buf_init(text, TEXT_MAX);
	if (file == NULL)
		return;
	buf_commit(text, fread(buf_reserve(text, TEXT_MAX), 1, TEXT_MAX, file));
	assert_int_equal(fclose(file), 0);
}

static void
write_whole(const char *path, struct str text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text.p, 1, text.n, file), text.n);
	assert_int_equal(fclose(file), 0);
}

/* Which line differs, since the whole would fill the screen. */
static void
compare(const char *path, struct str made)
{
	struct buf text;
	struct str rest, line, made_line;

	if (getenv("MERPATI_UPDATE") != NULL)
		write_whole(path, made);
	read_whole(path, &text);
	rest = buf_str(&text);
	for (unsigned n = 1; str_token(&made, '\n', &made_line); n++) {
		if (str_token(&rest, '\n', &line) && str_equal(line, made_line))
			continue;
		print_error("%s:%u is not what the tables say; say: MERPATI_UPDATE=1 make unit\n", path, n);
		assert_str(line, made_line);
	}
	assert_null(rest.p);
	buf_clear(&text);
}

static void
the_manual_page_is_what_the_tables_say(void **state)
{
	struct buf made;

	(void)state;
	buf_init(&made, TEXT_MAX);
	conf_doc_manual(&made);
	assert_true(buf_ok(&made));
	compare("man/merpati.conf.5", buf_str(&made));
	buf_clear(&made);
}

static void
the_default_file_is_what_the_tables_say(void **state)
{
	struct buf made;

	(void)state;
	buf_init(&made, TEXT_MAX);
	conf_doc_file(&made);
	assert_true(buf_ok(&made));
	compare("etc/merpati.conf", buf_str(&made));
	buf_clear(&made);
}

/* "#key = value" and "#[section]" become lines; other comments stay. */
static void
uncomment(struct str text, struct buf *out)
{
	struct str line;

	while (str_token(&text, '\n', &line)) {
		if (line.n > 1 && line.p[0] == '#' && line.p[1] != ' ')
			line = str_skip(line, 1);
		buf_add(out, line);
		buf_addc(out, '\n');
	}
}

static void
the_default_file_without_its_comment_marks_is_right(void **state)
{
	struct buf made, lines, problems;
	struct str rest, line;
	unsigned nproblems = 0;
	struct conf *conf;

	(void)state;
	buf_init(&made, TEXT_MAX);
	buf_init(&lines, TEXT_MAX);
	buf_init(&problems, CONF_PROBLEMS_MAX_BYTES);
	conf_doc_file(&made);
	uncomment(buf_str(&made), &lines);
	conf = conf_parse(buf_str(&lines), "conf", "mail.example.org", &problems);
	/* Only a listener's kind, a filter's socket, the files of certificates and what a site is have no default. */
	assert_true(str_search(buf_str(&problems), STR("kind: \"\" is none of")) < problems.n);
	assert_true(str_search(buf_str(&problems), STR("[filter NAME] does not say its socket")) < problems.n);
	assert_true(str_search(buf_str(&problems), STR("[certificate NAME] needs both certificate and key")) < problems.n);
	assert_true(str_search(buf_str(&problems), STR("is missing: tls_certificate")) < problems.n);
	for (rest = buf_str(&problems); str_token(&rest, '\n', &line);)
		nproblems += line.n > 0;
	assert_true(str_search(buf_str(&problems), STR("[site NAME] covers nothing")) < problems.n);
	assert_int_equal(nproblems, 5);
	conf_free(conf);
	buf_clear(&problems);
	buf_clear(&lines);
	buf_clear(&made);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_manual_page_is_what_the_tables_say),
	    cmocka_unit_test(the_default_file_is_what_the_tables_say),
	    cmocka_unit_test(the_default_file_without_its_comment_marks_is_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
