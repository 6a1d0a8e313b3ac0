#include "tests/unit/rows.h"

#include "queue/site_memory.h"

static const struct site_memory sites[] = {
    {STR("mx1.dua.test mx2.dua.test"), 1795889669, 3, STR("connect to mx1.dua.test[192.0.2.1]:25: timed out")},
    {STR("mx.tiga.test"), 0, 1, STR("421 5:x,\n later\xff")},
    {STR("local"), UINT64_MAX, SITE_MEMORY_DEATHS_MAX, STR("")},
};

static void
write_all(struct buf *b)
{
	buf_init(b, SITE_MEMORY_MAX_BYTES);
	site_memory_begin(b);
	for (size_t i = 0; i < ROWS(sites); i++)
		assert_true(site_memory_add(b, &sites[i]));
	site_memory_end(b, ROWS(sites));
	assert_true(buf_ok(b));
}

static void
what_is_written_is_read(void **state)
{
	struct site_memory m;
	struct str text;
	struct buf b;

	(void)state;
	write_all(&b);
	text = buf_str(&b);
	assert_true(site_memory_check(&text));
	for (size_t i = 0; i < ROWS(sites); i++) {
		assert_true(site_memory_take(&text, &m));
		assert_str(m.key, sites[i].key);
		assert_str(m.trouble, sites[i].trouble);
		assert_true(m.dead_until_s == sites[i].dead_until_s && m.deaths == sites[i].deaths);
	}
	assert_false(site_memory_take(&text, &m));
	buf_clear(&b);
}

static void
what_is_cut_or_changed_is_not_believed(void **state)
{
	struct str text;
	struct buf b;

	(void)state;
	write_all(&b);
	for (size_t n = 0; n < b.n; n++) {
		text = str_sub(buf_str(&b), 0, n);
		assert_false(site_memory_check(&text));
	}
	for (size_t i = 0; i < b.n; i++) {
		b.p[i] ^= 1;
		text = buf_str(&b);
		assert_false(site_memory_check(&text));
		b.p[i] ^= 1;
	}
	buf_addc(&b, '\n');
	text = buf_str(&b);
	assert_false(site_memory_check(&text));
	buf_clear(&b);
}

static void
it_is_bounded(void **state)
{
	static char key[4096];
	const struct site_memory site = {{key, sizeof key}, 1, 1, {key, 2048}};
	struct str text;
	struct buf b;
	uint64_t n = 0;

	(void)state;
	memset(key, 'x', sizeof key);
	buf_init(&b, SITE_MEMORY_MAX_BYTES);
	site_memory_begin(&b);
	while (site_memory_add(&b, &site))
		n++;
	assert_in_range(n, 600, 700);
	site_memory_end(&b, n);
	assert_true(buf_ok(&b));
	text = buf_str(&b);
	assert_true(site_memory_check(&text));
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_written_is_read),
	    cmocka_unit_test(what_is_cut_or_changed_is_not_believed),
	    cmocka_unit_test(it_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
