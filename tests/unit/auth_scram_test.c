#include "tests/unit/rows.h"

#include <time.h>

#include "auth/mech.h"
#include "common/login/saslprep.h"
#include "common/base/base64.h"

/* One exchange as the RFCs print it. */
struct exchange {
	const char *mechanism, *password;
	struct mech_facts facts;
	struct str salt; /* iterations,salt */
	struct str server_nonce;
	struct str first, server_first, final, server_final;
};

#define BINDING {.type = "tls-exporter", .bytes = "0123456789abcdef0123456789abcde", .n = 32}

static const struct exchange exchanges[] = {
    /* RFC 5802 5 */
    {"SCRAM-SHA-1", "pencil", {.nbindings = 0}, STR("4096,QSXCR+Q6sek8bf92"), STR("3rfcNHYJY1ZVvWVs7j"),
	STR("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"),
	STR("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"),
	STR("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="),
	STR("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")},
    /* RFC 7677 3 */
    {"SCRAM-SHA-256", "pencil", {.nbindings = 0}, STR("4096,W22ZaJ0SNY7soEsUEjb6gQ=="),
	STR("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"), STR("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"),
	STR("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
	STR("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
	STR("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")},
};

static struct scram_keys
keys_of(const struct exchange *e)
{
	struct scram_keys keys = {.iterations = 4096};
	enum mech_kind kind = str_equal(str_from(e->mechanism), STR("SCRAM-SHA-1")) ? MECH_SCRAM_SHA_1 : MECH_SCRAM_SHA_256;
	struct buf salt;

	assert_true(mech_needs_keys(kind, &keys.hash));
	buf_init(&salt, SCRAM_SALT_MAX);
	assert_true(base64_decode(&salt, str_skip(e->salt, 5)));
	memcpy(keys.salt, salt.p, salt.n);
	keys.salt_bytes = salt.n;
	buf_clear(&salt);
	assert_true(scram_keys_make(&keys, str_from(e->password)));
	return keys;
}

/* --- an exchange played by hand -------------------------------------------------------------------------------------- */

struct play {
	struct mech mech;
	struct buf out;
};

static enum mech_result
feed(struct play *play, const struct mech_facts *facts, struct str message)
{
	buf_reset(&play->out);
	return mech_feed(&play->mech, facts, &message, &play->out);
}

static void
play_begin(struct play *play, const char *mechanism)
{
	buf_init(&play->out, 4096);
	assert_true(mech_begin(&play->mech, str_from(mechanism)));
}

static void
play_end(struct play *play)
{
	mech_clear(&play->mech);
	buf_clear(&play->out);
}

/* As the checker and the front do it: whether the client is let in. */
static bool
play_final(struct play *play, const struct scram_keys *keys, const struct mech_facts *facts, struct str message)
{
	unsigned char signature[SCRAM_DIGEST_MAX];
	size_t n = scram_digest_bytes(keys->hash);

	if (feed(play, facts, message) != MECH_PROOF)
		return false;
	if (!scram_keys_verify(keys, buf_str(&play->mech.scram.messages),
	        (struct str){(const char *)play->mech.scram.proof, n}, signature))
		return false;
	mech_scram_signature(&play->mech.scram, (struct str){(const char *)signature, n}, &play->out);
	return true;
}

static bool
play_until_final(struct play *play, const struct exchange *e)
{
	if (feed(play, &e->facts, e->first) != MECH_SALT)
		return false;
	assert_true(mech_scram_salt(&play->mech.scram, e->salt, e->server_nonce, &play->out));
	return true;
}

static void
the_exchanges_of_the_rfcs_come_out_as_printed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(exchanges); i++) {
		const struct exchange *e = &exchanges[i];
		struct scram_keys keys = keys_of(e);
		struct play play;

		play_begin(&play, e->mechanism);
		assert_int_equal(mech_feed(&play.mech, &e->facts, NULL, &play.out), MECH_CHALLENGE);
		assert_true(play_until_final(&play, e));
		assert_string_equal(play.mech.login, "user");
		assert_str(buf_str(&play.out), e->server_first);
		assert_true(play_final(&play, &keys, &e->facts, e->final));
		assert_str(buf_str(&play.out), e->server_final);
		assert_int_equal(feed(&play, &e->facts, STR("")), MECH_CONFIRMED);
		play_end(&play);
	}
}

