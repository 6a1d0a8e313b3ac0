#include "tests/unit/rows.h"

#include "queue/job.h"

static struct buf packet = {.max = MSG_MAX_BYTES};
static struct msg m;

/* What the other side gets. */
static void
receive(unsigned type, uint32_t id)
{
	assert_true(buf_ok(&packet));
	assert_true(msg_open(&m, buf_str(&packet), -1));
	assert_int_equal(m.type, type);
	assert_int_equal(m.id, id);
}

static const struct queue_piece pieces[] = {{100, 50}, {500, 1}};
static const struct job_recipient recipients[] = {{.index = 0, .address = {"a@dua.test", 10}, .orcpt = {"rfc822;x\ny", 10}, .notify = {"NEVER", 5}},
    {.index = 7, .address = {"b@dua.test", 10}}};

static struct job
example(void)
{
	return (struct job){.transport = JOB_SMTP, .next_hop = STR("dua.test"), .route = STR("*"), .site = STR("mx1.dua.test mx2.dua.test"), .security = STR("dnssec"), .messages = 7,
	    .queue_id = STR("3Zb1QxLs5GzQ1t7B"), .sender = STR("s@satu.test"), .flags = JOB_8BIT, .size = 51,
	    .priority = -4, .by_left_ms = -5000, .ret = STR("HDRS"), .envid = STR("a\r\nb"),
	    .pieces = pieces, .npieces = ROWS(pieces), .recipients = recipients, .nrecipients = ROWS(recipients)};
}

static void
a_job_arrives_as_it_was_sent(void **state)
{
	struct job job = example(), got;
	struct arena arena;

	(void)state;
	arena_init(&arena, 65536);
	assert_int_equal(job_encode(&packet, 5, &job), 2);
	receive(JOB_START, 5);
	assert_true(job_decode(&m, &arena, &got));
	memset(packet.p, 'x', packet.n); /* the job does not live in the message */
	assert_int_equal(got.transport, JOB_SMTP);
	assert_str(got.next_hop, job.next_hop);
	assert_str(got.route, STR("*"));
	assert_str(got.site, job.site);
	assert_int_equal(got.messages, 7);
	assert_str(got.security, STR("dnssec"));
	assert_str(got.queue_id, job.queue_id);
	assert_str(got.sender, job.sender);
	assert_int_equal(got.flags, JOB_8BIT);
	assert_int_equal(got.size, 51);
	assert_int_equal(got.priority, -4);
	assert_true(got.by_left_ms == -5000);
	assert_str(got.ret, STR("HDRS"));
	assert_str(got.envid, STR("a\r\nb"));
	assert_str(got.recipients[0].orcpt, STR("rfc822;x\ny"));
	assert_str(got.recipients[0].notify, STR("NEVER"));
	assert_int_equal(got.recipients[1].orcpt.n, 0);
	assert_int_equal(got.npieces, 2);
	assert_int_equal(got.pieces[1].offset, 500);
	assert_int_equal(got.pieces[1].length, 1);
	assert_int_equal(got.nrecipients, 2);
	assert_int_equal(got.recipients[1].index, 7);
	assert_str(got.recipients[1].address, STR("b@dua.test"));
	arena_clear(&arena);
}

static void
a_job_that_is_cut_anywhere_is_refused(void **state)
{
	struct job job = example(), got;
	size_t second = 8 + 4 + 10 + 4 + 4; /* the last recipient: without it the job is a good one */

	(void)state;
	assert_int_equal(job_encode(&packet, 5, &job), 2);
	for (size_t cut = 8; cut < packet.n; cut++) {
		struct arena arena;

		arena_init(&arena, 65536);
		assert_true(msg_open(&m, str_sub(buf_str(&packet), 0, cut), -1));
		assert_int_equal(job_decode(&m, &arena, &got), cut == packet.n - second);
		arena_clear(&arena);
	}
}

static void
a_job_in_a_full_arena_is_refused(void **state)
{
	struct job job = example(), got;
	bool fits = false;

	(void)state;
	assert_int_equal(job_encode(&packet, 5, &job), 2);
	for (size_t max = 0; !fits; max += 16) {
		struct arena arena;

		arena_init(&arena, max);
		receive(JOB_START, 5);
		fits = job_decode(&m, &arena, &got);
		assert_true(fits || max < 1024);
		arena_clear(&arena);
	}
}

