#include "auth/token.h"

#include <string.h>

#include "auth/base64url.h"

static bool
refuse(struct err *err, const char *why)
{
	return err_set(err, ERR_PERM, "%s", why);
}

bool
token_is_good(struct str token)
{
	size_t n = 0;

	while (n < token.n && (ascii_is_alnum(token.p[n]) || (token.p[n] != '\0' && strchr("-._~+/", token.p[n]) != NULL)))
		n++;
	if (n == 0 || token.n > TOKEN_MAX)
		return false;
	while (n < token.n && token.p[n] == '=')
		n++;
	return n == token.n;
}

bool
token_is_jwt(struct str token)
{
	struct str rest = token, word;
	size_t words = 0;

	while (str_token(&rest, '.', &word)) {
		words++;
		for (size_t i = 0; i < word.n; i++)
			if (!ascii_is_alnum(word.p[i]) && word.p[i] != '-' && word.p[i] != '_')
				return false;
	}
	return words == 3 && token.p[0] == 'e'; /* of {" */
}

/* What could be read in two ways is not read at all. */
static bool
is_ambiguous(const struct json *object, const char *name)
{
	static const char *const keys[] = {"alg", "typ", "crit", "kid", "iss", "aud", "exp", "nbf", "scope", "active",
	    "email_verified"};

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (json_is_repeated(object, keys[i]))
			return true;
	return json_is_repeated(object, name);
}

/* --- claims -------------------------------------------------------------------------------------------------------- */

static bool
has_audience(const struct json *claims, struct str audience)
{
	struct json value, one;
	struct str rest;

	if (!json_member(claims, "aud", &value))
		return false;
	if (value.kind != JSON_ARRAY)
		return json_is_text(&value, audience);
	for (rest = value.text; json_element(&rest, &one);)
		if (json_is_text(&one, audience))
			return true;
	return false;
}

/* Words between single blanks, in which case matters (RFC 6749 3.3). */
static bool
has_scope(const struct json *claims, struct str scope)
{
	struct json value;
	struct str rest, word;
	struct buf text;
	bool found = false;

	buf_init(&text, TOKEN_MAX);
	if (json_member(claims, "scope", &value) && json_text(&value, &text))
		for (rest = buf_str(&text); !found && str_word(&rest, &word);)
			found = str_equal(word, scope);
	buf_clear(&text);
	return found;
}

/* Of a claim that is there. */
static bool
time_read(const struct json *claims, const char *name, uint64_t *time_s, bool *there)
{
	struct json value;

	*there = json_member(claims, name, &value);
	return !*there || json_number(&value, time_s);
}

static bool
time_check(const struct json *claims, uint64_t now_s, bool must_expire, uint64_t *expires_s, struct err *err)
{
	uint64_t from_s = 0;
	bool has_from, has_end;

	*expires_s = UINT64_MAX;
	if (!time_read(claims, "exp", expires_s, &has_end) || !time_read(claims, "nbf", &from_s, &has_from))
		return refuse(err, "exp or nbf is no time");
	if (!has_end && must_expire)
		return refuse(err, "it never expires");
	if (has_end && now_s >= TOKEN_LEEWAY_S && *expires_s <= now_s - TOKEN_LEEWAY_S)
		return refuse(err, "it has expired");
	if (has_from && from_s > now_s + TOKEN_LEEWAY_S)
		return refuse(err, "it is not valid yet");
	return true;
}

/* An address that its owner only says to have is nobody's name (OpenID Connect Core 5.7). */
static bool
email_is_doubtful(const struct json *claims)
{
	struct json value;

	return json_member(claims, "email_verified", &value) && value.kind != JSON_TRUE &&
	       !json_is_text(&value, STR("true"));
}

static bool
name_read(const struct json *claims, const char *claim, char *name, struct err *err)
{
	struct json value;
	struct buf text;
	bool good;

	buf_init(&text, ACCOUNT_NAME_MAX);
	good = json_member(claims, claim, &value) && json_text(&value, &text) && text.n > 0 &&
	       str_copy(name, ACCOUNT_NAME_MAX + 1, buf_str(&text));
	buf_clear(&text);
	if (!good)
		return err_set(err, ERR_PERM, "no good claim \"%s\"", claim);
	return strcmp(claim, "email") != 0 || !email_is_doubtful(claims) || refuse(err, "the address is not verified");
}

/* strict: of a token that speaks for itself, which must name its issuer and expire. */
static bool
claims_check(const struct json *claims, const struct token_rules *rules, uint64_t now_s, bool strict,
    struct token_owner *owner, struct err *err)
{
	struct json value;
	bool has_issuer = json_member(claims, "iss", &value);

