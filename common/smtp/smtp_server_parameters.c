/*
 * The parameters of MAIL and RCPT.
 */
#include "common/base/date.h"
#include "common/smtp/orcpt.h"
#include "common/smtp/smtp_server_inner.h"
#include "common/smtp/xtext.h"

#define SIZE_DIGITS_MAX 20
#define ENVID_MAX 100	  /* RFC 3461 4.4 */
#define SECONDS_MAX 999999999 /* RFC 2852 4, RFC 4865 3: nine digits */

/* False, so that a handler can say so and be done. */
static bool
refuse(struct smtp_server *s, struct str text)
{
	smtp_reply_own(s, 501, "5.5.4", text);
	return false;
}

/* Into the transaction; false when there is no room. */
static bool
keep(struct smtp_server *s, struct str *kept, struct str value)
{
	*kept = arena_copy(&s->transaction.arena, value);
	if (kept->p == NULL)
		smtp_out_of_memory(s);
	return kept->p != NULL;
}

/* --- of MAIL ------------------------------------------------------------------------------------------------------------- */

/* RFC 1870 6.1 */
static bool
take_size(struct smtp_server *s, struct str value)
{
	uint64_t size;

	if (value.n > SIZE_DIGITS_MAX || !str_to_u64(value, UINT64_MAX, &size))
		return refuse(s, STR("SIZE must be a number"));
	if (size > s->facts.size_max) {
		smtp_reply_own(s, 552, "5.3.4", STR("Message size exceeds fixed limit"));
		return false;
	}
	s->transaction.size = size;
	return true;
}

/* RFC 6152 2, RFC 3030 3 */
static bool
take_body(struct smtp_server *s, struct str value)
{
	if (str_equal_nocase(value, STR("7BIT")))
		s->transaction.body = SMTP_BODY_7BIT;
	else if (str_equal_nocase(value, STR("8BITMIME")))
		s->transaction.body = SMTP_BODY_8BITMIME;
	else if (str_equal_nocase(value, STR("BINARYMIME")))
		s->transaction.body = SMTP_BODY_BINARYMIME;
	else
		return refuse(s, STR("BODY must be 7BIT, 8BITMIME or BINARYMIME"));
	return true;
}

/* RFC 4954 5: somebody else's word for who submitted the message. We give nobody's name on, and believe none. */
static bool
take_auth(struct smtp_server *s, struct str value)
{
	struct buf mailbox;
	bool good;

	buf_init(&mailbox, ADDRESS_TEXT_MAX);
	good = str_equal(value, STR("<>")) || (value.n > 0 && xtext_decode(&mailbox, value) && buf_ok(&mailbox));
	buf_clear(&mailbox);
	return good || refuse(s, STR("AUTH must be an address in xtext, or <>"));
}

static bool
take_smtputf8(struct smtp_server *s, struct str value)
{
	(void)value;
	s->transaction.smtputf8 = true;
	return true;
}

static bool
take_requiretls(struct smtp_server *s, struct str value)
{
	(void)value;
	s->transaction.requiretls = true;
	return true;
}

static bool
take_ret(struct smtp_server *s, struct str value)
{
	if (str_equal_nocase(value, STR("FULL")))
		s->transaction.ret = SMTP_RET_FULL;
	else if (str_equal_nocase(value, STR("HDRS")))
		s->transaction.ret = SMTP_RET_HDRS;
	else
		return refuse(s, STR("RET must be FULL or HDRS"));
	return true;
}

static bool
is_printable(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_print(s.p[i]))
			return false;
	return true;
}

/* What a decoder makes of the value, kept in the transaction. */
static bool
take_decoded(struct smtp_server *s, struct str value, bool (*decode)(struct buf *, struct str), struct str *kept,
    struct str complaint)
{
	struct buf decoded;
	bool good;

	buf_init(&decoded, ORCPT_MAX);
	good = decode(&decoded, value) && buf_ok(&decoded) ? keep(s, kept, buf_str(&decoded)) : refuse(s, complaint);
	buf_clear(&decoded);
	return good;
}

static bool
decode_envid(struct buf *out, struct str value)
{
	return value.n > 0 && value.n <= ENVID_MAX && xtext_decode(out, value) && is_printable(buf_str(out));
}

static bool
take_envid(struct smtp_server *s, struct str value)
{
	return take_decoded(s, value, decode_envid, &s->transaction.envid, STR("ENVID must be at most 100 characters of xtext"));
}

