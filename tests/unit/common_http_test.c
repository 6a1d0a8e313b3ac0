#include "tests/unit/rows.h"

#include "common/net/http.h"

static void
urls_are_taken_apart(void **state)
{
	static const struct {
		struct str text;
		bool good, tls;
		const char *host;
		unsigned port;
		struct str target;
	} rows[] = {
	    {STR("https://idp.test/introspect"), true, true, "idp.test", 443, STR("/introspect")},
	    {STR("http://127.0.0.1:8080"), true, false, "127.0.0.1", 8080, STR("/")},
	    {STR("https://[::1]:8443/a/b?c=d"), true, true, "::1", 8443, STR("/a/b?c=d")},
	    {STR("HTTPS://[2001:db8::1]/"), true, true, "2001:db8::1", 443, STR("/")},
	    {STR("ftp://idp.test/"), false, false, "", 0, STR("")},
	    {STR("https://"), false, false, "", 0, STR("")},
	    {STR("https:///x"), false, false, "", 0, STR("")},
	    {STR("https://user@idp.test/"), false, false, "", 0, STR("")},
	    {STR("https://idp.test:0/"), false, false, "", 0, STR("")},
	    {STR("https://idp.test:65536/"), false, false, "", 0, STR("")},
	    {STR("https://idp.test:x/"), false, false, "", 0, STR("")},
	    {STR("https://idp.test/a b"), false, false, "", 0, STR("")},
	    {STR("https://idp.test/#x"), false, false, "", 0, STR("")},
	    {STR("https://idp.test/\r\nX: y"), false, false, "", 0, STR("")},
	    {STR("https://idp test/"), false, false, "", 0, STR("")},
	    {STR("https://[::1/"), false, false, "", 0, STR("")},
	    {STR("https://[::1]x/"), false, false, "", 0, STR("")},
	    {STR("https://[::g]/"), false, false, "", 0, STR("")},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct http_url url;

		if (http_url_parse(&url, rows[i].text) != rows[i].good)
			fail_msg("%.*s", STR_FMT(rows[i].text));
		if (!rows[i].good)
			continue;
		assert_int_equal(url.tls, rows[i].tls);
		assert_string_equal(url.host, rows[i].host);
		assert_int_equal(url.port, rows[i].port);
		assert_str(url.target, rows[i].target);
	}
}

static void
a_form_is_posted(void **state)
{
	struct http_url url;
	struct buf form, out;

	(void)state;
	buf_init(&form, 100);
	buf_init(&out, 1000);
	assert_true(http_url_parse(&url, STR("https://[::1]:8443/i")));
	buf_adds(&form, "token=");
	http_form_add(&form, STR("a+b/c=d e\n~"));
	http_post(&out, &url, buf_str(&form), STR("us:er"), STR("p w"));
	assert_str(buf_str(&out), STR("POST /i HTTP/1.1\r\nHost: [::1]:8443\r\n"
	                              "Authorization: Basic dXMlM0FlcjpwJTIwdw==\r\n"
	                              "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 29\r\n"
	                              "Accept: application/json\r\nConnection: close\r\n\r\n"
	                              "token=a%2Bb%2Fc%3Dd%20e%0A%7E"));
	buf_clear(&form);
	buf_clear(&out);
}

static void
documents_are_got_and_posted(void **state)
{
	struct http_url url;
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	assert_true(http_url_parse(&url, STR("https://mta-sts.dua.test/.well-known/mta-sts.txt")));
	http_get(&out, &url, "text/plain");
	assert_str(buf_str(&out), STR("GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.dua.test\r\n"
	                              "Accept: text/plain\r\nConnection: close\r\n\r\n"));
	buf_reset(&out);
	assert_true(http_url_parse(&url, STR("http://dua.test:81/r")));
	http_post_document(&out, &url, "application/tlsrpt+gzip", STR("\x1f\x8b"));
	assert_str(buf_str(&out), STR("POST /r HTTP/1.1\r\nHost: dua.test:81\r\nContent-Type: application/tlsrpt+gzip\r\n"
	                              "Content-Length: 2\r\nConnection: close\r\n\r\n\x1f\x8b"));
	buf_clear(&out);
}

#define HEAD "HTTP/1.1 200 OK\r\n"

static void
the_media_type_is_told_without_its_parameters(void **state)
{
	static const struct {
		struct str text;
		const char *type;
	} rows[] = {
	    {STR(HEAD "Content-Type: text/plain\r\n\r\n"), "text/plain"},
	    {STR(HEAD "content-type:Text/Plain ; charset=\"utf-8\"\r\n\r\n"), "text/plain"},
	    {STR(HEAD "Content-Type: text/html;charset=utf-8\r\n\r\n"), "text/html"},
	    {STR(HEAD "Content-Type:\r\n\r\n"), ""},
	    {STR(HEAD "Content-Type: 1234567890123456789012345678901234567890123456789012345678901234\r\n\r\n"), ""},
	    {STR("HTTP/1.1 100 Continue\r\nContent-Type: text/plain\r\n\r\n" HEAD "\r\n"), ""},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct http_response response;

		http_response_init(&response);
		assert_int_equal(http_response_feed(&response, rows[i].text), HTTP_MORE);
		assert_string_equal(response.type, rows[i].type);
		http_response_clear(&response);
	}
}

