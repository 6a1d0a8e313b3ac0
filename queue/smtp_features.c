#include "queue/smtp_features.h"

#include <stddef.h>

#define CODE_AND_SEPARATOR 4

/* NAME=NUMBER, any number of them. What is not known, or 0, is no limit. */
static void
limits_read(struct smtp_features *f, struct str rest)
{
	struct str word, name;
	uint64_t value;

	while (str_word(&rest, &word)) {
		if (!str_token(&word, '=', &name) || !str_to_u64(word, UINT64_MAX, &value))
			continue;
		if (str_equal_nocase(name, STR("RCPTMAX")))
			f->recipients_max = value;
		else if (str_equal_nocase(name, STR("RCPTDOMAINMAX")))
			f->domains_max = value;
		else if (str_equal_nocase(name, STR("MAILMAX")))
			f->mails_max = value;
	}
}

static void
size_read(struct smtp_features *f, struct str rest)
{
	struct str word;

	f->size = true;
	if (!str_word(&rest, &word) || !str_to_u64(word, UINT64_MAX, &f->size_max))
		f->size_max = 0;
}

static void
deliver_by_read(struct smtp_features *f, struct str rest)
{
	struct str word;

	f->deliver_by = true;
	if (!str_word(&rest, &word) || !str_to_u64(word, UINT64_MAX, &f->deliver_by_min_s))
		f->deliver_by_min_s = 0;
}

/* Those that are there or not. */
static const struct {
	struct str keyword;
	size_t offset; /* of the bool */
} plain_features[] = {
    {{"PIPELINING", 10}, offsetof(struct smtp_features, pipelining)},
    {{"STARTTLS", 8}, offsetof(struct smtp_features, starttls)},
    {{"8BITMIME", 8}, offsetof(struct smtp_features, eightbit)},
    {{"SMTPUTF8", 8}, offsetof(struct smtp_features, smtputf8)},
    {{"DSN", 3}, offsetof(struct smtp_features, dsn)},
    {{"CHUNKING", 8}, offsetof(struct smtp_features, chunking)},
    {{"BINARYMIME", 10}, offsetof(struct smtp_features, binary)},
    {{"REQUIRETLS", 10}, offsetof(struct smtp_features, requiretls)},
    {{"MT-PRIORITY", 11}, offsetof(struct smtp_features, priority)},
};

static void
feature(struct smtp_features *f, struct str line)
{
	struct str word;

	if (!str_word(&line, &word))
		return;
	for (size_t i = 0; i < sizeof plain_features / sizeof plain_features[0]; i++)
		if (str_equal_nocase(word, plain_features[i].keyword))
			*(bool *)((char *)f + plain_features[i].offset) = true;
	if (str_equal_nocase(word, STR("SIZE")))
		size_read(f, line);
	else if (str_equal_nocase(word, STR("DELIVERBY")))
		deliver_by_read(f, line);
	else if (str_equal_nocase(word, STR("LIMITS")))
		limits_read(f, line);
	else if (str_equal_nocase(word, STR("AUTH")))
		f->auth |= sasl_mechanisms_read(line);
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

struct str
smtp_features_words(const struct smtp_reply *reply, struct str keyword)
{
	struct str rest = buf_str(&reply->text), line, word;

	(void)str_token(&rest, '\n', &line);
	while (str_token(&rest, '\n', &line)) {
		line = str_skip(line, CODE_AND_SEPARATOR);
		if (str_word(&line, &word) && str_equal_nocase(word, keyword))
			return str_trim(line);
	}
	return STR_NONE;
}