/* priority-value = (["-"] NZDIGIT) / "0" */
static bool
take_priority(struct smtp_server *s, struct str value)
{
	bool negative = value.n > 0 && value.p[0] == '-';
	struct str digit = str_skip(value, negative);

	if (digit.n != 1 || !ascii_is_digit(digit.p[0]) || (negative && digit.p[0] == '0'))
		return refuse(s, STR("MT-PRIORITY must be from -9 to 9"));
	s->transaction.priority = negative ? -(digit.p[0] - '0') : digit.p[0] - '0';
	return true;
}

/* by-time = ["-" / "+"] 1*9digit, as milliseconds since 1970; a moment before that counts as its beginning. */
static bool
by_time_parse(struct smtp_server *s, struct str text, bool *is_past)
{
	uint64_t seconds, now = s->time_ms;
	bool negative = text.n > 0 && text.p[0] == '-';

	if (negative || (text.n > 0 && text.p[0] == '+'))
		text = str_skip(text, 1);
	if (!str_to_u64(text, SECONDS_MAX, &seconds))
		return false;
	*is_past = negative || seconds == 0;
	if (negative)
		s->transaction.deliver_by_ms = now > seconds * 1000 ? now - seconds * 1000 : 1;
	else
		s->transaction.deliver_by_ms = now + seconds * 1000 + (now == 0);
	return true;
}

/* by-value = by-time ";" by-mode [ by-trace ]; by-mode = "N" / "R"; by-trace = "T". No time to deliver in, and to be
 * returned if it is not delivered: that cannot be meant (RFC 2852 4.1). */
static bool
take_by(struct smtp_server *s, struct str value)
{
	struct smtp_transaction *t = &s->transaction;
	size_t semicolon = str_find(value, ';');
	struct str mode = str_skip(value, semicolon + 1);
	bool is_past, good;

	good = semicolon < value.n && by_time_parse(s, str_sub(value, 0, semicolon), &is_past) &&
	    (mode.n == 1 || (mode.n == 2 && ascii_upper(mode.p[1]) == 'T')) &&
	    (ascii_upper(mode.p[0]) == 'N' || ascii_upper(mode.p[0]) == 'R');
	if (!good)
		return refuse(s, STR("BY must be seconds;N or seconds;R, with or without T"));
	t->returns_late = ascii_upper(mode.p[0]) == 'R';
	t->traces_relays = mode.n == 2;
	return !(t->returns_late && is_past) || refuse(s, STR("BY leaves no time"));
}

static bool
hold_until(struct smtp_server *s, uint64_t release_ms)
{
	if (s->transaction.release_ms != 0)
		return refuse(s, STR("HOLDFOR and HOLDUNTIL exclude each other"));
	if (release_ms > s->time_ms && release_ms - s->time_ms > s->facts.hold_max_s * 1000)
		return refuse(s, STR("The message cannot be held for so long"));
	s->transaction.release_ms = release_ms;
	return true;
}

static bool
take_holdfor(struct smtp_server *s, struct str value)
{
	uint64_t seconds;

	if (!str_to_u64(value, SECONDS_MAX, &seconds) || seconds == 0)
		return refuse(s, STR("HOLDFOR must be a number of seconds"));
	return hold_until(s, s->time_ms + seconds * 1000);
}

static bool
take_holduntil(struct smtp_server *s, struct str value)
{
	struct date date;

	if (!date_parse_rfc3339(value, &date) || date.seconds <= 0)
		return refuse(s, STR("HOLDUNTIL must be a date of RFC 3339"));
	return hold_until(s, (uint64_t)date.seconds * 1000);
}

/* --- of RCPT ------------------------------------------------------------------------------------------------------------- */

/* notify-esmtp-value = "NEVER" / 1#notify-list-element */
static bool
take_notify(struct smtp_server *s, struct str value)
{
	static const struct {
		struct str word;
		unsigned bit;
	} words[] = {{STR("NEVER"), SMTP_NOTIFY_NEVER}, {STR("SUCCESS"), SMTP_NOTIFY_SUCCESS}, {STR("FAILURE"), SMTP_NOTIFY_FAILURE},
	    {STR("DELAY"), SMTP_NOTIFY_DELAY}};
	unsigned all = 0, before;
	struct str word;

	while (str_token(&value, ',', &word)) {
		before = all;
		for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
			if (str_equal_nocase(word, words[i].word))
				all |= words[i].bit;
		if (all == before) /* unknown, or given twice */
			return refuse(s, STR("NOTIFY must be NEVER or of SUCCESS, FAILURE, DELAY"));
	}
	if (all == 0 || ((all & SMTP_NOTIFY_NEVER) && all != SMTP_NOTIFY_NEVER))
		return refuse(s, STR("NOTIFY must be NEVER or of SUCCESS, FAILURE, DELAY"));
	s->recipient->notify = all;
	return true;
}

