#include "queue/sendmail_options.h"

#include <stdio.h>
#include <string.h>

static bool
refuse(struct sendmail_options *o, const char *why, const char *word)
{
	(void)snprintf(o->problem, sizeof o->problem, "%s%.60s", why, word);
	return false;
}

/* ---- what an option does with its value ------------------------------------------------------------------------- */

static bool
take_mode(struct sendmail_options *o, const char *value)
{
	static const struct {
		char letter;
		enum sendmail_mode mode;
		const char *refusal;
	} modes[] = {
	    {'m', SENDMAIL_SEND, NULL},
	    {'a', SENDMAIL_SEND, "-ba (the ARPANET's protocol) is not there"},
	    {'s', SENDMAIL_SMTP, NULL},
	    {'v', SENDMAIL_VERIFY, NULL},
	    {'p', SENDMAIL_LIST, NULL},
	    {'P', SENDMAIL_LIST, NULL},
	    {'i', SENDMAIL_ALIASES, NULL},
	    {'I', SENDMAIL_ALIASES, NULL},
	    {'d', SENDMAIL_SEND, "this is not the server: start it with `systemctl start merpati.target` or `merpati run`"},
	    {'D', SENDMAIL_SEND, "this is not the server: start it with `merpati run`"},
	    {'l', SENDMAIL_SEND, "this is not the server: start it with `systemctl start merpati.target` or `merpati run`"},
	    {'h', SENDMAIL_SEND, "there is no host status: see `merpati queue list`"},
	    {'H', SENDMAIL_SEND, "there is no host status that could be purged"},
	    {'t', SENDMAIL_SEND, "there are no rewriting rules to test: see -bv"},
	};

	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		if (value[0] != modes[i].letter || value[1] != '\0')
			continue;
		o->mode = modes[i].mode;
		return modes[i].refusal == NULL || refuse(o, modes[i].refusal, "");
	}
	return refuse(o, "not one of -bm, -bs, -bv, -bp and -bi: -b", value);
}

static bool
take_body(struct sendmail_options *o, const char *value)
{
	struct str word = str_from(value);

	if (str_equal_nocase(word, STR("7BIT")))
		o->body = SENDMAIL_BODY_7BIT;
	else if (str_equal_nocase(word, STR("8BITMIME")))
		o->body = SENDMAIL_BODY_8BITMIME;
	else
		return refuse(o, "-B takes 7BIT or 8BITMIME, not ", value);
	return true;
}

/* The configuration of another mail system, which programs name out of habit, is not ours. */
static bool
take_conf(struct sendmail_options *o, const char *value)
{
	if (!str_ends_nocase(str_from(value), STR(".cf")))
		o->conf_path = value;
	return true;
}

static bool
take_full_name(struct sendmail_options *o, const char *value)
{
	o->full_name = value;
	return true;
}

static bool
take_sender(struct sendmail_options *o, const char *value)
{
	o->sender = value;
	return true;
}

static bool
take_aliases(struct sendmail_options *o, const char *value)
{
	(void)value;
	o->mode = SENDMAIL_ALIASES;
	return true;
}

static bool
take_dots(struct sendmail_options *o, const char *value)
{
	(void)value;
	o->ignore_dots = true;
	return true;
}

/* RFC 3461 4.1: NEVER stands alone. */
static bool
take_notify(struct sendmail_options *o, const char *value)
{
	static const char *const words[] = {"SUCCESS", "FAILURE", "DELAY"};
	struct str rest = str_from(value), word;
	unsigned seen = 0;

	if (str_equal_nocase(rest, STR("never")))
		return str_copy(o->notify, sizeof o->notify, STR("NEVER"));
	o->notify[0] = '\0';
	while (str_token(&rest, ',', &word)) {
		unsigned i = 0;

		while (i < 3 && !str_equal_nocase(str_trim(word), str_from(words[i])))
			i++;
		if (i == 3)
			return refuse(o, "-N takes never, or some of failure,delay,success: not ", value);
		seen |= 1U << i;
	}
	for (unsigned i = 0; i < 3; i++)
		if (seen & 1U << i)
			(void)snprintf(o->notify + strlen(o->notify), sizeof o->notify - strlen(o->notify), "%s%s",
			    o->notify[0] != '\0' ? "," : "", words[i]);
	return true;
}

