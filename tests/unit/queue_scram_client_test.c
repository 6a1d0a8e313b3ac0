/*
 * SCRAM's client against what the RFCs print, and against servers that lie.
 */
#include "tests/unit/rows.h"

#include "common/base/base64.h"
#include "queue/scram_client.h"

static const struct exchange {
	enum scram_hash hash;
	const char *user, *password, *nonce, *first, *server_first, *final, *server_final;
} exchanges[] = {
    /* RFC 5802 5 */
    {SCRAM_SHA_1, "user", "pencil", "fyko+d2lbbFgONRv9qkxdawL", "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
	"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
	"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
	"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
    /* RFC 7677 3 */
    {SCRAM_SHA_256, "user", "pencil", "rOprNGfwEbeRWgbNEkqO", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
	"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
	"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
};

struct play {
	struct scram_client scram;
	struct scram_client_memory memory;
	struct buf out;
};

static void
play_begin(struct play *play, const struct exchange *e)
{
	memset(play, 0, sizeof *play);
	buf_init(&play->out, 4096);
	scram_client_init(&play->scram, e->hash);
	assert_true(scram_client_first(&play->scram, str_from(e->user), str_from(e->nonce), NULL, false, &play->out));
	assert_str(buf_str(&play->out), str_from(e->first));
	buf_reset(&play->out);
}

static void
play_end(struct play *play)
{
	scram_client_clear(&play->scram);
	buf_clear(&play->out);
}

static const char *
answer(struct play *play, const struct exchange *e, const char *server_first)
{
	return scram_client_final(&play->scram, str_from(e->password), &play->memory, str_from(server_first), &play->out);
}

static void
the_exchanges_of_the_rfcs(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(exchanges); i++) {
		const struct exchange *e = &exchanges[i];
		struct play play;

		play_begin(&play, e);
		assert_null(answer(&play, e, e->server_first));
		assert_str(buf_str(&play.out), str_from(e->final));
		assert_null(scram_client_check(&play.scram, str_from(e->server_final)));
		assert_int_equal(play.scram.step, SCRAM_CLIENT_PROVED);
		play_end(&play);
	}
}

static void
keys_are_remembered_until_the_salt_changes(void **state)
{
	const struct exchange *e = &exchanges[1];
	struct scram_client_memory kept;
	struct play play;

	(void)state;
	play_begin(&play, e);
	assert_null(answer(&play, e, e->server_first));
	kept = play.memory;
	play_end(&play);
	play_begin(&play, e);
	play.memory = kept;
	play.memory.keys.client[0] ^= 1; /* to see that they are used */
	assert_null(answer(&play, e, e->server_first));
	assert_false(str_equal(buf_str(&play.out), str_from(e->final)));
	play_end(&play);
	play_begin(&play, e);
	play.memory = kept;
	assert_null(answer(&play, e, "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2,s=AAAA,i=4096"));
	assert_memory_not_equal(&kept.keys, &play.memory.keys, sizeof kept.keys);
	play_end(&play);
}

/* --- what the server must not say ---------------------------------------------------------------------------------- */

#define NONCE "fyko+d2lbbFgONRv9qkxdawL"

static const struct lie {
	const char *server_first, *part_of_problem;
} lies[] = {
    {"", "malformed"},
    {"r=", "malformed"},
    {"s=QSXCR+Q6sek8bf92,i=4096", "malformed"},
    {"m=x,r=" NONCE "3rfcNHYJY1,s=QSXCR+Q6sek8bf92,i=4096", "malformed"},
    {"r=" NONCE "3rfcNHYJY1,i=4096", "malformed"},
    {"r=" NONCE "3rfcNHYJY1,s=,i=4096", "malformed"},
    {"r=" NONCE "3rfcNHYJY1,s=!,i=4096", "malformed"},
    {"r=" NONCE "3rfcNHYJY1,s=QSXCR+Q6sek8bf92,i=-4096", "malformed"},
    {"r=" NONCE "3rfcNHYJY1,s=QSXCR+Q6sek8bf92,i=99999999999999999999", "malformed"},
    {"r=" NONCE "3rfc NHYJY1,s=QSXCR+Q6sek8bf92,i=4096", "malformed"},
    {"r=" NONCE ",s=QSXCR+Q6sek8bf92,i=4096", "nonce"},
    {"r=" NONCE "3rfcNHY,s=QSXCR+Q6sek8bf92,i=4096", "nonce"},
    {"r=gyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1,s=QSXCR+Q6sek8bf92,i=4096", "nonce"},
    {"r=" NONCE "3rfcNHYJY1,s=QSXCR+Q6sek8bf92,i=1", "fewer"},
    {"r=" NONCE "3rfcNHYJY1,s=QSXCR+Q6sek8bf92,i=4095", "fewer"},
    {"r=" NONCE "3rfcNHYJY1,s=QSXCR+Q6sek8bf92,i=1000001", "more"},
};

static void
a_server_that_lies_gets_no_proof(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(lies); i++) {
		struct play play;
		const char *problem;

		play_begin(&play, &exchanges[0]);
		problem = answer(&play, &exchanges[0], lies[i].server_first);
		assert_non_null(problem);
		assert_non_null(strstr(problem, lies[i].part_of_problem));
		assert_int_equal(play.out.n, 0);
		/* And there is no second try. */
		assert_non_null(answer(&play, &exchanges[0], exchanges[0].server_first));
		assert_non_null(scram_client_check(&play.scram, str_from(exchanges[0].server_final)));
		play_end(&play);
	}
}

