#include "tests/unit/rows.h"

#include <zlib.h>

#include "queue/tlsrpt_report.h"

static struct tlsrpt_counts counts;

static int
set_up(void **state)
{
	(void)state;
	tlsrpt_counts_init(&counts);
	tlsrpt_counts_parse(&counts,
	    STR("P\tdua.test\tsts\t5326\t303\tversion: STSv1|mode: testing|mx: *.mail.dua.test|max_age: 86400\n"
	        "F\tcertificate-expired\t100\tmx1.mail.dua.test\t2001:db8::1\t\t\n"
	        "F\tstarttls-not-supported\t203\tmx2.mail.dua.test\t2001:db8::2\t203.0.113.56\tsaid \"no\"\n"
	        "P\tdua.test\tno-policy-found\t1\t0\t\n"));
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	tlsrpt_counts_clear(&counts);
	return 0;
}

static struct tlsrpt_report
report_of_the_day(void)
{
	return (struct tlsrpt_report){.domain = tlsrpt_counts_first(&counts), .submitter = STR("mail.satu.test"),
	    .from = STR("postmaster@mail.satu.test"), .begin_s = 1459468800, .end_s = 1459555200};
}

static const char expected[] =
    "{\"organization-name\": \"mail.satu.test\", \"date-range\": {\"start-datetime\": \"2016-04-01T00:00:00Z\", "
    "\"end-datetime\": \"2016-04-01T23:59:59Z\"}, \"contact-info\": \"postmaster@mail.satu.test\", "
    "\"report-id\": \"1459468800.dua.test@mail.satu.test\", \"policies\": [{\"policy\": {\"policy-type\": \"sts\", "
    "\"policy-string\": [\"version: STSv1\", \"mode: testing\", \"mx: *.mail.dua.test\", \"max_age: 86400\"], "
    "\"policy-domain\": \"dua.test\", \"mx-host\": [\"*.mail.dua.test\"]}, "
    "\"summary\": {\"total-successful-session-count\": 5326, \"total-failure-session-count\": 303}, "
    "\"failure-details\": [{\"result-type\": \"certificate-expired\", \"sending-mta-ip\": \"2001:db8::1\", "
    "\"receiving-mx-hostname\": \"mx1.mail.dua.test\", \"failed-session-count\": 100}, "
    "{\"result-type\": \"starttls-not-supported\", \"sending-mta-ip\": \"2001:db8::2\", "
    "\"receiving-mx-hostname\": \"mx2.mail.dua.test\", \"receiving-ip\": \"203.0.113.56\", "
    "\"failed-session-count\": 203, \"failure-reason-code\": \"said \\\"no\\\"\"}]}, "
    "{\"policy\": {\"policy-type\": \"no-policy-found\", \"policy-domain\": \"dua.test\"}, "
    "\"summary\": {\"total-successful-session-count\": 1, \"total-failure-session-count\": 0}}]}\n";

static void
the_report_is_json_as_rfc_8460_has_it(void **state)
{
	struct tlsrpt_report report = report_of_the_day();
	struct buf out;

	(void)state;
	buf_init(&out, TLSRPT_JSON_MAX);
	tlsrpt_report_json(&out, &report);
	assert_str(buf_str(&out), str_from(expected));
	buf_clear(&out);
}

static void
a_report_without_room_fails_and_does_no_harm(void **state)
{
	struct tlsrpt_report report = report_of_the_day();

	(void)state;
	for (size_t max = 0; max < sizeof expected; max++) {
		struct buf out;

		buf_init(&out, max);
		tlsrpt_report_json(&out, &report);
		assert_int_equal(buf_ok(&out), max + 1 == sizeof expected);
		buf_clear(&out);
	}
}

static void
it_is_compressed_as_gzip(void **state)
{
	char back[8192];
	struct buf out;
	struct err err;
	z_stream z = {.next_out = (Bytef *)back, .avail_out = sizeof back};

	(void)state;
	buf_init(&out, 65536);
	assert_true(tlsrpt_report_compress(&out, str_from(expected), &err));
	assert_true(out.n < sizeof expected);
	assert_int_equal((unsigned char)out.p[0], 0x1f);
	z.next_in = (Bytef *)out.p;
	z.avail_in = (uInt)out.n;
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_str(((struct str){back, sizeof back - z.avail_out}), str_from(expected));
	(void)inflateEnd(&z);
	buf_clear(&out);
	buf_init(&out, 10);
	assert_false(tlsrpt_report_compress(&out, str_from(expected), &err));
	buf_clear(&out);
}

static void
the_message_says_what_it_is(void **state)
{
	struct tlsrpt_report report = report_of_the_day();
	struct buf out;

	(void)state;
	buf_init(&out, 65536);
	tlsrpt_report_message(&out, &report, STR("r@dua.test"), STR("gzip"), 1459560000);
	assert_str(buf_str(&out),
	    STR("From: <postmaster@mail.satu.test>\r\nTo: <r@dua.test>\r\nDate: Sat, 2 Apr 2016 01:20:00 +0000\r\n"
	        "Message-ID: <tlsrpt.1459468800.dua.test@mail.satu.test>\r\n"
	        "Subject: Report Domain: dua.test\r\n Submitter: mail.satu.test\r\n"
	        " Report-ID: <1459468800.dua.test@mail.satu.test>\r\n"
	        "TLS-Report-Domain: dua.test\r\nTLS-Report-Submitter: mail.satu.test\r\nTLS-Required: No\r\n"
	        "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
	        "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"=_tlsrpt\"\r\n\r\n"
	        "--=_tlsrpt\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
	        "This is a report (RFC 8460) on the TLS connections that mail.satu.test made\r\nto deliver mail for dua.test,\r\n"
	        "from 2016-04-01T00:00:00Z to 2016-04-01T23:59:59Z.\r\n\r\n"
	        "Successful sessions: 5327\r\nFailed sessions: 303\r\n\r\n"
	        "--=_tlsrpt\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n"
	        "Content-Disposition: attachment;\r\n filename=\"mail.satu.test!dua.test!1459468800!1459555199.json.gz\"\r\n\r\n"
	        "Z3ppcA==\r\n--=_tlsrpt--\r\n"));
	buf_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_report_is_json_as_rfc_8460_has_it),
	    cmocka_unit_test(a_report_without_room_fails_and_does_no_harm),
	    cmocka_unit_test(it_is_compressed_as_gzip),
	    cmocka_unit_test(the_message_says_what_it_is),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
