/*
 * Making a message into what a server takes (queue/downconvert.h), before its transaction begins: the passes over its file, and
 * what is then said of it in MAIL.
 */
#ifndef QUEUE_REMOTE_CONVERT_H
#define QUEUE_REMOTE_CONVERT_H

#include "queue/remote_connection.h"

/*
 * mail.flags and mail.size are those of the message itself. If the server lacks what these need, the message is read, once for
 * all servers that take as much; then it goes as it is after all, or through transaction->conversion, with flags that fit and
 * no size; or mail.unconvertible says why not, and the core refuses.
 */
void remote_convert(struct remote_transaction *transaction, const struct smtp_features *features);
/* Forgets what was learnt of it, for the end. */
void remote_convert_end(struct remote_transaction *transaction);

#endif
