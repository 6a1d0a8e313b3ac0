/*
 * The inner side of auth/directory.h: for directory*.c only.
 */
#ifndef AUTH_DIRECTORY_INNER_H
#define AUTH_DIRECTORY_INNER_H

#include "auth/directory.h"

/* A name taken apart. */
struct directory_name {
	char local[ACCOUNT_NAME_MAX + 1]; /* in lower case */
	char domain[ACCOUNT_NAME_MAX + 1]; /* in lower case; empty: none was given */
	const struct conf_domain *ours;	   /* NULL: not a domain of ours, or none given */
};

/* False when that can be no account's and no alias's name. */
bool directory_name_parse(const struct directory *directory, struct str s, struct directory_name *name);
/* Is it one of a virtual domain, or, without a domain, meant as one of the first? */
bool directory_is_virtual(const struct directory *directory, const struct directory_name *name);
/* The rules of directory.h, for a name without detail, as far as the users file goes; NULL when there is none. */
const struct user *directory_user_find(const struct directory *directory, const struct directory_name *name);

/* NULL when there is none with such accounts. */
const struct conf_domain *directory_first_domain(const struct conf *conf, enum conf_accounts accounts);

/* Before it is said that something is not in the files: waits for an editor who may be in the midst of writing, and reads
 * them once more. False when there is nothing to wait for. */
bool directory_settle(struct directory *directory);

#endif
