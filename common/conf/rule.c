#include "common/conf/rule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf/conf_value.h"
#include "common/dns/idn.h"
#include "common/smtp/enhanced_status.h"
#include "common/conf/rule_token.h"

#define VALUES_A_CONDITION 1024
#define DOMAIN_MAX 512 /* bytes of a pattern's domain */

/* Words of the grammar, in the order of the enumerations. */
static const char *const actions[] = {"accept", "relay", "refuse", "defer", "slow", "ask", "greylist", "tag", "warn",
    "standard"};
static const char *const subjects[] = {"client", "helo", "tls", "certificate", "login", "sender", "recipient"};
static const char *const words[] = {"any", "fqdn", "known", "literal", "local", "none", "ours", "trusted", "unknown",
    "verified"};

#define ACTIONS (sizeof actions / sizeof actions[0])
#define SUBJECTS (sizeof subjects / sizeof subjects[0])
#define WORDS (sizeof words / sizeof words[0])
#define WORD(name) (1U << RULE_WORD_##name)

/* What the values of each subject may be. */
static const struct {
	unsigned words; /* bits 1 << enum rule_word */
	bool networks, names, addresses;
	enum rule_set_kind files;
	const char *form;
} forms[] = {
    [RULE_CLIENT] = {WORD(KNOWN) | WORD(UNKNOWN) | WORD(TRUSTED) | WORD(LOCAL), true, true, false, RULE_SET_CLIENTS,
	"an address, a network, a name such as *.example.org, or one of: known local trusted unknown"},
    [RULE_HELO] = {WORD(FQDN) | WORD(LITERAL) | WORD(OURS), false, true, false, RULE_SET_NAMES,
	"a name such as *.example.org, or one of: fqdn literal ours"},
    [RULE_TLS] = {WORD(ANY) | WORD(NONE) | WORD(VERIFIED), false, true, false, RULE_SET_NAMES,
	"one of: any none verified TLSv1.2 TLSv1.3"},
    [RULE_CERTIFICATE] = {WORD(KNOWN) | WORD(NONE), false, true, false, RULE_SET_NAMES,
	"a name such as *.example.org, a SHA-256 fingerprint in hexadecimal, or one of: known none"},
    [RULE_LOGIN] = {WORD(KNOWN) | WORD(NONE), false, true, false, RULE_SET_NAMES,
	"a login such as *@example.org, or one of: known none"},
    [RULE_SENDER] = {WORD(NONE) | WORD(OURS) | WORD(FQDN), false, false, true, RULE_SET_ADDRESSES,
	"an address such as *@example.org, a domain, or one of: fqdn none ours"},
    [RULE_RECIPIENT] = {WORD(OURS) | WORD(FQDN), false, false, true, RULE_SET_ADDRESSES,
	"an address such as *@example.org, a domain, or one of: fqdn ours"},
};

static const char *const standard[] = {
    "accept when client is trusted",
    "accept when login is known",
    "refuse 550 5.7.1 \"You are not me\" when helo is ours",
    "refuse 553 5.1.8 \"The sender needs a domain to which an answer can be sent\" when sender is not (none fqdn)",
};

const char *
rule_standard(size_t i)
{
	return i < sizeof standard / sizeof standard[0] ? standard[i] : NULL;
}

/* What a rule is made from. */
struct making {
	struct rule_list *list;
	struct rule_maker *maker;
	struct rule *rule;
	struct rule_tokens in;
	unsigned line;
	struct err *err;
};

static bool
no_memory(struct err *err)
{
	return err_set(err, ERR_LIMIT, "the configuration is too large");
}

/* Index of the word, or n. */
static size_t
word_index(const struct rule_token *token, const char *const *list, size_t n)
{
	size_t i = 0;

	if (token->kind != RULE_TOKEN_WORD)
		return n;
	while (i < n && !str_equal_nocase(token->text, str_from(list[i])))
		i++;
	return i;
}

static struct str
lower_copy(struct arena *arena, struct str s)
{
	char *copy = arena_alloc(arena, s.n + 1);

	if (copy == NULL)
		return STR_NONE;
	for (size_t i = 0; i < s.n; i++)
		copy[i] = ascii_lower(s.p[i]);
	return (struct str){copy, s.n};
}

/* --- values ------------------------------------------------------------------------------------------------------- */

