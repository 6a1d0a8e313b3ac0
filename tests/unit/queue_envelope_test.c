#include "tests/unit/rows.h"

#include <sys/mman.h>
#include <unistd.h>

#include "queue/envelope_file.h"

/* ---- helpers --------------------------------------------------------------------------------------------------- */

static const struct siphash_key key = {1, 2};

static void
file_begin(struct queue_writer *w)
{
	queue_writer_init(w, 4 * 1024 * 1024);
	queue_writer_begin(w, 1700000000123, STR("baru@satu.test"));
	queue_writer_recipient(w, STR("lama@dua.test"));
	queue_writer_record(w, QUEUE_NOTIFY, STR("SUCCESS,DELAY"));
	queue_writer_recipient(w, STR("list@satu.test"));
	queue_writer_content(w, STR("Subject: x\r\n\r\nhello\r\n"));
	queue_writer_end(w);
	assert_true(queue_writer_ok(w));
}

static enum envelope_load
load_from(struct envelope *e, struct str file, bool skip, struct err *err)
{
	struct envelope_source source;
	enum envelope_load result;
	int fd = memfd_create("queue", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, file.p, file.n), file.n);
	envelope_init(e, 16 * 1024 * 1024, 200000, &key);
	envelope_source_init(&source, fd);
	source.skips_content = skip;
	do
		result = envelope_load(e, &source, 0, err);
	while (result == ENVELOPE_MORE);
	(void)close(fd);
	return result;
}

static void
load_good(struct envelope *e, struct str file)
{
	struct err err;

	assert_int_equal(load_from(e, file, false, &err), ENVELOPE_LOADED);
}

static void
attempt(struct envelope *e, size_t index, enum queue_state outcome)
{
	struct queue_attempt a = {.time_ms = 5, .recipient = index, .outcome = outcome, .code = STR("4.0.0"),
	    .relay = STR("none"), .reply = STR("because")};

	assert_true(envelope_attempt(e, index, &a));
}

/* Appends what the envelope has to say to the file. */
static void
record(struct envelope *e, struct buf *file)
{
	struct buf b;

	buf_init(&b, 1024 * 1024 * 64);
	envelope_history(e, &b);
	buf_truncate(file, e->end);
	buf_add(file, buf_str(&b));
	assert_true(buf_ok(&b) && buf_ok(file));
	envelope_written(e, &b);
	buf_clear(&b);
}

/* ---- tests ----------------------------------------------------------------------------------------------------- */

static void
a_file_becomes_an_envelope(void **state)
{
	struct queue_writer w;
	struct envelope e;

	(void)state;
	file_begin(&w);
	load_good(&e, queue_writer_output(&w));
	assert_str(e.sender, STR("baru@satu.test"));
	assert_int_equal(e.time_ms, 1700000000123);
	assert_int_equal(e.nrecipients, 2);
	assert_str(e.recipients[1].address, STR("list@satu.test"));
	assert_int_equal(e.npieces, 1);
	assert_int_equal(e.pieces[0].length, e.head.message_size);
	assert_int_equal(envelope_waiting(&e), 2);
	assert_true(envelope_wants(&e.recipients[0], STR("DELAY")));
	assert_false(envelope_wants(&e.recipients[0], STR("FAILURE")));
	assert_true(envelope_wants(&e.recipients[1], STR("FAILURE")));
	assert_false(envelope_wants(&e.recipients[1], STR("SUCCESS")));
	assert_false(e.cut);
	envelope_clear(&e);
	queue_writer_clear(&w);
}

