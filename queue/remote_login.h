/*
 * What the routes of the configuration have to log in with. The files are opened before the process is boxed in, and by no
 * process ever again: when one of them is replaced, the daemon begins a new generation (common/daemon/daemon.h), which reads
 * it anew.
 */
#ifndef QUEUE_REMOTE_LOGIN_H
#define QUEUE_REMOTE_LOGIN_H

#include "common/conf/conf.h"
#include "queue/sasl_login.h"

/* Bytes of a password's or a token's line. */
#define REMOTE_LOGIN_SECRET_MAX 8192

/* One for each route, in the order of the configuration, for the life of the process. What cannot be read is logged. */
struct sasl_credentials *remote_logins_read(const struct conf *conf);
/* There is no login, or something to do it with. */
bool remote_login_is_known(const struct sasl_credentials *credentials);

#endif