static bool
value_is_wrong(struct making *m, const struct rule_condition *c, struct str text, const char *why)
{
	return err_set(m->err, ERR_PERM, "%s: \"%.*s\" %s; it must be %s", subjects[c->subject],
	    STR_FMT(str_sub(text, 0, 60)), why, forms[c->subject].form);
}

static size_t
count_stars(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '*';
	return n;
}

/* "a@x" and "*@x"; "@x" and "x" mean any local part. */
static bool
address_pattern(struct making *m, struct str text, struct rule_value *value)
{
	size_t at = str_find_last(text, '@');
	bool has_local = at < text.n && at > 0;
	char domain[DOMAIN_MAX];

	value->kind = RULE_IS_ADDRESS;
	value->local = has_local ? lower_copy(m->maker->arena, str_sub(text, 0, at)) : STR("*");
	value->name = arena_copy(m->maker->arena,
	    idn_fold(at == text.n ? text : str_skip(text, at + 1), domain, sizeof domain));
	return (value->local.p != NULL && value->name.p != NULL) || no_memory(m->err);
}

/* "AB:CD:..." as openssl shows it, without its colons. */
static struct str
fingerprint_copy(struct arena *arena, struct str text)
{
	struct str copy = lower_copy(arena, text);
	char *p = arena_alloc(arena, copy.n + 1);
	size_t n = 0;

	if (copy.p == NULL || p == NULL)
		return STR_NONE;
	for (size_t i = 0; i < copy.n; i++)
		if (ascii_hex_value(copy.p[i]) >= 0)
			p[n++] = copy.p[i];
		else if (copy.p[i] != ':')
			return copy;
	return n == 64 ? (struct str){p, n} : copy;
}

/* A word that is neither quoted nor known, and can be no pattern either, is a slip of the pen. */
static bool
looks_like_pattern(const struct rule_condition *c, struct str text)
{
	bool has_mark = str_find(text, '.') < text.n || str_find(text, '*') < text.n || str_find(text, '@') < text.n;

	switch (c->subject) {
	case RULE_CERTIFICATE:
	case RULE_LOGIN:
		return true;
	case RULE_TLS:
		return str_starts_nocase(text, STR("TLSv1"));
	case RULE_CLIENT:
	case RULE_HELO:
	case RULE_SENDER:
	case RULE_RECIPIENT:
		break;
	}
	return has_mark;
}

static bool
pattern_take(struct making *m, const struct rule_condition *c, const struct rule_token *token, struct rule_value *value)
{
	struct str text = token->text;

	if (text.n == 0)
		return value_is_wrong(m, c, text, "is empty");
	if (count_stars(text) > RULE_STARS_MAX)
		return value_is_wrong(m, c, text, "has too many stars");
	if (token->kind == RULE_TOKEN_WORD && !looks_like_pattern(c, text))
		return value_is_wrong(m, c, text, "is not known");
	if (forms[c->subject].addresses)
		return address_pattern(m, text, value);
	value->kind = RULE_IS_NAME;
	value->name = c->subject == RULE_CERTIFICATE ? fingerprint_copy(m->maker->arena, text)
						     : lower_copy(m->maker->arena, text);
	return value->name.p != NULL || no_memory(m->err);
}

static bool
is_network_like(struct str text)
{
	return text.n > 0 && (str_find(text, ':') < text.n || str_find(text, '/') < text.n ||
	                         (ascii_is_digit(text.p[text.n - 1]) && ascii_is_digit(text.p[0])));
}

static bool
value_take(struct making *m, const struct rule_condition *c, const struct rule_token *token, struct rule_value *value)
{
	size_t word = word_index(token, words, WORDS);

	if (word < WORDS && (forms[c->subject].words >> word & 1)) {
		value->kind = RULE_IS_WORD;
		value->word = (enum rule_word)word;
		return true;
	}
	if (forms[c->subject].networks && is_network_like(token->text)) {
		value->kind = RULE_IS_NETWORK;
		return network_parse(token->text, &value->network, m->err);
	}
	return pattern_take(m, c, token, value);
}

static bool
values_store(struct making *m, struct rule_condition *c, const struct rule_value *values)
{
	struct rule_value *copy = arena_alloc(m->maker->arena, c->nvalues * sizeof *copy);

	if (copy == NULL)
		return no_memory(m->err);
	memcpy(copy, values, c->nvalues * sizeof *copy);
	c->values = copy;
	return true;
}