static void
what_is_recorded_is_read_again(void **state)
{
	struct queue_writer w;
	struct envelope e, again;

	(void)state;
	file_begin(&w);
	load_good(&e, queue_writer_output(&w));
	assert_true(envelope_expand(&e, 1, STR("a@satu.test, b@satu.test,a@satu.test"), STR("satu.test"),
	    STR("owner-list@satu.test")));
	attempt(&e, 0, QUEUE_DELIVERED);
	attempt(&e, 2, QUEUE_WAITING);
	assert_true(envelope_is_unrecorded(&e));
	record(&e, &w.out);
	assert_false(envelope_is_unrecorded(&e));
	attempt(&e, 3, QUEUE_FAILED);
	record(&e, &w.out);
	load_good(&again, queue_writer_output(&w));
	assert_int_equal(again.nrecipients, 4);
	assert_int_equal(again.recipients[0].state, QUEUE_DELIVERED);
	assert_int_equal(again.recipients[0].settled, QUEUE_WAITING);
	assert_int_equal(again.recipients[1].state, QUEUE_EXPANDED_STATE);
	assert_int_equal(again.recipients[2].state, QUEUE_WAITING);
	assert_int_equal(again.recipients[3].state, QUEUE_FAILED);
	assert_str(again.recipients[2].reply, STR("because"));
	assert_str(again.recipients[2].original, STR("list@satu.test"));
	assert_str(envelope_return_path(&again, &again.recipients[3]), STR("owner-list@satu.test"));
	assert_int_equal(again.recipients[3].parent, 1);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(e.recipients[i].offset, again.recipients[i].offset);
	assert_int_equal(again.end, w.out.n);
	envelope_clear(&e);
	envelope_clear(&again);
	queue_writer_clear(&w);
}

static void
what_decided_on_tls_is_recorded_in_files_of_our_version(void **state)
{
	struct queue_attempt a = {.time_ms = 5, .outcome = QUEUE_WAITING, .code = STR("4.0.0"), .relay = STR("none"),
	    .reply = STR("because"), .security = STR("dane TLSv1.3 with X")};
	struct queue_writer w;
	struct envelope e, again;
	struct buf b;

	(void)state;
	buf_init(&b, 65536);
	file_begin(&w);
	load_good(&e, queue_writer_output(&w));
	assert_true(envelope_attempt(&e, 0, &a));
	envelope_history(&e, &b);
	assert_true(str_search(buf_str(&b), STR("tls 21:0 dane TLSv1.3 with X,")) < b.n);
	record(&e, &w.out);
	load_good(&again, queue_writer_output(&w));
	assert_int_equal(again.recipients[0].state, QUEUE_WAITING);
	envelope_clear(&again);
	e.head.version--;
	a.outcome = QUEUE_DELIVERED;
	assert_true(envelope_attempt(&e, 0, &a));
	buf_reset(&b);
	envelope_history(&e, &b);
	assert_true(str_starts(buf_str(&b), STR("attempt ")));
	envelope_clear(&e);
	queue_writer_clear(&w);
	buf_clear(&b);
}

static void
a_state_that_no_record_backs_is_damage(void **state)
{
	static const char states[] = "dfe";
	struct queue_writer w;
	struct envelope e;
	struct err err;

	(void)state;
	file_begin(&w);
	load_good(&e, queue_writer_output(&w));
	attempt(&e, 0, QUEUE_DELIVERED);
	record(&e, &w.out);
	for (size_t i = 0; i < 3; i++) {
		struct envelope again;

		w.out.p[e.recipients[0].offset] = states[i];
		assert_int_equal(load_from(&again, queue_writer_output(&w), false, &err),
		    states[i] == 'd' ? ENVELOPE_LOADED : ENVELOPE_DAMAGED);
		envelope_clear(&again);
		w.out.p[e.recipients[0].offset] = 'd';
		w.out.p[e.recipients[1].offset] = states[i];
		assert_int_equal(load_from(&again, queue_writer_output(&w), true, &err), ENVELOPE_DAMAGED);
		envelope_clear(&again);
		w.out.p[e.recipients[1].offset] = 'w';
	}
	envelope_clear(&e);
	queue_writer_clear(&w);
}

