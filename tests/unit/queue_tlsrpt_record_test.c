#include "tests/unit/rows.h"

#include "queue/tlsrpt_record.h"

static void
places_are_found(void **state)
{
	static const struct {
		struct str records[2];
		const char *places[TLSRPT_PLACES_MAX + 1]; /* "m" or "h" in front */
	} rows[] = {
	    {{STR("v=TLSRPTv1; rua=mailto:reports@dua.test")}, {"mreports@dua.test"}},
	    {{STR("v=TLSRPTv1;rua=mailto:reports@dua.test , https://r.dua.test/v1;")}, {"mreports@dua.test", "hhttps://r.dua.test/v1"}},
	    {{STR("v=TLSRPTv1; x=y; rua=HTTPS://r.dua.test:8443/a%2Cb?c=d")}, {"hHTTPS://r.dua.test:8443/a%2Cb?c=d"}},
	    {{STR("v=TLSRPTv1; rua=mailto:a%21b@dua.test?subject=x")}, {"ma!b@dua.test"}},
	    {{STR("v=spf1 -all"), STR("v=TLSRPTv1; rua=MAILTO:r@dua.test")}, {"mr@dua.test"}},
	    {{STR("v=TLSRPTv1; rua=ftp://dua.test,mailto:r@dua.test")}, {"mr@dua.test"}},
	    {{STR("v=TLSRPTv1; rua=mailto:1@a.test,mailto:2@a.test,mailto:3@a.test,mailto:4@a.test,mailto:5@a.test,mailto:6@a.test")},
		{"m1@a.test", "m2@a.test", "m3@a.test", "m4@a.test", "m5@a.test"}},
	    {{STR("v=TLSRPTv1; rua=mailto:r@dua.test"), STR("v=TLSRPTv1; rua=mailto:r@dua.test")}, {NULL}},
	    {{STR("v=TLSRPTv1; rua=mailto:r@dua.test%0d%0aX: y")}, {NULL}},
	    {{STR("v=TLSRPTv1; rua=mailto:r%4@dua.test")}, {NULL}},
	    {{STR("v=TLSRPTv1; rua=mailto:r@dua.test%2")}, {NULL}},
	    {{STR("v=TLSRPTv1; rua=mailto:r")}, {NULL}},
	    {{STR("v=TLSRPTv1; rua=mailto:r@[127.0.0.1]")}, {NULL}},
	    {{STR("v=TLSRPTv1; rua=mailto:")}, {NULL}},
	    {{STR("v=TLSRPTv1; rua=https://a b/")}, {NULL}},
	    {{STR("v=TLSRPTv1; rua=http://dua.test/")}, {NULL}},
	    {{STR("v=TLSRPTv1; rua=")}, {NULL}},
	    {{STR("v=TLSRPTv1;")}, {NULL}},
	    {{STR("v=TLSRPTv1")}, {NULL}},
	    {{STR("v=tlsrptv1; rua=mailto:r@dua.test")}, {NULL}},
	    {{STR("v=TLSRPTv12; rua=mailto:r@dua.test")}, {NULL}},
	    {{STR("")}, {NULL}},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct tlsrpt_place places[TLSRPT_PLACES_MAX];
		struct arena arena;
		size_t n, found;

		arena_init(&arena, 65536);
		for (n = 0; n < 2 && rows[i].records[n].p != NULL; n++)
			continue;
		found = tlsrpt_record_find(rows[i].records, n, &arena, places);
		for (n = 0; rows[i].places[n] != NULL; n++) {
			if (n >= found)
				fail_msg("row %zu: %zu", i, found);
			assert_int_equal(places[n].kind, rows[i].places[n][0] == 'm' ? TLSRPT_MAIL : TLSRPT_HTTPS);
			assert_str(places[n].text, str_from(rows[i].places[n] + 1));
		}
		if (n != found)
			fail_msg("row %zu: %zu", i, found);
		arena_clear(&arena);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(places_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