/* After the ( up to and including the ). */
static bool
values_list(struct making *m, struct rule_condition *c, struct rule_value *values)
{
	for (;;) {
		const struct rule_token *token = rule_tokens_take(&m->in);

		if (token->kind == RULE_TOKEN_COMMA)
			continue;
		if (token->kind == RULE_TOKEN_CLOSE && c->nvalues > 0)
			return true;
		if (token->kind != RULE_TOKEN_WORD && token->kind != RULE_TOKEN_TEXT)
			return err_set(m->err, ERR_PERM, "%s: a list is ( value value ... ), with at least one value and its )",
			    subjects[c->subject]);
		if (c->nvalues == VALUES_A_CONDITION || ++m->list->nvalues > RULE_VALUES_MAX)
			return err_set(m->err, ERR_LIMIT, "%s: too many values; write them into a file and say: %s in FILE",
			    subjects[c->subject], subjects[c->subject]);
		if (!value_take(m, c, token, &values[c->nvalues++]))
			return false;
	}
}

static bool
values_take(struct making *m, struct rule_condition *c)
{
	const struct rule_token *token = rule_tokens_take(&m->in);
	struct rule_value one, *values;
	bool good;

	memset(&one, 0, sizeof one);
	if (token->kind == RULE_TOKEN_WORD || token->kind == RULE_TOKEN_TEXT) {
		c->nvalues = 1;
		m->list->nvalues++;
		return value_take(m, c, token, &one) && values_store(m, c, &one);
	}
	if (token->kind != RULE_TOKEN_OPEN)
		return err_set(m->err, ERR_PERM, "%s: a value is missing: %s", subjects[c->subject], forms[c->subject].form);
	values = calloc(VALUES_A_CONDITION, sizeof *values);
	if (values == NULL)
		return no_memory(m->err);
	good = values_list(m, c, values) && values_store(m, c, values);
	free(values);
	return good;
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static struct rule_file *
file_find(struct making *m, struct str path, enum rule_subject subject)
{
	struct rule_file *file;

	for (file = m->maker->files; file != NULL; file = file->next)
		if (str_equal(path, str_from(file->path)) && forms[file->subject].files == forms[subject].files)
			return file;
	file = arena_alloc(m->maker->arena, sizeof *file);
	if (file == NULL)
		return NULL;
	*file = (struct rule_file){.next = m->maker->files, .path = path.p, .subject = subject, .line = m->line};
	rule_set_init(&file->set, forms[subject].files);
	m->maker->files = file;
	return file;
}

static bool
file_take(struct making *m, struct rule_condition *c)
{
	const struct rule_token *token = rule_tokens_take(&m->in);
	struct str path;

	if ((token->kind != RULE_TOKEN_WORD && token->kind != RULE_TOKEN_TEXT) || token->text.n == 0)
		return err_set(m->err, ERR_PERM, "%s in: the name of a file is missing", subjects[c->subject]);
	path = token->text.p[0] == '/' ? arena_copy(m->maker->arena, token->text)
				       : arena_printf(m->maker->arena, "%.*s/%.*s", STR_FMT(m->maker->directory),
	                                     STR_FMT(token->text));
	if (path.p == NULL)
		return no_memory(m->err);
	c->file = file_find(m, path, c->subject);
	return c->file != NULL || no_memory(m->err);
}

bool
rule_files_load(struct rule_file *files, struct buf *problems, struct err *err)
{
	for (struct rule_file *file = files; file != NULL; file = file->next) {
		rule_set_clear(&file->set);
		if (!rule_set_load(&file->set, file->path, problems, err))
			return false;
	}
	return true;
}

void
rule_files_clear(struct rule_file *files)
{
	for (; files != NULL; files = files->next)
		rule_set_clear(&files->set);
}

/* --- conditions --------------------------------------------------------------------------------------------------- */

static bool
take_word(struct making *m, const char *word)
{
	const struct rule_token *token = rule_tokens_see(&m->in);

	if (token->kind != RULE_TOKEN_WORD || !str_equal_nocase(token->text, str_from(word)))
		return false;
	(void)rule_tokens_take(&m->in);
	return true;
}

static bool
condition_is_wrong(struct making *m, const char *what)
{
	const struct rule_token *token = rule_tokens_see(&m->in);

	return err_set(m->err, ERR_PERM, "%s stands where %s", rule_token_shown(token).text, what);
}

/* [not] subject [not] is|in [not] ... */
static bool
condition_take(struct making *m, struct rule_condition *c)
{
	const char *begin = rule_tokens_place(&m->in);
	size_t subject;

	c->negated = take_word(m, "not");
	subject = word_index(rule_tokens_see(&m->in), subjects, SUBJECTS);
	if (subject == SUBJECTS)
		return condition_is_wrong(m, "one of these must: client helo tls certificate login sender recipient");
	(void)rule_tokens_take(&m->in);
	c->subject = (enum rule_subject)subject;
	if (take_word(m, "not"))
		c->negated = !c->negated;
	if (take_word(m, "in")) {
		if (!file_take(m, c))
			return false;
	} else if (take_word(m, "is")) {
		if (take_word(m, "not"))
			c->negated = !c->negated;
		if (!values_take(m, c))
			return false;
	} else {
		return condition_is_wrong(m, "\"is\", \"is not\", \"in\" or \"not in\" must");
	}
	c->text = str_trim((struct str){begin, (size_t)(rule_tokens_place(&m->in) - begin)});
	c->text = arena_copy(m->maker->arena, c->text);
	return c->text.p != NULL || no_memory(m->err);
}

static bool
conditions_take(struct making *m)
{
	struct rule_condition list[RULE_CONDITIONS_MAX], *copy;
	size_t n = 0;

	memset(list, 0, sizeof list);
	do {
		if (n == RULE_CONDITIONS_MAX)
			return err_set(m->err, ERR_LIMIT, "a rule has at most %d conditions", RULE_CONDITIONS_MAX);
		if (!condition_take(m, &list[n++]))
			return false;
	} while (take_word(m, "and"));
	copy = arena_alloc(m->maker->arena, n * sizeof *copy);
	if (copy == NULL)
		return no_memory(m->err);
	memcpy(copy, list, n * sizeof *copy);
	m->rule->conditions = copy;
	m->rule->nconditions = n;
	return true;
}

/* --- actions ------------------------------------------------------------------------------------------------------ */

static bool
text_is_good(struct making *m, struct str text)
{
	if (text.n == 0 || text.n > RULE_TEXT_MAX)
		return err_set(m->err, ERR_PERM, "%s: the text must have 1 to %d bytes", actions[m->rule->action],
		    RULE_TEXT_MAX);
	for (size_t i = 0; i < text.n; i++)
		if (!ascii_is_print(text.p[i]))
			return err_set(m->err, ERR_PERM, "%s: the text may hold printable ASCII only", actions[m->rule->action]);
	return true;
}

/* The text in quotes, if it comes next. */
static bool
text_take(struct making *m, bool required)
{
	const struct rule_token *token = rule_tokens_see(&m->in);

	if (token->kind != RULE_TOKEN_TEXT) {
		if (!required)
			return true;
		return err_set(m->err, ERR_PERM, "%s needs a text in double quotes", actions[m->rule->action]);
	}
	if (!text_is_good(m, token->text))
		return false;
	m->rule->words = arena_copy(m->maker->arena, token->text);
	(void)rule_tokens_take(&m->in);
	return m->rule->words.p != NULL || no_memory(m->err);
}

/* [CODE [STATUS]] [TEXT] */
static bool
reply_take(struct making *m)
{
	unsigned class = m->rule->action == RULE_REFUSE ? 5 : 4;
	const struct rule_token *token = rule_tokens_see(&m->in);
	uint64_t code;

	m->rule->code = class == 5 ? 554 : 450;
	m->rule->status = class == 5 ? "5.7.1" : "4.7.1";
	m->rule->words = class == 5 ? STR("Access denied") : STR("Please try again later");
	if (token->kind == RULE_TOKEN_WORD && ascii_is_digit(token->text.p[0])) {
		if (!str_to_u64(token->text, class * 100 + 59, &code) || code < class * 100)
			return err_set(m->err, ERR_PERM, "%s: \"%.*s\" is not a code from %u00 to %u59", actions[m->rule->action],
			    STR_FMT(token->text), class, class);
		m->rule->code = (unsigned)code;
		token = rule_tokens_next(&m->in);
	}
	if (token->kind == RULE_TOKEN_WORD && ascii_is_digit(token->text.p[0])) {
		if (!enhanced_status_is(token->text, m->rule->code))
			return err_set(m->err, ERR_PERM, "%s: \"%.*s\" is not a status such as %u.7.1", actions[m->rule->action],
			    STR_FMT(token->text), class);
		m->rule->status = arena_copy(m->maker->arena, token->text).p;
		(void)rule_tokens_take(&m->in);
	}
	return (m->rule->status != NULL || no_memory(m->err)) && text_take(m, false);
}

static bool
slow_take(struct making *m)
{
	const struct rule_token *token = rule_tokens_take(&m->in);

	if (token->kind != RULE_TOKEN_WORD || !conf_value_time(token->text, &m->rule->slow_ms) || m->rule->slow_ms == 0 ||
	    m->rule->slow_ms > RULE_SLOW_MAX_MS)
		return err_set(m->err, ERR_PERM, "slow needs a time of up to %ds, such as \"slow 5s\"", RULE_SLOW_MAX_MS / 1000);
	return true;
}

static bool
ask_take(struct making *m)
{
	const struct rule_token *token = rule_tokens_take(&m->in);

	if (token->kind != RULE_TOKEN_WORD || token->text.n > RULE_NAME_MAX || str_equal_nocase(token->text, STR("when")))
		return err_set(m->err, ERR_PERM, "ask needs the name of a section [filter NAME] of kind policy");
	m->rule->filter = arena_copy(m->maker->arena, token->text);
	if (take_word(m, "at")) {
		if (!take_word(m, "end"))
			return condition_is_wrong(m, "\"end\" must: \"ask NAME at end\" asks when the message is there");
		m->rule->at_end = true;
	}
	return m->rule->filter.p != NULL || no_memory(m->err);
}

static bool
tag_take(struct making *m)
{
	struct str name;

	if (!text_take(m, true))
		return false;
	name = str_sub(m->rule->words, 0, str_find(m->rule->words, ':'));
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] == ' ')
			name.n = 0;
	if (name.n == 0 || name.n == m->rule->words.n || str_trim(str_skip(m->rule->words, name.n + 1)).n == 0)
		return err_set(m->err, ERR_PERM, "tag needs a header field such as \"X-Checked: yes\"");
	return true;
}

