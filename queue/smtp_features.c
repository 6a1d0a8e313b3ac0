#include "queue/smtp_features.h"

#define CODE_AND_SEPARATOR 4

static void
feature(struct smtp_features *f, struct str line)
{
	struct str word;

	if (!str_word(&line, &word))
		return;
	if (str_equal_nocase(word, STR("PIPELINING"))) {
		f->pipelining = true;
	} else if (str_equal_nocase(word, STR("STARTTLS"))) {
		f->starttls = true;
	} else if (str_equal_nocase(word, STR("8BITMIME"))) {
		f->eightbit = true;
	} else if (str_equal_nocase(word, STR("SMTPUTF8"))) {
		f->smtputf8 = true;
	} else if (str_equal_nocase(word, STR("DSN"))) {
		f->dsn = true;
	} else if (str_equal_nocase(word, STR("SIZE"))) {
		f->size = true;
		if (!str_word(&line, &word) || !str_to_u64(word, UINT64_MAX, &f->size_max))
			f->size_max = 0;
	}
}

void
smtp_features_read(struct smtp_features *features, const struct smtp_reply *reply)
{
	struct str rest = buf_str(&reply->text), line;

	*features = (struct smtp_features){0};
	(void)str_token(&rest, '\n', &line); /* the server's name and greeting */
	while (str_token(&rest, '\n', &line))
		feature(features, str_skip(line, CODE_AND_SEPARATOR));
}
