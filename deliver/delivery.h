/*
 * Letters on their way into a mailbox: written into tmp/ one by one as they come, then made durable, numbered and made
 * visible all together. What is delivered is durable: only then may it be said.
 */
#ifndef DELIVER_DELIVERY_H
#define DELIVER_DELIVERY_H

#include "common/store/mailbox.h"
#include "common/base/msg.h"
#include "deliver/handoff.h"

struct delivery {
	uint32_t id;
	char *recipients[HANDOFF_RECIPIENTS_MAX];
	struct mailbox_file *files[HANDOFF_RECIPIENTS_MAX]; /* NULL: not to be delivered */
	struct handoff_result result;
	char *sender;
	char *message_id; /* for the log; may be NULL */
	uint64_t size;
	STAILQ_ENTRY(delivery) link;
};

STAILQ_HEAD(deliveries, delivery);

/*
 * Writes the letter: with Return-Path and Delivered-To in front, and as a hard link for each further recipient, since all
 * of them are the same account. What is already refused (a loop, no space) is in the result. `lines`: the content has LF
 * lines. Else it is in wire form, and becomes LF lines; but what is `verbatim` stays byte for byte what it is, CRLF
 * included: LF lines could not be told from the LFs of a binary part any more. Nothing of letter is kept.
 */
struct delivery *delivery_new(struct mailbox *mailbox, uint32_t id, const struct handoff_letter *letter, bool lines);
void delivery_free(struct delivery *delivery);

/* Makes them durable and visible; afterwards their results are final. Logs each recipient. False when something failed
 * that is not for want of space: the mailbox had better be opened anew. */
bool deliveries_commit(struct deliveries *list, struct mailbox *mailbox);

/* The pure parts. Is the recipient named in a Delivered-To field? */
bool delivery_is_loop(struct str content, struct str recipient);
enum handoff_status delivery_status_of(const struct err *err);

#endif