static void
a_message_that_was_cut_or_changed_anywhere_lets_nobody_in(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(exchanges); i++) {
		const struct exchange *e = &exchanges[i];
		struct scram_keys keys = keys_of(e);

		for (size_t at = 0; at < e->final.n; at++) {
			char changed[256];
			struct play play;

			play_begin(&play, e->mechanism);
			assert_true(play_until_final(&play, e));
			assert_false(play_final(&play, &keys, &e->facts, str_sub(e->final, 0, at)));
			play_end(&play);
			memcpy(changed, e->final.p, e->final.n);
			changed[at] = (char)(changed[at] ^ 1);
			play_begin(&play, e->mechanism);
			assert_true(play_until_final(&play, e));
			assert_false(play_final(&play, &keys, &e->facts, (struct str){changed, e->final.n}));
			play_end(&play);
		}
	}
}

/* The same nonce of the client, another of the server: what was seen on the wire is good for one exchange only. */
static void
a_replayed_final_message_lets_nobody_in(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(exchanges); i++) {
		struct exchange e = exchanges[i];
		struct scram_keys keys = keys_of(&e);
		struct play play;

		e.server_nonce = STR("another-nonce-of-the-same-kind");
		play_begin(&play, e.mechanism);
		assert_true(play_until_final(&play, &e));
		assert_int_equal(feed(&play, &e.facts, e.final), MECH_MALFORMED);
		play_end(&play);
		(void)keys;
	}
}

static void
wrong_keys_let_nobody_in(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(exchanges); i++) {
		struct exchange e = exchanges[i];
		struct scram_keys keys;
		struct play play;

		e.password = "pencils";
		keys = keys_of(&e);
		play_begin(&play, e.mechanism);
		assert_true(play_until_final(&play, &e));
		assert_false(play_final(&play, &keys, &e.facts, e.final));
		play_end(&play);
	}
}

