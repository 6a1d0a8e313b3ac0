#include "auth/sasl_command.h"

#include <string.h>

#include "common/base/base64.h"

static const struct {
	struct str word;
	enum sasl_verb verb;
} verbs[] = {
    {STR("VERSION"), SASL_VERB_VERSION},
    {STR("CPID"), SASL_VERB_CPID},
    {STR("AUTH"), SASL_VERB_AUTH},
    {STR("CONT"), SASL_VERB_CONT},
    {STR("CANCEL"), SASL_VERB_CANCEL},
};

static enum sasl_verb
verb_of(struct str word)
{
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (str_equal(word, verbs[i].word))
			return verbs[i].verb;
	return SASL_VERB_UNKNOWN;
}

/* Printable, so that it may be logged and handed on; false when it is not, or too long. */
static bool
text_read(char *dst, struct str value)
{
	struct buf text;
	bool good;

	buf_init(&text, SASL_TEXT_MAX);
	good = sasl_unescape(&text, value) && str_copy(dst, SASL_TEXT_MAX + 1, buf_str(&text));
	buf_clear(&text);
	for (const char *p = dst; *p != '\0'; p++)
		good = good && ascii_is_print(*p) && *p != ' ';
	return good;
}

/* One that is too long, or has a NUL, names nobody. */
static bool
name_read(char *dst, struct str value)
{
	struct buf text;
	bool good;

	buf_init(&text, SASL_LINE_MAX);
	good = sasl_unescape(&text, value);
	(void)str_copy(dst, ACCOUNT_NAME_MAX + 1, buf_str(&text));
	buf_clear(&text);
	return good;
}

/* channel_binding=KIND:Base64, our own; more of them than are known are passed over. */
static bool
binding_read(struct mech_facts *facts, struct str value)
{
	struct mech_binding *binding = &facts->bindings[facts->nbindings];
	size_t colon = str_find(value, ':');
	struct buf bytes;
	bool good;

	if (facts->nbindings == SASL_BINDINGS_MAX)
		return true;
	buf_init(&bytes, SASL_BINDING_MAX);
	good = colon > 0 && str_copy(binding->type, sizeof binding->type, str_sub(value, 0, colon)) &&
	       base64_decode(&bytes, str_skip(value, colon + 1)) && bytes.n > 0;
	if (good) {
		memcpy(binding->bytes, bytes.p, bytes.n);
		binding->n = bytes.n;
		facts->nbindings++;
	}
	buf_clear(&bytes);
	return good;
}

/* AUTH id mechanism [parameter...] [resp=Base64]: resp is always the last. */
static bool
auth_parse(struct sasl_command *command, struct str rest)
{
	char certificate[ACCOUNT_NAME_MAX + 1] = "";
	struct str word, key, value;
	bool good = true, verified = false;

	if (!str_token(&rest, '\t', &command->mechanism) || !sasl_mechanism_is_good(command->mechanism))
		return false;
	while (good && str_token(&rest, '\t', &word)) {
		sasl_parameter(word, &key, &value);
		if (str_equal(key, STR("service")))
			good = text_read(command->service, value);
		else if (str_equal(key, STR("lip")))
			good = text_read(command->local, value);
		else if (str_equal(key, STR("rip")))
			good = text_read(command->remote, value);
		else if (str_equal(key, STR("secured")))
			command->secured = true;
		else if (str_equal(key, STR("cert_username")))
			good = name_read(certificate, value);
		else if (str_equal(key, STR("valid-client-cert")))
			verified = true;
		else if (str_equal(key, STR("channel_binding")))
			good = binding_read(&command->facts, value);
		else if (str_equal(key, STR("resp"))) {
			command->has_response = true;
			command->response = value;
			good = rest.p == NULL;
		}
	}
	if (verified)
		memcpy(command->facts.certificate, certificate, sizeof certificate);
	return good && command->response.n <= SASL_LINE_MAX;
}

bool
sasl_command_parse(struct sasl_command *command, struct str line)
{
	struct str rest = line, word;

	memset(command, 0, sizeof *command);
	(void)str_token(&rest, '\t', &word);
	command->verb = verb_of(word);
	if (command->verb == SASL_VERB_UNKNOWN)
		return true;
	if (!str_token(&rest, '\t', &word) || !str_to_u64(word, SASL_ID_MAX, &command->number))
		return false;
	if (command->verb == SASL_VERB_AUTH)
		return auth_parse(command, rest);
	if (command->verb == SASL_VERB_CONT) {
		command->has_response = true;
		command->response = rest;
		return rest.n <= SASL_LINE_MAX;
	}
	return true;
}
