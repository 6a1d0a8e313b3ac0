/*
 * The parameters of MAIL and RCPT as records of the queue file. Pure.
 */
#ifndef SMTPD_ENVELOPE_H
#define SMTPD_ENVELOPE_H

#include "common/queue/queue_file.h"
#include "common/smtp/smtp_server.h"

/* What MAIL said besides the sender. */
void envelope_mail_write(struct queue_writer *w, const struct smtp_transaction *transaction);
/* What RCPT said besides the address: behind the recipient's own record. */
void envelope_rcpt_write(struct queue_writer *w, const struct smtp_recipient *recipient);

#endif
