/*
 * What a process may still do after it has opened what it needs: user and groups, an empty root directory, no new
 * privileges, resource limits, Landlock, seccomp. What the kernel lacks is left out with one warning in the log; what
 * must hold (uid, root) is fatal when it does not.
 *
 * Promises name system calls by what they are for; one table in sandbox.c holds the calls of each. A call that was not
 * promised fails with EPERM; one that only an intruder makes (exec, ptrace, mount, becoming another user ...) ends the
 * process with SIGSYS. Under AddressSanitizer, which makes calls of its own, seccomp is left out.
 */
#ifndef COMMON_SANDBOX_H
#define COMMON_SANDBOX_H

#include <stdint.h>
#include <sys/types.h>

#include "common/base/err.h"

enum {
	SANDBOX_STDIO = 1 << 0,	  /* memory, clocks, random bytes, signals, reading and writing what is open */
	SANDBOX_LOOP = 1 << 1,	  /* epoll, timers, eventfd */
	SANDBOX_SERVE = 1 << 2,	  /* accept and use stream sockets; descriptor passing */
	SANDBOX_UNIX = 1 << 3,	  /* make, bind and connect UNIX sockets */
	SANDBOX_INET = 1 << 4,	  /* make IPv4 and IPv6 sockets and connect them */
	SANDBOX_OPEN = 1 << 5,	  /* open files for reading, look at them, list directories */
	SANDBOX_CREATE = 1 << 6,  /* create files below an open directory, write and sync them */
	SANDBOX_CHANGE = 1 << 7,  /* rename, link, remove, make directories, change modes and times */
	SANDBOX_THREADS = 1 << 8, /* make threads */
};

enum {
	SANDBOX_READ = 1,   /* read files and list directories beneath */
	SANDBOX_WRITE = 2,  /* create and write files beneath */
	SANDBOX_REMOVE = 4, /* remove, rename and link beneath; make and remove directories */
};

/* A directory or file that stays reachable: an open descriptor (also O_PATH), or a path if fd is -1. */
struct sandbox_path {
	const char *path;
	int fd;
	unsigned access;
};

#define SANDBOX_PATHS_MAX 8

struct sandbox_spec {
	/* Who to become, and where. Used only as root; groups are set to just `gid` and `groups`. */
	bool change_user;
	uid_t uid;
	gid_t gid;
	const gid_t *groups;
	size_t ngroups;
	const char *root; /* new root directory; NULL keeps it */

	unsigned promises;
	struct sandbox_path paths[SANDBOX_PATHS_MAX]; /* all else is closed by Landlock; the first with access 0 ends */
	uint64_t descriptors_max;		      /* RLIMIT_NOFILE; 0: 1024 */
};

/* Enters it. Everything in effect for all threads of the process. False: something that must hold does not; the caller
 * must not go on. */
bool sandbox_enter(const struct sandbox_spec *spec, struct err *err);

/* Only becomes the spec's user, for good: for who must do something as that user before the walls close, such as making
 * the directory that stays reachable. sandbox_enter follows, with change_user false. */
bool sandbox_become(const struct sandbox_spec *spec, struct err *err);

#endif
