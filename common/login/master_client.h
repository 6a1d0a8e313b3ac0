/*
 * Asking authd's master socket whether what an unprivileged process says of a login is true: the asynchronous client
 * of the Dovecot master protocol, for the event loop of a privileged parent.
 */
#ifndef COMMON_MASTER_CLIENT_H
#define COMMON_MASTER_CLIENT_H

#include "common/login/account.h"
#include "common/base/buf.h"
#include "common/base/loop.h"

struct master_client;

enum master_result {
	MASTER_FOUND,
	MASTER_NOTFOUND, /* there was no such login, or it was asked about already */
	MASTER_TEMP,	 /* authd cannot be asked at present */
};

struct master_query {
	/* Called once, never from inside master_ask. account (only if FOUND) lives during the call. The callback may free
	 * the query and ask again. */
	void (*answered)(struct master_query *query, enum master_result result, const struct account *account);
	struct master_client *client; /* NULL when nothing is asked */
	uint32_t id;
	bool failed;
	struct loop_timer timer;
	LIST_ENTRY(master_query) link;
};

/* path: copied. Fatal when memory is out. */
struct master_client *master_client_new(struct loop *loop, const char *path);
/* Queries under way are forgotten without a call. Not from inside a callback of this client. */
void master_client_free(struct master_client *client);
/* The login that process `pid` was granted as exchange `exchange` on its connection with this cookie (hexadecimal;
 * anything else is TEMP without asking). */
void master_ask(struct master_client *client, struct master_query *query, uint64_t pid, uint64_t exchange,
    struct str cookie, void (*answered)(struct master_query *, enum master_result, const struct account *));
bool master_client_is_idle(const struct master_client *client);
/* Harmless when nothing is asked. */
void master_cancel(struct master_query *query);

#endif
