#include "queue/sasl_login.h"

#include <string.h>

#include "common/base/base64.h"

/* Of a command with its line end (RFC 5321 4.5.3.1.4), which AUTH does not lengthen (RFC 4954 4). */
#define COMMAND_MAX 512
/* A response, decoded; tokens are long. */
#define RESPONSE_MAX 12288

static const struct {
	struct str name;
	bool token;   /* it is for a token, the others for a password */
	bool binding; /* it needs the channel's */
	enum scram_hash hash;
} mechanisms[SASL_MECHANISMS] = {
    [SASL_SCRAM_SHA_256_PLUS] = {{"SCRAM-SHA-256-PLUS", 18}, false, true, SCRAM_SHA_256},
    [SASL_SCRAM_SHA_1_PLUS] = {{"SCRAM-SHA-1-PLUS", 16}, false, true, SCRAM_SHA_1},
    [SASL_SCRAM_SHA_256] = {{"SCRAM-SHA-256", 13}, false, false, SCRAM_SHA_256},
    [SASL_SCRAM_SHA_1] = {{"SCRAM-SHA-1", 11}, false, false, SCRAM_SHA_1},
    [SASL_OAUTHBEARER] = {{"OAUTHBEARER", 11}, true, false, SCRAM_SHA_1},
    [SASL_XOAUTH2] = {{"XOAUTH2", 7}, true, false, SCRAM_SHA_1},
    [SASL_PLAIN] = {{"PLAIN", 5}, false, false, SCRAM_SHA_1},
    [SASL_LOGIN] = {{"LOGIN", 5}, false, false, SCRAM_SHA_1},
};

#define PLUS (SASL_BIT(SASL_SCRAM_SHA_256_PLUS) | SASL_BIT(SASL_SCRAM_SHA_1_PLUS))

const char *
sasl_mechanism_name(enum sasl_mechanism mechanism)
{
	return mechanism < SASL_MECHANISMS ? mechanisms[mechanism].name.p : "none";
}

unsigned
sasl_mechanisms_read(struct str words)
{
	unsigned found = 0;

	for (unsigned i = 0; i < SASL_MECHANISMS; i++)
		if (str_has_word_nocase(words, mechanisms[i].name))
			found |= SASL_BIT(i);
	return found;
}

enum sasl_mechanism
sasl_login_choose(const struct sasl_credentials *credentials, unsigned offered, const struct sasl_binding *binding)
{
	unsigned usable = offered & credentials->allowed;

	for (unsigned i = 0; i < SASL_MECHANISMS; i++) {
		struct str secret = mechanisms[i].token ? credentials->token : credentials->password;

		if ((usable & SASL_BIT(i)) && secret.p != NULL && (binding != NULL || !mechanisms[i].binding))
			return (enum sasl_mechanism)i;
	}
	return SASL_MECHANISMS;
}

static bool
is_scram(enum sasl_mechanism mechanism)
{
	return mechanism <= SASL_SCRAM_SHA_1;
}

void
sasl_login_begin(struct sasl_login *login, enum sasl_mechanism mechanism, struct sasl_credentials *credentials)
{
	*login = (struct sasl_login){.mechanism = mechanism, .credentials = credentials};
	if (is_scram(mechanism))
		scram_client_init(&login->scram, mechanisms[mechanism].hash);
}

void
sasl_login_clear(struct sasl_login *login)
{
	scram_client_clear(&login->scram);
	explicit_bzero(login, sizeof *login);
}

/* --- what is said first -------------------------------------------------------------------------------------------- */

static void
plain_make(const struct sasl_credentials *c, struct buf *message)
{
	buf_addc(message, '\0');
	buf_add(message, c->user);
	buf_addc(message, '\0');
	buf_add(message, c->password);
}

/* kvsep is a byte 1. */
static void
bearer_make(const struct sasl_credentials *c, struct buf *message)
{
	buf_adds(message, "n,a=");
	for (size_t i = 0; i < c->user.n; i++) {
		if (c->user.p[i] == ',')
			buf_adds(message, "=2C");
		else if (c->user.p[i] == '=')
			buf_adds(message, "=3D");
		else
			buf_addc(message, c->user.p[i]);
	}
	buf_addf(message, ",\001auth=Bearer %.*s\001\001", STR_FMT(c->token));
}

static void
xoauth2_make(const struct sasl_credentials *c, struct buf *message)
{
	buf_addf(message, "user=%.*s\001auth=Bearer %.*s\001\001", STR_FMT(c->user), STR_FMT(c->token));
}

/* False: the user's name cannot be one. LOGIN says nothing first. */
static bool
initial_make(struct sasl_login *login, unsigned offered, const struct sasl_binding *binding, struct str nonce,
    struct buf *message)
{
	const struct sasl_credentials *c = login->credentials;
	/* Whom the postmaster forbids to bind cannot; else the server is told that it was not asked to. */
	bool could_bind = binding != NULL && (c->allowed & PLUS) && !(offered & PLUS);

	switch (login->mechanism) {
	case SASL_SCRAM_SHA_256_PLUS:
	case SASL_SCRAM_SHA_1_PLUS:
		return scram_client_first(&login->scram, c->user, nonce, binding, false, message);
	case SASL_SCRAM_SHA_256:
	case SASL_SCRAM_SHA_1:
		return scram_client_first(&login->scram, c->user, nonce, NULL, could_bind, message);
	case SASL_OAUTHBEARER:
		bearer_make(c, message);
		break;
	case SASL_XOAUTH2:
		xoauth2_make(c, message);
		break;
	case SASL_PLAIN:
		plain_make(c, message);
		break;
	case SASL_LOGIN:
	case SASL_MECHANISMS:
		break;
	}
	return buf_ok(message);
}

