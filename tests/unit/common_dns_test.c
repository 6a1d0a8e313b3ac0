/*
 * The resolver against servers that live in the same loop, so that nothing waits for another process.
 */
#include "tests/unit/rows.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/dns/dns.h"
#include "tests/unit/dns_packet.h"

#define GOOD 0x8180
#define AUTHENTIC 0x20

/* What a server does with a query. */
enum behaviour {
	ANSWER,
	SILENT,
	SERVFAIL,
	TRUNCATED,   /* over UDP; answers over TCP */
	TCP_ENDS,    /* truncated, and over TCP it hangs up */
	NO_EDNS,     /* FORMERR for a query with an additional record */
	FORGED,      /* wrong id, wrong name, then the right one */
	ALIAS,       /* www.test is an alias of dua.test, of which it says nothing unless asked */
	ALIAS_CIRCLE,
	INSECURE_ALIAS, /* as ALIAS, but only what it leads to is secured by DNSSEC */
};

struct server {
	struct loop_io udp, tcp, connection;
	struct endpoint endpoint;
	enum behaviour behaviour;
	unsigned queries, tcp_queries;
	unsigned last_port;
	bool port_changed;
};

struct asked {
	struct dns_query query;
	unsigned calls;
	enum dns_status status;
	size_t n;
	uint32_t ttl_s;
	bool is_secure;
	char reason[100];
};

static struct loop *loop;
static struct server servers[2];
static struct packet out, in;

static void
answer_build(struct server *server, bool udp)
{
	unsigned id = (unsigned)in.p[0] << 8 | in.p[1], type;
	bool is_www = in.p[13] == 'w';
	const char *name = is_www ? "www.test" : "dua.test";

	type = in.p[12 + strlen(name) + 3];
	if (udp && (server->behaviour == TRUNCATED || server->behaviour == TCP_ENDS)) {
		packet_begin(&out, id, GOOD | 0x0200, name, type);
		return;
	}
	if (server->behaviour == SERVFAIL || (server->behaviour == NO_EDNS && in.p[11] > 0)) {
		packet_begin(&out, id, GOOD | (server->behaviour == SERVFAIL ? 2 : 1), name, type);
		return;
	}
	/* Who asks whether it is secure is told. */
	packet_begin(&out, id, GOOD | (is_www && server->behaviour == INSECURE_ALIAS ? 0 : in.p[3] & AUTHENTIC), name, type);
	if (server->behaviour == ALIAS_CIRCLE)
		packet_cname(&out, name, 60, is_www ? "dua.test" : "www.test");
	else if ((server->behaviour == ALIAS || server->behaviour == INSECURE_ALIAS) && is_www)
		packet_cname(&out, "www.test", 7, "dua.test");
	else
		packet_mx(&out, name, 60, 10, "mx1.dua.test");
}

static void
udp_ready(struct loop_io *io, unsigned events)
{
	struct server *server = container_of(io, struct server, udp);
	struct sockaddr_in peer;
	socklen_t length = sizeof peer;
	ssize_t n = recvfrom(io->fd, in.p, sizeof in.p, 0, (struct sockaddr *)&peer, &length);

	(void)events;
	assert_true(n > 12);
	in.n = (size_t)n;
	server->port_changed = server->port_changed || (server->queries > 0 && server->last_port != peer.sin_port);
	server->last_port = peer.sin_port;
	server->queries++;
	if (server->behaviour == SILENT)
		return;
	answer_build(server, true);
	if (server->behaviour == FORGED) {
		out.p[0] ^= 1;
		(void)sendto(io->fd, out.p, out.n, 0, (struct sockaddr *)&peer, length);
		out.p[0] ^= 1;
		out.p[13] = 'x';
		(void)sendto(io->fd, out.p, out.n, 0, (struct sockaddr *)&peer, length);
		out.p[13] = 'd';
	}
	assert_int_equal(sendto(io->fd, out.p, out.n, 0, (struct sockaddr *)&peer, length), (ssize_t)out.n);
}

/* Answers in two parts, the first of one byte. */
static void
connection_ready(struct loop_io *io, unsigned events)
{
	struct server *server = container_of(io, struct server, connection);
	unsigned char head[2];
	ssize_t n = recv(io->fd, head, 2, 0);

	(void)events;
	if (n == 2 && server->behaviour == TRUNCATED) {
		in.n = (size_t)head[0] << 8 | head[1];
		assert_int_equal(recv(io->fd, in.p, in.n, MSG_WAITALL), (ssize_t)in.n);
		server->tcp_queries++;
		answer_build(server, false);
		memmove(out.p + 2, out.p, out.n);
		out.p[0] = (unsigned char)(out.n >> 8);
		out.p[1] = (unsigned char)out.n;
		(void)send(io->fd, out.p, 1, 0);
		(void)send(io->fd, out.p + 1, out.n + 1, 0);
		return;
	}
	loop_io_remove(io);
	(void)close(io->fd);
}

