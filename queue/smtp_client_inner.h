/*
 * The inner side of queue/smtp_client.h, for smtp_client*.c only, by subject:
 *
 *     smtp_client.c           the state, what replies mean, verdicts, the end
 *     smtp_client_session.c   greeting, EHLO, STARTTLS, AUTH
 *     smtp_client_fit.c       what of a message can go to this server, and how
 *     smtp_client_commands.c  MAIL, RCPT, DATA: two cursors
 *     smtp_client_body.c      the content, dotted or in chunks, and what becomes of it
 */
#ifndef QUEUE_SMTP_CLIENT_INNER_H
#define QUEUE_SMTP_CLIENT_INNER_H

#include "queue/smtp_client.h"

enum smtp_client_step {
	STEP_RESET,
	STEP_MAIL,
	STEP_RCPT, /* the first of as many as there are recipients; DATA follows */
};

/* ---- smtp_client.c --------------------------------------------------------------------------------------------- */

/* The first digit of the reply that just came. */
unsigned smtp_client_reply_class(const struct smtp_client *client);
/* What it means for a recipient; its words live in the arena. */
struct smtp_verdict smtp_client_reply_verdict(struct smtp_client *client, struct arena *arena);
extern const struct smtp_verdict smtp_client_not_smtp;

bool smtp_client_is_settled(const struct smtp_recipient *recipient);
/* Nothing happens to one that is settled already. */
void smtp_client_settle(struct smtp_client *client, struct smtp_recipient *recipient, struct smtp_verdict verdict);
void smtp_client_settle_all(struct smtp_client *client, struct smtp_verdict verdict);

/* The session is over: that is the verdict of what is not settled, or the reason why it could not begin. */
void smtp_client_over(struct smtp_client *client, struct smtp_verdict verdict);
/* By the reply that just came. */
void smtp_client_over_by_reply(struct smtp_client *client);

/* ---- smtp_client_session.c: a reply came in the state of that name ---------------------------------------------- */

void smtp_client_greeting_answered(struct smtp_client *client);
void smtp_client_ehlo_answered(struct smtp_client *client);
void smtp_client_helo_answered(struct smtp_client *client);
void smtp_client_starttls_answered(struct smtp_client *client);
void smtp_client_auth_answered(struct smtp_client *client);

/* ---- smtp_client_fit.c ------------------------------------------------------------------------------------------ */

/* Why this message cannot go to this server at all. */
bool smtp_client_is_impossible(const struct smtp_client *client, const struct smtp_mail *mail,
    struct smtp_verdict *verdict);
/* Settles, and marks as skipped, the recipients that need not, or must not, be sent to this server ... */
void smtp_client_skip_some(struct smtp_client *client);
/* ... and those that pass its limits (RFC 9422): they are left for another transaction. */
void smtp_client_leave_some(struct smtp_client *client);
bool smtp_client_goes_by_chunks(const struct smtp_client *client, const struct smtp_mail *mail);
bool smtp_client_goes_in_one_flight(const struct smtp_client *client, const struct smtp_mail *mail);

/* ---- smtp_client_commands.c ------------------------------------------------------------------------------------- */

size_t smtp_client_data_step(const struct smtp_client *client);
/* Runs the sender ahead as far as it may; the transaction is over when nothing is left to send or to be answered. */
void smtp_client_send_more(struct smtp_client *client);
void smtp_client_command_answered(struct smtp_client *client);

/* ---- smtp_client_body.c ----------------------------------------------------------------------------------------- */

/* Content is under way, or sent: commands may still be unanswered, then chunks. */
void smtp_client_content_answered(struct smtp_client *client);

#endif
