/*
 * `merpati doctor`: what a postmaster cannot see at a glance. Each part looks at one subject and says what it found: how
 * bad it is, of what, what is wrong, and what to do.
 */
#ifndef QUEUE_DOCTOR_H
#define QUEUE_DOCTOR_H

#include <bsd/sys/queue.h>

#include "common/base/arena.h"
#include "common/conf/conf.h"

enum doctor_level {
	DOCTOR_OK,
	DOCTOR_NOTE,	/* could be better, or is worth knowing */
	DOCTOR_WARNING, /* mail suffers, or soon will */
	DOCTOR_ERROR,	/* mail does not get through */
	DOCTOR_LEVELS,
};

enum doctor_area {
	DOCTOR_CONFIGURATION,
	DOCTOR_DAEMONS,
	DOCTOR_POSTMASTERS,
	DOCTOR_DISK,
	DOCTOR_CLOCK,
	DOCTOR_QUEUE,
	DOCTOR_CERTIFICATES,
	DOCTOR_RESOLVERS,
	DOCTOR_HOST,
	DOCTOR_DOMAINS,
	DOCTOR_EXCHANGERS,
	DOCTOR_AREAS,
};

/* What is found beyond this is counted, but not told. */
#define DOCTOR_FINDINGS_MAX 100000
#define DOCTOR_ARENA_MAX (256UL * 1024 * 1024)

struct doctor_finding {
	enum doctor_level level;
	enum doctor_area area;
	const char *name;   /* always the same for the same trouble, for programs: "spf-missing" */
	struct str subject; /* a path, a host, a domain ...; may be empty */
	struct str text;    /* a sentence of which the subject is the subject */
	struct str remedy;  /* what to do; may be empty */
	STAILQ_ENTRY(doctor_finding) link;
};

struct doctor {
	const struct conf *conf;
	enum doctor_area area; /* to which what is found now belongs */
	struct arena arena;
	STAILQ_HEAD(doctor_findings, doctor_finding) findings; /* in the order in which they were found */
	uint64_t counts[DOCTOR_LEVELS];
};

void doctor_init(struct doctor *d);
void doctor_clear(struct doctor *d);

/* name: a literal. subject and texts are copied. */
void doctor_find(struct doctor *d, enum doctor_level level, const char *name, struct str subject, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* What to do about what was found last. */
void doctor_advise(struct doctor *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As the exit status says it: 0 fine, 1 warnings, 2 errors. */
int doctor_status(const struct doctor *d);

const char *doctor_level_name(enum doctor_level level);
const char *doctor_area_name(enum doctor_area area);

#endif
