#include "common/net/http.h"

#include <string.h>

#include "common/base/base64.h"

/* --- requests ------------------------------------------------------------------------------------------------------ */

static bool
is_host_character(char c, bool is_v6)
{
	return is_v6 ? ascii_hex_value(c) >= 0 || c == ':' || c == '.' : ascii_is_alnum(c) || c == '-' || c == '.' || c == '_';
}

/* HOST[:PORT], or [ADDRESS][:PORT] */
static bool
authority_parse(struct http_url *url, struct str text)
{
	struct str host, port;
	uint64_t number = url->tls ? 443 : 80;
	size_t end;

	url->is_v6 = text.n > 0 && text.p[0] == '[';
	end = str_find(text, url->is_v6 ? ']' : ':');
	host = url->is_v6 ? str_sub(text, 1, end - 1) : str_sub(text, 0, end);
	port = str_skip(text, end);
	if (url->is_v6 && port.n > 0)
		port = str_skip(port, 1); /* the bracket */
	else if (url->is_v6)
		return false;
	if (port.n > 0 && (port.p[0] != ':' || !str_to_u64(str_skip(port, 1), UINT16_MAX, &number) || number == 0))
		return false;
	for (size_t i = 0; i < host.n; i++)
		if (!is_host_character(host.p[i], url->is_v6))
			return false;
	url->port = (uint16_t)number;
	return host.n > 0 && str_copy(url->host, sizeof url->host, host);
}

bool
http_url_parse(struct http_url *url, struct str text)
{
	static const struct str plain = STR("http://"), secure = STR("https://");
	size_t slash;

	memset(url, 0, sizeof *url);
	url->tls = str_starts_nocase(text, secure);
	if (!url->tls && !str_starts_nocase(text, plain))
		return false;
	text = str_skip(text, url->tls ? secure.n : plain.n);
	slash = str_find(text, '/');
	url->target = slash < text.n ? str_skip(text, slash) : STR("/");
	for (size_t i = 0; i < url->target.n; i++)
		if (!ascii_is_print(url->target.p[i]) || url->target.p[i] == ' ' || url->target.p[i] == '#')
			return false;
	return authority_parse(url, str_sub(text, 0, slash));
}

void
http_form_add(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (ascii_is_alnum(s.p[i]) || (c != '\0' && strchr("-._*", c) != NULL))
			buf_addc(out, s.p[i]);
		else
			buf_addf(out, "%%%02X", (unsigned)c);
	}
}

static void
authorization_add(struct buf *out, struct str user, struct str password)
{
	struct buf clear;

	buf_init(&clear, 4096);
	(void)buf_reserve(&clear, 4096); /* at once, so that no copy of the secret is left behind */
	http_form_add(&clear, user);
	buf_addc(&clear, ':');
	http_form_add(&clear, password);
	if (!buf_ok(&clear))
		out->failed = true;
	buf_adds(out, "Authorization: Basic ");
	base64_encode(out, buf_str(&clear));
	buf_adds(out, "\r\n");
	buf_clear_secret(&clear);
}

/* The request line, and the host. */
static void
request_add(struct buf *out, const char *method, const struct http_url *url)
{
	buf_addf(out, "%s %.*s HTTP/1.1\r\nHost: %s%s%s", method, STR_FMT(url->target), url->is_v6 ? "[" : "", url->host,
	    url->is_v6 ? "]" : "");
	if (url->port != (url->tls ? 443 : 80))
		buf_addf(out, ":%u", (unsigned)url->port);
	buf_adds(out, "\r\n");
}

void
http_get(struct buf *out, const struct http_url *url, const char *accept)
{
	request_add(out, "GET", url);
	buf_addf(out, "Accept: %s\r\nConnection: close\r\n\r\n", accept);
}

void
http_post_document(struct buf *out, const struct http_url *url, const char *type, struct str document)
{
	request_add(out, "POST", url);
	buf_addf(out, "Content-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", type, document.n);
	buf_add(out, document);
}

void
http_post(struct buf *out, const struct http_url *url, struct str form, struct str user, struct str password)
{
	request_add(out, "POST", url);
	if (user.n > 0)
		authorization_add(out, user, password);
	buf_addf(out,
	    "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %zu\r\n"
	    "Accept: application/json\r\nConnection: close\r\n\r\n",
	    form.n);
	buf_add(out, form);
}

/* --- responses ----------------------------------------------------------------------------------------------------- */

void
http_response_init(struct http_response *response)
{
	memset(response, 0, sizeof *response);
	buf_init(&response->body, HTTP_BODY_MAX);
	buf_init(&response->line, HTTP_HEAD_MAX);
}

void
http_response_clear(struct http_response *response)
{
	buf_clear(&response->body);
	buf_clear(&response->line);
}

/* HTTP/1.x SP three digits [SP reason] */
static enum http_step
status_line(struct http_response *response, struct str line)
{
	uint64_t status;

	if (!str_starts(line, STR("HTTP/1.")) || line.n < 12 || !ascii_is_digit(line.p[7]) || line.p[8] != ' ' ||
	    (line.n > 12 && line.p[12] != ' ') || !str_to_u64(str_sub(line, 9, 3), 999, &status) || status < 100)
		return HTTP_BROKEN;
	response->status = (unsigned)status;
	response->type[0] = '\0';
	response->is_chunked = response->has_length = false;
	response->left = 0;
	return HTTP_FIELDS;
}

