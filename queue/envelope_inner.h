/*
 * The inner side of queue/envelope.h: for envelope*.c only.
 */
#ifndef QUEUE_ENVELOPE_INNER_H
#define QUEUE_ENVELOPE_INNER_H

#include "queue/envelope.h"

/* Copies the value into the envelope's memory. False when that is out: no damage. */
bool envelope_keep(struct envelope *e, struct str *field, struct str value);
/* One more, waiting; valid until the next. NULL: there are too many, or memory is out. */
struct recipient *envelope_recipient_add(struct envelope *e, struct str address);
/* What may stand in a command to another server. */
bool envelope_address_is_sound(struct str address);

#endif