static bool
take_orcpt(struct smtp_server *s, struct str value)
{
	return take_decoded(s, value, orcpt_decode, &s->recipient->orcpt, STR("ORCPT must be type;address in xtext"));
}

/* --- the table ----------------------------------------------------------------------------------------------------------- */

#define MAIL STR("MAIL")
#define RCPT STR("RCPT")

static const struct smtp_parameter parameters[] = {
    {STR("SIZE"), MAIL, SMTP_EXT_SIZE, true, take_size, "RFC 1870 6.1"},
    {STR("BODY"), MAIL, SMTP_EXT_8BITMIME, true, take_body, "RFC 6152 2"},
    {STR("AUTH"), MAIL, SMTP_EXT_AUTH, true, take_auth, "RFC 4954 5"},
    {STR("SMTPUTF8"), MAIL, SMTP_EXT_SMTPUTF8, false, take_smtputf8, "RFC 6531 3.4"},
    {STR("RET"), MAIL, SMTP_EXT_DSN, true, take_ret, "RFC 3461 4.3"},
    {STR("ENVID"), MAIL, SMTP_EXT_DSN, true, take_envid, "RFC 3461 4.4"},
    {STR("REQUIRETLS"), MAIL, SMTP_EXT_REQUIRETLS, false, take_requiretls, "RFC 8689 4"},
    {STR("MT-PRIORITY"), MAIL, SMTP_EXT_MT_PRIORITY, true, take_priority, "RFC 6710 4"},
    {STR("BY"), MAIL, SMTP_EXT_DELIVERBY, true, take_by, "RFC 2852 4"},
    {STR("HOLDFOR"), MAIL, SMTP_EXT_FUTURERELEASE, true, take_holdfor, "RFC 4865 3"},
    {STR("HOLDUNTIL"), MAIL, SMTP_EXT_FUTURERELEASE, true, take_holduntil, "RFC 4865 3"},
    {STR("NOTIFY"), RCPT, SMTP_EXT_DSN, true, take_notify, "RFC 3461 4.1"},
    {STR("ORCPT"), RCPT, SMTP_EXT_DSN, true, take_orcpt, "RFC 3461 4.2"},
};

#define NPARAMETERS (sizeof parameters / sizeof parameters[0])
_Static_assert(NPARAMETERS <= 32, "a bit of smtp_server.parameters for each");

const struct smtp_parameter *
smtp_server_parameters(size_t *n)
{
	*n = NPARAMETERS;
	return parameters;
}

static bool
parameter_is(const struct smtp_server *s, const struct smtp_parameter *p, struct str keyword)
{
	return str_equal_nocase(keyword, p->keyword) && str_equal(s->command->verb, p->verb) && smtp_server_offers(s, p->extension);
}

/* esmtp-param = esmtp-keyword ["=" esmtp-value] */
static bool
take_parameter(struct smtp_server *s, struct str word)
{
	size_t equals = str_find(word, '=');
	struct str keyword = str_sub(word, 0, equals);

	for (unsigned i = 0; i < NPARAMETERS; i++) {
		const struct smtp_parameter *p = &parameters[i];

		if (!parameter_is(s, p, keyword))
			continue;
		if (s->parameters & 1U << i)
			return refuse(s, STR("Parameter given twice"));
		s->parameters |= 1U << i;
		if (!p->has_value && equals < word.n)
			return refuse(s, STR("Parameter takes no value"));
		return p->handler(s, str_skip(word, equals + 1));
	}
	smtp_reply_own(s, 555, "5.5.4", STR("Parameter not recognised"));
	return false;
}

bool
smtp_parameters_take(struct smtp_server *s, struct str rest)
{
	struct str word;

	if (rest.n > 0 && !ascii_is_blank(rest.p[0]))
		return refuse(s, STR("Malformed argument"));
	while (str_word(&rest, &word))
		if (!take_parameter(s, word))
			return false;
	return true;
}
