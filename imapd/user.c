#include "imapd/user.h"

#include "common/base/log.h"
#include "imapd/session.h"

/* ---- news ------------------------------------------------------------------------------------------------------ */

static void
push(struct loop_deferred *pushing)
{
	struct user *user = container_of(pushing, struct user, pushing);
	struct session *session;

	TAILQ_FOREACH(session, &user->sessions, link)
		session_push(session);
}

void
user_push_later(struct user *user)
{
	loop_defer(user->loop, &user->pushing, push);
}

static void
look_at_all(struct user *user)
{
	struct folder *folder;

	LIST_FOREACH(folder, &user->folders, link)
		(void)folder_look(folder);
	user_push_later(user);
}

static void
on_news(struct loop_io *io, unsigned events)
{
	struct user *user = container_of(io, struct user, news_io);

	(void)events;
	if (store_news_take(user->news))
		look_at_all(user);
}

static void
on_poll(struct loop_timer *timer)
{
	struct user *user = container_of(timer, struct user, poll);

	look_at_all(user);
	loop_timer_set(user->loop, timer, user->conf->imapd.poll_ms, on_poll);
}

void
user_folder_changed(struct user *user, struct folder *folder)
{
	struct folder *other = NULL;

	if (folder->name.p != NULL)
		other = folder_find(&user->folders, folder->name, !folder->writable);
	folder_changed(folder);
	if (other != NULL)
		(void)folder_look(other);
	user_push_later(user);
}

void
user_name_changed(struct user *user, struct str name)
{
	for (int writable = 0; writable < 2; writable++) {
		struct folder *folder = folder_find(&user->folders, name, writable != 0);

		if (folder != NULL)
			(void)folder_look(folder);
	}
	user_push_later(user);
	store_news_send(user->store);
}

struct commit *
user_commit(struct user *user)
{
	if (user->commit == NULL)
		user->commit = commit_new(user->loop, 1);
	return user->commit;
}

/* ---- slices ---------------------------------------------------------------------------------------------------- */

uint64_t
user_slice_begin(struct user *user)
{
	loop_refresh(user->loop);
	return loop_now_ms(user->loop);
}

bool
user_slice_is_over(struct user *user, uint64_t begin_ms)
{
	loop_refresh(user->loop);
	return loop_now_ms(user->loop) - begin_ms >= USER_SLICE_MS;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static void
listen_for_news(struct user *user)
{
	struct err err;

	user->news = store_news_listen(user->store, &err);
	if (user->news == NULL)
		log_warning("no news of new mail, only polling: %s", err.text);
	else
		loop_io_add(user->loop, &user->news_io, store_news_fd(user->news), LOOP_READ, on_news);
	loop_timer_set(user->loop, &user->poll, user->conf->imapd.poll_ms, on_poll);
}

void
user_start(struct user *user, struct login_session *login)
{
	struct err err;

	*user = (struct user){.login = login, .conf = login->conf, .loop = login->loop, .store = login->store};
	LIST_INIT(&user->folders);
	TAILQ_INIT(&user->sessions);
	if (!store_first_login(user->store, &err))
		log_error("user=<%s>: the usual folders cannot be made: %s", login->account->name, err.text);
	listen_for_news(user);
}

void
user_stop(struct user *user)
{
	struct session *session, *next;

	user->stopping = true;
	TAILQ_FOREACH_SAFE(session, &user->sessions, link, next)
		session_end(session, "[UNAVAILABLE] The server is being restarted");
}
