#include "smtpd/guard_live.h"

#include <stdlib.h>

static int
subject_compare(struct guard_live_subject *a, struct guard_live_subject *b)
{
	return a->key.hash < b->key.hash ? -1 : a->key.hash > b->key.hash;
}

TREE_GENERATE(guard_live_tree, guard_live_subject, link, subject_compare)

void
guard_live_init(struct guard_live *live)
{
	RB_INIT(&live->tree);
}

void
guard_live_clear(struct guard_live *live)
{
	struct guard_live_subject *subject;

	while ((subject = RB_ROOT(&live->tree)) != NULL) {
		(void)RB_REMOVE(guard_live_tree, &live->tree, subject);
		free(subject);
	}
}

static struct guard_live_subject *
subject_find(const struct guard_live *live, uint64_t hash)
{
	struct guard_live_subject *subject = RB_ROOT(&live->tree);

	while (subject != NULL && subject->key.hash != hash)
		subject = hash < subject->key.hash ? RB_LEFT(subject, link) : RB_RIGHT(subject, link);
	return subject;
}

struct guard_live_subject *
guard_live_add(struct guard_live *live, const struct guard_key *key, size_t max)
{
	struct guard_live_subject *subject = subject_find(live, key->hash);

	if (subject == NULL) {
		subject = calloc(1, sizeof *subject);
		if (subject == NULL)
			return NULL;
		subject->key = *key;
		(void)RB_INSERT(guard_live_tree, &live->tree, subject);
	} else if (max > 0 && subject->count >= max) {
		return NULL;
	}
	subject->count++;
	return subject;
}

void
guard_live_remove(struct guard_live *live, struct guard_live_subject *subject)
{
	if (subject == NULL || --subject->count > 0)
		return;
	(void)RB_REMOVE(guard_live_tree, &live->tree, subject);
	free(subject);
}

size_t
guard_live_count(const struct guard_live *live, uint64_t hash)
{
	const struct guard_live_subject *subject = subject_find(live, hash);

	return subject != NULL ? subject->count : 0;
}

void
guard_live_each(struct guard_live *live, struct guard_live_visit *visit)
{
	struct guard_live_subject *subject;

	RB_FOREACH(subject, guard_live_tree, &live->tree)
		visit->visit(visit, subject);
}