/* Cut anywhere, as by a crash: an expansion is there with all of its recipients, or not at all. */
static void
a_cut_history_is_consistent(void **state)
{
	struct queue_writer w;
	struct envelope e;
	size_t begin;

	(void)state;
	file_begin(&w);
	load_good(&e, queue_writer_output(&w));
	begin = w.out.n;
	assert_true(envelope_expand(&e, 1, STR("a@satu.test,b@satu.test,c@satu.test"), STR("satu.test"), STR_NONE));
	attempt(&e, 2, QUEUE_DELIVERED);
	record(&e, &w.out);
	for (size_t n = begin; n <= w.out.n; n++) {
		struct envelope again;

		load_good(&again, str_sub(queue_writer_output(&w), 0, n));
		assert_true(again.nrecipients == 2 || again.nrecipients == 5);
		assert_int_equal(again.recipients[1].state == QUEUE_EXPANDED_STATE, again.nrecipients == 5);
		assert_int_equal(again.cut, again.end < n);
		/* Writing goes on behind what counts. */
		if (again.nrecipients == 2) {
			struct buf file;
			struct envelope third;

			buf_init(&file, 65536);
			buf_add(&file, str_sub(queue_writer_output(&w), 0, n));
			assert_true(envelope_expand(&again, 1, STR("x@satu.test"), STR("satu.test"), STR_NONE));
			record(&again, &file);
			load_good(&third, buf_str(&file));
			assert_int_equal(third.nrecipients, 3);
			envelope_clear(&third);
			buf_clear(&file);
		}
		envelope_clear(&again);
	}
	envelope_clear(&e);
	queue_writer_clear(&w);
}

static void
aliases_end_somewhere(void **state)
{
	struct queue_writer w;
	struct envelope e;
	size_t before;

	(void)state;
	file_begin(&w);
	load_good(&e, queue_writer_output(&w));
	/* list -> list, other; other -> list: the name itself is a mailbox, once; the circle ends there. */
	assert_true(envelope_expand(&e, 1, STR("LIST@satu.test,other"), STR("satu.test"), STR_NONE));
	assert_int_equal(e.nrecipients, 4);
	assert_true(envelope_is_literal(&e, 2));
	assert_false(envelope_is_literal(&e, 3));
	assert_str(e.recipients[3].address, STR("other@satu.test"));
	assert_true(envelope_expand(&e, 3, STR("list@satu.test,lama@dua.test"), STR("satu.test"), STR_NONE));
	assert_int_equal(e.nrecipients, 4);
	assert_int_equal(e.recipients[3].state, QUEUE_EXPANDED_STATE);
	/* A chain is followed only so far. */
	assert_true(envelope_expand(&e, 0, STR("c0@satu.test"), STR("satu.test"), STR_NONE));
	for (int i = 1; i < ENVELOPE_DEPTH_MAX; i++) {
		char address[32];

		(void)snprintf(address, sizeof address, "c%d@satu.test", i);
		assert_true(envelope_expand(&e, e.nrecipients - 1, str_from(address), STR("satu.test"), STR_NONE));
	}
	before = e.nrecipients;
	assert_false(envelope_expand(&e, e.nrecipients - 1, STR("last@satu.test"), STR("satu.test"), STR_NONE));
	assert_int_equal(e.nrecipients, before);
	assert_int_equal(e.recipients[before - 1].state, QUEUE_WAITING);
	envelope_clear(&e);
	queue_writer_clear(&w);
}

static void
a_long_list_takes_no_time(void **state)
{
	struct queue_writer w;
	struct envelope e, again;
	struct buf list;

	(void)state;
	file_begin(&w);
	load_good(&e, queue_writer_output(&w));
	buf_init(&list, 4 * 1024 * 1024);
	for (int i = 0; i < 50000; i++)
		buf_addf(&list, "user%d@satu.test,User%d@satu.test,", i, i);
	assert_true(envelope_expand(&e, 1, buf_str(&list), STR("satu.test"), STR_NONE));
	assert_int_equal(e.nrecipients, 50002);
	w.out.max = 64 * 1024 * 1024;
	record(&e, &w.out);
	load_good(&again, queue_writer_output(&w));
	assert_int_equal(again.nrecipients, 50002);
	envelope_clear(&again);
	buf_clear(&list);
	envelope_clear(&e);
	queue_writer_clear(&w);
}

static void
too_many_recipients_are_refused_as_a_whole(void **state)
{
	struct queue_writer w;
	struct envelope e;

	(void)state;
	file_begin(&w);
	load_good(&e, queue_writer_output(&w));
	e.max_recipients = 4;
	assert_false(envelope_expand(&e, 1, STR("a@x.test,b@x.test,c@x.test,d@x.test,e@x.test"), STR("satu.test"),
	    STR_NONE));
	assert_int_equal(e.nrecipients, 2);
	assert_int_equal(e.recipients[1].state, QUEUE_WAITING);
	assert_true(envelope_expand(&e, 1, STR("a@x.test"), STR("satu.test"), STR_NONE));
	envelope_clear(&e);
	queue_writer_clear(&w);
}

