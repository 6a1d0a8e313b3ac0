#include "queue/delivery.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "queue/message.h"

static int
open_compare(struct delivery *a, struct delivery *b)
{
	int order = str_compare(a->site, b->site);

	if (order == 0 && a->transport != b->transport)
		order = a->transport < b->transport ? -1 : 1;
	if (order == 0)
		order = str_compare(a->route, b->route);
	if (order == 0)
		order = str_compare(a->security, b->security);
	return order != 0 ? order : str_compare(a->return_path, b->return_path);
}

TREE_GENERATE(delivery_tree, delivery, open_link, open_compare)

/* Both in one block. */
static void
site_copy(struct delivery *d, const struct delivery *like)
{
	d->site_text = malloc(like->site.n + like->security.n + 1);
	if (d->site_text == NULL)
		fatal("out of memory for a delivery");
	memcpy(d->site_text, like->site.p, like->site.n);
	if (like->security.n > 0)
		memcpy(d->site_text + like->site.n, like->security.p, like->security.n);
	d->site = (struct str){d->site_text, like->site.n};
	d->security = (struct str){d->site_text + like->site.n, like->security.n};
}

static struct delivery *
delivery_new(struct message *m, const struct delivery *like)
{
	struct delivery *d = calloc(1, sizeof *d);

	if (d == NULL)
		fatal("out of memory for a delivery");
	d->message = m;
	d->transport = like->transport;
	d->next_hop = like->next_hop;
	d->route = like->route;
	d->return_path = like->return_path;
	d->section = like->section;
	site_copy(d, like);
	LIST_INSERT_HEAD(&m->deliveries, d, link);
	m->ndeliveries++;
	return d;
}

struct delivery *
delivery_open(struct message *m, const struct delivery *like)
{
	struct delivery probe = *like, *d = RB_FIND(delivery_tree, &m->open, &probe);

	if (d != NULL)
		return d;
	d = delivery_new(m, like);
	(void)RB_INSERT(delivery_tree, &m->open, d);
	return d;
}

struct delivery *
delivery_first_open(struct message *m)
{
	return RB_ROOT(&m->open);
}

/* Most have one recipient. */
void
delivery_add(struct delivery *d, size_t index)
{
	if (d->nrecipients == d->cap) {
		size_t cap = d->cap == 0 ? 1 : d->cap * 4;
		uint32_t *recipients = reallocarray(d->recipients, cap, sizeof *recipients);

		if (recipients == NULL)
			fatal("out of memory for a delivery");
		d->recipients = recipients;
		d->cap = cap;
	}
	d->recipients[d->nrecipients++] = (uint32_t)index;
}

void
delivery_close(struct delivery *d)
{
	if (!d->closed)
		(void)RB_REMOVE(delivery_tree, &d->message->open, d);
	d->closed = true;
}

struct delivery *
delivery_split(struct delivery *d, size_t n)
{
	struct delivery *rest = delivery_new(d->message, d);

	rest->closed = true;
	for (size_t i = n; i < d->nrecipients; i++)
		delivery_add(rest, d->recipients[i]);
	d->nrecipients = n;
	return rest;
}

bool
delivery_take(struct delivery *d, uint64_t index)
{
	for (size_t i = 0; i < d->nrecipients; i++) {
		if (d->recipients[i] != index)
			continue;
		d->recipients[i] = d->recipients[--d->nrecipients];
		d->last_told = (uint32_t)index;
		return true;
	}
	return false;
}

void
delivery_free(struct delivery *d)
{
	struct message *m = d->message;

	delivery_close(d);
	LIST_REMOVE(d, link);
	m->ndeliveries--;
	free(d->recipients);
	free(d->site_text);
	free(d);
}

bool
delivery_is_local(const struct delivery *d)
{
	return d->transport == JOB_LMTP && d->route.n == 0;
}