/* Of all of Sendmail's own options `i`, `7` and `8` mean something here. */
static bool
take_own_option(struct sendmail_options *o, const char *value)
{
	if (strcmp(value, "i") == 0 || strcmp(value, "iTrue") == 0)
		o->ignore_dots = true;
	else if (strcmp(value, "7") == 0)
		o->body = SENDMAIL_BODY_7BIT;
	else if (strcmp(value, "8") == 0)
		o->body = SENDMAIL_BODY_8BITMIME;
	return true;
}

static bool
take_long_option(struct sendmail_options *o, const char *value)
{
	if (str_equal_nocase(str_from(value), STR("IgnoreDots")) || str_equal_nocase(str_from(value), STR("IgnoreDots=True")))
		o->ignore_dots = true;
	return true;
}

static bool
take_retry(struct sendmail_options *o, const char *value)
{
	static const struct {
		char letter;
		enum sendmail_retry what;
	} kinds[] = {{'I', SENDMAIL_RETRY_ID}, {'R', SENDMAIL_RETRY_SITE}, {'S', SENDMAIL_RETRY_SENDER}};

	o->mode = SENDMAIL_RETRY;
	o->retry_what = SENDMAIL_RETRY_ALL;
	if (value == NULL)
		return true;
	if (ascii_is_digit(value[0]))
		return refuse(o, "the mail system tries again on its own (`retry` in merpati.conf); -q alone tries all now", "");
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (value[0] != kinds[i].letter || value[1] == '\0')
			continue;
		o->retry_what = kinds[i].what;
		o->retry = value + 1;
		return true;
	}
	return refuse(o, "not one of -q, -qIID, -qRSITE and -qSSENDER: -q", value);
}

/* RFC 3461 4.3. A number was Sendmail's limit on what is returned. */
static bool
take_ret(struct sendmail_options *o, const char *value)
{
	if (str_equal_nocase(str_from(value), STR("full")))
		o->ret = "FULL";
	else if (str_equal_nocase(str_from(value), STR("hdrs")))
		o->ret = "HDRS";
	else if (!ascii_is_digit(value[0]))
		return refuse(o, "-R takes full or hdrs, not ", value);
	return true;
}

static bool
take_from_header(struct sendmail_options *o, const char *value)
{
	(void)value;
	o->takes_recipients = true;
	return true;
}

/* RFC 3461 4.4: printable characters, which travel as xtext. */
static bool
take_envid(struct sendmail_options *o, const char *value)
{
	size_t n = strlen(value);

	for (size_t i = 0; i < n; i++)
		if (!ascii_is_print(value[i]))
			return refuse(o, "-V takes printable characters only", "");
	if (n == 0 || n > SENDMAIL_ENVID_MAX)
		return refuse(o, "-V takes 1 to 100 characters", "");
	o->envid = value;
	return true;
}

static bool
take_verbose(struct sendmail_options *o, const char *value)
{
	(void)value;
	o->is_verbose = true;
	return true;
}

