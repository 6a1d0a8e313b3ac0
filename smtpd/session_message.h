/*
 * The part of a session that takes a message's content to the queue.
 */
#ifndef SMTPD_SESSION_MESSAGE_H
#define SMTPD_SESSION_MESSAGE_H

#include "smtpd/letter.h"
#include "smtpd/session.h"

/* Before 354: the envelope and our Received field. False when memory is out. */
bool session_message_begin(struct session *s);
/* A piece of the content; refuses the rest of it when it cannot be taken. */
void session_message_feed(struct session *s, struct str piece);
/* The content is complete: the core's question is answered once the filters are asked and the message is durable, or now if
 * it is refused. */
void session_message_end(struct session *s);
/* What becomes of it after the filters: into the queue, as it came or (letter not NULL) as they changed it; nowhere, though
 * the client is told that all is well; or nowhere, and the client is told so. */
void session_message_commit(struct session *s, struct letter *letter);
void session_message_discard(struct session *s);
void session_message_refuse(struct session *s, const struct smtp_reply *reply);
#define SESSION_ADDRESS_MAX (ADDRESS_TEXT_MAX + 1 + ADDRESS_DOMAIN_MAX + 1)
/* The address as it stands in the queue file, with a domain: in buffer, if it had none. */
struct str session_message_address(const struct session *s, const struct address *address, char buffer[SESSION_ADDRESS_MAX]);
/* No message after all, or no session any more. */
void session_message_drop(struct session *s);

#endif
