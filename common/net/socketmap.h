/*
 * Socketmap (as Sendmail and Postfix speak it): a request is a netstring "MAP KEY", its reply a netstring "STATUS
 * VALUE", in order, as many on a connection as one likes. The maps of authd:
 *     recipient LOCAL@DOMAIN     OK local | OK alias | NOTFOUND
 *     sender LOGIN LOCAL@DOMAIN  OK: that login may send under that address | NOTFOUND
 *     alias LOCAL@DOMAIN         OK ADDRESS,ADDRESS... | NOTFOUND
 *     account LOGIN-or-ADDRESS   OK and the line of common/login/account.h | NOTFOUND
 *     uid NUMBER                 OK NAME | NOTFOUND
 * TEMP and TIMEOUT mean: try again later; PERM: the request makes no sense. Nothing of ours ever sends TIMEOUT.
 *
 * Three layers: the pure protocol, an asynchronous client in the event loop, and a blocking one for parents that
 * serve one thing at a time.
 */
#ifndef COMMON_SOCKETMAP_H
#define COMMON_SOCKETMAP_H

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/loop.h"

#define SOCKETMAP_REQUEST_MAX 2048  /* bytes of "MAP KEY" */
#define SOCKETMAP_REPLY_MAX 100000 /* bytes of "STATUS VALUE"; what the other implementations allow */

enum socketmap_status {
	SOCKETMAP_OK,
	SOCKETMAP_NOTFOUND,
	SOCKETMAP_TEMP, /* also when there is no answer at all */
	SOCKETMAP_PERM,
};

/* --- protocol ----------------------------------------------------------------------------------------------------- */

void socketmap_request_add(struct buf *out, struct str map, struct str key);
/* Takes a request off *rest; map and key are borrowed. BAD: not a netstring, too long, no blank: close. */
enum parse socketmap_request_take(struct str *rest, struct str *map, struct str *key);

void socketmap_reply_add(struct buf *out, enum socketmap_status status, struct str value);
enum parse socketmap_reply_take(struct str *rest, enum socketmap_status *status, struct str *value);

/* --- client in the event loop -------------------------------------------------------------------------------------- */

struct socketmap_query {
	/* Called once for each socketmap_ask, never from inside it; value lives during the call. The callback may free
	 * the query, ask again with it, and cancel others; it must not clear the client. */
	void (*answered)(struct socketmap_query *query, enum socketmap_status status, struct str value);
	TAILQ_ENTRY(socketmap_query) link;
	struct socketmap_client *client; /* NULL when nothing is asked */
	struct buf request;		 /* the netstring, to send it again after a reconnection */
	uint64_t deadline_ms;
	unsigned skip; /* replies before this one's that belong to cancelled queries */
	enum { SOCKETMAP_WAITING, SOCKETMAP_SENT, SOCKETMAP_FAILED } state;
	bool retried;
};

TAILQ_HEAD(socketmap_queries, socketmap_query);

struct socketmap_client {
	struct loop *loop;
	const char *path;
	unsigned timeout_ms;
	struct loop_io io;
	struct loop_timer timer;
	struct socketmap_queries queries; /* in the order asked; those that were sent come first */
	struct buf in, out;
	unsigned skip_last; /* replies behind those of all queries sent that belong to cancelled ones */
	bool broken;	    /* found while being asked: dealt with at the next turn, from the timer */
};

/* path: borrowed for the client's life. Connects when first asked, and again when the server went away. */
void socketmap_client_init(struct socketmap_client *client, struct loop *loop, const char *path, unsigned timeout_ms);
/* Drops the connection; queries that wait are forgotten without a call. */
void socketmap_client_clear(struct socketmap_client *client);

/*
 * Asks. The query must not be under way. A broken connection is set up anew once for each query; when that fails too,
 * or at the time-out, or when the request is too long, the answer is TEMP.
 */
void socketmap_ask(struct socketmap_client *client, struct socketmap_query *query, struct str map, struct str key,
    void (*answered)(struct socketmap_query *, enum socketmap_status, struct str));
/* The callback will not come; the query may be freed. Harmless when nothing is asked. */
void socketmap_cancel(struct socketmap_query *query);

/* --- blocking client ----------------------------------------------------------------------------------------------- */

/*
 * One connection, one question. value (reset first) gets the reply's value. TEMP fills err with the reason.
 */
enum socketmap_status socketmap_lookup(const char *path, unsigned timeout_ms, struct str map, struct str key,
    struct buf *value, struct err *err);

#endif
