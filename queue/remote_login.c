#include "queue/remote_login.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

/* The first line of the file. .p is NULL: it has none. */
static struct str
secret_read(const struct conf_route *route, const char *path)
{
	static char line[REMOTE_LOGIN_SECRET_MAX + 2];
	FILE *f = fopen(path, "re");
	struct str secret = STR_NONE;

	if (f != NULL)
		setvbuf(f, NULL, _IONBF, 0); /* no copy stays behind */
	if (f == NULL || fgets(line, sizeof line, f) == NULL)
		log_error("[route %s]: %s: %s", route->name, path, f == NULL ? strerror(errno) : "is empty");
	else
		secret = str_from(str_dup(str_sub(str_from(line), 0, strcspn(line, "\r\n"))));
	if (f != NULL)
		(void)fclose(f);
	explicit_bzero(line, sizeof line);
	return secret;
}

static void
login_read(struct sasl_credentials *credentials, const struct conf_route *route)
{
	if (route->login[0] == '\0')
		return;
	credentials->user = str_from(route->login);
	credentials->allowed = route->mechanisms[0] == '\0' ? SASL_ALL : sasl_mechanisms_read(str_from(route->mechanisms));
	if (route->password_file[0] != '\0')
		credentials->password = secret_read(route, route->password_file);
	if (route->token_file[0] != '\0')
		credentials->token = secret_read(route, route->token_file);
}

struct sasl_credentials *
remote_logins_read(const struct conf *conf)
{
	struct sasl_credentials *all = calloc(conf->nroutes + 1, sizeof *all);

	if (all == NULL)
		fatal("out of memory");
	for (size_t i = 0; i < conf->nroutes; i++)
		login_read(&all[i], &conf->routes[i]);
	return all;
}

bool
remote_login_is_known(const struct sasl_credentials *credentials)
{
	return credentials->user.n == 0 || credentials->password.p != NULL || credentials->token.p != NULL;
}