/* -XLOGFILE has no meaning; who asks for a return path for each recipient counts on getting it. */
static bool
take_log(struct sendmail_options *o, const char *value)
{
	if (value[0] == 'V' && strlen(value) <= 3)
		return refuse(o, "VERP (-XV) is not there: send to each recipient with a sender (-f) of its own", "");
	return true;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

enum takes {
	ALONE,
	VALUE, /* behind the letter, or the next word */
	MAYBE, /* behind the letter only */
};

static const struct option_row {
	char letter;
	enum takes takes;
	bool (*take)(struct sendmail_options *o, const char *value); /* NULL: passed over */
} rows[] = {
    {'A', VALUE, NULL}, /* -Ac, -Am: there is one configuration */
    {'B', VALUE, take_body},
    {'b', VALUE, take_mode},
    {'C', VALUE, take_conf},
    {'c', ALONE, NULL},
    {'D', MAYBE, NULL},
    {'d', MAYBE, NULL},
    {'E', ALONE, NULL},
    {'e', VALUE, NULL}, /* how errors are reported: they always are on standard error, and by a notification */
    {'F', VALUE, take_full_name},
    {'f', VALUE, take_sender},
    {'G', ALONE, NULL},
    {'h', VALUE, NULL}, /* the hop count: the message's Received fields are counted */
    {'I', ALONE, take_aliases},
    {'i', ALONE, take_dots},
    {'L', VALUE, NULL},
    {'m', ALONE, NULL},
    {'N', VALUE, take_notify},
    {'n', ALONE, NULL},
    {'O', VALUE, take_long_option},
    {'o', VALUE, take_own_option},
    {'p', VALUE, NULL},
    {'q', MAYBE, take_retry},
    {'R', VALUE, take_ret},
    {'r', VALUE, take_sender},
    {'t', ALONE, take_from_header},
    {'U', ALONE, NULL},
    {'V', VALUE, take_envid},
    {'v', ALONE, take_verbose},
    {'X', VALUE, take_log},
    {'x', ALONE, NULL},
};

static const struct option_row *
row_find(char letter)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].letter == letter)
			return &rows[i];
	return NULL;
}

/* One word of options, "-ti" or "-fx@y"; *next is the word behind it, and taken when it is a value. */
static bool
take_word(struct sendmail_options *o, const char *word, char ***next)
{
	for (const char *p = word + 1; *p != '\0'; p++) {
		const char letter[2] = {*p, '\0'};
		const struct option_row *row = row_find(*p);
		const char *value = p[1] != '\0' ? p + 1 : NULL;

		if (row == NULL)
			return refuse(o, "this option is not known: -", letter);
		if (row->takes == VALUE && value == NULL && (value = *(*next)) != NULL)
			(*next)++;
		if (row->takes == VALUE && value == NULL)
			return refuse(o, "a value is missing behind -", letter);
		if (row->take != NULL && !row->take(o, row->takes == ALONE ? NULL : value))
			return false;
		if (row->takes != ALONE)
			return true;
	}
	return true;
}

static bool
fits_together(struct sendmail_options *o)
{
	switch (o->mode) {
	case SENDMAIL_SEND:
	case SENDMAIL_VERIFY:
		return o->nrecipients > 0 || o->takes_recipients || refuse(o, "no recipients (they stand behind the options; or -t)", "");
	case SENDMAIL_SMTP:
	case SENDMAIL_LIST:
	case SENDMAIL_ALIASES:
	case SENDMAIL_RETRY:
		break;
	}
	if (o->nrecipients > 0)
		return refuse(o, "this takes no recipients, but there is ", o->recipients[0]);
	return !o->takes_recipients || refuse(o, "-t is for sending only", "");
}

static enum sendmail_mode
mode_of_name(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;

	if (strcmp(name, "mailq") == 0)
		return SENDMAIL_LIST;
	return strcmp(name, "newaliases") == 0 ? SENDMAIL_ALIASES : SENDMAIL_SEND;
}

bool
sendmail_options_parse(struct sendmail_options *o, int argc, char **argv)
{
	bool ended = false;
	char **next;

	*o = (struct sendmail_options){.recipients = argv};
	if (argc < 1)
		return refuse(o, "called without a name", "");
	o->mode = mode_of_name(argv[0]);
	for (next = argv + 1; *next != NULL;) {
		char *word = *next++;

		if (!ended && strcmp(word, "--") == 0)
			ended = true;
		else if (ended || word[0] != '-' || word[1] == '\0')
			argv[o->nrecipients++] = word;
		else if (!take_word(o, word, &next))
			return false;
	}
	argv[o->nrecipients] = NULL;
	return fits_together(o);
}
