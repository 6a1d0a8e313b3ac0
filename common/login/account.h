/*
 * A mail account as authd tells it to the other programs, over socketmap and over its master socket: whose mail,
 * under which uid, where. The line is tab-separated:
 *     user=NAME uid=N gid=N home=PATH mail=PATH
 */
#ifndef COMMON_ACCOUNT_H
#define COMMON_ACCOUNT_H

#include <sys/types.h>

#include "common/base/buf.h"

#define ACCOUNT_NAME_MAX 255 /* bytes of a login name, domain included */
#define ACCOUNT_PATH_MAX 1023

struct account {
	char name[ACCOUNT_NAME_MAX + 1]; /* as authd knows it: `baru`, or `baru@example.test` for a virtual one */
	uid_t uid;
	gid_t gid;
	char home[ACCOUNT_PATH_MAX + 1]; /* absolute */
	char mail[ACCOUNT_PATH_MAX + 1]; /* the Maildir; absolute */
};

/*
 * A name that may go into paths, messages and log lines: a letter, digit or `_` first, then those and any of
 * `. - + = ~ & ' ! # * @` with at most one @, neither first nor last; 8-bit bytes are fine. Never a slash, dot in
 * front, blank, control byte, colon, quote or percent sign.
 */
bool account_name_is_good(struct str name);

/* Appends the line (without a newline). */
void account_format(struct buf *out, const struct account *account);
/*
 * Reads it: all five fields, in any order; unknown ones are passed over. False when one is missing or wrong, among
 * that uid or gid 0, a name that is not good, or a path that is not absolute, too long, or has a component `..`.
 */
bool account_parse(struct account *account, struct str line);

#endif
