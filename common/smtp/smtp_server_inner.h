/*
 * What the files of the SMTP server core share; for smtp_server*.c only.
 */
#ifndef COMMON_SMTP_SERVER_INNER_H
#define COMMON_SMTP_SERVER_INNER_H

#include "common/smtp/smtp_server.h"

enum {
	MODE_COMMAND,
	MODE_SKIP,     /* the rest of a line that was too long */
	MODE_QUESTION, /* the owner is asked */
	MODE_CONTENT,
	MODE_AUTH,     /* the client's answer to a challenge is next */
	MODE_CLOSING,
};

#define STATE_TRANSACTION (SMTP_STATE_MAIL | SMTP_STATE_RCPT | SMTP_STATE_BDAT)
#define STATE_HELLO (SMTP_STATE_GREETED | STATE_TRANSACTION)
#define STATE_ANY (SMTP_STATE_CONNECTED | STATE_HELLO)

/* --- smtp_server.c */

/* The only place where the state changes. Back to GREETED or CONNECTED drops the transaction, with everything in it. */
void smtp_state_set(struct smtp_server *s, enum smtp_state state);
void smtp_greet(struct smtp_server *s);
/* Asks the owner. */
void smtp_ask(struct smtp_server *s, enum smtp_event question);

/* --- smtp_server_reply.c */

void smtp_reply_write(struct smtp_server *s, const struct smtp_reply *reply);
/* The command under way is done; the reply is the core's own. From 400 on it is noted for the log. */
void smtp_reply_own(struct smtp_server *s, unsigned code, const char *status, struct str text);
/* To a command that there is not. */
void smtp_unknown_refuse(struct smtp_server *s);
/* Counts what became of the command under way, and ends the session when there were too many errors. */
void smtp_count_outcome(struct smtp_server *s, unsigned code);

/* --- smtp_server_table.c */

/* NULL when this protocol has no such verb. */
const struct smtp_command *smtp_command_find(enum smtp_protocol protocol, struct str verb, size_t *index);
void smtp_extensions_write(struct smtp_server *s);
void smtp_help_write(struct smtp_server *s);

/* --- smtp_server_session.c */

void smtp_command_hello(struct smtp_server *s, struct str argument);
/* Yes to HELLO. */
void smtp_hello_accepted(struct smtp_server *s);
/* No: the session is where it was before. */
void smtp_hello_refused(struct smtp_server *s);
void smtp_command_noop(struct smtp_server *s, struct str argument);
void smtp_command_rset(struct smtp_server *s, struct str argument);
void smtp_command_vrfy(struct smtp_server *s, struct str argument);
void smtp_command_etrn(struct smtp_server *s, struct str argument);
void smtp_command_help(struct smtp_server *s, struct str argument);
void smtp_command_quit(struct smtp_server *s, struct str argument);
void smtp_command_starttls(struct smtp_server *s, struct str argument);
void smtp_command_auth(struct smtp_server *s, struct str argument);
/* A line of the client's in an exchange. */
void smtp_auth_line(struct smtp_server *s, struct str line);

/* --- smtp_server_attributes.c */

/* The names of those that the command takes, for EHLO. */
void smtp_attributes_write(struct buf *out, enum smtp_extension command);
void smtp_command_xclient(struct smtp_server *s, struct str argument);
void smtp_command_xforward(struct smtp_server *s, struct str argument);
/* Yes to XCLIENT. */
void smtp_xclient_accepted(struct smtp_server *s);

/* --- smtp_server_parameters.c */

/* What follows a path. False: the refusal was written. */
bool smtp_parameters_take(struct smtp_server *s, struct str rest);

/* --- smtp_server_mail.c */

void smtp_out_of_memory(struct smtp_server *s);
/* A recipient's path off the beginning of argument; NULL: the refusal was written. */
struct smtp_recipient *smtp_recipient_parse(struct smtp_server *s, struct str *argument);

void smtp_command_mail(struct smtp_server *s, struct str argument);
void smtp_command_rcpt(struct smtp_server *s, struct str argument);

/* --- smtp_server_content.c */

void smtp_command_data(struct smtp_server *s, struct str argument);
void smtp_command_bdat(struct smtp_server *s, struct str argument);
/* BDAT, in order (then its handler is called) or refused with this objection once its bytes have come. */
void smtp_chunk_begin(struct smtp_server *s, struct str argument, const struct smtp_reply *objection);
/* The owner's answers to BODY and MESSAGE. */
void smtp_body_answer(struct smtp_server *s, const struct smtp_reply *reply);
void smtp_message_answer(struct smtp_server *s, const struct smtp_reply *reply);
/* Takes a piece of the content; true when there is something to tell the owner. */
bool smtp_content_step(struct smtp_server *s, struct str in, size_t *taken);

#endif
