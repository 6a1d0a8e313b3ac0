/*
 * The certificate and its key, as `merpati check` looks at them.
 */
#ifndef QUEUE_CHECK_TLS_H
#define QUEUE_CHECK_TLS_H

#include "queue/check.h"

void check_tls(struct check *check);

#endif
