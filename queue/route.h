/*
 * Where each recipient goes: aliases are expanded (authd knows them), our own domains go to deliver, all others to
 * their site. The outcome is a message's deliveries, handed to the schedule.
 */
#ifndef QUEUE_ROUTE_H
#define QUEUE_ROUTE_H

#include "queue/destination.h"
#include "queue/queue.h"

/* The site of all local mail. */
#define ROUTE_LOCAL_SITE "local"

struct routes *routes_new(struct queue *q);
void routes_free(struct routes *routes);
/* Begins with a message that was just loaded. It may be gone when this returns. */
void route_message(struct routes *routes, struct message *m);
/*
 * Hands a delivery (again) to the schedule. It may be gone then: its recipients are deferred when its site is dead, and left for
 * later when enough waits there. The caller tells outcome_progress, unless more of the message is under way.
 */
void route_schedule(struct routes *routes, struct delivery *d);
/* All of the delivery's recipients that have no result yet get this one; then it is freed. */
void route_defer(struct delivery *d, struct str code, struct str reply);
/* The same, and they will not be tried again. */
void route_fail(struct delivery *d, struct str code, struct str reply);

/* The same, because the site is dead. */
void route_suspend(struct delivery *d);

/* Forgets those of its deliveries that do not run yet, for a command: its wish is set. */
void route_withdraw(struct message *m);

/* The key of the site to which mail for a domain goes, if it is known by now; else empty. Borrowed until the next call. */
struct str route_site(const struct routes *routes, struct str domain);

/* For dispatch: a worker's answers, and when workers come and go. */
struct destinations *routes_destinations(struct routes *routes);

#endif
