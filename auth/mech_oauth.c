#include "auth/mech_oauth.h"

#include <string.h>

#include "common/login/sasl_name.h"
#include "common/base/json.h"

#define SEPARATOR '\001'

void
mech_oauth_init(struct mech_oauth *oauth)
{
	memset(oauth, 0, sizeof *oauth);
	buf_init(&oauth->token, TOKEN_MAX);
}

void
mech_oauth_clear(struct mech_oauth *oauth)
{
	buf_clear_secret(&oauth->token);
	explicit_bzero(oauth, sizeof *oauth);
}

/* "Bearer" SP token; nothing at all from a client that only asks. */
static bool
authorization_read(struct mech_oauth *oauth, struct str value)
{
	static const struct str scheme = STR("Bearer ");

	if (value.n == 0)
		return true;
	if (!str_starts_nocase(value, scheme))
		return false;
	value = str_trim(str_skip(value, scheme.n));
	if (!token_is_good(value))
		return false;
	(void)buf_reserve(&oauth->token, value.n); /* at once, so that it leaves no copies */
	buf_add(&oauth->token, value);
	return buf_ok(&oauth->token);
}

/* *(key "=" value %x01) %x01; just one auth. Others (host, port, what may come) are passed over. */
static bool
pairs_read(struct mech_oauth *oauth, struct str rest)
{
	struct str pair;
	bool found = false;

	while (str_token(&rest, SEPARATOR, &pair) && pair.n > 0) {
		size_t equals = str_find(pair, '=');

		if (equals == pair.n || equals == 0)
			return false;
		if (!str_equal(str_sub(pair, 0, equals), STR("auth")))
			continue;
		if (found || !authorization_read(oauth, str_skip(pair, equals + 1)))
			return false;
		found = true;
	}
	return found && rest.p != NULL && rest.n == 0; /* the empty pair was there, and nothing behind it */
}

/* gs2-header = ("n" / "y") "," ["a=" saslname] ","; then a separator and the pairs. There is no channel binding. */
bool
mech_oauth_bearer_read(struct mech_oauth *oauth, struct str message)
{
	struct str rest = message, flag, name, behind;

	if (!str_token(&rest, ',', &flag) || !str_token(&rest, ',', &name) || !str_token(&rest, SEPARATOR, &behind))
		return false;
	if (!(str_equal(flag, STR("n")) || str_equal(flag, STR("y"))) || behind.n > 0 ||
	    (name.n > 0 && (!str_starts(name, STR("a=")) || !sasl_name_read(oauth->claimed, str_skip(name, 2)))))
		return false;
	return pairs_read(oauth, rest);
}

/* "user=" name %x01 "auth=Bearer " token %x01 %x01 */
bool
mech_oauth_xoauth2_read(struct mech_oauth *oauth, struct str message)
{
	static const struct str user = STR("user=");
	struct str rest = message, first;

	return str_token(&rest, SEPARATOR, &first) && str_starts_nocase(first, user) && first.n > user.n &&
	       str_copy(oauth->claimed, sizeof oauth->claimed, str_skip(first, user.n)) && pairs_read(oauth, rest);
}

static void
hints_add(struct buf *out, const struct mech_oauth_hints *hints)
{
	if (hints->scope.n > 0)
		json_add_member(out, "scope", hints->scope);
	if (hints->configuration.n > 0)
		json_add_member(out, "openid-configuration", hints->configuration);
	buf_addc(out, '}');
}

void
mech_oauth_bearer_refuse(struct buf *out, const struct mech_oauth_hints *hints)
{
	buf_addc(out, '{');
	json_add_member(out, "status", STR("invalid_token"));
	hints_add(out, hints);
}

void
mech_oauth_xoauth2_refuse(struct buf *out, const struct mech_oauth_hints *hints)
{
	buf_addc(out, '{');
	json_add_member(out, "status", STR("401"));
	json_add_member(out, "schemes", STR("bearer"));
	hints_add(out, hints);
}