	if (claims->kind != JSON_OBJECT || is_ambiguous(claims, rules->name))
		return refuse(err, "malformed claims");
	if (rules->issuer.n > 0 && (has_issuer || strict) && (!has_issuer || !json_is_text(&value, rules->issuer)))
		return refuse(err, "of another issuer");
	if (rules->audience.n > 0 && !has_audience(claims, rules->audience))
		return refuse(err, "for another audience");
	if (rules->scope.n > 0 && !has_scope(claims, rules->scope))
		return refuse(err, "without the scope");
	return time_check(claims, now_s, strict, &owner->expires_s, err) &&
	       name_read(claims, rules->name, owner->name, err);
}

/* --- JWT ----------------------------------------------------------------------------------------------------------- */

/* RFC 8725 3.11: what is not an access token, or may mean something that we do not know, is not read as one. */
static bool
header_check(const struct json *header, enum jwk_algorithm *algorithm, struct buf *id, struct err *err)
{
	static const struct str types[] = {STR("JWT"), STR("at+jwt"), STR("application/at+jwt")};
	struct json value;
	struct buf text;
	bool good;

	if (is_ambiguous(header, ""))
		return refuse(err, "malformed");
	buf_init(&text, 64);
	good = json_member(header, "alg", &value) && json_text(&value, &text) &&
	       jwk_algorithm_read(buf_str(&text), algorithm);
	buf_reset(&text);
	if (!good) {
		buf_clear(&text);
		return refuse(err, "signed by an algorithm that is not allowed");
	}
	if (json_member(header, "typ", &value)) {
		good = json_text(&value, &text);
		for (size_t i = 0; i < 3; i++)
			if (good && str_equal_nocase(buf_str(&text), types[i]))
				break;
			else if (i == 2)
				good = false;
	}
	buf_clear(&text);
	if (!good || json_member(header, "crit", &value))
		return refuse(err, "not an access token");
	return !json_member(header, "kid", &value) || json_text(&value, id) || refuse(err, "kid is no text");
}

/* A key's own name, where both have one, must be the token's; its algorithm must be in any case. */
static bool
signature_check(const struct jwk_set *keys, enum jwk_algorithm algorithm, struct str id, struct str text,
    struct str signature)
{
	for (size_t i = 0; i < keys->n; i++) {
		const struct jwk *key = &keys->list[i];

		if (key->algorithm == algorithm &&
		    (id.n == 0 || key->id[0] == '\0' || str_equal(id, str_from(key->id))) &&
		    jwk_verify(key, text, signature))
			return true;
	}
	return false;
}

/* A part of the token, decoded; out was given its maximum. */
static bool
part_read(struct str *rest, struct buf *out)
{
	struct str word;

	return str_token(rest, '.', &word) && base64url_decode(out, word);
}

static bool
jwt_check(struct str token, struct buf parts[3], const struct jwk_set *keys, const struct token_rules *rules,
    uint64_t now_s, struct token_owner *owner, struct err *err)
{
	char id_bytes[JWK_ID_MAX + 1];
	struct json header, claims;
	enum jwk_algorithm algorithm = JWK_RS256;
	struct str rest = token;
	struct buf id;
	bool good;

	for (size_t i = 0; i < 3; i++)
		if (!part_read(&rest, &parts[i]))
			return refuse(err, "malformed");
	if (rest.p != NULL || !json_read(&header, buf_str(&parts[0])) || !json_read(&claims, buf_str(&parts[1])))
		return refuse(err, "malformed");
	buf_init(&id, JWK_ID_MAX);
	good = header_check(&header, &algorithm, &id, err);
	(void)str_copy(id_bytes, sizeof id_bytes, buf_str(&id));
	buf_clear(&id);
	if (!good)
		return false;
	if (!signature_check(keys, algorithm, str_from(id_bytes), str_sub(token, 0, str_find_last(token, '.')),
	        buf_str(&parts[2])))
		return refuse(err, "not signed by a key that we know");
	return claims_check(&claims, rules, now_s, true, owner, err);
}

bool
token_jwt_read(struct str token, const struct jwk_set *keys, const struct token_rules *rules, uint64_t now_s,
    struct token_owner *owner, struct err *err)
{
	struct buf parts[3];
	bool good;

	for (size_t i = 0; i < 3; i++)
		buf_init(&parts[i], TOKEN_MAX);
	good = token_is_good(token) ? jwt_check(token, parts, keys, rules, now_s, owner, err) : refuse(err, "malformed");
	for (size_t i = 0; i < 3; i++)
		buf_clear(&parts[i]);
	return good;
}

/* --- introspection ------------------------------------------------------------------------------------------------- */

bool
token_introspection_read(struct str body, const struct token_rules *rules, uint64_t now_s,
    struct token_owner *owner, bool *understood, struct err *err)
{
	struct json claims, active;

	*understood = json_read(&claims, str_trim(body)) && json_member(&claims, "active", &active) &&
		      (active.kind == JSON_TRUE || active.kind == JSON_FALSE);
	if (!*understood)
		return refuse(err, "not an introspection response");
	if (active.kind == JSON_FALSE)
		return refuse(err, "its server does not know it");
	return claims_check(&claims, rules, now_s, false, owner, err);
}
