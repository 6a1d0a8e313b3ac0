#include "tests/unit/rows.h"

#include "smtpd/policy.h"

static const char sections[] = "networks = 127.0.0.0/8\n[domain satu.test]\naccounts = virtual\n";

/* A client, and what it says. */
struct client {
	const char *address; /* NULL: 192.0.2.1 */
	const char *name, *helo, *login, *tls;
	const char *sender; /* NULL: a@asal.test */
	const char *recipient; /* NULL: lama@satu.test */
	const char *certificate, *fingerprint;
};

struct playing {
	struct conf *conf;
	struct buf problems;
	struct arena arena;
	struct endpoint endpoint;
	struct address sender, recipient;
	struct rule_facts facts;
	struct policy_play play;
};

static void
path_parse(struct arena *arena, const char *text, struct address *address)
{
	char path[600];
	struct str rest;

	(void)snprintf(path, sizeof path, "<%s>", text);
	rest = str_from(path);
	if (!address_path_parse(arena, &rest, ADDRESS_MAY_LACK_DOMAIN | ADDRESS_MAY_BE_NULL | ADDRESS_MAY_BE_UTF8, address))
		fail_msg("%s", path);
}

static void
begin(struct playing *p, const char *rules, const struct client *client)
{
	char text[2000];

	buf_init(&p->problems, CONF_PROBLEMS_MAX_BYTES);
	arena_init(&p->arena, 65536);
	(void)snprintf(text, sizeof text, "%s[filter srv]\nkind = policy\nsocket = inet:127.0.0.1:1\n%s%s", sections,
	    rules != NULL ? "[policy]\n" : "listeners = submission\n", rules != NULL ? rules : "");
	p->conf = conf_parse(str_from(text), "/c", "mx.satu.test", &p->problems);
	if (p->problems.n > 0)
		fail_msg("%.*s", STR_FMT(buf_str(&p->problems)));
	assert_true(endpoint_parse_address(str_from(client->address != NULL ? client->address : "192.0.2.1"), 0, &p->endpoint));
	path_parse(&p->arena, client->sender != NULL ? client->sender : "a@asal.test", &p->sender);
	path_parse(&p->arena, client->recipient != NULL ? client->recipient : "lama@satu.test", &p->recipient);
	p->facts = (struct rule_facts){
	    .conf = p->conf,
	    .client = &p->endpoint.address.any,
	    .in_networks = conf_networks_contain(&p->conf->networks, &p->endpoint.address.any),
	    .client_name = str_from(client->name),
	    .helo = str_from(client->helo != NULL ? client->helo : "mx.asal.test"),
	    .server = STR("198.51.100.7"),
	    .tls_version = str_from(client->tls),
	    .login = str_from(client->login),
	    .is_verified = client->certificate != NULL,
	    .fingerprint = str_from(client->fingerprint),
	    .sender = &p->sender,
	    .recipient = &p->recipient,
	};
	if (client->certificate != NULL)
		p->facts.certificate_names[p->facts.ncertificate_names++] = str_from(client->certificate);
	policy_begin(&p->play, conf_policy_first(p->conf, LISTENER_MX));
}

static void
end(struct playing *p)
{
	conf_free(p->conf);
	arena_clear(&p->arena);
	buf_clear(&p->problems);
}

/* The only step, which is the end. */
static enum policy_step
decide(const char *rules, const struct client *client, struct smtp_reply *reply)
{
	static char text[400];
	struct playing p;
	enum policy_step step;

	begin(&p, rules, client);
	step = policy_step(&p.play, &p.facts);
	*reply = p.play.reply;
	reply->status = reply->status == NULL ? "" : "set";
	(void)str_copy(text, sizeof text, reply->text);
	reply->text = str_from(text);
	end(&p);
	return step;
}