static void
jobs_that_break_the_rules_are_refused(void **state)
{
	static const struct queue_piece wraps[] = {{UINT64_MAX - 1, 51}};
	static const struct queue_piece sum_wraps[] = {{0, INT64_MAX}, {0, INT64_MAX}};
	static const struct job_recipient line_end[] = {{.address = {"a@dua.test\r\nRCPT", 16}}};
	static const struct job_recipient odd_notify[] = {{.address = {"a@x", 3}, .notify = {"NEVER\r\n", 7}}};
	struct job bad[10], got;

	(void)state;
	for (size_t i = 0; i < ROWS(bad); i++)
		bad[i] = example();
	bad[0].sender = STR("s\n@satu.test");
	bad[1].next_hop = STR("dua\0test");
	bad[2].recipients = line_end;
	bad[2].nrecipients = 1;
	bad[3].size = 52;
	bad[4].pieces = wraps;
	bad[4].npieces = 1;
	bad[5].pieces = sum_wraps;
	bad[5].size = (uint64_t)INT64_MAX * 2;
	bad[6].transport = (enum job_transport)2;
	bad[7].priority = 10;
	bad[8].recipients = odd_notify;
	bad[8].nrecipients = 1;
	bad[9].ret = STR("FULL\n");
	for (size_t i = 0; i < ROWS(bad); i++) {
		struct arena arena;

		arena_init(&arena, 65536);
		assert_true(job_encode(&packet, 5, &bad[i]) > 0);
		receive(JOB_START, 5);
		assert_false(job_decode(&m, &arena, &got));
		arena_clear(&arena);
	}
}

static void
recipients_that_do_not_fit_are_left_for_another_job(void **state)
{
	static struct job_recipient many[JOB_RECIPIENTS_MAX + 5];
	static char address[JOB_ADDRESS_MAX];
	struct job job = example(), got;
	struct arena arena;
	size_t n;

	(void)state;
	memset(address, 'x', sizeof address);
	for (size_t i = 0; i < ROWS(many); i++)
		many[i] = (struct job_recipient){.index = i, .address = {address, sizeof address}};
	job.recipients = many;
	job.nrecipients = ROWS(many);
	n = job_encode(&packet, 5, &job);
	assert_in_range(n, 50, 70);
	receive(JOB_START, 5);
	arena_init(&arena, 1024 * 1024);
	assert_true(job_decode(&m, &arena, &got));
	assert_int_equal(got.nrecipients, n);
	arena_clear(&arena);

	for (size_t i = 0; i < ROWS(many); i++)
		many[i].address.n = 3;
	assert_int_equal(job_encode(&packet, 5, &job), JOB_RECIPIENTS_MAX);
	many[0].address = (struct str){address, JOB_ADDRESS_MAX + 1};
	assert_int_equal(job_encode(&packet, 5, &job), 0);
}

static void
the_longest_job_fits_with_one_recipient(void **state)
{
	static char x[JOB_SITE_MAX];
	static struct queue_piece most[QUEUE_PIECES_MAX];
	struct job_recipient one = {.index = UINT64_MAX, .address = {x, JOB_ADDRESS_MAX}, .orcpt = {x, JOB_ORCPT_MAX},
	    .notify = {x, JOB_TEXT_MAX}};
	struct job job = {.next_hop = {x, JOB_NEXT_HOP_MAX}, .route = {x, JOB_NEXT_HOP_MAX}, .site = {x, JOB_SITE_MAX}, .security = {x, JOB_TEXT_MAX},
	    .queue_id = {x, JOB_TEXT_MAX},
	    .sender = {x, JOB_ADDRESS_MAX}, .envid = {x, JOB_ENVID_MAX}, .ret = {x, JOB_TEXT_MAX}, .pieces = most, .npieces = QUEUE_PIECES_MAX, .recipients = &one,
	    .nrecipients = 1};

	(void)state;
	memset(x, 'x', sizeof x);
	assert_int_equal(job_encode(&packet, 1, &job), 1);
	job.npieces++;
	assert_int_equal(job_encode(&packet, 1, &job), 0);
}

