/*
 * A session's milters: whatever our own rules have let pass is shown to each of them in turn, each sees what those before it
 * changed, and the first that refuses decides. It exists only on listeners for which a filter is configured; elsewhere the
 * functions below cost a comparison.
 *
 *     session_filter.c           the stages of the session, and what a filter's answers mean for it
 *     session_filter_message.c   the message: shown, changed, ended
 *     session_filter_macros.c    what macros stand for
 */
#ifndef SMTPD_SESSION_FILTER_H
#define SMTPD_SESSION_FILTER_H

#include <stdbool.h>

struct session;
struct smtp_reply;
struct session_filters;

/* NULL where no milter looks at the mail of this listener. */
struct session_filters *session_filters_new(struct session *s);
/* The session is over, or the client is another one now. Harmless for NULL. */
void session_filters_free(struct session_filters *filters);

/* Before the greeting. False: nobody is to be asked. True: done follows, with NULL or the words in which to turn the client
 * away. */
bool session_filter_connect(struct session *s, void (*done)(struct session *s, const struct smtp_reply *refusal));

/* They answer the core's question, with which we agree, now or later. */
void session_filter_hello(struct session *s);
void session_filter_sender(struct session *s);
void session_filter_recipient(struct session *s);
void session_filter_unknown(struct session *s);
/* The message has begun: session_message_begin. */
void session_filter_body(struct session *s);
/* We do not agree: filters that want to know of refused recipients are told, then the question is answered so. The reply is
 * copied. */
void session_filter_recipient_refused(struct session *s, const struct smtp_reply *reply);

/* The content is complete. False: nobody is to be asked. True: session_message_commit, session_message_discard or
 * session_message_refuse follows. */
bool session_filter_message(struct session *s);
/* Whoever is asked something need not answer any more; the question stays open. For a session that is being ended. */
void session_filter_cancel(struct session *s);
/* The transaction is over. Harmless at any time but while a question is open. */
void session_filter_abandoned(struct session *s);

#endif