static void
tcp_ready(struct loop_io *io, unsigned events)
{
	struct server *server = container_of(io, struct server, tcp);
	int fd = accept(io->fd, NULL, NULL);

	(void)events;
	assert_true(fd >= 0);
	loop_io_add(loop, &server->connection, fd, LOOP_READ, connection_ready);
}

static void
server_start(struct server *server, enum behaviour behaviour)
{
	socklen_t length = sizeof server->endpoint.address;
	int udp, tcp;

	memset(server, 0, sizeof *server);
	server->behaviour = behaviour;
	do {
		udp = socket(AF_INET, SOCK_DGRAM, 0);
		tcp = socket(AF_INET, SOCK_STREAM, 0);
		assert_true(endpoint_parse_address(STR("127.0.0.1"), 0, &server->endpoint));
		assert_int_equal(bind(udp, &server->endpoint.address.any, server->endpoint.length), 0);
		assert_int_equal(getsockname(udp, &server->endpoint.address.any, &length), 0);
		if (bind(tcp, &server->endpoint.address.any, server->endpoint.length) == 0)
			break;
		(void)close(udp);
		(void)close(tcp);
	} while (errno == EADDRINUSE);
	assert_int_equal(listen(tcp, 8), 0);
	loop_io_add(loop, &server->udp, udp, LOOP_READ, udp_ready);
	loop_io_add(loop, &server->tcp, tcp, LOOP_READ, tcp_ready);
}

static void
server_stop(struct server *server)
{
	struct loop_io *all[] = {&server->udp, &server->tcp, &server->connection};

	for (size_t i = 0; i < ROWS(all); i++) {
		if (all[i]->loop == NULL)
			continue;
		loop_io_remove(all[i]);
		(void)close(all[i]->fd);
	}
}

static struct dns *
resolver(enum behaviour first, enum behaviour second)
{
	struct endpoint endpoints[2];

	loop = loop_new();
	server_start(&servers[0], first);
	server_start(&servers[1], second);
	endpoints[0] = servers[0].endpoint;
	endpoints[1] = servers[1].endpoint;
	return dns_new(loop, endpoints, 2);
}

static void
finish(struct dns *dns)
{
	dns_free(dns);
	server_stop(&servers[0]);
	server_stop(&servers[1]);
	loop_free(loop);
}

static void
answered(struct dns_query *query, const struct dns_answer *answer)
{
	struct asked *asked = container_of(query, struct asked, query);

	asked->calls++;
	asked->status = answer->status;
	asked->n = answer->n;
	asked->ttl_s = answer->ttl_s;
	asked->is_secure = answer->is_secure;
	(void)snprintf(asked->reason, sizeof asked->reason, "%.*s", STR_FMT(answer->reason));
}

static void
ask(struct dns *dns, struct asked *asked, const char *name)
{
	memset(asked, 0, sizeof *asked);
	dns_ask(dns, &asked->query, str_from(name), DNS_MX, answered);
	assert_int_equal(asked->calls, 0);
}

static void
wait_for(struct asked *asked)
{
	for (int i = 0; i < 1000 && asked->calls == 0; i++)
		loop_once(loop, 20);
	assert_int_equal(asked->calls, 1);
	assert_null(asked->query.dns);
}

static void
an_answer_comes_once_and_is_kept(void **state)
{
	struct dns *dns = resolver(ANSWER, ANSWER);
	struct asked a, b;

	(void)state;
	ask(dns, &a, "dua.test");
	wait_for(&a);
	assert_int_equal(a.status, DNS_FOUND);
	assert_int_equal(a.n, 1);
	ask(dns, &b, "DUA.test.");
	wait_for(&b);
	assert_int_equal(b.status, DNS_FOUND);
	assert_int_equal(servers[0].queries, 1);
	assert_int_equal(servers[1].queries, 0);
	finish(dns);
}

