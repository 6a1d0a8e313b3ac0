#include "common/login/login_parent.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/login/login_message.h"
#include "common/login/master_client.h"

#define HANDOVERS_MAX 4000 /* under way at a time */

struct session;

/* A connection on its way from a worker to a session. */
struct handover {
	struct master_query query;
	struct daemon_child *worker; /* NULL: it is gone */
	pid_t worker_pid;
	uint32_t worker_id;	 /* the worker's number for it */
	uint32_t id;		 /* ours, towards the session */
	int fd;
	bool retried;		 /* a session died before it took it */
	uint32_t exchange;	 /* of authd, and */
	char cookie[LOGIN_COOKIE_MAX + 1];
	struct master_client *fresh; /* a further connection to authd, after the first knew nothing */
	struct buf message;	 /* LOGIN_CONNECTION */
	struct session *session; /* once it was sent there */
	TAILQ_ENTRY(handover) link; /* in the session's list, or in `asking` */
};

TAILQ_HEAD(handovers, handover);

struct session {
	struct daemon_child child;
	struct account account;
	struct handovers handovers; /* sent, not yet taken */
	uint64_t sent;		    /* connections, ever */
	uint64_t open;		    /* those of them that it has not reported closed */
	bool is_current;	    /* gets new connections: not one that is leaving, or of an old generation */
	RB_ENTRY(session) link;	    /* is_current */
	LIST_ENTRY(session) all;
};

static int
session_compare(struct session *a, struct session *b)
{
	return strcmp(a->account.name, b->account.name);
}

RB_HEAD(session_tree, session);
TREE_GENERATE(session_tree, session, link, session_compare)

static struct {
	struct daemon *daemon;
	const struct login_service *service;
	const struct daemon_role *session_role;
	struct master_client *master;
	struct master_client *stale; /* to be freed, but not from its own callback */
	struct handovers asking;
	struct session_tree sessions;
	LIST_HEAD(, session) all;
	size_t nsessions, nhandovers;
	uint32_t last_id;
	struct buf message;
} parent;

void
login_parent_init(struct daemon *daemon, const struct login_service *service, const struct daemon_role *session_role)
{
	parent.daemon = daemon;
	parent.service = service;
	parent.session_role = session_role;
	TAILQ_INIT(&parent.asking);
	RB_INIT(&parent.sessions);
	LIST_INIT(&parent.all);
	buf_init(&parent.message, MSG_MAX_BYTES);
}

/* --- authd --------------------------------------------------------------------------------------------------------- */

static struct master_client *
master_new(void)
{
	return master_client_new(parent.daemon->loop, daemon_socket_path(parent.daemon->conf, "master"));
}

static void
master_drop(struct master_client *client)
{
	if (client == NULL)
		return;
	if (parent.stale != NULL)
		master_client_free(parent.stale);
	parent.stale = client;
}

/* --- hand-overs ---------------------------------------------------------------------------------------------------- */

static void
handover_free(struct handover *handover)
{
	master_cancel(&handover->query);
	master_drop(handover->fresh);
	TAILQ_REMOVE(handover->session != NULL ? &handover->session->handovers : &parent.asking, handover, link);
	(void)close(handover->fd);
	buf_clear(&handover->message);
	parent.nhandovers--;
	free(handover);
}

static void
worker_tell(struct daemon_child *worker, pid_t pid, uint32_t id, enum login_message type)
{
	if (worker == NULL || worker->pid != pid)
		return;
	msg_begin(&parent.message, type, id);
	(void)daemon_child_send(worker, &parent.message, -1);
}

static void
handover_end(struct handover *handover, enum login_message type)
{
	worker_tell(handover->worker, handover->worker_pid, handover->worker_id, type);
	handover_free(handover);
}

/* --- sessions ------------------------------------------------------------------------------------------------------ */

static void
session_retire(struct session *session)
{
	if (session->is_current)
		(void)RB_REMOVE(session_tree, &parent.sessions, session);
	session->is_current = false;
}

static struct session *
session_find(const struct account *account)
{
	struct session key;

	(void)str_copy(key.account.name, sizeof key.account.name, str_from(account->name));
	return RB_FIND(session_tree, &parent.sessions, &key);
}

static bool
session_spawn(struct session *session, struct err *err)
{
	struct daemon_user user = {.uid = session->account.uid, .gid = session->account.gid};
	struct login_session_start start = {.account = session->account, .service = parent.service};
	struct daemon_spawn spawn = {.user = &user, .title = session->account.name, .argument = &start};

	if (!daemon_is_privileged() && session->account.uid != geteuid())
		return err_set(err, ERR_TEMP, "only root can serve the account %s of uid %lu", session->account.name,
		    (unsigned long)session->account.uid);
	return daemon_spawn(parent.daemon, &session->child, parent.session_role, &spawn, err);
}

