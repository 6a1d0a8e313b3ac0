/*
 * Becoming the owner of an account, for the processes that work in a home: user sessions, deliver's writers.
 */
#ifndef COMMON_OWNER_H
#define COMMON_OWNER_H

#include "common/login/account.h"
#include "common/base/err.h"

/*
 * Becomes the account's user for good, with the supplementary groups if it is one of the system's users (a Maildir may
 * be shared with a group). Nothing to do for an ordinary user, who can only be its own accounts' owner: false when the
 * account is another user's. The sandbox comes afterwards.
 */
bool owner_become(const struct account *account, struct err *err);

#endif