static void
first_messages_are_read_strictly(void **state)
{
	static const struct mech_facts plain = {.nbindings = 0}, bound = {.bindings = {BINDING}, .nbindings = 1};
	static const struct {
		const char *mechanism;
		const struct mech_facts *facts;
		struct str message;
		enum mech_result result;
		const char *login;
	} rows[] = {
	    {"SCRAM-SHA-256", &plain, STR("n,,n=user,r=abc"), MECH_SALT, "user"},
	    {"SCRAM-SHA-256", &plain, STR("y,,n=user,r=abc"), MECH_SALT, "user"},
	    {"SCRAM-SHA-256", &bound, STR("n,,n=user,r=abc"), MECH_SALT, "user"},
	    {"SCRAM-SHA-256", &bound, STR("y,,n=user,r=abc"), MECH_UNBOUND, NULL},
	    {"SCRAM-SHA-256", &bound, STR("p=tls-exporter,,n=user,r=abc"), MECH_MALFORMED, NULL},
	    {"SCRAM-SHA-256-PLUS", &bound, STR("p=tls-exporter,,n=user,r=abc"), MECH_SALT, "user"},
	    {"SCRAM-SHA-256-PLUS", &bound, STR("p=tls-unique,,n=user,r=abc"), MECH_UNBOUND, NULL},
	    {"SCRAM-SHA-256-PLUS", &plain, STR("p=tls-exporter,,n=user,r=abc"), MECH_UNBOUND, NULL},
	    {"SCRAM-SHA-256-PLUS", &bound, STR("p=,,n=user,r=abc"), MECH_UNBOUND, NULL},
	    {"SCRAM-SHA-256-PLUS", &bound, STR("n,,n=user,r=abc"), MECH_MALFORMED, NULL},
	    {"SCRAM-SHA-256-PLUS", &bound, STR("y,,n=user,r=abc"), MECH_MALFORMED, NULL},
	    {"SCRAM-SHA-256", &plain, STR("n,a=user,n=user,r=abc"), MECH_SALT, "user"},
	    {"SCRAM-SHA-256", &plain, STR("n,a=other,n=user,r=abc"), MECH_OTHER_IDENTITY, NULL},
	    {"SCRAM-SHA-256", &plain, STR("n,a=,n=user,r=abc"), MECH_MALFORMED, NULL},
	    {"SCRAM-SHA-256", &plain, STR("n,b=x,n=user,r=abc"), MECH_MALFORMED, NULL},
	    {"SCRAM-SHA-256", &plain, STR("n,,n=a=2Cb=3Dc,r=abc"), MECH_SALT, "a,b=c"},
	    {"SCRAM-SHA-256", &plain, STR("n,,n=a=2cb,r=abc"), MECH_MALFORMED, NULL},
	    {"SCRAM-SHA-256", &plain, STR("n,,n=a=,r=abc"), MECH_MALFORMED, NULL},
	    {"SCRAM-SHA-256", &plain, STR("n,,n=a=2,r=abc"), MECH_MALFORMED, NULL},
	    {"SCRAM-SHA-256", &plain, STR("n,,n=,r=abc"), MECH_MALFORMED, NULL},
	    {"SCRAM-SHA-256", &plain, STR("n,,n=user,r="), MECH_MALFORMED, NULL},
	    {"SCRAM-SHA-256", &plain, STR("n,,n=user"), MECH_MALFORMED, NULL},
	    {"SCRAM-SHA-256", &plain, STR("n,,r=abc,n=user"), MECH_MALFORMED, NULL},
	    {"SCRAM-SHA-256", &plain, STR("n,,m=must,n=user,r=abc"), MECH_MALFORMED, NULL},
	    {"SCRAM-SHA-256", &plain, STR("n,,n=user,r=abc,x=more"), MECH_SALT, "user"},
	    {"SCRAM-SHA-256", &plain, STR("n,,n=user,r=a\x7f"), MECH_MALFORMED, NULL},
	    {"SCRAM-SHA-256", &plain, STR("n,,n=us\0er,r=abc"), MECH_MALFORMED, NULL},
	    {"SCRAM-SHA-256", &plain, STR("n,n=user,r=abc"), MECH_MALFORMED, NULL},
	    {"SCRAM-SHA-256", &plain, STR("n"), MECH_MALFORMED, NULL},
	    {"SCRAM-SHA-256", &plain, STR(""), MECH_MALFORMED, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		enum mech_result result;
		struct play play;

		play_begin(&play, rows[i].mechanism);
		result = feed(&play, rows[i].facts, rows[i].message);
		if (result != rows[i].result)
			fail_msg("%.*s: %d", STR_FMT(rows[i].message), (int)result);
		if (rows[i].login != NULL)
			assert_string_equal(play.mech.login, rows[i].login);
		play_end(&play);
	}
}

/* A client's side, for what the RFCs print no example of. */
static void
client_final(struct buf *out, const struct exchange *e, struct str bound, struct str server_first)
{
	struct scram_keys keys = keys_of(e);
	unsigned char salted[SCRAM_DIGEST_MAX];
	struct buf messages;

	(void)salted;
	buf_init(&messages, 4096);
	buf_adds(out, "c=");
	base64_encode(out, bound);
	buf_adds(out, ",");
	buf_add(out, str_sub(server_first, 0, str_find(server_first, ',')));
	buf_adds(out, ",p=");
	base64_encode(out, (struct str){(const char *)keys.stored, 32});
	buf_clear(&messages);
}

static void
only_the_binding_of_this_channel_is_taken(void **state)
{
	static const struct mech_facts bound = {.bindings = {BINDING}, .nbindings = 1};
	static const struct {
		struct str bound;
		enum mech_result result;
	} rows[] = {
	    {STR("p=tls-exporter,,0123456789abcdef0123456789abcde\0"), MECH_PROOF},
	    {STR("p=tls-exporter,,0123456789abcdef0123456789abcdX\0"), MECH_UNBOUND},
	    {STR("p=tls-exporter,,0123456789abcdef0123456789abcde"), MECH_UNBOUND},
	    {STR("p=tls-exporter,,"), MECH_UNBOUND},
	    {STR("p=tls-unique,,0123456789abcdef0123456789abcde\0"), MECH_UNBOUND},
	    {STR("n,,"), MECH_UNBOUND},
	    {STR("y,,"), MECH_UNBOUND},
	    {STR(""), MECH_UNBOUND},
	};
	struct exchange e = exchanges[1];

	(void)state;
	e.mechanism = "SCRAM-SHA-256-PLUS";
	e.first = STR("p=tls-exporter,,n=user,r=rOprNGfwEbeRWgbNEkqO");
	e.facts = bound;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct play play;
		struct buf final;

		buf_init(&final, 4096);
		play_begin(&play, e.mechanism);
		assert_true(play_until_final(&play, &e));
		client_final(&final, &e, rows[i].bound, buf_str(&play.out));
		assert_int_equal(feed(&play, &bound, buf_str(&final)), rows[i].result);
		play_end(&play);
		buf_clear(&final);
	}
}

