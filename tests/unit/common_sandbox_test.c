/*
 * Each row is tried by a process of its own that has entered the sandbox. What needs root, or a kernel that has seccomp
 * and Landlock, is passed over where that is missing.
 */
#include "tests/unit/rows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/loop.h"
#include "common/daemon/sandbox.h"

static char directory[] = "/tmp/msanXXXXXX";
static int directory_fd;

/* What a child reports by its exit status: 0 worked, else errno; killed by SIGSYS: KILLED. */
#define KILLED 255

static int
result(bool worked)
{
	return worked ? 0 : errno;
}

static int
in_child(const struct sandbox_spec *spec, int (*attempt)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct err err = {0};

		if (!sandbox_enter(spec, &err)) {
			fprintf(stderr, "%s\n", err.text);
			_exit(254);
		}
		_exit(attempt());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return KILLED;
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* --- attempts ------------------------------------------------------------------------------------------------------- */

static int
use_memory_and_time(void)
{
	void *p = malloc(1 << 22);
	struct timespec ts;

	memset(p, 1, 1 << 22);
	free(p);
	return result(clock_gettime(CLOCK_REALTIME, &ts) == 0 && write(directory_fd, "", 0) != 0 && errno == EBADF);
}

static int
open_passwd(void)
{
	return result(open("/etc/passwd", O_RDONLY) >= 0);
}

static int
open_own(void)
{
	return result(openat(directory_fd, "own", O_RDONLY) >= 0);
}

static int
create_own(void)
{
	return result(openat(directory_fd, "new", O_WRONLY | O_CREAT | O_EXCL, 0600) >= 0 &&
	    fsync(openat(directory_fd, "new2", O_WRONLY | O_CREAT | O_EXCL, 0600)) == 0);
}

static int
write_old(void)
{
	return result(openat(directory_fd, "own", O_WRONLY) >= 0);
}

static int
truncate_old(void)
{
	return result(openat(directory_fd, "own", O_WRONLY | O_CREAT | O_TRUNC, 0600) >= 0);
}

static int
rename_own(void)
{
	return result(renameat(directory_fd, "own", directory_fd, "own2") == 0 &&
	    renameat(directory_fd, "own2", directory_fd, "own") == 0);
}

static int
unlink_own(void)
{
	return result(unlinkat(directory_fd, "own", 0) == 0);
}

static int
unix_socket(void)
{
	return result(socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
}

static int
inet_socket(void)
{
	return result(socket(AF_INET6, SOCK_STREAM, 0) >= 0);
}

static int
packet_socket(void)
{
	return result(socket(AF_PACKET, SOCK_RAW, 0) >= 0);
}

static int
connect_tcp(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(9)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return result(connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == ECONNREFUSED);
}

static int
run_loop(void)
{
	struct loop *loop = loop_new();

	loop_once(loop, 1);
	return 0;
}

static void *
nothing(void *argument)
{
	return argument;
}

static int
make_thread(void)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, nothing, NULL);
	return result(errno == 0 && pthread_join(thread, NULL) == 0);
}

static int
fork_process(void)
{
	return result(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) >= 0);
}

static int
execute(void)
{
	char *argv[] = {NULL};

	return result(execve("/bin/true", argv, argv) == 0);
}

static int
become_root(void)
{
	return result(setuid(0) == 0);
}