static struct session *
session_new(const struct account *account, struct err *err)
{
	struct login_limits limits;
	struct session *session;

	parent.service->limits(parent.daemon->conf, &limits);
	if (parent.nsessions >= limits.users) {
		(void)err_set(err, ERR_LIMIT, "%llu users are logged in", (unsigned long long)limits.users);
		return NULL;
	}
	session = calloc(1, sizeof *session);
	if (session == NULL) {
		(void)err_set(err, ERR_TEMP, "no memory for another session");
		return NULL;
	}
	session->account = *account;
	TAILQ_INIT(&session->handovers);
	if (!session_spawn(session, err)) {
		free(session);
		return NULL;
	}
	session->is_current = true;
	(void)RB_INSERT(session_tree, &parent.sessions, session);
	LIST_INSERT_HEAD(&parent.all, session, all);
	parent.nsessions++;
	return session;
}

/* An account that moved (other uid, other Maildir) gets a new process; the old one serves what it has. */
static bool
is_same_account(const struct account *a, const struct account *b)
{
	return a->uid == b->uid && a->gid == b->gid && strcmp(a->home, b->home) == 0 && strcmp(a->mail, b->mail) == 0;
}

static struct session *
session_for(const struct account *account, struct err *err)
{
	struct session *session = session_find(account);
	struct login_limits limits;

	if (session != NULL && !is_same_account(&session->account, account)) {
		session_retire(session);
		session = NULL;
	}
	if (session == NULL)
		return session_new(account, err);
	parent.service->limits(parent.daemon->conf, &limits);
	if (session->open >= limits.connections_per_user) {
		(void)err_set(err, ERR_LIMIT, "%s has %llu connections already", account->name,
		    (unsigned long long)session->open);
		return NULL;
	}
	return session;
}

/* --- the way of a connection --------------------------------------------------------------------------------------- */

/* False when its process has just died: then another one may do. */
static bool
handover_give(struct handover *handover, struct session *session)
{
	if (!daemon_child_send(&session->child, &handover->message, handover->fd)) {
		session_retire(session);
		return false;
	}
	TAILQ_REMOVE(&parent.asking, handover, link);
	handover->session = session;
	TAILQ_INSERT_TAIL(&session->handovers, handover, link);
	session->sent++;
	session->open++;
	return true;
}

static void
handover_send(struct handover *handover, const struct account *account)
{
	struct err err = {.text = "its process does not read"};
	struct session *session = session_for(account, &err);

	if (session != NULL && handover_give(handover, session))
		return;
	if (session != NULL)
		session = session_for(account, &err);
	if (session != NULL && handover_give(handover, session))
		return;
	log_warning("login of %s: %s", account->name, err.text);
	handover_end(handover, LOGIN_NOT_HANDED);
}

static void master_answered(struct master_query *query, enum master_result result, const struct account *account);

static void
handover_ask(struct handover *handover, struct master_client *master)
{
	master_ask(master, &handover->query, (uint64_t)handover->worker_pid, handover->exchange,
	    str_from(handover->cookie), master_answered);
}

/*
 * When authd was reloaded, its old front keeps our connection for as long as it has successes to tell of, while workers
 * may be connected to the new one. So what is not known here is asked about once more, on a new connection.
 */
static void
handover_ask_again(struct handover *handover)
{
	handover->fresh = master_new();
	handover_ask(handover, handover->fresh);
}

/* The new connection knew more: it takes the old one's place. */
static void
master_renew(struct handover *handover)
{
	if (handover->fresh == NULL || !master_client_is_idle(parent.master))
		return;
	master_drop(parent.master);
	parent.master = handover->fresh;
	handover->fresh = NULL;
}

static void
master_answered(struct master_query *query, enum master_result result, const struct account *account)
{
	struct handover *handover = container_of(query, struct handover, query);

	switch (result) {
	case MASTER_FOUND:
		master_renew(handover);
		handover_send(handover, account);
		break;
	case MASTER_NOTFOUND:
		if (handover->fresh == NULL) {
			handover_ask_again(handover);
			break;
		}
		log_warning("process %ld says that somebody has logged in, of which authd knows nothing",
		    (long)handover->worker_pid);
		handover_end(handover, LOGIN_NOT_HANDED);
		break;
	case MASTER_TEMP:
		handover_end(handover, LOGIN_NOT_HANDED);
		break;
	}
}

