/*
 * Why something failed. The class is what mail lives on: may it be tried again, must it bounce, or was a limit met.
 * The text is for the log and the postmaster, never for a peer.
 */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include <stdbool.h>

enum err_class {
	ERR_NONE,
	ERR_TEMP,  /* try again: 4xx */
	ERR_PERM,  /* will not get better by itself: 5xx */
	ERR_LIMIT, /* a stated limit was reached: 452, 552 */
};

struct err {
	enum err_class class;
	int errnum; /* 0 when no system call was at fault */
	char text[256];
};

/* Fills err (which may be NULL) and returns false, so that a function can `return err_set(...)`. */
bool err_set(struct err *err, enum err_class class, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/*
 * The same after a failed system call: appends strerror(errno). Always TEMP: a full disk, a wrong permission or a
 * read-only file system is ours to mend, so nobody's mail bounces for it.
 */
bool err_sys(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What a parser that is fed in pieces says. */
enum parse {
	PARSE_OK,
	PARSE_MORE, /* not complete yet */
	PARSE_BAD,
};

#endif
