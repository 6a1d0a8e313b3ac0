#include "tests/unit/rows.h"

#include "queue/control_report.h"

static void
what_is_written_is_read_and_what_is_cut_is_not(void **state)
{
	const struct control_state queue = {1, 2, 3, UINT64_MAX};
	const struct control_why why = {STR("waits for its turn")};
	const struct control_site site = {STR("mx1.dua.test mx2.dua.test"), 1, 2, 20, 1795889669064, false, true, STR("421 5:x, later"),
	    1795889669065, 1795889669066, STR("dane TLSv1.3"), STR("its turn")};
	struct control_state read_queue;
	struct control_site read_site;
	struct control_why read_why;
	struct str text;
	struct buf b;

	(void)state;
	buf_init(&b, 65536);
	control_state_add(&b, &queue);
	control_why_add(&b, &why);
	control_site_add(&b, &site);
	text = buf_str(&b);
	assert_true(control_state_take(&text, &read_queue) && control_why_take(&text, &read_why) &&
	    control_site_take(&text, &read_site));
	assert_memory_equal(&queue, &read_queue, sizeof queue);
	assert_str(read_why.doing, why.doing);
	assert_str(read_site.key, site.key);
	assert_int_equal(read_site.waiting, 2);
	assert_int_equal(read_site.dead_until_ms, site.dead_until_ms);
	assert_true(read_site.probing && !read_site.failing);
	assert_str(read_site.trouble, site.trouble);
	assert_str(read_site.limit, site.limit);
	assert_int_equal(read_site.good_ms, site.good_ms);
	assert_int_equal(read_site.failed_ms, site.failed_ms);
	assert_str(read_site.policy, site.policy);
	assert_int_equal(text.n, 0);
	assert_false(control_site_take(&text, &read_site));
	buf_reset(&b);
	control_site_add(&b, &site);
	for (size_t cut = 0; cut < b.n; cut++) {
		text = str_sub(buf_str(&b), 0, cut);
		assert_false(control_site_take(&text, &read_site));
	}
	buf_clear(&b);
}

static void
a_site_is_bounded(void **state)
{
	char text[5000];
	const struct control_site site = {.key = {text, sizeof text}, .trouble = {text, sizeof text}, .limit = {text, sizeof text}, .running = UINT64_MAX,
	    .waiting = UINT64_MAX, .window = UINT64_MAX, .dead_until_ms = UINT64_MAX,
	    .good_ms = UINT64_MAX, .failed_ms = UINT64_MAX, .policy = {text, sizeof text}};
	struct buf b;

	(void)state;
	memset(text, 'x', sizeof text);
	buf_init(&b, 65536);
	control_site_add(&b, &site);
	assert_in_range(b.n, 1, CONTROL_SITE_MAX_BYTES);
	buf_clear(&b);
}

static void
keys_of_sites_come_whole_and_in_order(void **state)
{
	struct str text, key;
	struct buf b;

	(void)state;
	buf_init(&b, 65536);
	control_where_add(&b, STR("mx1.dua.test mx2.dua.test"));
	control_where_add(&b, STR(""));
	text = buf_str(&b);
	assert_true(control_where_take(&text, &key));
	assert_str(key, STR("mx1.dua.test mx2.dua.test"));
	assert_true(control_where_take(&text, &key));
	assert_str(key, STR(""));
	assert_false(control_where_take(&text, &key));
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_written_is_read_and_what_is_cut_is_not),
	    cmocka_unit_test(a_site_is_bounded),
	    cmocka_unit_test(keys_of_sites_come_whole_and_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
