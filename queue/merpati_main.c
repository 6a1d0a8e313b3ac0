/*
 * The postmaster's command. What is built in here is starting, ending and checking; everything else is a program of the
 * folder that it belongs to, as with git.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf/conf.h"
#include "queue/check.h"
#include "queue/run.h"

struct options {
	const char *conf_path;
	bool debug;
};

static int
command_run(const struct options *options)
{
	return run_main(options->conf_path, options->debug);
}

static int
command_check(const struct options *options)
{
	return check_main(options->conf_path);
}

static int
command_reload(const struct options *options)
{
	return run_signal(options->conf_path, SIGHUP);
}

static int
command_stop(const struct options *options)
{
	return run_signal(options->conf_path, SIGTERM);
}

static const struct {
	const char *name;
	int (*main)(const struct options *options); /* NULL: the program merpati-NAME */
	const char *help;
} commands[] = {
    {"run", command_run, "[-d] [-c FILE]   start everything, in the foreground"},
    {"check", command_check, "[-c FILE]        is the configuration right, and does this system fit it?"},
    {"reload", command_reload, "[-c FILE]        the running one reads configuration and certificates anew"},
    {"stop", command_stop, "[-c FILE]        the running one ends"},
    {"queue", NULL, "COMMAND ...      list, show, retry, hold, release and delete queued mail"},
    {"clients", NULL, "...          who connects to smtpd, how often, and what is held against it"},
    {"doctor", NULL, "...           what is wrong with daemons, queue, certificates and DNS, and what to do about it"},
    {"explain", NULL, "--client ADDRESS --from SENDER --to RECIPIENT ...   which rule decides about that mail?"},
    {"user", NULL, "COMMAND ...      add, change, list and remove virtual users"},
};

#define COMMANDS (sizeof commands / sizeof commands[0])

static void
usage(FILE *out)
{
	(void)fprintf(out, "usage: merpati COMMAND ...\n");
	for (size_t i = 0; i < COMMANDS; i++)
		(void)fprintf(out, "       merpati %-7s %s\n", commands[i].name, commands[i].help);
	(void)fprintf(out, "FILE is %s unless -c or $MERPATI_CONF says otherwise.\n", MERPATI_CONF);
}

static int
run_built_in(size_t i, int argc, char **argv)
{
	struct options options = {.conf_path = conf_default_path()};
	int option;

	while ((option = getopt(argc, argv, "c:d")) != -1) {
		if (option == 'c')
			options.conf_path = optarg;
		else if (option == 'd')
			options.debug = true;
		else
			return EX_USAGE;
	}
	if (optind != argc) {
		usage(stderr);
		return EX_USAGE;
	}
	return commands[i].main(&options);
}

static int
exec_program(const char *name, char **argv)
{
	char program[64], path[PATH_MAX];

	(void)snprintf(program, sizeof program, "merpati-%s", name);
	if (run_find_program(program, path)) {
		argv[0] = program;
		(void)execv(path, argv);
		(void)fprintf(stderr, "merpati: %s: %s\n", path, strerror(errno));
		return EX_OSERR;
	}
	(void)fprintf(stderr, "merpati: the program %s is neither beside this one nor in %s\n", program, MERPATI_LIBEXEC);
	return EX_UNAVAILABLE;
}

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		usage(stdout);
		return EX_OK;
	}
	if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0) {
		(void)printf("merpati %s\n", MERPATI_VERSION);
		return EX_OK;
	}
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(name, commands[i].name) != 0)
			continue;
		return commands[i].main != NULL ? run_built_in(i, argc - 1, argv + 1) : exec_program(name, argv + 1);
	}
	usage(stderr);
	return EX_USAGE;
}
