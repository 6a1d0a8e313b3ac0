#include "tests/unit/rows.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/daemon/listener.h"
#include "common/daemon/notify.h"

static struct conf *conf;

static int
make_conf(void **state)
{
	struct buf problems;

	(void)state;
	buf_init(&problems, 1024);
	conf = conf_parse(STR("[listener in]\nkind = mx\n[listener imap]\nkind = imaps\n"), "conf", "a.test", &problems);
	assert_int_equal(problems.n, 0);
	return 0;
}

static int
free_conf(void **state)
{
	(void)state;
	conf_free(conf);
	return 0;
}

static const struct {
	const char *fds, *names, *pid; /* NULL: not set; pid "me" is the reader's */
	const char *error;	       /* NULL: none */
	size_t n;
	const char *kinds; /* of those taken */
} rows[] = {
    {NULL, NULL, NULL, NULL, 0, ""},
    {"0", "", "me", NULL, 0, ""},
    {"2", "in:sasl", "me", NULL, 2, "mx sasl"},
    {"2", "submit:local", "me", NULL, 2, "local local"},
    {"1", "lmtp", "me", NULL, 1, "lmtp"},
    {"2", "in:in", NULL, NULL, 2, "mx mx"},
    {"2", "imap:pop3", NULL, NULL, 2, "imaps pop3"}, /* a section's name goes before a kind's */
    {"2", "in:sasl", "1", NULL, 0, ""},		     /* somebody else's */
    {"2", "in:sasl", "x", NULL, 0, ""},
    {"2", "in", "me", "LISTEN_FDNAMES has fewer names than the 2 of LISTEN_FDS", 0, NULL},
    {"1", NULL, "me", "LISTEN_FDNAMES has fewer names than the 1 of LISTEN_FDS", 0, NULL},
    {"-1", "in", "me", "LISTEN_FDS is \"-1\", not a number up to 512", 0, NULL},
    {"513", "in", "me", "LISTEN_FDS is \"513\", not a number up to 512", 0, NULL},
    {"1", "", "me", "a socket named \"\" was passed in, but there is no [listener ]", 0, NULL},
    {"1", "out", "me", "a socket named \"out\" was passed in, but there is no [listener out]", 0, NULL},
    {"1", "0123456789012345678901234567890123456789012345678901234567890123x", "me",
	"LISTEN_FDNAMES: the name \"0123456789012345678901234567890123456789012345678901234567890123x\" is too long", 0,
	NULL},
    {"3", "in:in:in", "me", "descriptor 5, which LISTEN_FDS promises: Bad file descriptor", 0, NULL},
};

static void
set_or_not(const char *name, const char *value)
{
	char pid[16];

	(void)unsetenv(name);
	(void)snprintf(pid, sizeof pid, "%d", (int)getpid());
	if (value != NULL)
		assert_int_equal(setenv(name, strcmp(value, "me") == 0 ? pid : value, 1), 0);
}

static void
take_row(size_t i)
{
	struct listener_set set;
	char kinds[128] = "";
	struct err err;

	set_or_not("LISTEN_FDS", rows[i].fds);
	set_or_not("LISTEN_FDNAMES", rows[i].names);
	set_or_not("LISTEN_PID", rows[i].pid);
	if (!listener_take(&set, &err) || !listener_kinds(&set, conf, &err)) {
		assert_string_equal(err.text, rows[i].error);
		return;
	}
	assert_null(rows[i].error);
	assert_int_equal(set.n, rows[i].n);
	for (size_t k = 0; k < set.n; k++) {
		size_t used = strlen(kinds);

		(void)snprintf(kinds + used, sizeof kinds - used, "%s%s", k > 0 ? " " : "",
		    listener_kind_facts(set.list[k].kind)->name);
		assert_true(fcntl(set.list[k].fd, F_GETFD) & FD_CLOEXEC);
		assert_true(fcntl(set.list[k].fd, F_GETFL) & O_NONBLOCK);
	}
	assert_string_equal(kinds, rows[i].kinds);
	assert_null(getenv("LISTEN_FDS"));
	assert_null(getenv("LISTEN_FDNAMES"));
	assert_null(getenv("LISTEN_PID"));
	listener_set_clear(&set);
}

/* In a child, whose descriptors 3 and 4 are two sockets and 5 is closed. */
static void
sockets_are_taken_as_the_environment_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			int fd = socket(AF_UNIX, SOCK_STREAM, 0);

			(void)dup2(fd, 4);
			(void)dup2(fd, 3);
			(void)close(5);
			take_row(i);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status != 0)
			print_error("row %zu\n", i);
		assert_int_equal(status, 0);
	}
}

static void
every_kind_is_found_by_its_name(void **state)
{
	struct str words = STR(LISTENER_KIND_WORDS), word;
	enum listener_kind kind;

	(void)state;
	for (unsigned i = 0; i < LISTENER_KINDS; i++) {
		assert_true(listener_kind_parse(str_from(listener_kind_facts((enum listener_kind)i)->name), &kind));
		assert_int_equal(kind, i);
	}
	for (unsigned i = 0; str_word(&words, &word); i++)
		assert_str(word, str_from(listener_kind_facts((enum listener_kind)i)->name));
	assert_false(listener_kind_parse(STR("http"), &kind));
}

static void
the_manager_hears_what_is_said_and_children_inherit_nothing(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t length = sizeof(sa_family_t);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	char name[32] = "@", text[64];
	ssize_t n;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
	length = sizeof address;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	memcpy(name + 1, address.sun_path + 1, length - sizeof(sa_family_t) - 1);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
	assert_int_equal(setenv("WATCHDOG_USEC", "30000000", 1), 0);
	notify_open();
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_int_equal(notify_watchdog_ms(), 30000);
	notify_send("READY=1");
	n = recv(fd, text, sizeof text, MSG_DONTWAIT);
	assert_str(((struct str){text, n > 0 ? (size_t)n : 0}), STR("READY=1"));
	notify_close();
	notify_send("READY=1");
	assert_int_equal(recv(fd, text, sizeof text, MSG_DONTWAIT), -1);
	(void)close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sockets_are_taken_as_the_environment_says),
	    cmocka_unit_test(every_kind_is_found_by_its_name),
	    cmocka_unit_test(the_manager_hears_what_is_said_and_children_inherit_nothing),
	};

	return cmocka_run_group_tests(tests, make_conf, free_conf);
}
