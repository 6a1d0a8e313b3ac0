/*
 * `merpati run`: all daemons of the suite in the foreground, for systems without systemd, for tests and for a try. It
 * opens what only privilege can open, starts each daemon with its own sockets, and keeps them alive. It reads its
 * configuration, and one-line notices from its own children; nothing from the network.
 */
#ifndef QUEUE_RUN_H
#define QUEUE_RUN_H

#include <stdbool.h>

/* Returns the exit status. */
int run_main(const char *conf_path, bool debug);
/* Sends a signal to the `merpati run` that holds this configuration's run_directory: SIGHUP, SIGTERM. */
int run_signal(const char *conf_path, int signal);

/* Where the suite's programs are: beside this one if they are there, else in the libexec directory. False if the
 * program is in neither. path has room for PATH_MAX. */
bool run_find_program(const char *name, char *path);

#endif
