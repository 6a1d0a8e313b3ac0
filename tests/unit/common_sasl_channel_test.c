#include "tests/unit/rows.h"

#include "common/login/sasl_channel.h"

static void
without_tls_nothing_that_can_be_heard_is_offered(void **state)
{
	static const struct {
		bool near, scram_without_tls;
		unsigned offers;
	} rows[] = {
	    {false, false, 0},
	    {false, true, SASL_OFFER_SCRAM},
	    {true, false, SASL_OFFER_PLAIN | SASL_OFFER_SCRAM},
	    {true, true, SASL_OFFER_PLAIN | SASL_OFFER_SCRAM},
	};
	static const struct stream plain;
	struct sasl_channel channel;
	struct conf conf;

	(void)state;
	memset(&conf, 0, sizeof conf);
	for (size_t i = 0; i < ROWS(rows); i++) {
		conf.scram_without_tls = rows[i].scram_without_tls;
		conf.auth_external = CONF_EXTERNAL_EMAIL;
		assert_int_equal(sasl_channel_offers(&plain, rows[i].near, &conf), rows[i].offers);
	}
	sasl_channel_read(&channel, &plain, &conf);
	assert_int_equal(channel.nbindings, 0);
	assert_string_equal(channel.certificate, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_tls_nothing_that_can_be_heard_is_offered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