static void
servers_are_believed_of_dnssec_only_where_they_are_trusted(void **state)
{
	static const struct {
		enum behaviour behaviour;
		bool trusts, is_secure;
	} rows[] = {{ALIAS, false, false}, {ALIAS, true, true}, {INSECURE_ALIAS, true, false}};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct dns *dns = resolver(rows[i].behaviour, ANSWER);
		struct asked a, again, target;

		if (rows[i].trusts)
			dns_trust(dns);
		ask(dns, &a, "www.test");
		wait_for(&a);
		ask(dns, &again, "www.test"); /* out of the cache */
		wait_for(&again);
		ask(dns, &target, "dua.test");
		wait_for(&target);
		assert_int_equal(a.is_secure, rows[i].is_secure);
		assert_int_equal(again.is_secure, rows[i].is_secure);
		assert_int_equal(target.is_secure, rows[i].trusts);
		finish(dns);
	}
}

static void
servers_on_this_host_are_near(void **state)
{
	struct endpoint all[3];

	(void)state;
	assert_true(endpoint_parse_address(STR("127.0.0.53"), 53, &all[0]));
	assert_true(endpoint_parse_address(STR("::1"), 53, &all[1]));
	assert_true(endpoint_parse_address(STR("192.0.2.1"), 53, &all[2]));
	assert_true(dns_is_near(all, 2));
	assert_false(dns_is_near(all, 3));
	assert_false(dns_is_near(all, 0));
}

static void
equal_questions_at_one_time_are_asked_once(void **state)
{
	struct dns *dns = resolver(ANSWER, ANSWER);
	struct asked a, b, c;

	(void)state;
	ask(dns, &a, "dua.test");
	ask(dns, &b, "dua.test");
	ask(dns, &c, "dua.test");
	dns_cancel(&b.query);
	wait_for(&a);
	wait_for(&c);
	assert_int_equal(b.calls, 0);
	assert_int_equal(servers[0].queries, 1);
	finish(dns);
}

static void
a_name_that_cannot_be_is_not_asked_for(void **state)
{
	struct dns *dns = resolver(ANSWER, ANSWER);
	struct asked a;

	(void)state;
	ask(dns, &a, "a..b");
	wait_for(&a);
	assert_int_equal(a.status, DNS_BAD_NAME);
	assert_int_equal(servers[0].queries, 0);
	finish(dns);
}

static void
a_silent_server_is_passed_over_and_then_not_the_first_choice(void **state)
{
	struct dns *dns = resolver(SILENT, ANSWER);
	struct asked a, b;

	(void)state;
	ask(dns, &a, "dua.test");
	wait_for(&a);
	assert_int_equal(a.status, DNS_FOUND);
	ask(dns, &b, "www.test");
	wait_for(&b);
	assert_int_equal(b.status, DNS_FOUND);
	assert_int_equal(servers[0].queries, 1);
	assert_int_equal(servers[1].queries, 2);
	finish(dns);
}

static void
when_all_allfail_that_is_told_at_once(void **state)
{
	struct dns *dns = resolver(SERVFAIL, SERVFAIL);
	struct asked a;

	(void)state;
	ask(dns, &a, "dua.test");
	wait_for(&a);
	assert_int_equal(a.status, DNS_TEMP);
	assert_string_equal(a.reason, "server failure (SERVFAIL)");
	assert_int_equal(servers[0].queries, 1);
	assert_int_equal(servers[1].queries, 1);
	finish(dns);
}

static void
a_closed_port_counts_as_failure(void **state)
{
	struct dns *dns = resolver(ANSWER, SERVFAIL);
	struct asked a;

	(void)state;
	server_stop(&servers[0]);
	ask(dns, &a, "dua.test");
	wait_for(&a);
	assert_int_equal(a.status, DNS_TEMP);
	finish(dns);
}

static void
what_does_not_fit_comes_over_tcp(void **state)
{
	struct dns *dns = resolver(TRUNCATED, SILENT);
	struct asked a;

	(void)state;
	ask(dns, &a, "dua.test");
	wait_for(&a);
	assert_int_equal(a.status, DNS_FOUND);
	assert_int_equal(servers[0].tcp_queries, 1);
	finish(dns);
}

static void
a_server_without_working_tcp_is_passed_over(void **state)
{
	struct dns *dns = resolver(TCP_ENDS, ANSWER);
	struct asked a;

	(void)state;
	ask(dns, &a, "dua.test");
	wait_for(&a);
	assert_int_equal(a.status, DNS_FOUND);
	assert_int_equal(servers[1].queries, 1);
	finish(dns);
}

