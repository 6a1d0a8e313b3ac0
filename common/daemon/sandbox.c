#include "common/daemon/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/str.h"

/* Sanitizers make system calls of their own at any moment, which no filter can know, and look at the process from outside
 * at its end. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

/* --- seccomp ------------------------------------------------------------------------------------------------------- */

/*
 * Which promise allows which call. A call may stand in several rows; the argument condition, if any, is "(argument N &
 * mask) == value". A number below 0 is a call that this architecture does not have.
 */
static const struct allowed {
	unsigned promises;
	int call;
	unsigned argument; /* counted from 1; 0: no condition */
	uint64_t mask, value;
} allowed[] = {
    /* memory: never executable again */
    {SANDBOX_STDIO, SCMP_SYS(brk), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(mmap), 3, PROT_EXEC, 0},
    {SANDBOX_STDIO, SCMP_SYS(mprotect), 3, PROT_EXEC, 0},
    {SANDBOX_STDIO, SCMP_SYS(munmap), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(mremap), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(madvise), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(memfd_create), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(futex), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(set_robust_list), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(rseq), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(membarrier), 0, 0, 0},
    /* time, chance, identity, limits */
    {SANDBOX_STDIO, SCMP_SYS(clock_gettime), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(clock_nanosleep), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(nanosleep), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(gettimeofday), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(time), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(getrandom), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(getpid), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(gettid), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(getppid), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(getuid), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(geteuid), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(getgid), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(getegid), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(getgroups), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(getrlimit), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(prlimit64), 3, UINT64_MAX, 0}, /* reading one */
    {SANDBOX_STDIO, SCMP_SYS(getrusage), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(sysinfo), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(uname), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(sched_yield), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(sched_getaffinity), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(prctl), 1, UINT64_MAX, PR_SET_NAME},
    {SANDBOX_STDIO, SCMP_SYS(umask), 0, 0, 0},
    /* signals and the end */
    {SANDBOX_STDIO, SCMP_SYS(rt_sigaction), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(rt_sigprocmask), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(rt_sigreturn), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(rt_sigtimedwait), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(sigaltstack), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(tgkill), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(alarm), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(setitimer), 0, 0, 0}, /* what alarm is where there is none */
    {SANDBOX_STDIO, SCMP_SYS(restart_syscall), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(exit), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(exit_group), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(wait4), 0, 0, 0},
    /* open descriptors */
    {SANDBOX_STDIO, SCMP_SYS(read), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(readv), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(pread64), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(preadv), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(write), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(writev), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(pwrite64), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(pwritev), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(lseek), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(close), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(close_range), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(fstat), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(newfstatat), 0, 0, 0}, /* what fstat is in glibc */
    {SANDBOX_STDIO, SCMP_SYS(fcntl), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(dup), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(dup2), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(dup3), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(pipe2), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(ftruncate), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(poll), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(ppoll), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(sendto), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(recvfrom), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(sendmsg), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(sendmmsg), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(recvmsg), 0, 0, 0},
    {SANDBOX_STDIO, SCMP_SYS(recvmmsg), 0, 0, 0},
    /* the event loop */
    {SANDBOX_LOOP, SCMP_SYS(epoll_create1), 0, 0, 0},
    {SANDBOX_LOOP, SCMP_SYS(epoll_ctl), 0, 0, 0},
    {SANDBOX_LOOP, SCMP_SYS(epoll_wait), 0, 0, 0},
    {SANDBOX_LOOP, SCMP_SYS(epoll_pwait), 0, 0, 0},
    {SANDBOX_LOOP, SCMP_SYS(epoll_pwait2), 0, 0, 0},
    {SANDBOX_LOOP, SCMP_SYS(eventfd2), 0, 0, 0},
    {SANDBOX_LOOP, SCMP_SYS(signalfd4), 0, 0, 0},
    {SANDBOX_LOOP, SCMP_SYS(kill), 2, UINT64_MAX, SIGCHLD /* to itself: loop_child_add */},
    /* connections */
    {SANDBOX_SERVE | SANDBOX_UNIX | SANDBOX_INET, SCMP_SYS(shutdown), 0, 0, 0},
    {SANDBOX_SERVE | SANDBOX_UNIX | SANDBOX_INET, SCMP_SYS(getsockopt), 0, 0, 0},
    {SANDBOX_SERVE | SANDBOX_UNIX | SANDBOX_INET, SCMP_SYS(setsockopt), 0, 0, 0},
    {SANDBOX_SERVE | SANDBOX_UNIX | SANDBOX_INET, SCMP_SYS(getsockname), 0, 0, 0},
    {SANDBOX_SERVE | SANDBOX_UNIX | SANDBOX_INET, SCMP_SYS(getpeername), 0, 0, 0},
    {SANDBOX_SERVE | SANDBOX_INET, SCMP_SYS(sendfile), 0, 0, 0},
    {SANDBOX_SERVE, SCMP_SYS(accept), 0, 0, 0},
    {SANDBOX_SERVE, SCMP_SYS(accept4), 0, 0, 0},
    {SANDBOX_SERVE, SCMP_SYS(socketpair), 1, UINT64_MAX, AF_UNIX},
    {SANDBOX_UNIX, SCMP_SYS(socket), 1, UINT64_MAX, AF_UNIX},
    {SANDBOX_INET, SCMP_SYS(socket), 1, UINT64_MAX, AF_INET},
    {SANDBOX_INET, SCMP_SYS(socket), 1, UINT64_MAX, AF_INET6},
    {SANDBOX_UNIX | SANDBOX_INET, SCMP_SYS(bind), 0, 0, 0},
    {SANDBOX_UNIX | SANDBOX_INET, SCMP_SYS(connect), 0, 0, 0},
    /* files */
    {SANDBOX_OPEN, SCMP_SYS(openat), 3, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY},
    {SANDBOX_OPEN, SCMP_SYS(open), 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY},
    {SANDBOX_OPEN, SCMP_SYS(openat2), 0, 0, 0}, /* its flags are out of sight: Landlock's matter */
    {SANDBOX_OPEN, SCMP_SYS(statx), 0, 0, 0},
    {SANDBOX_OPEN, SCMP_SYS(fstatfs), 0, 0, 0},
    {SANDBOX_OPEN, SCMP_SYS(access), 0, 0, 0},
    {SANDBOX_OPEN, SCMP_SYS(faccessat), 0, 0, 0},
    {SANDBOX_OPEN, SCMP_SYS(faccessat2), 0, 0, 0},
    {SANDBOX_OPEN, SCMP_SYS(getdents64), 0, 0, 0},
    {SANDBOX_OPEN, SCMP_SYS(readlinkat), 0, 0, 0},
    {SANDBOX_OPEN, SCMP_SYS(fadvise64), 0, 0, 0},
    /* new ones only: what lies there already, though of the same user, is not to be written to */
    {SANDBOX_CREATE, SCMP_SYS(openat), 3, O_ACCMODE | O_CREAT | O_EXCL, O_WRONLY | O_CREAT | O_EXCL},
    {SANDBOX_CREATE, SCMP_SYS(openat), 3, O_ACCMODE | O_CREAT | O_EXCL, O_RDWR | O_CREAT | O_EXCL},
    {SANDBOX_CREATE, SCMP_SYS(fallocate), 0, 0, 0},
    {SANDBOX_CREATE, SCMP_SYS(fsync), 0, 0, 0},
    {SANDBOX_CREATE, SCMP_SYS(fdatasync), 0, 0, 0},
    {SANDBOX_CREATE, SCMP_SYS(syncfs), 0, 0, 0},
    {SANDBOX_CREATE, SCMP_SYS(io_setup), 0, 0, 0},
    {SANDBOX_CREATE, SCMP_SYS(io_submit), 0, 0, 0},
    {SANDBOX_CREATE, SCMP_SYS(io_getevents), 0, 0, 0},
    {SANDBOX_CREATE, SCMP_SYS(io_destroy), 0, 0, 0},
    {SANDBOX_CREATE, SCMP_SYS(sync_file_range), 0, 0, 0},
    {SANDBOX_CHANGE, SCMP_SYS(openat), 0, 0, 0},
    {SANDBOX_CHANGE, SCMP_SYS(renameat), 0, 0, 0},
    {SANDBOX_CHANGE, SCMP_SYS(renameat2), 0, 0, 0},
    {SANDBOX_CHANGE, SCMP_SYS(linkat), 0, 0, 0},
    {SANDBOX_CHANGE, SCMP_SYS(unlinkat), 0, 0, 0},
    {SANDBOX_CHANGE, SCMP_SYS(mkdirat), 0, 0, 0},
    {SANDBOX_CHANGE, SCMP_SYS(fchmod), 0, 0, 0},
    {SANDBOX_CHANGE, SCMP_SYS(fchmodat), 0, 0, 0},
    {SANDBOX_CHANGE, SCMP_SYS(utimensat), 0, 0, 0},
    {SANDBOX_CHANGE, SCMP_SYS(flock), 0, 0, 0},
    {SANDBOX_CHANGE, SCMP_SYS(inotify_init1), 0, 0, 0},
    {SANDBOX_CHANGE, SCMP_SYS(inotify_add_watch), 0, 0, 0},
    {SANDBOX_CHANGE, SCMP_SYS(inotify_rm_watch), 0, 0, 0},
    /* threads, but no processes; clone3 hides its flags, so glibc is sent back to clone (below) */
    {SANDBOX_THREADS, SCMP_SYS(clone), 1, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM},
    {SANDBOX_THREADS, SCMP_SYS(sched_setaffinity), 0, 0, 0},
};