static void
a_server_without_the_password_is_not_believed(void **state)
{
	static const char *const finals[] = {"", "v=", "v=rmF9pqV8S7suAoZWja4dJRkFsKR=", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ",
	    "x=1,v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", "V=rmF9pqV8S7suAoZWja4dJRkFsKQ=", "v=AAAAAAAAAAAAAAAAAAAAAAAAAAA="};

	(void)state;
	for (size_t i = 0; i < ROWS(finals); i++) {
		struct play play;

		play_begin(&play, &exchanges[0]);
		assert_null(answer(&play, &exchanges[0], exchanges[0].server_first));
		assert_non_null(strstr(scram_client_check(&play.scram, str_from(finals[i])), "does not prove"));
		assert_int_not_equal(play.scram.step, SCRAM_CLIENT_PROVED);
		play_end(&play);
	}
}

static void
its_reason_is_told_without_what_could_harm_a_log(void **state)
{
	struct play play;

	(void)state;
	play_begin(&play, &exchanges[0]);
	assert_null(answer(&play, &exchanges[0], exchanges[0].server_first));
	assert_string_equal(scram_client_check(&play.scram, STR("e=invalid\n\xff-proof")),
	    "the server refuses the login: invalid?" "?-proof");
	play_end(&play);
}

/* --- binding, names ------------------------------------------------------------------------------------------------- */

static void
first_of(const char *user, const struct sasl_binding *binding, bool could_bind, const char *wanted)
{
	struct scram_client scram;
	struct buf out;

	buf_init(&out, 1024);
	scram_client_init(&scram, SCRAM_SHA_256);
	assert_int_equal(scram_client_first(&scram, str_from(user), STR("abc"), binding, could_bind, &out), wanted != NULL);
	if (wanted != NULL)
		assert_str(buf_str(&out), str_from(wanted));
	scram_client_clear(&scram);
	buf_clear(&out);
}

static void
the_first_message_says_how_it_binds(void **state)
{
	struct sasl_binding binding = {.type = "tls-exporter", .bytes = "0123", .n = 4};

	(void)state;
	first_of("baru", NULL, false, "n,,n=baru,r=abc");
	first_of("baru", NULL, true, "y,,n=baru,r=abc");
	first_of("baru", &binding, false, "p=tls-exporter,,n=baru,r=abc");
	first_of("a,b=c\xc2\xa0" "d", NULL, false, "n,,n=a=2Cb=3Dc d,r=abc");
	first_of("a\nb", NULL, false, NULL);
	first_of("", NULL, false, NULL);
}

static void
the_final_one_repeats_the_binding(void **state)
{
	struct sasl_binding binding = {.type = "tls-exporter", .bytes = "0123", .n = 4};
	struct scram_client_memory memory = {0};
	struct scram_client scram;
	struct buf out;

	(void)state;
	buf_init(&out, 1024);
	scram_client_init(&scram, SCRAM_SHA_256);
	assert_true(scram_client_first(&scram, STR("baru"), STR("abc"), &binding, false, &out));
	buf_reset(&out);
	assert_null(scram_client_final(&scram, STR("rahasia"), &memory, STR("r=abc12345678,s=AAAA,i=4096"), &out));
	/* "p=tls-exporter,,0123" */
	assert_true(str_starts(buf_str(&out), STR("c=cD10bHMtZXhwb3J0ZXIsLDAxMjM=,r=abc12345678,p=")));
	scram_client_clear(&scram);
	buf_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_exchanges_of_the_rfcs),
	    cmocka_unit_test(keys_are_remembered_until_the_salt_changes),
	    cmocka_unit_test(a_server_that_lies_gets_no_proof),
	    cmocka_unit_test(a_server_without_the_password_is_not_believed),
	    cmocka_unit_test(its_reason_is_told_without_what_could_harm_a_log),
	    cmocka_unit_test(the_first_message_says_how_it_binds),
	    cmocka_unit_test(the_final_one_repeats_the_binding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