static void
no_command_can_be_smuggled_in_an_address(void **state)
{
	static const struct {
		struct str sender, recipient;
	} rows[] = {
	    {STR("a\r\nRCPT TO:<x>@b.test"), STR("c@d.test")},
	    {STR("a@b.test"), STR("c\nd@e.test")},
	    {STR("a@b.test"), STR("c\0d@e.test")},
	    {STR("a@b.test"), STR("c\x7f@e.test")},
	    {STR("a@b.test"), STR("")},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct queue_writer w;
		struct envelope e;
		struct err err;

		queue_writer_init(&w, 65536);
		queue_writer_begin(&w, 1, rows[i].sender);
		queue_writer_recipient(&w, rows[i].recipient);
		queue_writer_content(&w, STR("x\r\n"));
		queue_writer_end(&w);
		assert_int_equal(load_from(&e, queue_writer_output(&w), false, &err), ENVELOPE_DAMAGED);
		envelope_clear(&e);
		queue_writer_clear(&w);
	}
}

static void
memory_that_runs_out_is_no_crash(void **state)
{
	struct queue_writer w;
	struct err err;

	(void)state;
	file_begin(&w);
	for (size_t max = 0; max < 3000; max += 16) {
		struct envelope_source source;
		struct envelope e;
		enum envelope_load result;
		int fd = memfd_create("queue", MFD_CLOEXEC);

		assert_int_equal(write(fd, w.out.p, w.out.n), w.out.n);
		envelope_init(&e, max, 100, &key);
		envelope_source_init(&source, fd);
		result = envelope_load(&e, &source, 0, &err);
		assert_true(result == ENVELOPE_DAMAGED || result == ENVELOPE_LOADED);
		envelope_clear(&e);
		(void)close(fd);
	}
	queue_writer_clear(&w);
}

static void
what_filters_changed_takes_the_place_of_the_envelope(void **state)
{
	struct queue_writer w;
	struct envelope e;

	(void)state;
	queue_writer_init(&w, 65536);
	queue_writer_begin(&w, 1700000000123, STR("baru@satu.test"));
	queue_writer_recipient(&w, STR("lama@dua.test"));
	queue_writer_recipient(&w, STR("list@satu.test"));
	queue_writer_content(&w, STR("x\r\n"));
	queue_writer_content_end(&w);
	queue_writer_record(&w, QUEUE_SENDER, STR(""));
	queue_writer_record(&w, QUEUE_BODY, STR("8BITMIME"));
	queue_writer_record(&w, QUEUE_REMOVED, STR("0"));
	queue_writer_recipient(&w, STR("more@satu.test"));
	queue_writer_record(&w, QUEUE_NOTIFY, STR("NEVER"));
	queue_writer_end(&w);
	assert_true(queue_writer_ok(&w));
	load_good(&e, queue_writer_output(&w));
	assert_str(e.sender, STR(""));
	assert_true(e.is_8bit);
	assert_int_equal(e.nrecipients, 3);
	assert_int_equal(envelope_waiting(&e), 2);
	assert_int_equal(e.recipients[0].state, QUEUE_EXPANDED_STATE);
	assert_str(e.recipients[2].address, STR("more@satu.test"));
	assert_false(envelope_wants(&e.recipients[2], STR("FAILURE")));

	/* And it goes on as with any other file. */
	attempt(&e, 1, QUEUE_DELIVERED);
	attempt(&e, 2, QUEUE_WAITING);
	record(&e, &w.out);
	envelope_clear(&e);
	load_good(&e, buf_str(&w.out));
	assert_int_equal(envelope_waiting(&e), 1);
	assert_int_equal(e.recipients[1].state, QUEUE_DELIVERED);
	envelope_clear(&e);
	queue_writer_clear(&w);
}

