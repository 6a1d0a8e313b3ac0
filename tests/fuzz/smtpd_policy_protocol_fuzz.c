/*
 * Replies of policy servers: whole and cut anywhere the outcome is the same or MORE; nothing in them can end a line of
 * ours. And whatever a client says, a request has as many lines as attributes.
 */
#include <stdlib.h>

#include "smtpd/policy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void
look_at(const struct policy_reply *reply)
{
	if (reply->text.n > POLICY_REPLY_MAX || str_find(reply->text, '\n') < reply->text.n ||
	    str_find(reply->text, '\r') < reply->text.n || str_find(reply->text, '\0') < reply->text.n)
		abort();
	if (reply->code != 0 && (reply->code < 400 || reply->code > 599 || reply->status[0] != (char)('0' + reply->code / 100)))
		abort();
	if ((reply->action == POLICY_ACTION_REPLY) && reply->code == 0)
		abort();
}

static void
cuts(struct str in, size_t whole)
{
	for (size_t n = 0; n < whole && n < 300; n++) {
		struct str rest = str_sub(in, 0, n);
		struct policy_reply reply;

		if (policy_reply_take(&rest, &reply) != PARSE_MORE)
			abort();
	}
}

static void
request(struct str s)
{
	const struct policy_request r = {.protocol_state = s, .helo_name = s, .sender = s, .recipient = s, .sasl_username = s};
	size_t lines = 0;
	struct buf b;

	buf_init(&b, POLICY_REQUEST_MAX);
	policy_request_add(&b, &r);
	for (size_t i = 0; i < b.n; i++)
		lines += b.p[i] == '\n';
	if (!buf_ok(&b) || lines != 30 || b.p[b.n - 2] != '\n')
		abort();
	buf_clear(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str in = {(const char *)bytes, n}, rest = in;
	struct policy_reply reply;

	request(in);
	if (policy_reply_take(&rest, &reply) == PARSE_OK) {
		look_at(&reply);
		cuts(in, n - rest.n);
		while (policy_reply_take(&rest, &reply) == PARSE_OK)
			look_at(&reply);
	}
	return 0;
}
