/*
 * News between the processes that work on one Maildir: whoever adds messages (deliver, popd when it removes some) sends
 * a datagram to each process that listens, so that an idle client hears at once. Only a hint: it may get lost, and other
 * tools send none, so a listener also polls now and then (mailbox_rescan costs two system calls when nothing happened).
 *
 * The sockets lie in the Maildir's directory merpati-news, mode 0700, one a listening process. Without a listener
 * sending costs one system call.
 */
#ifndef COMMON_STORE_NEWS_H
#define COMMON_STORE_NEWS_H

#include "common/store/store.h"

struct store_news;

/* Begins to listen. NULL on failure (then only polling tells). */
struct store_news *store_news_listen(struct store *store, struct err *err);
/* A non-blocking descriptor that becomes readable when there is news. */
int store_news_fd(const struct store_news *news);
/* Takes what has come: true when there was any. Look at all folders that you watch. */
bool store_news_take(struct store_news *news);
/* Harmless with NULL. */
void store_news_close(struct store_news *news);

/* Tells all listeners of this Maildir. Never blocks, never fails loudly. */
void store_news_send(struct store *store);

#endif
