/*
 * XCLIENT and XFORWARD, Postfix's extensions by which a proxy, or a filter between two servers, says who the client
 * behind it is.
 *
 *     command   = ("XCLIENT" / "XFORWARD") 1*( SP attribute )
 *     attribute = name "=" xtext, or "[UNAVAILABLE]" or "[TEMPUNAVAIL]" for the value
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/smtp/smtp_server_inner.h"
#include "common/smtp/xtext.h"

#define IPV6_TAG STR("IPV6:")

/* Each checks a value that is not empty; may cut it. */

static bool
is_name(struct str *value)
{
	return address_is_domain(*value);
}

/* IPv6 addresses are tagged, IPv4 ones are not; clients of old do neither. */
static bool
is_address(struct str *value)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr binary;

	if (str_starts_nocase(*value, IPV6_TAG))
		*value = str_skip(*value, IPV6_TAG.n);
	return str_copy(text, sizeof text, *value) &&
	    (inet_pton(AF_INET, text, &binary) == 1 || inet_pton(AF_INET6, text, &binary) == 1);
}

static bool
is_port(struct str *value)
{
	uint64_t port;

	return str_to_u64(*value, UINT16_MAX, &port);
}

static bool
is_protocol(struct str *value)
{
	return str_equal_nocase(*value, STR("SMTP")) || str_equal_nocase(*value, STR("ESMTP")) ||
	    str_equal_nocase(*value, STR("LMTP"));
}

static bool
is_printable(struct str *value)
{
	for (size_t i = 0; i < value->n; i++)
		if (!ascii_is_print(value->p[i]))
			return false;
	return true;
}

static bool
is_source(struct str *value)
{
	return str_equal_nocase(*value, STR("LOCAL")) || str_equal_nocase(*value, STR("REMOTE"));
}

#define BIT(extension) (1U << (extension))

static const struct {
	struct str name;
	unsigned commands;
	bool (*is_good)(struct str *value);
} attributes[SMTP_ATTRIBUTES] = {
    [SMTP_ATTR_NAME] = {STR("NAME"), BIT(SMTP_EXT_XCLIENT) | BIT(SMTP_EXT_XFORWARD), is_name},
    [SMTP_ATTR_ADDR] = {STR("ADDR"), BIT(SMTP_EXT_XCLIENT) | BIT(SMTP_EXT_XFORWARD), is_address},
    [SMTP_ATTR_PORT] = {STR("PORT"), BIT(SMTP_EXT_XCLIENT) | BIT(SMTP_EXT_XFORWARD), is_port},
    [SMTP_ATTR_PROTO] = {STR("PROTO"), BIT(SMTP_EXT_XCLIENT) | BIT(SMTP_EXT_XFORWARD), is_protocol},
    [SMTP_ATTR_HELO] = {STR("HELO"), BIT(SMTP_EXT_XCLIENT) | BIT(SMTP_EXT_XFORWARD), is_printable},
    [SMTP_ATTR_LOGIN] = {STR("LOGIN"), BIT(SMTP_EXT_XCLIENT), is_printable},
    [SMTP_ATTR_DESTADDR] = {STR("DESTADDR"), BIT(SMTP_EXT_XCLIENT), is_address},
    [SMTP_ATTR_DESTPORT] = {STR("DESTPORT"), BIT(SMTP_EXT_XCLIENT), is_port},
    [SMTP_ATTR_IDENT] = {STR("IDENT"), BIT(SMTP_EXT_XFORWARD), is_printable},
    [SMTP_ATTR_SOURCE] = {STR("SOURCE"), BIT(SMTP_EXT_XFORWARD), is_source},
};

void
smtp_attributes_write(struct buf *out, enum smtp_extension command)
{
	for (unsigned i = 0; i < SMTP_ATTRIBUTES; i++)
		if (attributes[i].commands & BIT(command))
			buf_addf(out, " %.*s", STR_FMT(attributes[i].name));
}