static void
an_old_server_is_asked_again_without_edns(void **state)
{
	struct dns *dns = resolver(NO_EDNS, SILENT);
	struct asked a;

	(void)state;
	ask(dns, &a, "dua.test");
	wait_for(&a);
	assert_int_equal(a.status, DNS_FOUND);
	assert_int_equal(servers[0].queries, 2);
	assert_true(servers[0].port_changed);
	finish(dns);
}

static void
forged_answers_are_passed_over(void **state)
{
	struct dns *dns = resolver(FORGED, SILENT);
	struct asked a;

	(void)state;
	ask(dns, &a, "dua.test");
	wait_for(&a);
	assert_int_equal(a.status, DNS_FOUND);
	assert_int_equal(a.n, 1);
	assert_int_equal(servers[0].queries, 1);
	finish(dns);
}

static void
an_alias_is_followed_by_a_further_question(void **state)
{
	struct dns *dns = resolver(ALIAS, SILENT);
	struct asked a;

	(void)state;
	ask(dns, &a, "www.test");
	wait_for(&a);
	assert_int_equal(a.status, DNS_FOUND);
	assert_int_equal(a.ttl_s, 7);
	assert_int_equal(servers[0].queries, 2);
	finish(dns);
}

static void
aliases_in_a_circle_end(void **state)
{
	struct dns *dns = resolver(ALIAS_CIRCLE, SILENT);
	struct asked a;

	(void)state;
	ask(dns, &a, "www.test");
	wait_for(&a);
	assert_int_equal(a.status, DNS_TEMP);
	assert_int_equal(servers[0].queries, DNS_ALIASES_MAX + 1);
	finish(dns);
}

static void
more_questions_than_may_run_wait_in_line(void **state)
{
	enum { N = DNS_LOOKUPS_MAX + 50 };
	static struct asked asked[N];
	struct dns *dns = resolver(SERVFAIL, SERVFAIL);
	char name[32];

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		(void)snprintf(name, sizeof name, "dua.test%u", i);
		ask(dns, &asked[i], name);
	}
	for (unsigned i = 0; i < N; i += 2)
		dns_cancel(&asked[i].query);
	/* The servers answer for dua.test only, so the others are told apart and wait for their time-out; what
	 * matters here is that all can be cancelled, in line or not. */
	for (int i = 0; i < 20; i++)
		loop_once(loop, 5);
	for (unsigned i = 1; i < N; i += 4)
		dns_cancel(&asked[i].query);
	finish(dns);
	for (unsigned i = 0; i < N; i++)
		assert_null(asked[i].query.dns);
}

static struct asked *other;

static void
cancels_the_other(struct dns_query *query, const struct dns_answer *answer)
{
	answered(query, answer);
	dns_cancel(&other->query);
}

static void
a_callback_may_cancel_who_waits_for_the_same(void **state)
{
	struct dns *dns = resolver(ANSWER, ANSWER);
	struct asked a = {0}, b;

	(void)state;
	other = &b;
	dns_ask(dns, &a.query, STR("dua.test"), DNS_MX, cancels_the_other);
	ask(dns, &b, "dua.test");
	wait_for(&a);
	for (int i = 0; i < 5; i++)
		loop_once(loop, 5);
	assert_int_equal(b.calls, 0);
	finish(dns);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_answer_comes_once_and_is_kept),
	    cmocka_unit_test(servers_are_believed_of_dnssec_only_where_they_are_trusted),
	    cmocka_unit_test(servers_on_this_host_are_near),
	    cmocka_unit_test(equal_questions_at_one_time_are_asked_once),
	    cmocka_unit_test(a_name_that_cannot_be_is_not_asked_for),
	    cmocka_unit_test(a_silent_server_is_passed_over_and_then_not_the_first_choice),
	    cmocka_unit_test(when_all_allfail_that_is_told_at_once),
	    cmocka_unit_test(a_closed_port_counts_as_failure),
	    cmocka_unit_test(what_does_not_fit_comes_over_tcp),
	    cmocka_unit_test(a_server_without_working_tcp_is_passed_over),
	    cmocka_unit_test(an_old_server_is_asked_again_without_edns),
	    cmocka_unit_test(forged_answers_are_passed_over),
	    cmocka_unit_test(an_alias_is_followed_by_a_further_question),
	    cmocka_unit_test(aliases_in_a_circle_end),
	    cmocka_unit_test(more_questions_than_may_run_wait_in_line),
	    cmocka_unit_test(a_callback_may_cancel_who_waits_for_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
