/*
 * One daemon under the supervisor: started with exactly its own sockets, and started anew when it dies.
 */
#ifndef QUEUE_RUN_PROGRAM_H
#define QUEUE_RUN_PROGRAM_H

#include <limits.h>

#include "common/base/loop.h"
#include "queue/run_sockets.h"

struct run_program {
	/* Set by the supervisor: */
	const char *name;
	char path[PATH_MAX];
	const char *conf_path;
	struct run_sockets *sockets; /* all of them; it gets those of its kinds */
	const char *notify_address; /* for NOTIFY_SOCKET */
	struct loop *loop;
	bool debug;
	/* It is gone, and stays away because it was told to end. */
	void (*ended)(struct run_program *program);

	/* To be read: */
	pid_t pid; /* 0 while there is none */
	bool ready;
	bool stopping;

	/* run_program.c's own: */
	struct loop_child process;
	struct loop_timer timer;    /* to start it anew, or to kill it */
	struct loop_timer watchdog; /* it must be heard of before this expires */
	uint64_t started_ms;
	uint64_t backoff_ms;
};

void run_program_start(struct run_program *program);
/* It said something on its notify socket. */
void run_program_heard(struct run_program *program, struct str lines);
void run_program_reload(struct run_program *program);
/* SIGTERM, and SIGKILL if that has not ended it in time. */
void run_program_stop(struct run_program *program);

#endif