/* Only an intruder makes these here. */
static const int deadly[] = {
    SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot),
    SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(bpf), SCMP_SYS(init_module), SCMP_SYS(finit_module),
    SCMP_SYS(kexec_load), SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup), SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid),
    SCMP_SYS(setresuid), SCMP_SYS(setresgid), SCMP_SYS(setgroups), SCMP_SYS(capset), SCMP_SYS(mknodat),
};

/* A negative number is libseccomp's for a call that this architecture does not have. */
static bool
rule_add(scmp_filter_ctx filter, uint32_t action, const struct allowed *row)
{
	struct scmp_arg_cmp condition;

	if (row->call < 0)
		return true;
	if (row->argument == 0)
		return seccomp_rule_add(filter, action, row->call, 0) == 0;
	condition = SCMP_CMP64(row->argument - 1, SCMP_CMP_MASKED_EQ, row->mask, row->value);
	return seccomp_rule_add(filter, action, row->call, 1, condition) == 0;
}

static bool
filter_fill(scmp_filter_ctx filter, unsigned promises)
{
	for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
		if ((allowed[i].promises & promises) && !rule_add(filter, SCMP_ACT_ALLOW, &allowed[i]))
			return false;
	for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++)
		if (!rule_add(filter, SCMP_ACT_KILL_PROCESS, &(struct allowed){.call = deadly[i]}))
			return false;
	return rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), &(struct allowed){.call = SCMP_SYS(clone3)});
}

