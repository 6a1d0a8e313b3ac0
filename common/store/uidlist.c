#include "common/store/uidlist.h"

static bool
uid_parse(struct str s, uint32_t *uid)
{
	uint64_t value;

	if (!str_to_u64(s, UINT32_MAX, &value) || value == 0)
		return false;
	*uid = (uint32_t)value;
	return true;
}

/* V and N in any order; what else stands there is of no use to us. */
static void
head_version_3(struct uidlist *list, struct str line)
{
	struct str word;

	while (str_word(&line, &word)) {
		if (word.p[0] == 'V')
			(void)uid_parse(str_skip(word, 1), &list->uidvalidity);
		else if (word.p[0] == 'N')
			(void)uid_parse(str_skip(word, 1), &list->next);
	}
}

static void
head_version_1(struct uidlist *list, struct str line)
{
	struct str word;

	if (str_word(&line, &word))
		(void)uid_parse(word, &list->uidvalidity);
	if (str_word(&line, &word))
		(void)uid_parse(word, &list->next);
}

bool
uidlist_open(struct uidlist *list, struct str text)
{
	struct str line, version;

	*list = (struct uidlist){.next = 1, .rest = text};
	if (!str_token(&list->rest, '\n', &line) || !str_word(&line, &version))
		return false;
	if (str_equal(version, STR("3"))) {
		list->version = 3;
		head_version_3(list, line);
	} else if (str_equal(version, STR("1"))) {
		list->version = 1;
		head_version_1(list, line);
	}
	return list->uidvalidity != 0;
}

bool
uidlist_next(struct uidlist *list, uint32_t *uid, struct str *base)
{
	struct str line, word;

	while (str_token(&list->rest, '\n', &line)) {
		if (!str_word(&line, &word) || !uid_parse(word, uid))
			continue;
		if (list->version == 3) {
			size_t colon = str_find(line, ':');

			if (colon == line.n)
				continue;
			line = str_skip(line, colon + 1);
		} else {
			line = str_trim(line);
		}
		*base = str_sub(line, 0, str_find(line, ':'));
		if (base->n > 0 && base->n <= MAILDIR_NAME_MAX)
			return true;
	}
	return false;
}

bool
uidlist_parse_mbsync(struct str text, uint32_t *uidvalidity, uint32_t *next)
{
	struct str line;
	uint64_t highest;

	if (!str_token(&text, '\n', &line) || !uid_parse(str_trim(line), uidvalidity))
		return false;
	if (!str_token(&text, '\n', &line) || !str_to_u64(str_trim(line), UINT32_MAX - 1, &highest))
		return false;
	*next = (uint32_t)highest + 1;
	return true;
}

void
uidlist_parse_keywords(struct mailbox_state *state, struct str text)
{
	struct str line, word;

	while (str_token(&text, '\n', &line)) {
		struct str name;
		uint64_t i;

		if (!str_word(&line, &word) || !str_to_u64(word, MAILDIR_KEYWORDS_MAX - 1, &i))
			continue;
		name = str_trim(line);
		if (state->keywords[i][0] == '\0' && mailbox_keyword_is_good(name))
			(void)str_copy(state->keywords[i], sizeof state->keywords[i], name);
	}
}
