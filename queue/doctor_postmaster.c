#include "queue/doctor_postmaster.h"

#include <stdio.h>
#include <sys/un.h>

#include "common/daemon/daemon.h"
#include "common/net/socketmap.h"
#include "common/smtp/address.h"

#define LOOKUP_MS 3000
/* Aliases that are followed one after the other. */
#define DEPTH_MAX 10

struct postmaster {
	const struct doctor *d;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* of authd's socket */
	char address[ADDRESS_TEXT_MAX + 1];
	struct buf value;
};

static enum socketmap_status
look_up(struct postmaster *p, struct str map)
{
	struct err err;

	return socketmap_lookup(p->path, LOOKUP_MS, map, str_from(p->address), &p->value, &err);
}

static bool
is_ours(const struct postmaster *p)
{
	struct str address = str_from(p->address);

	return conf_domain_find(p->d->conf, str_skip(address, str_find_last(address, '@') + 1)) != NULL;
}

/* Along the first of the names that each alias stands for. Mail that leaves this host has somewhere to go. */
static enum socketmap_status
follow(struct postmaster *p)
{
	enum socketmap_status status = SOCKETMAP_OK;

	for (int i = 0; i < DEPTH_MAX && status == SOCKETMAP_OK && is_ours(p); i++) {
		struct str targets, target;

		status = look_up(p, STR("alias"));
		if (status == SOCKETMAP_NOTFOUND)
			return look_up(p, STR("account"));
		targets = buf_str(&p->value);
		if (status == SOCKETMAP_OK && (!str_token(&targets, ',', &target) || !str_copy(p->address, sizeof p->address, target)))
			return SOCKETMAP_NOTFOUND;
	}
	return status;
}

void
doctor_postmasters(struct doctor *d)
{
	enum socketmap_status status = SOCKETMAP_OK;
	struct postmaster p = {.d = d};

	d->area = DOCTOR_POSTMASTERS;
	(void)str_copy(p.path, sizeof p.path, str_from(daemon_socket_path(d->conf, "map")));
	buf_init(&p.value, SOCKETMAP_REPLY_MAX);
	/* An authd that does not answer was told of before. */
	for (size_t i = 0; i < d->conf->ndomains && status != SOCKETMAP_TEMP; i++) {
		char address[ADDRESS_TEXT_MAX + 1];

		(void)snprintf(address, sizeof address, "postmaster@%s", d->conf->domains[i].name);
		(void)str_copy(p.address, sizeof p.address, str_from(address));
		status = follow(&p);
		if (status == SOCKETMAP_OK)
			doctor_find(d, DOCTOR_OK, "postmaster", str_from(address), "has a mailbox");
		if (status != SOCKETMAP_NOTFOUND)
			continue;
		doctor_find(d, DOCTOR_WARNING, "postmaster-missing", str_from(address), "has no mailbox: what others have to say of this "
		    "server nobody reads (RFC 5321 4.5.1)");
		doctor_advise(d, "Give postmaster an alias in %s, or set `postmaster`", d->conf->aliases_file);
	}
	buf_clear(&p.value);
}
