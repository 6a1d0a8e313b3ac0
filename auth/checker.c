/*
 * A checker: one request after the other from the front, each answered from the directory, blocking. It has what the
 * account databases need, as root all of root's, and therefore reads nothing but messages of a fixed form.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "auth/check.h"
#include "auth/directory.h"
#include "auth/front.h"
#include "common/base/log.h"

#define VALUE_MAX_BYTES (MSG_MAX_BYTES - 1024)
#define LOOK_MS 2000   /* how often the files are looked at, so that mistakes show soon after they were made */
#define RELEASE_MS 300000 /* a draining checker whose front died without a word */

struct checker {
	struct directory directory;
	struct channel front;
	struct daemon_self *self;
	timer_t watch;
	struct buf value, message;
	unsigned char signature[SCRAM_DIGEST_MAX];
	unsigned offers;
	bool released;
	struct loop_timer draining, look;
};

static struct checker checker;

/* --- requests ------------------------------------------------------------------------------------------------------ */

static enum found
account_answer(enum found found, const struct account *account, struct buf *value)
{
	if (found == FOUND)
		account_format(value, account);
	return found;
}

static enum found
request_run(struct directory *directory, const struct check_request *request, struct buf *value,
    unsigned char *signature, struct err *err)
{
	struct account account;
	enum found found;
	uint64_t number;
	bool is_alias;

	switch (request->type) {
	case CHECK_VERIFY:
		found = directory_verify(directory, request->subject, request->password, request->remote, &account, err);
		return account_answer(found, &account, value);
	case CHECK_ACCOUNT:
		found = directory_account(directory, request->subject, &account, err);
		return account_answer(found, &account, value);
	case CHECK_RECIPIENT:
		found = directory_recipient(directory, request->subject, &is_alias, err);
		buf_adds(value, found != FOUND ? "" : is_alias ? "alias" : "local");
		return found;
	case CHECK_SENDER:
		return directory_sender(directory, request->subject, err);
	case CHECK_ALIAS:
		return directory_alias(directory, request->subject, value, err);
	case CHECK_UID:
		if (!str_to_u64(request->subject, UINT32_MAX - 1, &number))
			return FOUND_NOT;
		return directory_uid(directory, (uid_t)number, value, err);
	case CHECK_LOGIN:
		found = directory_login(directory, request->subject, &account, err);
		return account_answer(found, &account, value);
	case CHECK_SALT:
		return directory_salt(directory, request->subject, request->hash, value, err);
	case CHECK_PROOF:
		found = directory_proof(directory, request, &account, signature, err);
		return account_answer(found, &account, value);
	case CHECK_OFFERS:
	case CHECK_HELLO:
	case CHECK_LEAVING:
	case CHECK_GOODBYE:
	case CHECK_ANSWER:
		break;
	}
	return FOUND_NOT;
}

/* A module that never returns must not cost more than this process. No handler could be trusted to run then. */
static void
watch_set(unsigned seconds)
{
	struct itimerspec spec = {.it_value.tv_sec = seconds};

	if (timer_settime(checker.watch, 0, &spec, NULL) != 0)
		fatal("timer_settime");
}

static void
request_answer(uint32_t id, const struct check_request *request)
{
	struct check_answer answer = {.signature = STR_NONE};
	struct err err = {0};

	buf_reset(&checker.value);
	watch_set(CHECK_SECONDS_MAX);
	answer.found = request_run(&checker.directory, request, &checker.value, checker.signature, &err);
	watch_set(0);
	if (!buf_ok(&checker.value)) {
		answer.found = FOUND_TROUBLE;
		(void)err_set(&err, ERR_LIMIT, "too long an answer");
	}
	answer.value = answer.found == FOUND ? buf_str(&checker.value) : str_from(err.text);
	if (answer.found == FOUND && request->type == CHECK_PROOF)
		answer.signature =
		    (struct str){(const char *)checker.signature, scram_digest_bytes(request->hash)};
	check_answer_write(&checker.message, id, &answer);
	if (!channel_send(&checker.front, &checker.message, -1))
		fatal("the front does not read");
}

static void
front_received(struct channel *channel, struct msg *m)
{
	struct check_request request;

	(void)channel;
	if (m->type == CHECK_GOODBYE) {
		checker.released = true;
		if (checker.self->draining)
			loop_stop(checker.self->loop);
		return;
	}
	if (!check_request_read(m, &request)) {
		log_warning("a malformed request from the front was dropped");
		return;
	}
	request_answer(m->id, &request);
	/* The packet was ours alone, whatever borrows from it says const. */
	if (request.password.n > 0)
		explicit_bzero((void *)(uintptr_t)request.password.p, request.password.n);
}

/* The parent holds the other end too: it is gone, and everything else with it. */
static void
front_closed(struct channel *channel)
{
	(void)channel;
	exit(0);
}

/* --- the process --------------------------------------------------------------------------------------------------- */

static void
front_tell(enum check type)
{
	msg_begin(&checker.message, type, 0);
	if (!channel_send(&checker.front, &checker.message, -1))
		fatal("the front does not read");
}

static void
drain_expired(struct loop_timer *timer)
{
	(void)timer;
	loop_stop(checker.self->loop);
}

/* The front of this generation may still have passwords to check: it says when it has not. */
static void
checker_drain(struct daemon_self *self)
{
	if (checker.released) {
		loop_stop(self->loop);
		return;
	}
	front_tell(CHECK_LEAVING);
	loop_timer_set(self->loop, &checker.draining, RELEASE_MS, drain_expired);
}

/* One of the checkers reports mistakes and says what may be offered; they all read the same files. */
static void
look(bool is_first)
{
	unsigned offers;

	directory_refresh(&checker.directory);
	offers = directory_offers(&checker.directory);
	if (offers == checker.offers && !is_first)
		return;
	checker.offers = offers;
	check_offers_write(&checker.message, offers);
	if (!channel_send(&checker.front, &checker.message, -1))
		fatal("the front does not read");
}

static void
look_expired(struct loop_timer *timer)
{
	look(false);
	loop_timer_set(checker.self->loop, timer, LOOK_MS, look_expired);
}

static void
watch_make(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};

	if (timer_create(CLOCK_MONOTONIC, &event, &checker.watch) != 0)
		fatal("timer_create");
}

/* NSS and PAM modules may open, connect and execute whatever the administrator has configured, so there is no
 * allow-list here; what no module needs is taken away. */
static void
confine(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		log_warning("a checker could not be confined");
}

void
checker_main(struct daemon_self *self)
{
	struct loop *loop;

	if (self->npeers != 1)
		fatal("a checker without a front");
	checker.self = self;
	confine();
	watch_make();
	directory_init(&checker.directory, self->conf, &system_accounts_real);
	checker.directory.silent = self->index != 0;
	if (self->index == 0 && daemon_is_privileged())
		system_check_pam(self->conf->auth.pam_service);
	buf_init(&checker.value, VALUE_MAX_BYTES);
	buf_init(&checker.message, MSG_MAX_BYTES);
	loop = loop_new();
	channel_open(&checker.front, loop, self->peers[0], front_received, front_closed);
	front_tell(CHECK_HELLO);
	self->drain = checker_drain;
	daemon_self_open(self, loop);
	if (self->index == 0) {
		look(true);
		loop_timer_set(loop, &checker.look, LOOK_MS, look_expired);
	}
	loop_run(loop);
}
