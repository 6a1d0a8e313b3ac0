#include "common/net/socketmap.h"

#include "common/base/netstring.h"

static const struct str status_words[] = {
	[SOCKETMAP_OK] = STR("OK"),
	[SOCKETMAP_NOTFOUND] = STR("NOTFOUND"),
	[SOCKETMAP_TEMP] = STR("TEMP"),
	[SOCKETMAP_PERM] = STR("PERM"),
};

/* A netstring of two words with a blank between. */
static void
pair_add(struct buf *out, struct str word, struct str rest)
{
	buf_addf(out, "%zu:", word.n + 1 + rest.n);
	buf_add(out, word);
	buf_addc(out, ' ');
	buf_add(out, rest);
	buf_addc(out, ',');
}

void
socketmap_request_add(struct buf *out, struct str map, struct str key)
{
	pair_add(out, map, key);
}

enum parse
socketmap_request_take(struct str *rest, struct str *map, struct str *key)
{
	struct str after = *rest, request;
	enum parse parse = netstring_take(&after, SOCKETMAP_REQUEST_MAX, &request);
	size_t blank;

	if (parse != PARSE_OK)
		return parse;
	blank = str_find(request, ' ');
	if (blank == 0 || blank == request.n)
		return PARSE_BAD;
	*map = str_sub(request, 0, blank);
	*key = str_skip(request, blank + 1);
	*rest = after;
	return PARSE_OK;
}

void
socketmap_reply_add(struct buf *out, enum socketmap_status status, struct str value)
{
	pair_add(out, status_words[status], value);
}

static bool
status_read(struct str word, enum socketmap_status *status)
{
	if (str_equal(word, STR("TIMEOUT"))) {
		*status = SOCKETMAP_TEMP;
		return true;
	}
	for (size_t i = 0; i < sizeof status_words / sizeof status_words[0]; i++) {
		if (!str_equal(word, status_words[i]))
			continue;
		*status = (enum socketmap_status)i;
		return true;
	}
	return false;
}

enum parse
socketmap_reply_take(struct str *rest, enum socketmap_status *status, struct str *value)
{
	struct str after = *rest, reply;
	enum parse parse = netstring_take(&after, SOCKETMAP_REPLY_MAX, &reply);
	size_t blank;

	if (parse != PARSE_OK)
		return parse;
	blank = str_find(reply, ' ');
	if (!status_read(str_sub(reply, 0, blank), status))
		return PARSE_BAD;
	*value = str_skip(reply, blank + 1);
	*rest = after;
	return PARSE_OK;
}
