#include "queue/listing_filter.h"

/* ---- ranges -------------------------------------------------------------------------------------------------------- */

struct unit {
	char letter;
	uint64_t factor;
};

static const struct unit times[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}, {'\0', 0}};
static const struct unit sizes[] = {{'K', 1024}, {'M', 1024 * 1024}, {'G', 1024ULL * 1024 * 1024}, {'\0', 0}};

/* Digits and, behind them, one of the units; a size may lack it. Nothing: 0. */
static bool
quantity_parse(struct str text, const struct unit *units, uint64_t *value)
{
	uint64_t factor = units == sizes ? 1 : 0;
	char last = text.n > 0 ? ascii_lower(text.p[text.n - 1]) : '\0';

	*value = 0;
	if (text.n == 0)
		return true;
	for (; units->letter != '\0'; units++)
		if (ascii_lower(units->letter) == last)
			break;
	if (units->letter != '\0') {
		factor = units->factor;
		text.n--;
	}
	if (factor == 0 || !str_to_u64(text, UINT64_MAX / factor, value))
		return false;
	*value *= factor;
	return true;
}

/* MIN, MIN.., ..MAX, MIN..MAX */
static bool
range_parse(struct str text, const struct unit *units, uint64_t *min, uint64_t *max)
{
	size_t dots = str_search(text, STR(".."));

	return text.n > 0 && quantity_parse(str_sub(text, 0, dots), units, min) &&
	    quantity_parse(str_skip(text, dots + 2), units, max);
}

bool
listing_filter_age(struct listing_filter *f, struct str text, const char **problem)
{
	*problem = "an age is a time such as 4h (at least), ..30m (at most), or 4h..2d";
	return range_parse(text, times, &f->age_min_s, &f->age_max_s);
}

bool
listing_filter_size(struct listing_filter *f, struct str text, const char **problem)
{
	*problem = "a size is a number such as 10M (at least), ..64K (at most), or 1M..10M";
	return range_parse(text, sizes, &f->size_min, &f->size_max);
}

bool
listing_filter_state(struct listing_filter *f, struct str text, const char **problem)
{
	struct str word;

	*problem = "a state is incoming, active, deferred, hold or corrupt; or several with commas between";
	f->places = 0;
	while (str_token(&text, ',', &word)) {
		unsigned place = 0;

		while (place < SPOOL_PLACES && !str_equal_nocase(word, str_from(spool_place_name((enum spool_place)place))))
			place++;
		if (place == SPOOL_PLACES)
			return false;
		f->places |= 1U << place;
	}
	return f->places != 0;
}

bool
listing_filter_is_empty(const struct listing_filter *f)
{
	return f->sender.p == NULL && f->recipient.p == NULL && f->site.p == NULL && f->reason.p == NULL &&
	    f->age_min_s == 0 && f->age_max_s == 0 && f->size_min == 0 && f->size_max == 0 && f->places == 0;
}

/* ---- text ---------------------------------------------------------------------------------------------------------- */

static bool
contains_nocase(struct str text, struct str part)
{
	for (size_t i = 0; i + part.n <= text.n; i++)
		if (str_equal_nocase(str_sub(text, i, part.n), part))
			return true;
	return false;
}

/* `*` and `?`; goes back only to the last star, so that its cost is bounded by the product of the lengths. */
static bool
pattern_matches(struct str pattern, struct str text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;

	while (t < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			mark = t;
		} else if (p < pattern.n && (pattern.p[p] == '?' || ascii_lower(pattern.p[p]) == ascii_lower(text.p[t]))) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++mark;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

bool
listing_filter_address(struct str pattern, struct str address)
{
	if (str_equal(pattern, STR("<>")))
		return address.n == 0;
	if (str_find(pattern, '*') < pattern.n || str_find(pattern, '?') < pattern.n)
		return pattern_matches(pattern, address);
	if (pattern.n > 0 && pattern.p[0] == '@')
		return str_ends_nocase(address, pattern);
	if (str_find(pattern, '@') < pattern.n)
		return str_equal_nocase(pattern, address);
	return contains_nocase(address, pattern);
}

static bool
site_matches(struct str site, const struct recipient *r)
{
	struct str domain = str_skip(r->address, str_find_last(r->address, '@') + 1);
	struct str relay = str_sub(r->relay, 0, str_find(r->relay, '['));
	bool below = site.n > 0 && site.p[0] == '@';

	site = below ? str_skip(site, 1) : site;
	if (str_equal_nocase(domain, site) || str_equal_nocase(relay, site) || str_equal_nocase(r->relay, site))
		return true;
	return below && domain.n > site.n && str_ends_nocase(domain, site) && domain.p[domain.n - site.n - 1] == '.';
}

/* ---- messages ------------------------------------------------------------------------------------------------------ */

static uint64_t
age_of(const struct queue_id *id, uint64_t now_s)
{
	uint64_t arrival_s = queue_id_time_us(id) / 1000000;

	return now_s > arrival_s ? now_s - arrival_s : 0;
}

static bool
is_within(uint64_t value, uint64_t min, uint64_t max)
{
	return value >= min && (max == 0 || value <= max);
}

bool
listing_filter_may_match(const struct listing_filter *f, const struct queue_id *id, uint64_t now_s)
{
	return is_within(age_of(id, now_s), f->age_min_s, f->age_max_s);
}

static bool
recipient_matches(const struct listing_filter *f, const struct recipient *r)
{
	if (r->state != QUEUE_WAITING)
		return false;
	if (f->recipient.p != NULL && !listing_filter_address(f->recipient, r->address))
		return false;
	if (f->site.p != NULL && !site_matches(f->site, r))
		return false;
	return f->reason.p == NULL || contains_nocase(r->reply, f->reason);
}

static bool
any_recipient_matches(const struct listing_filter *f, const struct envelope *e)
{
	if (f->recipient.p == NULL && f->site.p == NULL && f->reason.p == NULL)
		return true;
	for (size_t i = 0; i < e->nrecipients; i++)
		if (recipient_matches(f, &e->recipients[i]))
			return true;
	return false;
}

bool
listing_filter_matches(const struct listing_filter *f, const struct listed *m, uint64_t now_s)
{
	if (f->places != 0 && (f->places & 1U << m->place) == 0)
		return false;
	if (!listing_filter_may_match(f, &m->id, now_s) || !is_within(m->envelope.head.message_size, f->size_min, f->size_max))
		return false;
	if (f->sender.p != NULL && !listing_filter_address(f->sender, m->envelope.sender))
		return false;
	return any_recipient_matches(f, &m->envelope);
}