static struct handover *
handover_new(struct daemon_child *worker, uint32_t worker_id, const struct login_claim *claim,
    const struct login_connection *connection)
{
	struct handover *handover = parent.nhandovers < HANDOVERS_MAX ? calloc(1, sizeof *handover) : NULL;

	if (handover == NULL)
		return NULL;
	handover->worker = worker;
	handover->worker_pid = worker->pid;
	handover->worker_id = worker_id;
	handover->id = ++parent.last_id;
	handover->fd = connection->fd;
	handover->exchange = claim->exchange;
	(void)str_copy(handover->cookie, sizeof handover->cookie, claim->cookie);
	buf_init(&handover->message, MSG_MAX_BYTES);
	login_connection_write(&handover->message, handover->id, connection);
	TAILQ_INSERT_TAIL(&parent.asking, handover, link);
	parent.nhandovers++;
	return handover;
}

void
login_parent_worker_received(struct daemon_child *worker, struct msg *m)
{
	struct login_connection connection;
	struct login_claim claim;
	struct handover *handover;

	if (m->type != LOGIN_HANDOVER || !login_handover_read(m, &claim, &connection)) {
		log_warning("process %ld sent a malformed message", (long)worker->pid);
		worker_tell(worker, worker->pid, m->id, LOGIN_NOT_HANDED);
		return;
	}
	handover = handover_new(worker, m->id, &claim, &connection);
	if (handover == NULL) {
		(void)close(connection.fd);
		worker_tell(worker, worker->pid, m->id, LOGIN_NOT_HANDED);
		return;
	}
	if (parent.master == NULL)
		parent.master = master_new();
	handover_ask(handover, parent.master);
}

/* Its plain connections live on without it. */
void
login_parent_worker_ended(struct daemon_child *worker)
{
	struct handover *handover;
	struct session *session;

	TAILQ_FOREACH(handover, &parent.asking, link)
		if (handover->worker == worker)
			handover->worker = NULL;
	LIST_FOREACH(session, &parent.all, all)
		TAILQ_FOREACH(handover, &session->handovers, link)
			if (handover->worker == worker)
				handover->worker = NULL;
}

/* --- what sessions say --------------------------------------------------------------------------------------------- */

static struct session *
session_of(struct daemon_child *child)
{
	return container_of(child, struct session, child);
}

static void
session_took(struct session *session, uint32_t id)
{
	struct handover *handover;

	TAILQ_FOREACH(handover, &session->handovers, link)
		if (handover->id == id)
			break;
	if (handover != NULL)
		handover_end(handover, LOGIN_HANDED);
}

/* It may go only if it has seen every connection that it was sent; otherwise one is on its way, and it will stay. */
static void
session_leaves(struct session *session, uint64_t seen)
{
	if (seen != session->sent)
		return;
	session_retire(session);
	msg_begin(&parent.message, LOGIN_GOODBYE, 0);
	(void)daemon_child_send(&session->child, &parent.message, -1);
}

void
login_parent_session_received(struct daemon_child *child, struct msg *m)
{
	struct session *session = session_of(child);

	if (m->type == LOGIN_TAKEN)
		session_took(session, m->id);
	else if (m->type == LOGIN_CLOSED && session->open > 0)
		session->open--;
	else if (m->type == LOGIN_LEAVING)
		session_leaves(session, msg_get_u64(m));
	else
		log_warning("process %ld sent an unexpected message", (long)child->pid);
}

/* What a session that died had not taken was not touched: once more, with a new process. */
void
login_parent_session_ended(struct daemon_child *child)
{
	struct session *session = session_of(child);
	struct account account = session->account;
	struct handover *handover;

	session_retire(session);
	while ((handover = TAILQ_FIRST(&session->handovers)) != NULL) {
		TAILQ_REMOVE(&session->handovers, handover, link);
		handover->session = NULL;
		TAILQ_INSERT_TAIL(&parent.asking, handover, link);
		if (handover->retried || parent.daemon->stopping) {
			handover_end(handover, LOGIN_NOT_HANDED);
		} else {
			handover->retried = true;
			handover_send(handover, &account);
		}
	}
	LIST_REMOVE(session, all);
	parent.nsessions--;
	free(session);
}

/* Users who log in from now on get processes with the new configuration. */
void
login_parent_reloaded(struct daemon *daemon)
{
	struct session *session;

	(void)daemon;
	LIST_FOREACH(session, &parent.all, all)
		session_retire(session);
}
