#include "smtpd/policy_protocol.h"

#include <inttypes.h>
#include <string.h>

/* --- the request -------------------------------------------------------------------------------------------------- */

static void
add(struct buf *out, const char *name, struct str value)
{
	value = str_sub(value, 0, POLICY_VALUE_SENT_MAX);
	buf_adds(out, name);
	buf_addc(out, '=');
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		buf_addc(out, c < ' ' || c == 127 ? '?' : (char)c);
	}
	buf_addc(out, '\n');
}

static void
add_number(struct buf *out, const char *name, uint64_t value)
{
	buf_addf(out, "%s=%" PRIu64 "\n", name, value);
}

/* Servers that are written for Postfix take an unknown name for "unknown". */
static struct str
name_or_unknown(struct str name)
{
	return name.n > 0 ? name : STR("unknown");
}

static void
add_port(struct buf *out, const char *name, uint16_t port)
{
	if (port == 0)
		add(out, name, STR_NONE);
	else
		add_number(out, name, port);
}

void
policy_request_add(struct buf *out, const struct policy_request *r)
{
	add(out, "request", STR("smtpd_access_policy"));
	add(out, "protocol_state", r->protocol_state);
	add(out, "protocol_name", r->protocol_name);
	add(out, "client_address", r->client_address);
	add(out, "client_name", name_or_unknown(r->client_name));
	add(out, "reverse_client_name", name_or_unknown(r->reverse_client_name));
	add_port(out, "client_port", r->client_port);
	add(out, "server_address", r->server_address);
	add_port(out, "server_port", r->server_port);
	add(out, "helo_name", r->helo_name);
	add(out, "sender", r->sender);
	add(out, "recipient", r->recipient);
	add_number(out, "recipient_count", r->recipient_count);
	add(out, "queue_id", r->queue_id);
	add(out, "instance", r->instance);
	add_number(out, "size", r->size);
	add(out, "etrn_domain", STR_NONE);
	add(out, "stress", STR_NONE);
	add(out, "sasl_method", r->sasl_method);
	add(out, "sasl_username", r->sasl_username);
	add(out, "sasl_sender", r->sasl_sender);
	add(out, "ccert_subject", r->ccert_subject);
	add(out, "ccert_issuer", r->ccert_issuer);
	add(out, "ccert_fingerprint", r->ccert_fingerprint);
	add(out, "ccert_pubkey_fingerprint", STR_NONE);
	add(out, "encryption_protocol", r->encryption_protocol);
	add(out, "encryption_cipher", r->encryption_cipher);
	add_number(out, "encryption_keysize", r->encryption_keysize);
	add(out, "policy_context", r->policy_context);
	buf_addc(out, '\n');
}

/* --- the reply ---------------------------------------------------------------------------------------------------- */

/* What access(5) has for results; the texts of those without a code are what Postfix says. */
static const struct {
	struct str word;
	enum policy_action action;
	unsigned code;
	const char *status;
	bool needs_text;
} actions[] = {
    {STR("OK"), POLICY_ACTION_OK, 0, NULL, false},
    {STR("PERMIT"), POLICY_ACTION_OK, 0, NULL, false},
    {STR("DUNNO"), POLICY_ACTION_DUNNO, 0, NULL, false},
    {STR("REJECT"), POLICY_ACTION_REPLY, 554, "5.7.1", false},
    {STR("DEFER"), POLICY_ACTION_REPLY, 450, "4.7.1", false},
    {STR("DEFER_IF_PERMIT"), POLICY_ACTION_DEFER_IF_PERMIT, 450, "4.7.1", false},
    {STR("DEFER_IF_REJECT"), POLICY_ACTION_DEFER_IF_REJECT, 450, "4.7.1", false},
    {STR("PREPEND"), POLICY_ACTION_PREPEND, 0, NULL, true},
    {STR("HOLD"), POLICY_ACTION_HOLD, 0, NULL, false},
    {STR("DISCARD"), POLICY_ACTION_DISCARD, 0, NULL, false},
    {STR("REDIRECT"), POLICY_ACTION_REDIRECT, 0, NULL, true},
    {STR("WARN"), POLICY_ACTION_WARN, 0, NULL, false},
    {STR("INFO"), POLICY_ACTION_WARN, 0, NULL, false},
    {STR("FILTER"), POLICY_ACTION_UNSUPPORTED, 0, NULL, false},
    {STR("BCC"), POLICY_ACTION_UNSUPPORTED, 0, NULL, false},
};

/* "5.7.1 text": takes the status off, if it is one of the code's class. */
static void
status_take(struct policy_reply *reply)
{
	struct str status = str_sub(reply->text, 0, str_find(reply->text, ' '));

	if (!enhanced_status_is(status, reply->code) || !str_copy(reply->status, sizeof reply->status, status))
		return;
	reply->text = str_trim(str_skip(reply->text, status.n));
}

/* "450 4.7.1 text", "550 text" */
static bool
code_take(struct policy_reply *reply, struct str word)
{
	uint64_t code;

	if (word.n != 3 || !str_to_u64(word, 599, &code) || code < 400)
		return false;
	reply->action = POLICY_ACTION_REPLY;
	reply->code = (unsigned)code;
	(void)str_copy(reply->status, sizeof reply->status, code < 500 ? STR("4.7.1") : STR("5.7.1"));
	return true;
}

static bool
word_take(struct policy_reply *reply, struct str word)
{
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
		if (!str_equal_nocase(word, actions[i].word))
			continue;
		reply->action = actions[i].action;
		reply->code = actions[i].code;
		(void)str_copy(reply->status, sizeof reply->status, str_from(actions[i].status));
		return !actions[i].needs_text || reply->text.n > 0;
	}
	return false;
}

/* Nothing that could end a header field or a reply before its time. 8-bit text may be UTF-8. */
static bool
is_one_line(struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < ' ' || text.p[i] == 127)
			return false;
	return true;
}

static bool
action_parse(struct str value, struct policy_reply *reply)
{
	struct str word, whole = str_trim(value);

	value = whole;
	if (!is_one_line(value) || !str_word(&value, &word))
		return false;
	reply->text = str_trim(value);
	if (!code_take(reply, word) && !word_take(reply, word))
		return false;
	if (reply->action == POLICY_ACTION_UNSUPPORTED)
		reply->text = whole;
	if (reply->code > 0)
		status_take(reply);
	return true;
}

enum parse
policy_reply_take(struct str *rest, struct policy_reply *reply)
{
	struct str in = *rest, line, action = STR_NONE;
	bool found = false;

	memset(reply, 0, sizeof *reply);
	for (;;) {
		size_t end = str_find(in, '\n');

		if (end == in.n)
			return rest->n < POLICY_REPLY_MAX ? PARSE_MORE : PARSE_BAD;
		line = str_trim(str_sub(in, 0, end));
		in = str_skip(in, end + 1);
		if (rest->n - in.n > POLICY_REPLY_MAX)
			return PARSE_BAD;
		if (line.n == 0)
			break;
		if (!str_starts_nocase(line, STR("action=")))
			continue; /* other attributes may come one day */
		action = str_skip(line, sizeof "action=" - 1);
		found = true;
	}
	if (!found || !action_parse(action, reply))
		return PARSE_BAD;
	*rest = in;
	return PARSE_OK;
}
