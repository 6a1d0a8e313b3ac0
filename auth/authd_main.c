/*
 * authd: who is who. The front speaks with the other programs; the checkers look into the account databases; oauth knows
 * whose a token is.
 */
#include "auth/directory.h"
#include "auth/front.h"
#include "auth/oauth.h"

static bool
started(struct daemon *daemon)
{
	(void)daemon;
	directory_secret_make();
	return true;
}

static unsigned
checker_count(const struct conf *conf)
{
	return (unsigned)conf->auth.checkers;
}

int
main(int argc, char **argv)
{
	static const struct daemon_role roles[] = {
	    {.name = "front", .user = "_auth", .main = front_main,
		.listeners = LISTENER_BIT(LISTENER_SASL) | LISTENER_BIT(LISTENER_MAP) | LISTENER_BIT(LISTENER_MASTER)},
	    {.name = "checker", .count = checker_count, .main = checker_main, .peers = {"front"}},
	    /* Behind the checkers, so that its pair is the front's last. */
	    {.name = "oauth", .user = "_auth", .count = oauth_count, .main = oauth_main, .peers = {"front"}},
	};
	static struct daemon authd = {.name = "authd", .roles = roles, .nroles = sizeof roles / sizeof roles[0],
	    .started = started};

	return daemon_main(&authd, argc, argv);
}
