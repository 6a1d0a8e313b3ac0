#include "common/store/owner.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "common/daemon/sandbox.h"

#define GROUPS_MAX 64

static size_t
groups_find(const struct account *account, gid_t groups[GROUPS_MAX])
{
	const struct passwd *pw = getpwnam(account->name);
	int n = GROUPS_MAX;

	if (pw == NULL || pw->pw_uid != account->uid || getgrouplist(account->name, account->gid, groups, &n) < 0)
		return 0;
	return (size_t)n;
}

bool
owner_become(const struct account *account, struct err *err)
{
	gid_t groups[GROUPS_MAX];
	struct sandbox_spec spec = {
	    .change_user = true,
	    .uid = account->uid,
	    .gid = account->gid,
	    .groups = groups,
	};

	if (geteuid() != 0)
		return account->uid == geteuid() ||
		       err_set(err, ERR_TEMP, "only root can become uid %lu of the account %s", (unsigned long)account->uid,
			   account->name);
	spec.ngroups = groups_find(account, groups);
	return sandbox_become(&spec, err);
}