static void
only_known_clients_relay(void **state)
{
	static const struct {
		struct client client;
		enum policy_step step;
	} rows[] = {
	    {{.recipient = "a@satu.test"}, POLICY_LOCAL},
	    {{.recipient = "a@SATU.test", .address = "127.0.0.1", .login = "a"}, POLICY_LOCAL},
	    {{.recipient = "postmaster"}, POLICY_LOCAL},
	    {{.recipient = "a@elsewhere.test"}, POLICY_REFUSE},
	    {{.recipient = "a@elsewhere.test", .login = "a"}, POLICY_RELAY},
	    {{.recipient = "a@elsewhere.test", .address = "127.0.0.1"}, POLICY_RELAY},
	    {{.recipient = "a@sub.satu.test"}, POLICY_REFUSE},
	    {{.recipient = "a@satu.test.evil.test"}, POLICY_REFUSE},
	    {{.recipient = "a@[192.0.2.1]"}, POLICY_REFUSE},
	    {{.recipient = "@satu.test:a@elsewhere.test"}, POLICY_REFUSE},
	    {{.recipient = "a%elsewhere.test@satu.test"}, POLICY_LOCAL}, /* authd knows no such user */
	    {{.recipient = "\"a@elsewhere.test\"@satu.test"}, POLICY_LOCAL},
	    {{.recipient = "a@\320\276ne.test"}, POLICY_REFUSE},
	    {{.recipient = "a@elsewhere.test", .certificate = "partner.test"}, POLICY_REFUSE},
	};
	struct smtp_reply reply;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		if (decide(NULL, &rows[i].client, &reply) != rows[i].step)
			fail_msg("%s", rows[i].client.recipient);
		if (rows[i].step == POLICY_REFUSE)
			assert_int_equal(reply.code, 554);
	}
}

static void
the_standard_list_refuses_what_no_mail_server_says(void **state)
{
	static const struct {
		struct client client;
		unsigned code; /* 0: accepted */
	} rows[] = {
	    {{.helo = "mx.satu.test"}, 550},
	    {{.helo = "MX.Satu.Test"}, 550},
	    {{.helo = "[198.51.100.7]"}, 550},
	    {{.helo = "198.51.100.7"}, 550},
	    {{.helo = "[198.51.100.8]"}, 0},
	    {{.helo = "satu.test"}, 0},
	    {{.helo = "x"}, 0},
	    {{.helo = "mx.satu.test", .address = "127.0.0.1"}, 0},
	    {{.helo = "mx.satu.test", .login = "a"}, 0},
	    {{.sender = "a@localhost"}, 553},
	    {{.sender = "a"}, 553},
	    {{.sender = "a@[192.0.2.1]"}, 0},
	    {{.sender = ""}, 0},
	    {{.sender = "a", .address = "127.0.0.1"}, 0},
	};
	struct smtp_reply reply;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		enum policy_step step = decide(NULL, &rows[i].client, &reply);

		if ((rows[i].code == 0 && step != POLICY_LOCAL) || (rows[i].code != 0 && (step != POLICY_REFUSE || reply.code != rows[i].code)))
			fail_msg("row %zu", i);
	}
}

