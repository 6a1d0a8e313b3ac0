/*
 * `deliver -d USER`: one message from standard input into one mailbox, for other MTAs. No daemon is needed but authd.
 */
#ifndef DELIVER_ONE_H
#define DELIVER_ONE_H

#include <stdbool.h>

/* Does the command line say so? (`-d` without an argument is the daemon's debugging.) */
bool one_is_asked_for(int argc, char **argv);
/* Returns an exit status of sysexits.h. */
int one_main(int argc, char **argv);

#endif
