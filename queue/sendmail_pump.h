/*
 * sendmail -bs: standard input and output on one side, smtpd's socket on the other; smtpd speaks SMTP, and knows from
 * the kernel who called.
 */
#ifndef QUEUE_SENDMAIL_PUMP_H
#define QUEUE_SENDMAIL_PUMP_H

#include "common/base/err.h"

/* Until smtpd is done, or nobody reads its replies any more (true as well). Closes nothing. */
bool sendmail_pump(int in_fd, int out_fd, int socket_fd, struct err *err);

#endif