static void
messages_without_end_are_refused(void **state)
{
	static char endless[8192];
	struct mech_facts facts = {.nbindings = 0};
	struct buf message;
	struct play play;

	(void)state;
	memset(endless, 'x', sizeof endless);
	buf_init(&message, 16384);
	for (size_t n = SCRAM_NONCE_MAX; n <= SCRAM_NONCE_MAX + 1; n++) {
		buf_reset(&message);
		buf_addf(&message, "n,,n=user,r=%.*s", (int)n, endless);
		play_begin(&play, "SCRAM-SHA-1");
		assert_int_equal(feed(&play, &facts, buf_str(&message)), n > SCRAM_NONCE_MAX ? MECH_MALFORMED : MECH_SALT);
		play_end(&play);
	}
	buf_reset(&message);
	buf_addf(&message, "n,,n=user,r=abc,x=%.*s", (int)sizeof endless, endless);
	play_begin(&play, "SCRAM-SHA-1");
	assert_int_equal(feed(&play, &facts, buf_str(&message)), MECH_MALFORMED);
	play_end(&play);
	buf_clear(&message);
}

/* --- keys ------------------------------------------------------------------------------------------------------------ */

static void
keys_are_written_as_they_are_read(void **state)
{
	struct scram_keys keys = keys_of(&exchanges[1]), again;
	struct buf text;

	(void)state;
	buf_init(&text, 512);
	scram_keys_format(&text, &keys);
	assert_str(buf_str(&text), STR("4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
	                               "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="));
	assert_true(scram_keys_parse(&again, SCRAM_SHA_256, buf_str(&text)));
	assert_memory_equal(again.stored, keys.stored, 32);
	assert_memory_equal(again.server, keys.server, 32);
	assert_false(scram_keys_parse(&again, SCRAM_SHA_1, buf_str(&text)));
	for (size_t n = 0; n < text.n; n++)
		assert_false(scram_keys_parse(&again, SCRAM_SHA_256, str_sub(buf_str(&text), 0, n)));
	buf_addc(&text, ',');
	assert_false(scram_keys_parse(&again, SCRAM_SHA_256, buf_str(&text)));
	buf_clear(&text);
}

static void
spaces_and_the_unseen_are_prepared(void **state)
{
	static const struct {
		struct str in, out; /* out NULL: refused */
	} rows[] = {
	    {STR("rahasia"), STR("rahasia")},
	    {STR("se kali"), STR("se kali")},
	    {STR("se\xc2\xa0kali"), STR("se kali")},
	    {STR("\xe3\x80\x80"), STR(" ")},
	    {STR("I\xc2\xadX"), STR("IX")}, /* RFC 4013 3 */
	    {STR("\xd8\xb3\xd8\xb1\xd9\x91"), STR("\xd8\xb3\xd8\xb1\xd9\x91")},
	    {STR("\xf0\x9f\x95\x8a"), STR("\xf0\x9f\x95\x8a")},
	    {STR(""), STR_NONE},
	    {STR("\xc2\xad"), STR_NONE},
	    {STR("a\0b"), STR_NONE},
	    {STR("\x07"), STR_NONE},
	    {STR("\x7f"), STR_NONE},
	    {STR("\xc2\x85"), STR_NONE},
	    {STR("\xc0\x80"), STR_NONE},
	    {STR("\xe0\x80\x80"), STR_NONE},
	    {STR("\xed\xa0\x80"), STR_NONE},
	    {STR("\xf4\x90\x80\x80"), STR_NONE},
	    {STR("\xff"), STR_NONE},
	    {STR("\xc3"), STR_NONE},
	    {STR("\xc3("), STR_NONE},
	    {STR("\xee\x80\x80"), STR_NONE},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct buf out;
		bool good;

		buf_init(&out, SASLPREP_MAX);
		good = saslprep(&out, rows[i].in);
		if (good != (rows[i].out.p != NULL))
			fail_msg("row %zu: %d", i, good);
		if (good)
			assert_str(buf_str(&out), rows[i].out);
		buf_clear(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_exchanges_of_the_rfcs_come_out_as_printed),
	    cmocka_unit_test(a_message_that_was_cut_or_changed_anywhere_lets_nobody_in),
	    cmocka_unit_test(a_replayed_final_message_lets_nobody_in),
	    cmocka_unit_test(wrong_keys_let_nobody_in),
	    cmocka_unit_test(first_messages_are_read_strictly),
	    cmocka_unit_test(only_the_binding_of_this_channel_is_taken),
	    cmocka_unit_test(messages_without_end_are_refused),
	    cmocka_unit_test(keys_are_written_as_they_are_read),
	    cmocka_unit_test(spaces_and_the_unseen_are_prepared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