/* RFC 3461 5.2.7: who hears of what when an alias is expanded, now and after the file was read again. */
static void
wishes_follow_an_alias(void **state)
{
	static const struct {
		const char *notify, *addresses;
		bool is_list;
		const char *child; /* NOTIFY of what it became */
		bool tells;	   /* of the expansion */
	} expansions[] = {
	    {"SUCCESS,FAILURE", "a@satu.test", false, "SUCCESS,FAILURE", false},
	    {"SUCCESS,FAILURE,DELAY", "a@satu.test,b@satu.test", false, "FAILURE,DELAY", true},
	    {"success", "a@satu.test,b@satu.test", false, "NEVER", true},
	    {"FAILURE", "a@satu.test,b@satu.test", false, "FAILURE", false},
	    {"NEVER", "a@satu.test,b@satu.test", false, "NEVER", false},
	    {"SUCCESS,FAILURE", "a@satu.test,b@satu.test", true, NULL, true},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(expansions); i++) {
		struct str owner = expansions[i].is_list ? STR("owner-list@satu.test") : STR_NONE;
		struct queue_writer w;
		struct envelope e, again;

		queue_writer_init(&w, 65536);
		queue_writer_begin(&w, 1700000000123, STR("baru@satu.test"));
		queue_writer_recipient(&w, STR("list@satu.test"));
		queue_writer_record(&w, QUEUE_ORCPT, STR("rfc822;list@satu.test"));
		queue_writer_record(&w, QUEUE_NOTIFY, str_from(expansions[i].notify));
		queue_writer_content(&w, STR("x\r\n"));
		queue_writer_end(&w);
		load_good(&e, queue_writer_output(&w));
		assert_true(envelope_expand(&e, 0, str_from(expansions[i].addresses), STR("satu.test"), owner));
		record(&e, &w.out);
		load_good(&again, queue_writer_output(&w));
		for (int n = 0; n < 2; n++) {
			const struct envelope *read = n == 0 ? &e : &again;
			const struct recipient *child = &read->recipients[1];

			assert_str(child->notify, expansions[i].child != NULL ? str_from(expansions[i].child) : STR(""));
			assert_int_equal(child->orcpt.p != NULL, !expansions[i].is_list);
			assert_int_equal(envelope_wants_success(read, &read->recipients[0]), expansions[i].tells);
			assert_int_equal(envelope_must_tell(read, &read->recipients[0]), expansions[i].tells);
		}
		envelope_clear(&e);
		envelope_clear(&again);
		queue_writer_clear(&w);
	}
}

static void
success_is_told_to_who_asked(void **state)
{
	static const struct {
		const char *notify, *relay;
		bool trace, wants;
	} successes[] = {
	    {NULL, "lmtp", false, false},
	    {"SUCCESS", "lmtp", false, true},
	    {"SUCCESS,DELAY", "mx[1.2.3.4]:25", false, true},
	    {"FAILURE", "mx[1.2.3.4]:25", false, false},
	    {NULL, "mx[1.2.3.4]:25", true, true},
	    {NULL, "lmtp", true, false},
	    {"NEVER", "mx[1.2.3.4]:25", true, false},
	};
	struct recipient r = {.state = QUEUE_DELIVERED};
	struct envelope e = {.sender = STR("baru@satu.test")};

	(void)state;
	for (size_t i = 0; i < ROWS(successes); i++) {
		r.notify = str_from(successes[i].notify);
		r.relay = str_from(successes[i].relay);
		e.by.trace = successes[i].trace;
		assert_int_equal(envelope_wants_success(&e, &r), successes[i].wants);
	}
	r.notify = STR("SUCCESS");
	assert_true(envelope_must_tell(&e, &r));
	e.sender = STR("");
	assert_false(envelope_must_tell(&e, &r));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_filters_changed_takes_the_place_of_the_envelope),
	    cmocka_unit_test(a_file_becomes_an_envelope),
	    cmocka_unit_test(what_is_recorded_is_read_again),
	    cmocka_unit_test(what_decided_on_tls_is_recorded_in_files_of_our_version),
	    cmocka_unit_test(a_state_that_no_record_backs_is_damage),
	    cmocka_unit_test(a_cut_history_is_consistent),
	    cmocka_unit_test(aliases_end_somewhere),
	    cmocka_unit_test(a_long_list_takes_no_time),
	    cmocka_unit_test(too_many_recipients_are_refused_as_a_whole),
	    cmocka_unit_test(no_command_can_be_smuggled_in_an_address),
	    cmocka_unit_test(memory_that_runs_out_is_no_crash),
	    cmocka_unit_test(wishes_follow_an_alias),
	    cmocka_unit_test(success_is_told_to_who_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
