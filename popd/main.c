#include "common/login/login.h"
#include "common/daemon/sandbox.h"
#include "popd/preauth.h"
#include "popd/session.h"

/* A mailbox is one session's at a time; those that wait for the lock or say their goodbyes need a place too. */
#define CONNECTIONS_PER_USER 10

static void
limits(const struct conf *conf, struct login_limits *l)
{
	*l = (struct login_limits){
	    .workers = conf->popd.login_workers,
	    .clients_per_worker = conf->popd.clients_per_worker,
	    .login_timeout_ms = conf->popd.login_timeout_ms,
	    .users = conf->popd.sessions,
	    .connections_per_user = CONNECTIONS_PER_USER,
	    .linger_ms = conf->popd.linger_ms,
	};
}

int
main(int argc, char **argv)
{
	static const struct login_service service = {
	    .program = "popd",
	    .name = "pop3",
	    .kind = LISTENER_POP3,
	    .kind_tls = LISTENER_POP3S,
	    .protocol = &preauth_protocol,
	    .limits = limits,
	    .promises = SANDBOX_UNIX, /* to tell others who have the mailbox open what was removed */
	    .session_connection = session_connection,
	    .session_stop = session_stop,
	};

	return login_main(argc, argv, &service);
}
