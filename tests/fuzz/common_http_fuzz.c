/*
 * HTTP responses: the same whether they come whole or byte by byte, and never more than their limits. The first line is
 * also tried as an URL.
 */
#include <stdlib.h>

#include "common/net/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static enum http_state
run(struct http_response *response, struct str text, size_t step)
{
	enum http_state state = HTTP_MORE;

	http_response_init(response);
	for (size_t at = 0; at < text.n && state == HTTP_MORE; at += step)
		state = http_response_feed(response, str_sub(text, at, step));
	return state == HTTP_MORE ? http_response_end(response) : state;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str text = {(const char *)bytes, n}, rest = text, line;
	struct http_response whole, pieces;
	enum http_state a, b;
	struct http_url url;
	struct buf out;

	a = run(&whole, text, n + 1);
	b = run(&pieces, text, 1);
	if (a != b || a == HTTP_MORE || whole.status != pieces.status || whole.body.n > HTTP_BODY_MAX ||
	    (a == HTTP_DONE && !str_equal(buf_str(&whole.body), buf_str(&pieces.body))))
		abort();
	http_response_clear(&whole);
	http_response_clear(&pieces);
	buf_init(&out, 65536);
	if (str_token(&rest, '\n', &line) && http_url_parse(&url, line)) {
		http_post(&out, &url, line, line, line);
		if (url.host[0] == '\0' || url.port == 0 || url.target.n == 0 || url.target.p[0] != '/')
			abort();
	}
	buf_clear(&out);
	return 0;
}