static bool
attribute_find(enum smtp_extension command, struct str name, unsigned *index)
{
	for (*index = 0; *index < SMTP_ATTRIBUTES; ++*index)
		if ((attributes[*index].commands & BIT(command)) && str_equal_nocase(name, attributes[*index].name))
			return true;
	return false;
}

/* Empty for "I do not know". False when it is malformed. */
static bool
value_decode(unsigned index, struct str text, struct buf *decoded, struct str *value)
{
	*value = STR("");
	if (str_equal_nocase(text, STR("[UNAVAILABLE]")) || str_equal_nocase(text, STR("[TEMPUNAVAIL]")))
		return true;
	if (!xtext_decode(decoded, text) || !buf_ok(decoded) || decoded->n == 0)
		return false;
	*value = buf_str(decoded);
	return attributes[index].is_good(value);
}

/* name=value, into the set. False: the refusal was written. */
static bool
attribute_take(struct smtp_server *s, struct str word, struct smtp_attributes *set)
{
	size_t equals = str_find(word, '=');
	struct str value;
	struct buf decoded;
	unsigned index;
	bool good;

	if (equals == word.n || !attribute_find(s->command->extension, str_sub(word, 0, equals), &index)) {
		smtp_reply_own(s, 501, "5.5.4", STR("Attribute not recognised"));
		return false;
	}
	buf_init(&decoded, SMTP_ATTRIBUTE_MAX);
	good = value_decode(index, str_skip(word, equals + 1), &decoded, &value);
	if (good) {
		set->given |= 1U << index;
		set->value[index] = arena_copy(&s->transaction.arena, value);
	}
	buf_clear(&decoded);
	if (!good)
		smtp_reply_own(s, 501, "5.5.4", STR("Bad value of an attribute"));
	else if (set->value[index].p == NULL)
		smtp_out_of_memory(s);
	return good && set->value[index].p != NULL;
}

/* What the command says, added to what was said before (NULL: nothing). NULL: the refusal was written. */
static struct smtp_attributes *
attributes_take(struct smtp_server *s, struct str argument, const struct smtp_attributes *before)
{
	struct smtp_attributes *set = arena_alloc(&s->transaction.arena, sizeof *set);
	struct str word;

	if (set == NULL) {
		smtp_out_of_memory(s);
		return NULL;
	}
	if (before != NULL)
		*set = *before;
	while (str_word(&argument, &word))
		if (!attribute_take(s, word, set))
			return NULL;
	return set;
}

void
smtp_command_xclient(struct smtp_server *s, struct str argument)
{
	s->attributes = attributes_take(s, argument, NULL);
	if (s->attributes != NULL)
		smtp_ask(s, SMTP_XCLIENT);
}

/* Into a fixed string of the session what the attribute says; what none has ever said of it was the proxy's own. */
static void
told_set(struct smtp_server *s, enum smtp_attribute attribute, char *dst, size_t size)
{
	if (s->attributes->given & 1U << attribute)
		(void)str_copy(dst, size, s->attributes->value[attribute]);
	else if (!(s->told & 1U << attribute))
		dst[0] = '\0';
}

/*
 * The client is another one now, of which nothing was heard yet. But an earlier XCLIENT holds (one line is too short for
 * all attributes), until the client says EHLO for itself.
 */
void
smtp_xclient_accepted(struct smtp_server *s)
{
	told_set(s, SMTP_ATTR_LOGIN, s->user, sizeof s->user);
	told_set(s, SMTP_ATTR_HELO, s->helo, sizeof s->helo);
	s->told |= s->attributes->given;
	s->attributes = NULL;
	s->extended = false;
	s->mode = MODE_COMMAND;
	smtp_state_set(s, SMTP_STATE_CONNECTED);
	smtp_greet(s);
	smtp_count_outcome(s, 220);
}

void
smtp_command_xforward(struct smtp_server *s, struct str argument)
{
	const struct smtp_attributes *set = attributes_take(s, argument, s->transaction.forwarded);

	if (set == NULL)
		return;
	s->transaction.forwarded = set;
	smtp_reply_own(s, 250, "2.0.0", STR("Ok"));
}
