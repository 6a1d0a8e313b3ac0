#include "common/login/scram_message.h"

bool
scram_attribute(struct str *rest, char key, struct str *value)
{
	struct str word, ahead = *rest;

	if (!str_token(&ahead, ',', &word) || word.n < 2 || word.p[0] != key || word.p[1] != '=')
		return false;
	*value = str_skip(word, 2);
	*rest = ahead;
	return true;
}

bool
scram_nonce_is_good(struct str s, size_t max)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_print(s.p[i]) || s.p[i] == ' ' || s.p[i] == ',')
			return false;
	return s.n > 0 && s.n <= max;
}
