#include "queue/site_health.h"

/* How many windowfuls a ceiling is kept before it is tried again: first, and at most. */
#define CAUTION_MIN 4
#define CAUTION_MAX 64
/* No list of times is longer. */
#define DEATHS_MAX 1000

void
site_health_init(struct site_health *h, const struct site_limits *limits)
{
	*h = (struct site_health){.window = limits->window_start, .caution = CAUTION_MIN};
	if (h->window > limits->window)
		h->window = limits->window;
}

bool
site_health_is_dead(const struct site_health *h, uint64_t now_ms)
{
	return h->dead_until_ms > now_ms;
}

bool
site_health_has_room(const struct site_health *h, unsigned running)
{
	return running == 0 || running + 1 <= (unsigned)h->window;
}

void
site_health_probe(struct site_health *h)
{
	h->dead_until_ms = 0;
	h->probing = true;
	h->window = 1;
	h->trouble = 0;
	h->troubles = 0;
}

/* Half a step past the ceiling that was wrong, and is forgotten, or believed less. */
static void
grow(struct site_health *h)
{
	if (h->ceiling == 0 || h->window + 1 <= h->ceiling) {
		h->window += 1 / h->window;
		return;
	}
	h->window += 1 / h->window / h->caution;
	if (h->window < h->ceiling + 1.5)
		return;
	h->ceiling = h->caution > CAUTION_MIN ? h->window : 0;
	if (h->caution > CAUTION_MIN)
		h->caution /= 2;
}

void
site_health_good(struct site_health *h, const struct site_limits *limits, bool has_more)
{
	h->trouble = 0;
	h->troubles = 0;
	h->deaths = 0;
	h->dead_until_ms = 0;
	if (h->probing) {
		h->probing = false;
		h->window = limits->window_start;
	} else if (has_more) {
		grow(h);
	}
	if (h->window > limits->window)
		h->window = limits->window;
}

static void
die(struct site_health *h, const struct site_limits *limits, uint64_t now_ms)
{
	uint64_t ms = limits->dead_s[h->deaths < limits->ndead ? h->deaths : limits->ndead - 1] * 1000;

	h->dead_until_ms = now_ms + (ms < limits->dead_max_ms ? ms : limits->dead_max_ms);
	if (h->deaths < DEATHS_MAX)
		h->deaths++;
	h->probing = false;
}

static void
shrink(struct site_health *h)
{
	bool again = h->ceiling > 0 && h->window >= h->ceiling;

	/* What is begun together and fails together is one discovery. */
	if (h->troubles == 1)
		h->caution = !again ? CAUTION_MIN : h->caution < CAUTION_MAX ? h->caution * 2 : CAUTION_MAX;
	if (h->window >= 2)
		h->window -= 1;
	h->ceiling = h->window;
}

bool
site_health_trouble(struct site_health *h, const struct site_limits *limits, uint64_t now_ms)
{
	/* What was under way when it died tells nothing new. */
	if (site_health_is_dead(h, now_ms))
		return false;
	h->trouble += 1 / h->window;
	h->troubles++;
	/* The window's steps need not add up to exactly one. */
	if (h->probing || (h->trouble > 0.999 && h->troubles >= limits->dead_after)) {
		die(h, limits, now_ms);
		return true;
	}
	shrink(h);
	return false;
}