static void
no_rule_but_relay_opens_the_relay(void **state)
{
	static const struct {
		const char *rules;
		struct client client;
		enum policy_step step;
	} rows[] = {
	    {"accept\n", {.recipient = "a@b.test"}, POLICY_REFUSE},
	    {"accept when sender is *@satu.test\n", {.sender = "a@satu.test", .recipient = "a@b.test"}, POLICY_REFUSE},
	    {"", {.recipient = "a@b.test"}, POLICY_REFUSE},
	    {"relay when client is 192.0.2.0/24\n", {.recipient = "a@b.test"}, POLICY_RELAY},
	    {"relay when client is 192.0.2.128/25\n", {.recipient = "a@b.test"}, POLICY_REFUSE},
	    {"accept\nrelay when client is 192.0.2.1\n", {.recipient = "a@b.test"}, POLICY_RELAY},
	    {"refuse\nrelay when client is 192.0.2.1\n", {.recipient = "a@b.test"}, POLICY_REFUSE},
	    {"relay when recipient is *@b.test\n", {.recipient = "a@b.test"}, POLICY_RELAY},
	    {"relay when recipient is *@b.test\n", {.recipient = "a@c.test"}, POLICY_REFUSE},
	    {"relay when recipient is *@b.test\n", {.recipient = "\"x@b.test\"@c.test"}, POLICY_REFUSE},
	    {"relay when recipient is *@b.test\n", {.recipient = "@b.test:x@c.test"}, POLICY_REFUSE},
	    {"relay when certificate is *.partner.test\n", {.recipient = "a@c.test", .tls = "TLSv1.3"}, POLICY_REFUSE},
	    {"relay when certificate is *.partner.test\n",
	        {.recipient = "a@c.test", .tls = "TLSv1.3", .certificate = "mx.partner.test"}, POLICY_RELAY},
	    {"relay when certificate is *\n", {.recipient = "a@c.test", .tls = "TLSv1.3", .fingerprint = "00ff"}, POLICY_REFUSE},
	    {"relay when certificate is 00:FF\n", {.recipient = "a@c.test", .tls = "TLSv1.3", .fingerprint = "00fe"}, POLICY_REFUSE},
	    {"relay when certificate is "
	     "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\n",
	        {.recipient = "a@c.test", .tls = "TLSv1.3",
	            .fingerprint = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"}, POLICY_RELAY},
	    /* A server is not asked about what is refused in any case. */
	    {"ask srv\n", {.recipient = "a@c.test"}, POLICY_REFUSE},
	    {"greylist\n", {.recipient = "a@c.test"}, POLICY_REFUSE},
	    {"ask srv\nrelay when client is 192.0.2.1\n", {.recipient = "a@c.test"}, POLICY_ASK},
	};
	struct smtp_reply reply;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		if (decide(rows[i].rules, &rows[i].client, &reply) != rows[i].step)
			fail_msg("row %zu: %s", i, rows[i].rules);
}

static void
conditions_see_all_of_the_session(void **state)
{
	static const struct {
		const char *condition;
		struct client client;
		bool holds;
	} rows[] = {
	    {"client is 192.0.2.1", {0}, true},
	    {"client is 192.0.2.1", {.address = "::ffff:192.0.2.1"}, true},
	    {"client is 2001:db8::/32", {.address = "2001:db8::7"}, true},
	    {"client is (198.51.100.1, 192.0.2.0/25)", {0}, true},
	    {"client is not (198.51.100.1, 192.0.2.0/25)", {0}, false},
	    {"not client is 198.51.100.1", {0}, true},
	    {"not client is not 198.51.100.1", {0}, false},
	    {"client is unknown", {0}, true},
	    {"client is unknown", {.name = "mx.asal.test"}, false},
	    {"client is known", {.name = "mx.asal.test"}, true},
	    {"client is *.asal.test", {.name = "MX.Asal.test"}, true},
	    {"client is *.asal.test", {0}, false},
	    {"client is trusted", {.address = "127.1.2.3"}, true},
	    {"client is local", {.address = "127.1.2.3"}, true},
	    {"client is local", {0}, false},
	    {"helo is fqdn", {0}, true},
	    {"helo is fqdn", {.helo = "pc"}, false},
	    {"helo is fqdn", {.helo = "a..b"}, false},
	    {"helo is literal", {.helo = "[192.0.2.1]"}, true},
	    {"helo is *.dyn.test", {.helo = "1-2.DYN.test"}, true},
	    {"helo is \"ours\"", {.helo = "ours"}, true},
	    {"helo is ours", {.helo = "ours"}, false},
	    {"tls is none", {0}, true},
	    {"tls is any", {.tls = "TLSv1.2"}, true},
	    {"tls is TLSv1.3", {.tls = "TLSv1.2"}, false},
	    {"tls is (TLSv1.2 TLSv1.3)", {.tls = "TLSv1.2"}, true},
	    {"tls is verified", {.tls = "TLSv1.3", .certificate = "x"}, true},
	    {"tls is verified", {.tls = "TLSv1.3", .fingerprint = "00"}, false},
	    {"certificate is none", {.tls = "TLSv1.3", .fingerprint = "00"}, true},
	    {"login is none", {0}, true},
	    {"login is known", {.login = "lama"}, true},
	    {"login is *@satu.test", {.login = "Lama@satu.test"}, true},
	    {"login is lama", {.login = "lama@satu.test"}, false},
	    {"sender is none", {.sender = ""}, true},
	    {"sender is none", {0}, false},
	    {"sender is *@*", {.sender = ""}, false},
	    {"sender is ours", {.sender = "x@satu.test"}, true},
	    {"sender is A@asal.test", {0}, true},
	    {"sender is asal.test", {0}, true},
	    {"sender is *.asal.test", {.sender = "a@mail.asal.test"}, true},
	    {"sender is *.asal.test", {0}, false},
	    {"sender is a@*", {0}, true},
	    {"sender is *@asal.test", {.sender = "\"x@asal.test\"@evil.test"}, false},
	    {"sender is *@asal.test", {.sender = "\"x\"@asal.test"}, true},
	    {"sender is news-*@*.test", {.sender = "news-17@x.test"}, true},
	    {"sender is *@b\303\274cher.test", {.sender = "a@xn--bcher-kva.test"}, true},
	    {"sender is xn--bcher-kva.test", {.sender = "a@B\303\234cher.test"}, true},
	    {"sender is *.b\303\274cher.test", {.sender = "a@x.b\303\274cher.test"}, true},
	    {"sender is *@bucher.test", {.sender = "a@b\303\274cher.test"}, false},
	    {"recipient is ours", {0}, true},
	    {"recipient is postmaster@*", {.recipient = "postmaster"}, true},
	    {"recipient is lama@satu.test and sender is a@asal.test and client is unknown", {0}, true},
	    {"recipient is lama@satu.test and sender is b@asal.test and client is unknown", {0}, false},
	};
	struct smtp_reply reply;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char rules[200];

		(void)snprintf(rules, sizeof rules, "refuse 555 when %s\n", rows[i].condition);
		if ((decide(rules, &rows[i].client, &reply) == POLICY_REFUSE && reply.code == 555) != rows[i].holds)
			fail_msg("row %zu: %s", i, rows[i].condition);
	}
}

static void
steps_come_in_the_order_of_the_list(void **state)
{
	static const enum policy_step expected[] = {POLICY_TAG, POLICY_WARN, POLICY_SLOW, POLICY_GREYLIST, POLICY_ASK, POLICY_ASK_LATER,
	    POLICY_REFUSE};
	struct playing p;

	(void)state;
	begin(&p, "tag \"X-A: b\"\nrefuse when client is known\nwarn \"hm\"\nslow 1s\ngreylist\nask srv\nask srv at end\n"
	          "defer 451 4.3.0 \"not today\"\naccept\n", &(struct client){0});
	for (size_t i = 0; i < ROWS(expected); i++)
		assert_int_equal(policy_step(&p.play, &p.facts), expected[i]);
	assert_int_equal(p.play.reply.code, 451);
	assert_string_equal(p.play.reply.status, "4.3.0");
	assert_str(p.play.reply.text, STR("not today"));
	assert_int_equal(p.play.rule->line, 15);
	end(&p);
}

static void
a_server_decides_within_the_limits_of_the_relay(void **state)
{
	struct playing p;

	(void)state;
	begin(&p, "ask srv\nrefuse\n", &(struct client){0});
	assert_int_equal(policy_step(&p.play, &p.facts), POLICY_ASK);
	policy_accept(&p.play);
	assert_int_equal(policy_step(&p.play, &p.facts), POLICY_LOCAL);
	end(&p);

	begin(&p, "ask srv\naccept\n", &(struct client){0});
	assert_int_equal(policy_step(&p.play, &p.facts), POLICY_ASK);
	policy_refuse(&p.play, SMTP_REPLY(550, "5.7.1", "no"));
	assert_int_equal(policy_step(&p.play, &p.facts), POLICY_REFUSE);
	assert_int_equal(p.play.reply.code, 550);
	end(&p);

	/* DEFER_IF_PERMIT, as postgrey says it: others may still refuse, but nobody accepts. */
	begin(&p, "ask srv\nrefuse 555 when sender is ours\n", &(struct client){0});
	assert_int_equal(policy_step(&p.play, &p.facts), POLICY_ASK);
	policy_defer_if_accepted(&p.play, SMTP_REPLY(450, "4.2.0", "Greylisted"));
	assert_int_equal(policy_step(&p.play, &p.facts), POLICY_LOCAL_LATER);
	assert_str(p.play.reply.text, STR("Greylisted"));
	end(&p);

	begin(&p, "ask srv\nrefuse 555\n", &(struct client){0});
	assert_int_equal(policy_step(&p.play, &p.facts), POLICY_ASK);
	policy_defer_if_accepted(&p.play, SMTP_REPLY(450, "4.2.0", "Greylisted"));
	assert_int_equal(policy_step(&p.play, &p.facts), POLICY_REFUSE);
	assert_int_equal(p.play.reply.code, 555);
	end(&p);

	begin(&p, "ask srv\nrefuse 555\n", &(struct client){0});
	assert_int_equal(policy_step(&p.play, &p.facts), POLICY_ASK);
	policy_defer_if_refused(&p.play);
	assert_int_equal(policy_step(&p.play, &p.facts), POLICY_REFUSE);
	assert_int_equal(p.play.reply.code, 450);
	end(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_known_clients_relay),
	    cmocka_unit_test(the_standard_list_refuses_what_no_mail_server_says),
	    cmocka_unit_test(no_rule_but_relay_opens_the_relay),
	    cmocka_unit_test(conditions_see_all_of_the_session),
	    cmocka_unit_test(steps_come_in_the_order_of_the_list),
	    cmocka_unit_test(a_server_decides_within_the_limits_of_the_relay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