static void
seccomp_enter(unsigned promises)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int result;

	if (filter == NULL || !filter_fill(filter, promises))
		fatal("seccomp: cannot make the filter");
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1); /* for all threads */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree instead of a list: less CPU a call */
	result = seccomp_load(filter);
	if (result != 0)
		log_warning("sandbox: no seccomp on this kernel (%s); the other walls hold", strerror(-result));
	seccomp_release(filter);
}

/* --- Landlock ------------------------------------------------------------------------------------------------------ */

/* Names that older kernel headers lack. */
#define FS_REFER (1ULL << 13)	  /* ABI 2 */
#define FS_TRUNCATE (1ULL << 14)  /* ABI 3 */
#define FS_IOCTL_DEV (1ULL << 15) /* ABI 5 */
#define NET_BIND_TCP (1ULL << 0)  /* ABI 4 */
#define NET_CONNECT_TCP (1ULL << 1)
#define SCOPE_ABSTRACT_UNIX (1ULL << 0) /* ABI 6 */
#define SCOPE_SIGNAL (1ULL << 1)

struct ruleset {
	uint64_t handled_access_fs;
	uint64_t handled_access_net; /* from ABI 4 */
	uint64_t scoped;	     /* from ABI 6 */
};

/* What of a right applies to a single file. */
#define FILE_RIGHTS \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

static uint64_t
rights_of(unsigned access)
{
	uint64_t rights = 0;

	if (access & SANDBOX_READ)
		rights |= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	if (access & SANDBOX_WRITE)
		rights |= LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
		    FS_TRUNCATE;
	if (access & SANDBOX_REMOVE)
		rights |= LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_DIR |
		    FS_REFER;
	return rights;
}

static uint64_t
rights_handled(long abi)
{
	uint64_t rights = (FS_REFER - 1); /* ABI 1: the thirteen rights below */

	if (abi >= 2)
		rights |= FS_REFER;
	if (abi >= 3)
		rights |= FS_TRUNCATE;
	if (abi >= 5)
		rights |= FS_IOCTL_DEV;
	return rights;
}

static void
path_allow(int ruleset_fd, uint64_t handled, const struct sandbox_path *path, int fd)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = rights_of(path->access) & handled, .parent_fd = fd};
	struct stat st;

	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access &= FILE_RIGHTS;
	if (syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
		log_warning("sandbox: Landlock: %s stays closed: %s", path->path ? path->path : "a directory", strerror(errno));
}

