/*
 * try_open PID PATH...: makes the process PID itself try to open each path for reading, and prints a line a path:
 * "PATH: opened", "PATH: <errno name>" or "PATH: killed" (its seccomp filter ended it). So a test asks the live,
 * sandboxed process, not a copy of what it believes the sandbox to be. Needs root; x86-64 and aarch64.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
typedef struct user_regs_struct registers;
#define SYSCALL_BYTES 2
#define STACK(r) ((r)->rsp)
static void
prepare(registers *r, unsigned long path)
{
	r->rip -= SYSCALL_BYTES;
	r->rax = SYS_openat;
	r->orig_rax = (unsigned long)-1;
	r->rdi = (unsigned long)AT_FDCWD;
	r->rsi = path;
	r->rdx = O_RDONLY | O_CLOEXEC;
	r->r10 = 0;
}
static long
result(const registers *r)
{
	return (long)r->rax;
}
#elif defined(__aarch64__)
typedef struct user_regs_struct registers;
#define SYSCALL_BYTES 4
#define STACK(r) ((r)->sp)
static void
prepare(registers *r, unsigned long path)
{
	r->pc -= SYSCALL_BYTES;
	r->regs[8] = SYS_openat;
	r->regs[0] = (unsigned long)AT_FDCWD;
	r->regs[1] = path;
	r->regs[2] = O_RDONLY | O_CLOEXEC;
	r->regs[3] = 0;
}
static long
result(const registers *r)
{
	return (long)r->regs[0];
}
#else
#error "try_open knows x86-64 and aarch64"
#endif

static void
die(const char *what)
{
	perror(what);
	exit(2);
}

static void
registers_get(pid_t pid, registers *r)
{
	struct iovec iov = {.iov_base = r, .iov_len = sizeof *r};

	if (ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &iov) != 0)
		die("PTRACE_GETREGSET");
}

static void
registers_set(pid_t pid, registers *r)
{
	struct iovec iov = {.iov_base = r, .iov_len = sizeof *r};

	if (ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &iov) != 0)
		die("PTRACE_SETREGSET");
}

static void
memory_write(pid_t pid, unsigned long address, const char *bytes, size_t n)
{
	char word[sizeof(long)];

	for (size_t i = 0; i < n; i += sizeof word) {
		long value;

		memset(word, 0, sizeof word);
		memcpy(word, bytes + i, n - i < sizeof word ? n - i : sizeof word);
		memcpy(&value, word, sizeof value);
		if (ptrace(PTRACE_POKEDATA, pid, (void *)(address + i), (void *)value) != 0)
			die("PTRACE_POKEDATA");
	}
}

/* Interrupted in a system call, the instruction before the program counter is "syscall". False: the process died. */
static int
try_open(pid_t pid, const char *path)
{
	registers saved, r;
	unsigned long address;
	int status;
	long value;

	registers_get(pid, &saved);
	r = saved;
	address = (STACK(&r) - 8192) & ~15UL;
	memory_write(pid, address, path, strlen(path) + 1);
	prepare(&r, address);
	registers_set(pid, &r);
	if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0) != 0)
		die("PTRACE_SINGLESTEP");
	if (waitpid(pid, &status, __WALL) != pid)
		die("waitpid");
	if (!WIFSTOPPED(status) || WSTOPSIG(status) == SIGSYS || WSTOPSIG(status) == SIGKILL) {
		printf("%s: killed\n", path);
		return 0;
	}
	registers_get(pid, &r);
	value = result(&r);
	registers_set(pid, &saved);
	if (value >= 0)
		printf("%s: opened\n", path);
	else
		printf("%s: %s\n", path, strerrorname_np((int)-value));
	return 1;
}

int
main(int argc, char **argv)
{
	pid_t pid = argc > 2 ? (pid_t)strtol(argv[1], NULL, 10) : 0;
	int status;

	if (pid <= 1) {
		fprintf(stderr, "usage: try_open PID PATH...\n");
		return 64;
	}
	if (ptrace(PTRACE_SEIZE, pid, 0, 0) != 0)
		die("PTRACE_SEIZE");
	if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) != 0)
		die("PTRACE_INTERRUPT");
	if (waitpid(pid, &status, __WALL) != pid)
		die("waitpid");
	for (int i = 2; i < argc; i++)
		if (!try_open(pid, argv[i]))
			return 0;
	if (ptrace(PTRACE_DETACH, pid, 0, 0) != 0)
		die("PTRACE_DETACH");
	return 0;
}
