/*
 * The users file: virtual accounts in the manner of passwd(5), as Dovecot reads it too:
 *     user:password:uid:gid:gecos:home:shell:extra
 * Only user and password must be there. Of the extra fields (words between blanks) userdb_mail=maildir:PATH counts, and
 * our own scram-sha-1=KEYS.
 */
#ifndef AUTH_USERS_H
#define AUTH_USERS_H

#include <sys/types.h>

#include "common/login/scram.h"

struct user {
	struct str name; /* in lower case; fit for account_name_is_good */
	struct str password;
	struct str home; /* empty: as the configuration says */
	struct str mail; /* the same; may begin with ~/ */
	struct str sha1; /* keys of SCRAM-SHA-1 beside the password; may be empty */
	uid_t uid;	 /* 0: none given */
	gid_t gid;
	unsigned line;
};

struct users {
	struct user *list; /* sorted by name */
	size_t n;
	size_t nopen;		     /* those who can log in with a password, */
	size_t nkeys[SCRAM_HASHES]; /* and those of them who can do so by this SCRAM */
};

#define USERS_SHA1_WORD "scram-sha-1="


/*
 * Reads text (changed in place: names become lower case), which the entries then borrow from. A line that is wrong is
 * left out and reported in problems as "PATH:LINE: what" and a newline; problems has a maximum and may be full.
 */
void users_parse(struct users *users, char *text, size_t n, const char *path, struct buf *problems);
void users_clear(struct users *users);

/* By name, any case. NULL when there is none. */
const struct user *users_find(const struct users *users, struct str name);
/* False when the account has none of that kind, or is locked. */
bool user_keys(const struct user *user, enum scram_hash hash, struct scram_keys *keys);

#endif
