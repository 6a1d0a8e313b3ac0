/*
 * Changing the users file: one line of it, under a lock, so that readers see the old file or the new one and a crash
 * leaves one of the two. All other lines stay as they are, comments too.
 */
#ifndef AUTH_USERS_EDIT_H
#define AUTH_USERS_EDIT_H

#include "common/base/buf.h"
#include "common/base/err.h"

enum users_change {
	USERS_ADD,    /* with this line; PERM if there is such a user already */
	/* Replaces the password, and everything else by which one could log in, by this one, behind which may follow a blank
	 * and the word with its keys for SCRAM-SHA-1 (USERS_SHA1_WORD); PERM if there is no such user. */
	USERS_PASSWD,
	USERS_DELETE, /* PERM if there is no such user */
};

/*
 * The pure part: text with the change made, appended to out. value: the line without its newline, the password, or
 * nothing. False when there already is (or is no) such user, or out is full.
 */
bool users_edit(struct str text, enum users_change change, struct str name, struct str value, struct buf *out,
    struct err *err);

/* The same with the file at path, which USERS_ADD makes if there is none (mode 0640). Durable when it returns. */
bool users_edit_file(const char *path, enum users_change change, struct str name, struct str value, struct err *err);

#endif