/* Behind the empty line. A response of 1xx is not the last. */
static enum http_step
head_end(struct http_response *response)
{
	if (response->status < 200)
		return response->status == 101 ? HTTP_BROKEN : HTTP_STATUS_LINE;
	if (response->status == 204 || response->status == 304)
		return HTTP_OVER;
	if (response->is_chunked)
		return HTTP_CHUNK_SIZE;
	response->until_end = !response->has_length;
	return response->has_length && response->left == 0 ? HTTP_OVER : HTTP_BODY;
}

/* type "/" subtype *( ";" parameter ) */
static void
type_take(struct http_response *response, struct str value)
{
	struct str type = str_trim(str_sub(value, 0, str_find(value, ';')));

	(void)str_copy(response->type, sizeof response->type, type);
	for (char *p = response->type; *p != '\0'; p++)
		*p = ascii_lower(*p);
}

/* RFC 9112 6.3: a response whose length is said in two ways is broken. */
static enum http_step
field_line(struct http_response *response, struct str line)
{
	size_t colon = str_find(line, ':');
	struct str name = str_sub(line, 0, colon), value = str_trim(str_skip(line, colon + 1));
	uint64_t length;

	if (line.n == 0)
		return head_end(response);
	if (colon == line.n || colon == 0 || ascii_is_blank(line.p[0]) || ascii_is_blank(line.p[colon - 1]))
		return HTTP_BROKEN;
	if (str_equal_nocase(name, STR("transfer-encoding"))) {
		if (response->has_length || response->is_chunked || !str_equal_nocase(value, STR("chunked")))
			return HTTP_BROKEN;
		response->is_chunked = true;
	} else if (str_equal_nocase(name, STR("content-length"))) {
		if (response->is_chunked || !str_to_u64(value, HTTP_BODY_MAX, &length) ||
		    (response->has_length && length != response->left))
			return HTTP_BROKEN;
		response->has_length = true;
		response->left = length;
	} else if (str_equal_nocase(name, STR("content-type"))) {
		type_take(response, value);
	}
	return HTTP_FIELDS;
}

/* chunk-size [";" extensions]; the last has size 0 */
static enum http_step
chunk_size_line(struct http_response *response, struct str line)
{
	struct str size = str_trim(str_sub(line, 0, str_find(line, ';')));

	response->left = 0;
	if (size.n == 0 || size.n > 8)
		return HTTP_BROKEN;
	for (size_t i = 0; i < size.n; i++) {
		int digit = ascii_hex_value(size.p[i]);

		if (digit < 0)
			return HTTP_BROKEN;
		response->left = response->left << 4 | (unsigned)digit;
	}
	return response->left == 0 ? HTTP_TRAILER : HTTP_CHUNK;
}

static enum http_step
line_take(struct http_response *response, struct str line)
{
	switch (response->step) {
	case HTTP_STATUS_LINE:
		return status_line(response, line);
	case HTTP_FIELDS:
		return field_line(response, line);
	case HTTP_CHUNK_SIZE:
		return chunk_size_line(response, line);
	case HTTP_CHUNK_END:
		return line.n == 0 ? HTTP_CHUNK_SIZE : HTTP_BROKEN;
	case HTTP_TRAILER:
		return line.n == 0 ? HTTP_OVER : HTTP_TRAILER;
	case HTTP_BODY:
	case HTTP_CHUNK:
	case HTTP_OVER:
	case HTTP_BROKEN:
		break;
	}
	return HTTP_BROKEN;
}

/* A line, as far as it is there; a carriage return before its end belongs to the end. */
static struct str
line_feed(struct http_response *response, struct str bytes)
{
	size_t end = str_find(bytes, '\n'), n = end < bytes.n ? end + 1 : bytes.n;
	struct str line;

	response->head_bytes += n;
	buf_add(&response->line, str_sub(bytes, 0, end));
	if (!buf_ok(&response->line) || response->head_bytes > HTTP_HEAD_MAX)
		response->step = HTTP_BROKEN;
	else if (end < bytes.n) {
		line = buf_str(&response->line);
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		response->step = line_take(response, line);
		buf_reset(&response->line);
	}
	return str_skip(bytes, n);
}

static struct str
body_feed(struct http_response *response, struct str bytes)
{
	struct str part = response->until_end ? bytes : str_sub(bytes, 0, response->left);

	buf_add(&response->body, part);
	if (!buf_ok(&response->body))
		response->step = HTTP_BROKEN;
	else if (!response->until_end) {
		response->left -= part.n;
		if (response->left == 0)
			response->step = response->step == HTTP_CHUNK ? HTTP_CHUNK_END : HTTP_OVER;
	}
	return str_skip(bytes, part.n);
}

static enum http_state
state(const struct http_response *response)
{
	return response->step == HTTP_OVER ? HTTP_DONE : response->step == HTTP_BROKEN ? HTTP_BAD : HTTP_MORE;
}

enum http_state
http_response_feed(struct http_response *response, struct str bytes)
{
	while (bytes.n > 0 && state(response) == HTTP_MORE)
		bytes = response->step == HTTP_BODY || response->step == HTTP_CHUNK ? body_feed(response, bytes)
										    : line_feed(response, bytes);
	return state(response);
}

enum http_state
http_response_end(struct http_response *response)
{
	if (response->step == HTTP_BODY && response->until_end)
		response->step = HTTP_OVER;
	else if (response->step != HTTP_OVER)
		response->step = HTTP_BROKEN;
	return state(response);
}