static int
make_code(void)
{
	return result(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

static int
signal_parent(void)
{
	return result(kill(getppid(), 0) == 0);
}

static int
dump_core(void)
{
	struct rlimit limit;

	return result(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0);
}

static int
many_descriptors(void)
{
	for (int i = 0; i < 100; i++)
		if (dup(0) < 0)
			return errno;
	return 0;
}

/* --- rows ----------------------------------------------------------------------------------------------------------- */

enum directory_access {
	NO_DIRECTORY,
	MAY_READ = SANDBOX_READ,
	MAY_CREATE = SANDBOX_READ | SANDBOX_WRITE,
	MAY_ALL = SANDBOX_READ | SANDBOX_WRITE | SANDBOX_REMOVE,
};

static const struct row {
	const char *name;
	int (*attempt)(void);
	unsigned promises; /* besides STDIO */
	enum directory_access access;
	int expected;
} rows[] = {
    {"memory", use_memory_and_time, 0, NO_DIRECTORY, 0},
    {"open without promise", open_passwd, 0, NO_DIRECTORY, EPERM},
    {"open with promise, closed by Landlock", open_passwd, SANDBOX_OPEN, NO_DIRECTORY, EACCES},
    {"open with promise, beneath another directory", open_passwd, SANDBOX_OPEN, MAY_ALL, EACCES},
    {"read own", open_own, SANDBOX_OPEN, MAY_READ, 0},
    {"read own without a rule", open_own, SANDBOX_OPEN, NO_DIRECTORY, EACCES},
    {"create with read promise", create_own, SANDBOX_OPEN, MAY_ALL, EPERM},
    {"create where one may read", create_own, SANDBOX_OPEN | SANDBOX_CREATE, MAY_READ, EACCES},
    {"create", create_own, SANDBOX_CREATE, MAY_CREATE, 0},
    {"write to an old file where one may create", write_old, SANDBOX_CREATE, MAY_CREATE, EPERM},
    {"truncate an old file where one may create", truncate_old, SANDBOX_CREATE, MAY_CREATE, EPERM},
    {"write to an old file", write_old, SANDBOX_CREATE | SANDBOX_CHANGE, MAY_ALL, 0},
    {"rename without promise", rename_own, SANDBOX_OPEN | SANDBOX_CREATE, MAY_ALL, EPERM},
    {"rename where one may create", rename_own, SANDBOX_CHANGE, MAY_CREATE, EACCES},
    {"rename", rename_own, SANDBOX_CHANGE, MAY_ALL, 0},
    {"remove where one may create", unlink_own, SANDBOX_CHANGE, MAY_CREATE, EACCES},
    {"remove", unlink_own, SANDBOX_CHANGE, MAY_ALL, 0},
    {"UNIX socket without promise", unix_socket, SANDBOX_SERVE | SANDBOX_INET, NO_DIRECTORY, EPERM},
    {"UNIX socket", unix_socket, SANDBOX_UNIX, NO_DIRECTORY, 0},
    {"IPv6 socket without promise", inet_socket, SANDBOX_SERVE | SANDBOX_UNIX, NO_DIRECTORY, EPERM},
    {"IPv6 socket", inet_socket, SANDBOX_INET, NO_DIRECTORY, 0},
    {"TCP connection", connect_tcp, SANDBOX_INET, NO_DIRECTORY, 0},
    {"packet socket", packet_socket, SANDBOX_SERVE | SANDBOX_UNIX | SANDBOX_INET, NO_DIRECTORY, EPERM},
    {"loop", run_loop, SANDBOX_LOOP, NO_DIRECTORY, 0},
    {"thread without promise", make_thread, SANDBOX_LOOP, NO_DIRECTORY, EPERM},
    {"thread", make_thread, SANDBOX_THREADS, NO_DIRECTORY, 0},
    {"fork", fork_process, SANDBOX_THREADS, NO_DIRECTORY, EPERM},
    {"exec", execute, SANDBOX_OPEN | SANDBOX_CHANGE, MAY_ALL, KILLED},
    {"setuid", become_root, 0, NO_DIRECTORY, KILLED},
    {"code at run time", make_code, 0, NO_DIRECTORY, EPERM},
    {"signal to the parent", signal_parent, SANDBOX_LOOP, NO_DIRECTORY, EPERM},
    {"no core, no new privileges", dump_core, 0, NO_DIRECTORY, 0},
    {"limit of descriptors", many_descriptors, 0, NO_DIRECTORY, EMFILE},
};

static struct sandbox_spec
spec_of(const struct row *row)
{
	struct sandbox_spec spec = {.promises = SANDBOX_STDIO | row->promises, .descriptors_max = 64};

	spec.paths[0] = (struct sandbox_path){.fd = directory_fd, .access = row->access};
	return spec;
}

static bool
kernel_has_walls(void)
{
#if defined(__SANITIZE_ADDRESS__)
	return false; /* no seccomp there */
#endif
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0 &&
	    syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 4;
}

static void
make_own_file(void)
{
	int fd = openat(directory_fd, "own", O_WRONLY | O_CREAT, 0644);

	assert_true(fd >= 0);
	close(fd);
	(void)unlinkat(directory_fd, "new", 0);
	(void)unlinkat(directory_fd, "new2", 0);
}

static void
only_what_was_promised_works(void **state)
{
	(void)state;
	if (!kernel_has_walls())
		skip();
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct sandbox_spec spec = spec_of(&rows[i]);
		int got;

		make_own_file();
		got = in_child(&spec, rows[i].attempt);
		if (got != rows[i].expected)
			fail_msg("%s: got %d (%s), expected %d", rows[i].name, got, strerror(got), rows[i].expected);
	}
}

static int
see_root(void)
{
	return result(getuid() == 4711 && getegid() == 4712 && getgroups(0, NULL) == 0 && access("/own", F_OK) == 0 &&
	    access("/etc", F_OK) != 0);
}

static void
root_becomes_another_in_an_empty_directory(void **state)
{
	struct sandbox_spec spec = {.promises = SANDBOX_STDIO | SANDBOX_OPEN, .change_user = true, .uid = 4711, .gid = 4712,
	    .root = directory};

	(void)state;
	if (geteuid() != 0)
		skip();
	make_own_file();
	assert_int_equal(chmod(directory, 0755), 0);
	spec.paths[0] = (struct sandbox_path){.path = directory, .fd = -1, .access = SANDBOX_READ};
	assert_int_equal(in_child(&spec, see_root), 0);
}

/* An older kernel: the calls of both walls are not there. */
static int
enter_on_an_old_kernel(void)
{
	struct sandbox_spec spec = {.promises = SANDBOX_STDIO | SANDBOX_OPEN};
	struct err err = {0};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	if (filter == NULL || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(landlock_create_ruleset), 0) != 0 ||
	    seccomp_rule_add(filter, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(seccomp), 0) != 0 || seccomp_load(filter) != 0)
		return 253;
	return sandbox_enter(&spec, &err) ? 0 : 254;
}

static void
without_landlock_and_seccomp_the_other_walls_hold(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		int result_of_entering = enter_on_an_old_kernel();

		_exit(result_of_entering != 0 ? result_of_entering : dump_core());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
a_sandbox_as_root_is_refused(void **state)
{
	struct sandbox_spec spec = {.promises = SANDBOX_STDIO, .change_user = true, .uid = 0, .gid = 4712};

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(in_child(&spec, see_root), 254);
}

static int
make_directory(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	directory_fd = open(directory, O_RDONLY | O_DIRECTORY);
	return directory_fd < 0;
}

static int
remove_directory(void **state)
{
	(void)state;
	(void)unlinkat(directory_fd, "own", 0);
	(void)unlinkat(directory_fd, "new", 0);
	(void)unlinkat(directory_fd, "new2", 0);
	return rmdir(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_what_was_promised_works),
	    cmocka_unit_test(root_becomes_another_in_an_empty_directory),
	    cmocka_unit_test(without_landlock_and_seccomp_the_other_walls_hold),
	    cmocka_unit_test(a_sandbox_as_root_is_refused),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
