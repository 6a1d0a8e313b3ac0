/*
 * A user's process: the Maildir, the folders that are open, and all of the user's connections in one loop.
 */
#ifndef IMAPD_USER_H
#define IMAPD_USER_H

#include "common/base/commit.h"
#include "common/conf/conf.h"
#include "common/login/login.h"
#include "common/store/store_news.h"
#include "imapd/folder.h"

#define USER_SLICE_MS 10

struct session;
TAILQ_HEAD(session_list, session);

struct user {
	struct login_session *login;
	const struct conf *conf;
	struct loop *loop;
	struct store *store;
	struct store_news *news; /* NULL: only polling tells */
	struct loop_io news_io;
	struct loop_timer poll;
	struct loop_deferred pushing;
	struct commit *commit;	 /* NULL until it is needed */
	struct folder_list folders;
	struct session_list sessions;
	bool stopping;
};

/* Makes the usual folders at the first login, begins to listen for news. *user lives as long as the process. */
void user_start(struct user *user, struct login_session *login);
/* Lets every connection end what it is doing, then says goodbye to it. */
void user_stop(struct user *user);

/* Of this process; made when it is first asked for. */
struct commit *user_commit(struct user *user);

/* A slice of work begins; is it over? So that no connection waits for long while another's command is carried out. */
uint64_t user_slice_begin(struct user *user);
bool user_slice_is_over(struct user *user, uint64_t begin_ms);

/* A folder was looked at anew: those who idle in it will be told. */
void user_push_later(struct user *user);
/* Messages of an open folder have changed by our own doing: tells those who idle in it, and has the other handle of the
 * same folder look again. */
void user_folder_changed(struct user *user, struct folder *folder);
/* The same when it was not done through a handle in `folders` (APPEND, COPY): looks again at what is open by this name,
 * and tells the other processes. */
void user_name_changed(struct user *user, struct str name);

#endif