static void
responses_are_the_same_in_any_pieces(void **state)
{
	static const struct {
		struct str text;
		enum http_state state, end;
		unsigned status;
		struct str body;
	} rows[] = {
	    {STR(HEAD "Content-Length: 5\r\n\r\nhalo\n"), HTTP_DONE, HTTP_DONE, 200, STR("halo\n")},
	    {STR(HEAD "content-length: 0\r\n\r\n"), HTTP_DONE, HTTP_DONE, 200, STR("")},
	    {STR(HEAD "Content-Length: 2\r\n\r\nhalo"), HTTP_DONE, HTTP_DONE, 200, STR("ha")},
	    {STR(HEAD "Content-Length: 5\r\n\r\nhal"), HTTP_MORE, HTTP_BAD, 200, STR("hal")},
	    {STR(HEAD "X: y\r\n\r\nhalo"), HTTP_MORE, HTTP_DONE, 200, STR("halo")},
	    {STR("HTTP/1.0 401 No\n\nhalo"), HTTP_MORE, HTTP_DONE, 401, STR("halo")},
	    {STR("HTTP/1.1 204 \r\n\r\n"), HTTP_DONE, HTTP_DONE, 204, STR("")},
	    {STR("HTTP/1.1 100 Continue\r\n\r\n" HEAD "Content-Length: 1\r\n\r\nx"), HTTP_DONE, HTTP_DONE, 200, STR("x")},
	    {STR(HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nha\r\n3;x=y\r\nlo!\r\n0\r\nT: r\r\n\r\n"), HTTP_DONE, HTTP_DONE, 200,
		STR("halo!")},
	    {STR(HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nha"), HTTP_MORE, HTTP_BAD, 200, STR("ha")},
	    {STR(HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nhalo\r\n"), HTTP_BAD, HTTP_BAD, 200, STR("ha")},
	    {STR(HEAD "Transfer-Encoding: chunked\r\n\r\nx\r\n"), HTTP_BAD, HTTP_BAD, 200, STR("")},
	    {STR(HEAD "Transfer-Encoding: chunked\r\n\r\nfffffffff\r\n"), HTTP_BAD, HTTP_BAD, 200, STR("")},
	    {STR(HEAD "Transfer-Encoding: gzip\r\n\r\n"), HTTP_BAD, HTTP_BAD, 200, STR("")},
	    {STR(HEAD "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"), HTTP_BAD, HTTP_BAD, 200, STR("")},
	    {STR(HEAD "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"), HTTP_BAD, HTTP_BAD, 200, STR("")},
	    {STR(HEAD "Content-Length: 65537\r\n\r\n"), HTTP_BAD, HTTP_BAD, 200, STR("")},
	    {STR(HEAD "Content-Length: -1\r\n\r\n"), HTTP_BAD, HTTP_BAD, 200, STR("")},
	    {STR(HEAD "no field\r\n\r\n"), HTTP_BAD, HTTP_BAD, 200, STR("")},
	    {STR(HEAD "A: b\r\n folded\r\n\r\n"), HTTP_BAD, HTTP_BAD, 200, STR("")},
	    {STR("HTTP/2 200\r\n"), HTTP_BAD, HTTP_BAD, 0, STR("")},
	    {STR("HTTP/1.1 20\r\n"), HTTP_BAD, HTTP_BAD, 0, STR("")},
	    {STR("HTTP/1.1 2000\r\n"), HTTP_BAD, HTTP_BAD, 0, STR("")},
	    {STR("HTTP/1.1 101 Switch\r\n\r\n"), HTTP_BAD, HTTP_BAD, 101, STR("")},
	    {STR("SSH-2.0-x\r\n"), HTTP_BAD, HTTP_BAD, 0, STR("")},
	    {STR(""), HTTP_MORE, HTTP_BAD, 0, STR("")},
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		for (size_t step = 1; step <= rows[i].text.n + 1; step++) {
			struct http_response response;
			enum http_state got = HTTP_MORE;

			http_response_init(&response);
			for (size_t at = 0; at < rows[i].text.n && got == HTTP_MORE; at += step)
				got = http_response_feed(&response, str_sub(rows[i].text, at, step));
			if (got != rows[i].state)
				fail_msg("row %zu, step %zu: %d", i, step, (int)got);
			assert_int_equal(http_response_end(&response), rows[i].end);
			assert_int_equal(response.status, rows[i].status);
			assert_str(buf_str(&response.body), rows[i].body);
			http_response_clear(&response);
		}
	}
}

static void
responses_have_limits(void **state)
{
	static char endless[70000];
	struct http_response response;

	(void)state;
	memset(endless, 'x', sizeof endless);
	http_response_init(&response);
	assert_int_equal(http_response_feed(&response, (struct str){endless, HTTP_HEAD_MAX + 1}), HTTP_BAD);
	http_response_clear(&response);
	http_response_init(&response);
	assert_int_equal(http_response_feed(&response, STR(HEAD)), HTTP_MORE);
	for (int i = 0; i < 10000; i++)
		if (http_response_feed(&response, STR("A: b\r\n")) == HTTP_BAD)
			break;
	assert_int_equal(http_response_feed(&response, STR("")), HTTP_BAD);
	http_response_clear(&response);
	http_response_init(&response);
	assert_int_equal(http_response_feed(&response, STR(HEAD "\r\n")), HTTP_MORE);
	assert_int_equal(http_response_feed(&response, (struct str){endless, HTTP_BODY_MAX}), HTTP_MORE);
	assert_int_equal(http_response_feed(&response, STR("x")), HTTP_BAD);
	http_response_clear(&response);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(urls_are_taken_apart),
	    cmocka_unit_test(a_form_is_posted),
	    cmocka_unit_test(documents_are_got_and_posted),
	    cmocka_unit_test(the_media_type_is_told_without_its_parameters),
	    cmocka_unit_test(responses_are_the_same_in_any_pieces),
	    cmocka_unit_test(responses_have_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
