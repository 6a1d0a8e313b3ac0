/*
 * A user's session process: becomes the owner, opens the Maildir, goes into its sandbox, and from then on passes each
 * connection that comes to the program's functions. How it ends is agreed with the parent: see login_message.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/login/login_message.h"
#include "common/login/login_parent.h"
#include "common/store/owner.h"
#include "common/daemon/sandbox.h"

#define DESCRIPTORS_MAX 8192

static struct {
	struct login_session session;
	const struct login_service *service;
	struct daemon_self *self;
	struct account account;
	struct store_host host;
	struct login_limits limits;
	uint64_t seen; /* connections, ever */
	uint64_t open;
	struct loop_timer linger;
	struct buf message;
} process; /* this one */

static bool
parent_tell(enum login_message type, uint32_t id)
{
	msg_begin(&process.message, type, id);
	if (type == LOGIN_LEAVING)
		msg_add_u64(&process.message, process.seen);
	return daemon_self_send(process.self, &process.message, -1);
}

/* --- the end ------------------------------------------------------------------------------------------------------- */

static void
leave(void)
{
	if (process.self->stopping)
		loop_stop(process.session.loop);
	else
		(void)parent_tell(LOGIN_LEAVING, 0);
}

static void
linger_expired(struct loop_timer *timer)
{
	(void)timer;
	if (process.open == 0)
		leave();
}

static void
leave_soon(void)
{
	bool at_once = process.self->draining || process.self->stopping || process.limits.linger_ms == 0;

	if (at_once)
		leave();
	else
		loop_timer_set(process.session.loop, &process.linger, process.limits.linger_ms, linger_expired);
}

void
login_session_closed(struct login_session *session)
{
	(void)session;
	process.open--;
	(void)parent_tell(LOGIN_CLOSED, 0);
	if (process.open == 0)
		leave_soon();
}

/* A new generation: what is open goes on. */
static void
session_drain(struct daemon_self *self)
{
	(void)self;
	if (process.open == 0)
		leave();
}

static void
session_stop(struct daemon_self *self)
{
	(void)self;
	if (process.service->session_stop != NULL)
		process.service->session_stop(&process.session);
	if (process.open == 0)
		loop_stop(process.session.loop);
}

/* --- connections --------------------------------------------------------------------------------------------------- */

/* TAKEN goes first: what the parent has not heard of by then it gives to another process, if this one should die. */
static void
connection_take(uint32_t id, const struct login_connection *connection)
{
	loop_timer_cancel(&process.linger);
	process.seen++;
	process.open++;
	(void)parent_tell(LOGIN_TAKEN, id);
	process.service->session_connection(&process.session, connection);
}

static void
parent_said(struct daemon_self *self, struct msg *m)
{
	struct login_connection connection;

	if (m->type == LOGIN_GOODBYE) {
		if (process.open == 0)
			loop_stop(self->loop);
		return;
	}
	if (m->type == LOGIN_CONNECTION && !self->stopping && login_connection_read(m, &connection))
		connection_take(m->id, &connection);
}

/* --- the beginning ------------------------------------------------------------------------------------------------- */

/* cache_directory/NAME, made while there is the privilege to. Without it everything works, only slower. */
static int
cache_open(void)
{
	int above = open(process.self->conf->cache_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = -1;

	if (above < 0)
		return -1;
	if (mkdirat(above, process.account.name, 0700) == 0 || errno == EEXIST)
		fd = openat(above, process.account.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && daemon_is_privileged() && fchown(fd, process.account.uid, process.account.gid) != 0) {
		(void)close(fd);
		fd = -1;
	}
	(void)close(above);
	return fd;
}

static void
confine(void)
{
	struct sandbox_spec spec = {
	    .promises = SANDBOX_STDIO | SANDBOX_LOOP | SANDBOX_SERVE | SANDBOX_OPEN | SANDBOX_CREATE | SANDBOX_CHANGE |
			process.service->promises,
	    .descriptors_max = DESCRIPTORS_MAX,
	};
	size_t n = 0;

	spec.paths[n++] = (struct sandbox_path){
	    .fd = store_directory(process.session.store), .access = SANDBOX_READ | SANDBOX_WRITE | SANDBOX_REMOVE};
	if (process.session.cache_directory >= 0)
		spec.paths[n++] = (struct sandbox_path){
		    .fd = process.session.cache_directory, .access = SANDBOX_READ | SANDBOX_WRITE | SANDBOX_REMOVE};
	daemon_confine(process.self, &spec);
}

static void
open_all(void)
{
	struct login_session *session = &process.session;
	struct err err;

	session->conf = process.self->conf;
	session->account = &process.account;
	session->host = &process.host;
	store_host_read(&process.host, process.self->conf->hostname);
	session->cache_directory = cache_open();
	tzset();
	if (!owner_become(&process.account, &err))
		fatal("%s", err.text);
	session->store = store_open(&process.host, process.account.home, process.account.mail, true, &err);
	if (session->store == NULL)
		fatal("mailbox of %s: %s", process.account.name, err.text);
}

void
login_session_main(struct daemon_self *self)
{
	const struct login_session_start *start = self->argument;

	process.self = self;
	process.service = start->service;
	process.account = start->account;
	process.service->limits(self->conf, &process.limits);
	buf_init(&process.message, 64);
	open_all();
	confine();
	process.session.loop = loop_new();
	if (process.service->session_start != NULL && !process.service->session_start(&process.session))
		exit(EXIT_FAILURE);
	self->received = parent_said;
	self->drain = session_drain;
	self->stop = session_stop;
	daemon_self_open(self, process.session.loop);
	loop_run(process.session.loop);
}
