#include "deliver/parent.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/login/account.h"
#include "common/base/log.h"
#include "common/net/socketmap.h"
#include "deliver/handoff.h"

#define QUERIES_MAX 4000 /* under way at a time */
#define LOOKUP_TIMEOUT_MS 20000
#define PATH_BYTES 256

/* A front's question while authd thinks about it. */
struct query {
	struct socketmap_query map;
	struct daemon_child *front; /* NULL: it is gone */
	uint32_t id;		    /* the front's number for it */
	bool writer;
	LIST_ENTRY(query) link;
};

struct writer {
	struct daemon_child child;
	struct account account;
};

static struct {
	struct daemon *daemon;
	const struct daemon_role *writer_role;
	struct socketmap_client map;
	bool has_map;
	char map_path[PATH_BYTES];
	LIST_HEAD(, query) queries;
	size_t nqueries, nwriters;
	struct buf message;
} parent;

void
parent_init(struct daemon *daemon, const struct daemon_role *writer_role)
{
	parent.daemon = daemon;
	parent.writer_role = writer_role;
	LIST_INIT(&parent.queries);
	buf_init(&parent.message, MSG_MAX_BYTES);
}

/* --- writers ------------------------------------------------------------------------------------------------------------- */

/* Those of a front that was restarted, or that have just been told to end, are counted too: hence the double. */
static bool
has_room(void)
{
	return parent.nwriters < 2 * parent.daemon->conf->deliver.writers;
}

/* The front's end of the socket, or -1. */
static int
writer_spawn(const struct account *account)
{
	struct writer *writer = calloc(1, sizeof *writer);
	struct daemon_user user = {.uid = account->uid, .gid = account->gid};
	struct daemon_spawn spawn = {.user = &user, .title = account->name, .nfds = 1};
	struct err err = {ERR_NONE, 0, ""};
	int fds[2];
	bool ok = false;

	if (writer == NULL)
		return -1;
	writer->account = *account;
	msg_socketpair(fds);
	spawn.fds = &fds[1];
	spawn.argument = &writer->account;
	if (!daemon_is_privileged() && account->uid != geteuid())
		(void)err_set(&err, ERR_TEMP, "only root can write for uid %lu", (unsigned long)account->uid);
	else
		ok = daemon_spawn(parent.daemon, &writer->child, parent.writer_role, &spawn, &err);
	(void)close(fds[1]);
	if (ok) {
		parent.nwriters++;
		return fds[0];
	}
	log_warning("mailbox of %s: %s", account->name, err.text);
	(void)close(fds[0]);
	free(writer);
	return -1;
}

void
parent_writer_ended(struct daemon_child *child)
{
	parent.nwriters--;
	free(container_of(child, struct writer, child));
}

/* --- questions ----------------------------------------------------------------------------------------------------------- */

static void
answer(struct daemon_child *front, uint32_t id, enum handoff_found found, struct str key, int fd)
{
	struct handoff_answer a = {.found = found, .key = key};

	if (front == NULL)
		return;
	handoff_answer_encode(&parent.message, id, &a);
	if (!daemon_child_send(front, &parent.message, fd))
		log_warning("the front %ld does not read", (long)front->pid);
}

static void
answer_found(struct query *query, const struct account *account)
{
	struct buf key;
	int fd = -1;

	if (query->writer && !has_room()) {
		answer(query->front, query->id, HANDOFF_BUSY, STR_NONE, -1);
		return;
	}
	if (query->writer && query->front != NULL)
		fd = writer_spawn(account);
	if (query->writer && fd < 0) {
		answer(query->front, query->id, HANDOFF_UNTOLD, STR_NONE, -1);
		return;
	}
	buf_init(&key, HANDOFF_KEY_MAX);
	account_format(&key, account);
	answer(query->front, query->id, HANDOFF_FOUND, buf_str(&key), fd);
	buf_clear(&key);
	if (fd >= 0)
		(void)close(fd);
}

static void
map_answered(struct socketmap_query *map, enum socketmap_status status, struct str value)
{
	struct query *query = container_of(map, struct query, map);
	struct account account;

	switch (status) {
	case SOCKETMAP_OK:
		if (account_parse(&account, value)) {
			answer_found(query, &account);
			break;
		}
		log_warning("authd describes an account that makes no sense");
		answer(query->front, query->id, HANDOFF_UNTOLD, STR_NONE, -1);
		break;
	case SOCKETMAP_NOTFOUND:
	case SOCKETMAP_PERM:
		answer(query->front, query->id, HANDOFF_UNKNOWN, STR_NONE, -1);
		break;
	case SOCKETMAP_TEMP:
		answer(query->front, query->id, HANDOFF_UNTOLD, STR_NONE, -1);
		break;
	}
	LIST_REMOVE(query, link);
	parent.nqueries--;
	free(query);
}

static void
map_open(void)
{
	if (parent.has_map)
		return;
	(void)str_copy(parent.map_path, sizeof parent.map_path, str_from(daemon_socket_path(parent.daemon->conf, "map")));
	socketmap_client_init(&parent.map, parent.daemon->loop, parent.map_path, LOOKUP_TIMEOUT_MS);
	parent.has_map = true;
}

void
parent_front_received(struct daemon_child *front, struct msg *m)
{
	struct handoff_ask ask;
	struct query *query;

	if (m->type != HANDOFF_ASK || !handoff_ask_decode(m, &ask)) {
		log_warning("the front %ld sent a malformed message", (long)front->pid);
		answer(front, m->id, HANDOFF_UNTOLD, STR_NONE, -1);
		return;
	}
	query = parent.nqueries < QUERIES_MAX ? calloc(1, sizeof *query) : NULL;
	if (query == NULL) {
		answer(front, m->id, HANDOFF_UNTOLD, STR_NONE, -1);
		return;
	}
	query->front = front;
	query->id = m->id;
	query->writer = ask.writer;
	LIST_INSERT_HEAD(&parent.queries, query, link);
	parent.nqueries++;
	map_open();
	socketmap_ask(&parent.map, &query->map, STR("account"), ask.address, map_answered);
}

void
parent_front_ended(struct daemon_child *front)
{
	struct query *query;

	LIST_FOREACH(query, &parent.queries, link)
		if (query->front == front)
			query->front = NULL;
}