/* Does the password or token fit? For what a message of it needs, and for what the grammar of tokens has (RFC 6750 2.1). */
static bool
is_sound(const struct sasl_login *login)
{
	const struct sasl_credentials *c = login->credentials;

	if (!mechanisms[login->mechanism].token)
		return str_find(c->password, '\0') == c->password.n && str_find(c->user, '\0') == c->user.n;
	for (size_t i = 0; i < c->token.n; i++)
		if (!ascii_is_print(c->token.p[i]) || c->token.p[i] == ' ')
			return false;
	return c->token.n > 0 && str_find(c->user, '\001') == c->user.n;
}

/* An own buffer in between, wiped. */
static void
base64_add(struct buf *out, struct str bytes)
{
	struct buf text;

	buf_init(&text, 2 * RESPONSE_MAX);
	base64_encode(&text, bytes);
	buf_add(out, buf_str(&text));
	buf_clear_secret(&text);
}

static void
command_add(struct sasl_login *login, struct str message, struct buf *out)
{
	struct str name = mechanisms[login->mechanism].name;

	buf_addf(out, "AUTH %.*s", STR_FMT(name));
	/* "AUTH ", a blank and the line end. SCRAM's are short, unless somebody has a name of hundreds of bytes. */
	login->initial = !is_scram(login->mechanism) && 8 + name.n + (message.n + 2) / 3 * 4 > COMMAND_MAX;
	if (message.n > 0 && !login->initial) {
		buf_addc(out, ' ');
		base64_add(out, message);
	}
	buf_adds(out, "\r\n");
}

const char *
sasl_login_command(struct sasl_login *login, unsigned offered, const struct sasl_binding *binding, struct str nonce,
    struct buf *out)
{
	struct buf message;
	bool good;

	if (!is_sound(login))
		return "the password or token has characters that cannot be in one";
	buf_init(&message, RESPONSE_MAX);
	good = initial_make(login, offered, binding, nonce, &message);
	if (good)
		command_add(login, buf_str(&message), out);
	buf_clear_secret(&message);
	return good ? NULL : "the name to log in with cannot be sent, or the token is too long";
}

/* --- what is answered ---------------------------------------------------------------------------------------------- */

/* What could not be said with the command. The parts are those of then: only tokens and PLAIN are so long. */
static const char *
initial_answer(struct sasl_login *login, struct buf *message)
{
	login->initial = false;
	return initial_make(login, 0, NULL, STR(""), message) ? NULL : "the token is too long";
}

/* "Username:", then "Password:", or whatever words a server has for them. */
static const char *
login_answer(struct sasl_login *login, struct buf *message)
{
	if (login->step > 1)
		return "the server asks for more than name and password";
	buf_add(message, login->step++ == 0 ? login->credentials->user : login->credentials->password);
	return NULL;
}

static const char *
scram_answer(struct sasl_login *login, struct str challenge, struct buf *message)
{
	if (login->step++ == 0)
		return scram_client_final(&login->scram, login->credentials->password, &login->credentials->memory, challenge,
		    message);
	return scram_client_check(&login->scram, challenge); /* and an empty answer */
}

/* The token was refused, and the challenge says why, in JSON; after a dummy answer comes the 535 (RFC 7628 3.2.3). */
static const char *
token_answer(struct sasl_login *login, struct str challenge, struct buf *message)
{
	struct str cut = str_sub(challenge, 0, sizeof login->problem - 1);

	if (login->step++ > 0)
		return "the server asks for more than a token";
	for (size_t i = 0; i < cut.n; i++)
		login->problem[i] = ascii_is_print(cut.p[i]) ? cut.p[i] : ' ';
	if (login->mechanism == SASL_OAUTHBEARER)
		buf_addc(message, '\001');
	return NULL;
}

static const char *
answer_make(struct sasl_login *login, struct str challenge, struct buf *message)
{
	if (login->initial)
		return initial_answer(login, message);
	switch (login->mechanism) {
	case SASL_SCRAM_SHA_256_PLUS:
	case SASL_SCRAM_SHA_1_PLUS:
	case SASL_SCRAM_SHA_256:
	case SASL_SCRAM_SHA_1:
		return scram_answer(login, challenge, message);
	case SASL_OAUTHBEARER:
	case SASL_XOAUTH2:
		return token_answer(login, challenge, message);
	case SASL_LOGIN:
		return login_answer(login, message);
	case SASL_PLAIN:
	case SASL_MECHANISMS:
		break;
	}
	return "the server asks for more than name and password";
}

/* LOGIN's prompts are not looked at: not all servers encode them. */
static bool
challenge_read(const struct sasl_login *login, struct str text, struct buf *challenge)
{
	return login->mechanism == SASL_LOGIN || login->initial || base64_decode(challenge, str_trim(text));
}

const char *
sasl_login_answer(struct sasl_login *login, struct str text, struct buf *out)
{
	struct buf challenge, message;
	const char *problem = "the server's challenge is no Base64";

	buf_init(&challenge, RESPONSE_MAX);
	buf_init(&message, RESPONSE_MAX);
	if (challenge_read(login, text, &challenge))
		problem = answer_make(login, buf_str(&challenge), &message);
	if (problem == NULL) {
		base64_add(out, buf_str(&message));
		buf_adds(out, "\r\n");
	}
	buf_clear_secret(&challenge);
	buf_clear_secret(&message);
	return problem;
}

const char *
sasl_login_finish(const struct sasl_login *login)
{
	if (is_scram(login->mechanism) && login->scram.step != SCRAM_CLIENT_PROVED)
		return "the server takes the login without proof that it knows the password";
	return NULL;
}

struct str
sasl_login_problem(const struct sasl_login *login)
{
	return str_from(login->problem);
}
