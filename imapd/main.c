/*
 * imapd: the common login front around the IMAP protocol before login (preauth) and a process for each user (user).
 */
#include "common/login/login.h"
#include "common/mime/mime_charset.h"
#include "common/daemon/sandbox.h"
#include "imapd/match.h"
#include "imapd/preauth.h"
#include "imapd/session.h"
#include "imapd/user.h"

static struct user user; /* of a session process, which has just one */

static void
limits(const struct conf *conf, struct login_limits *l)
{
	*l = (struct login_limits){
	    .workers = conf->imapd.login_workers,
	    .clients_per_worker = conf->imapd.clients_per_worker,
	    .login_timeout_ms = conf->imapd.login_timeout_ms,
	    .users = conf->imapd.users,
	    .connections_per_user = conf->imapd.connections_per_user,
	    .linger_ms = conf->imapd.linger_ms,
	};
}

static bool
session_start(struct login_session *login)
{
	user_start(&user, login);
	return true;
}

static void
session_connection(struct login_session *login, const struct login_connection *connection)
{
	(void)login;
	session_new(&user, connection);
}

static void
session_stop(struct login_session *login)
{
	(void)login;
	user_stop(&user);
}

int
main(int argc, char **argv)
{
	static const struct login_service service = {
	    .program = "imapd",
	    .name = "imap",
	    .kind = LISTENER_IMAP,
	    .kind_tls = LISTENER_IMAPS,
	    .protocol = &preauth_protocol,
	    .limits = limits,
	    /* The socket for news of the Maildir; the threads of the commits. */
	    .promises = SANDBOX_UNIX | SANDBOX_THREADS,
	    .session_start = session_start,
	    .session_connection = session_connection,
	    .session_stop = session_stop,
	};

	/* Before any sandbox closes the files. */
	mime_charset_preload();
	match_preload();
	return login_main(argc, argv, &service);
}