static bool
action_take(struct making *m)
{
	size_t action = word_index(rule_tokens_see(&m->in), actions, ACTIONS);

	if (action == ACTIONS)
		return err_set(m->err, ERR_PERM, "%s is no action; a rule begins with one of: accept relay refuse defer slow ask "
		    "greylist tag warn standard", rule_token_shown(rule_tokens_see(&m->in)).text);
	(void)rule_tokens_take(&m->in);
	m->rule->action = (enum rule_action)action;
	switch (m->rule->action) {
	case RULE_REFUSE:
	case RULE_DEFER:
		return reply_take(m);
	case RULE_SLOW:
		return slow_take(m);
	case RULE_ASK:
		return ask_take(m);
	case RULE_TAG:
		return tag_take(m);
	case RULE_WARN:
		return text_take(m, true);
	case RULE_ACCEPT:
	case RULE_RELAY:
	case RULE_GREYLIST:
	case RULE_STANDARD:
		break;
	}
	return true;
}

/* --- rules -------------------------------------------------------------------------------------------------------- */

/* "example.org", "*.example.org": names whose owner is meant; not "*", "*.*" or a whole registry. */
static bool
is_named_domain(struct str name)
{
	if (name.n > 2 && name.p[0] == '*' && name.p[1] == '.')
		name = str_skip(name, 2);
	return str_find(name, '*') == name.n && str_find(name, '.') < name.n;
}

