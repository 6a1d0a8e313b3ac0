/*
 * The part of a session that takes a message's content to the queue.
 */
#ifndef SMTPD_SESSION_MESSAGE_H
#define SMTPD_SESSION_MESSAGE_H

#include "smtpd/session.h"

/* Before 354: the envelope and our Received field. False when memory is out. */
bool session_message_begin(struct session *s);
/* A piece of the content; refuses the rest of it when it cannot be taken. */
void session_message_feed(struct session *s, struct str piece);
/* The content is complete: the core's question is answered once the message is durable, or now if it is refused. */
void session_message_end(struct session *s);
/* No message after all, or no session any more. */
void session_message_drop(struct session *s);

#endif
