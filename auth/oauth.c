#include "auth/oauth.h"

bool
oauth_is_configured(const struct conf *conf)
{
	return conf->auth.oauth_keys[0] != '\0' || conf->auth.oauth_introspection[0] != '\0';
}

unsigned
oauth_count(const struct conf *conf)
{
	return oauth_is_configured(conf);
}

bool
oauth_ask_read(struct msg *m, struct str *token)
{
	*token = msg_get_str(m);
	return m->type == OAUTH_ASK && msg_done(m) && token_is_good(*token);
}

void
oauth_answer_write(struct buf *b, uint32_t id, const struct oauth_answer *answer)
{
	msg_begin(b, OAUTH_ANSWER, id);
	msg_add_u64(b, answer->found);
	msg_add_str(b, answer->value);
}

bool
oauth_answer_read(struct msg *m, struct oauth_answer *answer)
{
	uint64_t found = msg_get_u64(m);

	answer->value = msg_get_str(m);
	answer->found = found == FOUND ? FOUND : found == FOUND_NOT ? FOUND_NOT : FOUND_TROUBLE;
	return m->type == OAUTH_ANSWER && msg_done(m) && found <= FOUND_TROUBLE &&
	       (answer->found != FOUND || (answer->value.n > 0 && answer->value.n <= ACCOUNT_NAME_MAX));
}