static void
landlock_enter(const struct sandbox_spec *spec, const int *fds)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset ruleset = {.handled_access_fs = rights_handled(abi)};
	size_t size = abi >= 6 ? sizeof ruleset : abi >= 4 ? offsetof(struct ruleset, scoped) : sizeof(uint64_t);
	int fd;

	if (abi < 1) {
		log_warning("sandbox: no Landlock on this kernel; the other walls hold");
		return;
	}
	if (!(spec->promises & SANDBOX_INET))
		ruleset.handled_access_net = NET_BIND_TCP | NET_CONNECT_TCP;
	ruleset.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
	fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
	if (fd < 0) {
		log_warning("sandbox: Landlock: %s; the other walls hold", strerror(errno));
		return;
	}
	for (size_t i = 0; i < SANDBOX_PATHS_MAX && spec->paths[i].access != 0; i++)
		if (fds[i] >= 0)
			path_allow(fd, ruleset.handled_access_fs, &spec->paths[i], fds[i]);
	if (syscall(SYS_landlock_restrict_self, fd, 0) != 0)
		log_warning("sandbox: Landlock: %s; the other walls hold", strerror(errno));
	(void)close(fd);
}

/* --- user, root, limits ----------------------------------------------------------------------------------------------- */

bool
sandbox_become(const struct sandbox_spec *spec, struct err *err)
{
	if (setgroups(spec->ngroups, spec->groups) != 0 || setresgid(spec->gid, spec->gid, spec->gid) != 0)
		return err_sys(err, "cannot become group %u", (unsigned)spec->gid);
	if (setresuid(spec->uid, spec->uid, spec->uid) != 0)
		return err_sys(err, "cannot become user %u", (unsigned)spec->uid);
	if (spec->uid == 0 || spec->gid == 0)
		return err_set(err, ERR_PERM, "a sandbox may not be root's");
	/* The way back must be closed. */
	if (setresuid((uid_t)-1, 0, (uid_t)-1) == 0 || setresgid((gid_t)-1, 0, (gid_t)-1) == 0 || setuid(0) == 0 ||
	    getuid() != spec->uid || geteuid() != spec->uid || getgid() != spec->gid || getegid() != spec->gid)
		return err_set(err, ERR_PERM, "root could be regained after becoming user %u", (unsigned)spec->uid);
	return true;
}

static bool
root_change(const char *root, struct err *err)
{
	if (chroot(root) != 0 || chdir("/") != 0)
		return err_sys(err, "cannot make %s the root directory", root);
	return true;
}

/* Root may raise the limit, unless it is a container's. Who may not makes do with what there is. */
static bool
limits_set(const struct sandbox_spec *spec, struct err *err)
{
	rlim_t n = spec->descriptors_max != 0 ? spec->descriptors_max : 1024;
	struct rlimit no_core = {0, 0}, files = {n, n}, before;

	if (getrlimit(RLIMIT_NOFILE, &before) != 0 || setrlimit(RLIMIT_CORE, &no_core) != 0)
		return err_sys(err, "cannot set resource limits");
	if (setrlimit(RLIMIT_NOFILE, &files) == 0)
		return true;
	if (errno == EPERM && before.rlim_max < n) {
		files.rlim_cur = files.rlim_max = before.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files) == 0)
			return true;
	}
	return err_sys(err, "cannot set the number of descriptors");
}

static int
path_open(const struct sandbox_path *path)
{
	int fd = path->path != NULL ? open(path->path, O_PATH | O_CLOEXEC) : fcntl(path->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		log_warning("sandbox: %s stays closed: %s", path->path ? path->path : "a directory", strerror(errno));
	return fd;
}

bool
sandbox_enter(const struct sandbox_spec *spec, struct err *err)
{
	int fds[SANDBOX_PATHS_MAX];
	size_t n = 0;

	while (n < SANDBOX_PATHS_MAX && spec->paths[n].access != 0) {
		fds[n] = path_open(&spec->paths[n]);
		n++;
	}
	if (!limits_set(spec, err) || (spec->root != NULL && !root_change(spec->root, err)) ||
	    (spec->change_user && !sandbox_become(spec, err)))
		return false;
	/* The parent-death signal, which a change of uid clears, is set here: nobody outlives the daemon that began it. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, SANITIZED, 0, 0, 0) != 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) != 0)
		return err_sys(err, "prctl");
	landlock_enter(spec, fds);
	while (n > 0)
		if (fds[--n] >= 0)
			(void)close(fds[n]);
	if (!SANITIZED)
		seccomp_enter(spec->promises);
	return true;
}
