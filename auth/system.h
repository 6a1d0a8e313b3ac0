/*
 * The accounts of the operating system: NSS for who they are, PAM for their passwords. Blocking, and as slow as the
 * modules that the administrator has configured; only checkers call it.
 */
#ifndef AUTH_SYSTEM_H
#define AUTH_SYSTEM_H

#include <sys/types.h>

#include "common/login/account.h"
#include "common/base/err.h"

/* The answer of every look-up of authd. */
enum found {
	FOUND,
	FOUND_NOT,
	FOUND_TROUBLE, /* cannot be told at present; err says why */
};

struct system_user {
	char name[ACCOUNT_NAME_MAX + 1];
	uid_t uid;
	gid_t gid;
	char home[ACCOUNT_PATH_MAX + 1];
};

/* A table, so that tests can bring users of their own. */
struct system_accounts {
	enum found (*by_name)(struct str name, struct system_user *user, struct err *err);
	enum found (*by_uid)(uid_t uid, struct system_user *user, struct err *err);
	/* FOUND: that is the user's password, and the account may be used. remote: address of the client, for the
	 * modules' logs; may be empty. */
	enum found (*verify)(const char *service, const struct system_user *user, struct str password,
	    struct str remote, struct err *err);
	/* FOUND: the account may be used now, whoever asks: its password is not. */
	enum found (*permit)(const char *service, const struct system_user *user, struct err *err);
};

extern const struct system_accounts system_accounts_real;

/* Tells in the log, once, when PAM has no configuration for the service. */
void system_check_pam(const char *service);

#endif