static void
the_other_messages_arrive_as_they_were_sent(void **state)
{
	struct job_hello hello = {STR("remote"), 500}, hello2;
	struct job_resolve resolve = {JOB_LMTP, STR("dua.test")}, resolve2;
	struct job_site site = {JOB_FAILED, STR(""), STR("dnssec"), 300, STR("5.1.2"), STR("no such\ndomain")},
			site2;
	struct job_result result = {3, JOB_DEFERRED, STR("4.4.1"), STR("450 \xff"), STR("mx[::1]:25"), STR("TLSv1.3"), STR("dane"), true, 5,
	    6};
	struct job_result result2;
	struct job_done done = {JOB_HEALTH_DEAD, true}, done2;

	(void)state;
	job_hello_encode(&packet, &hello);
	receive(JOB_HELLO, 0);
	assert_true(job_hello_decode(&m, &hello2));
	assert_str(hello2.role, STR("remote"));
	assert_int_equal(hello2.capacity, 500);

	job_resolve_encode(&packet, 9, &resolve);
	receive(JOB_RESOLVE, 9);
	assert_true(job_resolve_decode(&m, &resolve2));
	assert_int_equal(resolve2.transport, JOB_LMTP);
	assert_str(resolve2.next_hop, STR("dua.test"));

	job_site_encode(&packet, 9, &site);
	receive(JOB_SITE, 9);
	assert_true(job_site_decode(&m, &site2));
	assert_int_equal(site2.status, JOB_FAILED);
	assert_int_equal(site2.ttl_s, 300);
	assert_str(site2.security, STR("dnssec"));
	assert_str(site2.code, STR("5.1.2"));
	assert_str(site2.reason, STR("no such\ndomain"));

	job_result_encode(&packet, 9, &result);
	receive(JOB_RESULT, 9);
	assert_true(job_result_decode(&m, &result2));
	assert_int_equal(result2.index, 3);
	assert_int_equal(result2.status, JOB_DEFERRED);
	assert_str(result2.code, result.code);
	assert_str(result2.reply, result.reply);
	assert_str(result2.relay, result.relay);
	assert_str(result2.tls, result.tls);
	assert_str(result2.policy, result.policy);
	assert_true(result2.dsn);
	assert_int_equal(result2.setup_ms, 5);
	assert_int_equal(result2.transfer_ms, 6);

	job_done_encode(&packet, 9, &done);
	receive(JOB_DONE, 9);
	assert_true(job_done_decode(&m, &done2));
	assert_int_equal(done2.health, JOB_HEALTH_DEAD);
	assert_true(done2.reused);
}

static void
values_outside_of_an_enum_are_refused(void **state)
{
	struct job_done done;

	(void)state;
	msg_begin(&packet, JOB_DONE, 1);
	msg_add_u64(&packet, JOB_HEALTH_UNKNOWN + 1);
	msg_add_u64(&packet, 0);
	receive(JOB_DONE, 1);
	assert_false(job_done_decode(&m, &done));
	msg_begin(&packet, JOB_DONE, 1);
	msg_add_u64(&packet, JOB_HEALTH_GOOD);
	msg_add_u64(&packet, 2);
	receive(JOB_DONE, 1);
	assert_false(job_done_decode(&m, &done));
	msg_begin(&packet, JOB_DONE, 1);
	msg_add_u64(&packet, JOB_HEALTH_GOOD);
	msg_add_u64(&packet, 1);
	msg_add_u64(&packet, 1);
	receive(JOB_DONE, 1);
	assert_false(job_done_decode(&m, &done));
	buf_clear(&packet);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_job_arrives_as_it_was_sent),
	    cmocka_unit_test(a_job_that_is_cut_anywhere_is_refused),
	    cmocka_unit_test(a_job_in_a_full_arena_is_refused),
	    cmocka_unit_test(jobs_that_break_the_rules_are_refused),
	    cmocka_unit_test(recipients_that_do_not_fit_are_left_for_another_job),
	    cmocka_unit_test(the_longest_job_fits_with_one_recipient),
	    cmocka_unit_test(the_other_messages_arrive_as_they_were_sent),
	    cmocka_unit_test(values_outside_of_an_enum_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