#define GUARD_PREFIX_MIN 8

/* Is it something that a client cannot bring about by what it says, or a destination that is named? */
static bool
value_guards(enum rule_subject subject, const struct rule_value *v)
{
	switch (subject) {
	case RULE_CLIENT:
		return (v->kind == RULE_IS_NETWORK && v->network.prefix >= GUARD_PREFIX_MIN) ||
		    (v->kind == RULE_IS_WORD && (v->word == RULE_WORD_TRUSTED || v->word == RULE_WORD_LOCAL));
	case RULE_TLS:
		return v->kind == RULE_IS_WORD && v->word == RULE_WORD_VERIFIED;
	case RULE_CERTIFICATE:
	case RULE_LOGIN:
		return v->kind == RULE_IS_NAME || v->word == RULE_WORD_KNOWN;
	case RULE_RECIPIENT:
		return v->kind == RULE_IS_ADDRESS && is_named_domain(v->name);
	case RULE_HELO:
	case RULE_SENDER:
		break;
	}
	return false;
}

static bool
condition_guards(const struct rule_condition *c)
{
	if (c->negated)
		return false;
	if (c->file != NULL)
		return c->subject == RULE_LOGIN || c->subject == RULE_CERTIFICATE || c->subject == RULE_RECIPIENT;
	for (size_t i = 0; i < c->nvalues; i++)
		if (!value_guards(c->subject, &c->values[i]))
			return false;
	return true;
}

