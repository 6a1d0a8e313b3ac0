#include "queue/doctor.h"

#include <stdarg.h>
#include <stdio.h>

#define TEXT_MAX 2048

void
doctor_init(struct doctor *d)
{
	*d = (struct doctor){.conf = NULL};
	arena_init(&d->arena, DOCTOR_ARENA_MAX);
	STAILQ_INIT(&d->findings);
}

void
doctor_clear(struct doctor *d)
{
	arena_clear(&d->arena);
	STAILQ_INIT(&d->findings);
}

static struct str text_of(struct doctor *d, const char *format, va_list ap) __attribute__((format(printf, 2, 0)));

static struct str
text_of(struct doctor *d, const char *format, va_list ap)
{
	char text[TEXT_MAX];

	if (vsnprintf(text, sizeof text, format, ap) < 0)
		text[0] = '\0';
	return arena_copy(&d->arena, str_from(text));
}

void
doctor_find(struct doctor *d, enum doctor_level level, const char *name, struct str subject, const char *format, ...)
{
	struct doctor_finding *f;
	uint64_t n = 0;
	va_list ap;

	for (unsigned i = 0; i < DOCTOR_LEVELS; i++)
		n += d->counts[i];
	d->counts[level]++;
	f = n < DOCTOR_FINDINGS_MAX ? arena_alloc(&d->arena, sizeof *f) : NULL;
	if (f == NULL)
		return;
	*f = (struct doctor_finding){.level = level, .area = d->area, .name = name};
	f->subject = arena_copy(&d->arena, subject);
	va_start(ap, format);
	f->text = text_of(d, format, ap);
	va_end(ap);
	STAILQ_INSERT_TAIL(&d->findings, f, link);
}

void
doctor_advise(struct doctor *d, const char *format, ...)
{
	struct doctor_finding *last = STAILQ_LAST(&d->findings, doctor_finding, link);
	va_list ap;

	if (last == NULL)
		return;
	va_start(ap, format);
	last->remedy = text_of(d, format, ap);
	va_end(ap);
}

int
doctor_status(const struct doctor *d)
{
	if (d->counts[DOCTOR_ERROR] > 0)
		return 2;
	return d->counts[DOCTOR_WARNING] > 0 ? 1 : 0;
}

const char *
doctor_level_name(enum doctor_level level)
{
	static const char *const names[DOCTOR_LEVELS] = {
	    [DOCTOR_OK] = "ok",
	    [DOCTOR_NOTE] = "note",
	    [DOCTOR_WARNING] = "warning",
	    [DOCTOR_ERROR] = "error",
	};

	return names[level];
}

const char *
doctor_area_name(enum doctor_area area)
{
	static const char *const names[DOCTOR_AREAS] = {
	    [DOCTOR_CONFIGURATION] = "configuration",
	    [DOCTOR_DAEMONS] = "daemons",
	    [DOCTOR_POSTMASTERS] = "postmasters",
	    [DOCTOR_DISK] = "disk",
	    [DOCTOR_CLOCK] = "clock",
	    [DOCTOR_QUEUE] = "queue",
	    [DOCTOR_CERTIFICATES] = "certificates",
	    [DOCTOR_RESOLVERS] = "resolvers",
	    [DOCTOR_HOST] = "host",
	    [DOCTOR_DOMAINS] = "domains",
	    [DOCTOR_EXCHANGERS] = "exchangers",
	};

	return names[area];
}