static bool
relay_is_guarded(struct making *m)
{
	for (size_t i = 0; i < m->rule->nconditions; i++)
		if (condition_guards(&m->rule->conditions[i]))
			return true;
	return err_set(m->err, ERR_PERM, "relay would open this host to strangers: it needs a condition that they cannot meet: "
	    "client is ADDRESS, login is ..., certificate is ..., tls is verified, or recipient is *@DOMAIN");
}

static bool
rule_take(struct making *m)
{
	if (!action_take(m))
		return false;
	if (take_word(m, "when") && !conditions_take(m))
		return false;
	if (rule_tokens_see(&m->in)->kind != RULE_TOKEN_END)
		return condition_is_wrong(m, m->rule->nconditions > 0 ? "\"and\" or the end of the line must"
								      : "\"when\" or the end of the line must");
	return m->rule->action != RULE_RELAY || relay_is_guarded(m);
}

void
rule_list_init(struct rule_list *list, unsigned line)
{
	*list = (struct rule_list){.line = line};
}

static void
append(struct rule_list *list, struct rule *rule)
{
	if (list->last == NULL)
		list->first = rule;
	else
		*list->last = rule;
	list->last = &rule->next;
	list->n++;
}

bool
rule_list_add_standard(struct rule_list *list, struct rule_maker *maker, unsigned line, struct err *err)
{
	for (size_t i = 0; rule_standard(i) != NULL; i++)
		if (!rule_list_add(list, maker, str_from(rule_standard(i)), line, err))
			return false;
	return true;
}

bool
rule_list_add(struct rule_list *list, struct rule_maker *maker, struct str text, unsigned line, struct err *err)
{
	struct rule *rule = arena_alloc(maker->arena, sizeof *rule);
	struct making m = {.list = list, .maker = maker, .rule = rule, .line = line, .err = err};

	if (list->n == RULES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d rules in a list", RULES_MAX);
	for (size_t i = 0; i < text.n; i++)
		if (((unsigned char)text.p[i] < ' ' && text.p[i] != '\t') || text.p[i] == 127)
			return err_set(err, ERR_PERM, "there is a control character in the rule");
	if (rule == NULL)
		return no_memory(err);
	rule_tokens_init(&m.in, text);
	if (!rule_take(&m))
		return false;
	if (m.in.problem != NULL)
		return err_set(err, ERR_PERM, "%s", m.in.problem);
	if (rule->action == RULE_STANDARD) {
		if (rule->nconditions > 0)
			return err_set(err, ERR_PERM, "standard stands alone in its line: its rules have conditions of their own");
		return rule_list_add_standard(list, maker, line, err);
	}
	rule->line = line;
	rule->text = arena_copy(maker->arena, str_trim(str_sub(text, 0, (size_t)(rule_tokens_place(&m.in) - text.p))));
	if (rule->text.p == NULL)
		return no_memory(err);
	append(list, rule);
	return true;
}

/* --- patterns ----------------------------------------------------------------------------------------------------- */

/* On a mismatch only the last star takes one byte more: what those before it took is as good as anything. */
bool
rule_pattern_matches(struct str pattern, struct str name)
{
	size_t p = 0, n = 0, star = SIZE_MAX, retry = 0;

	while (n < name.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			retry = n;
		} else if (p < pattern.n && pattern.p[p] == name.p[n]) {
			p++;
			n++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			n = ++retry;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}
