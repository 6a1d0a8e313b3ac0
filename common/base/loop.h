/*
 * The event loop: descriptors (epoll, level-triggered), timers, signals, children. One loop a process.
 * A callback gets the struct that was registered; the owner embeds that struct and finds itself by container_of. Any
 * callback may remove anything, itself included, at any time: what was removed is never called again.
 */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <bsd/sys/queue.h>
#include "common/base/tree.h"

/* The struct that embeds `pointer` as its `member`; a pointer of another type does not compile. */
#define container_of(pointer, type, member) \
	((type *)(void *)((char *)(1 ? (pointer) : &((type *)0)->member) - offsetof(type, member)))

enum {
	LOOP_READ = 1,
	LOOP_WRITE = 2,
	LOOP_HANGUP = 4, /* only reported, never asked for */
	/* With LOOP_READ: told once for each time that something new comes, whether it was read or not. For an eventfd, which
	 * then needs no reading. */
	LOOP_EDGE = 8,
};

struct loop;

struct loop_io {
	void (*ready)(struct loop_io *io, unsigned events);
	struct loop *loop; /* NULL when not in a loop */
	int fd;
	unsigned events; /* what is waited for */
};

struct loop_timer {
	void (*expired)(struct loop_timer *timer);
	struct loop *loop; /* NULL when not set */
	uint64_t deadline_ms;
	RB_ENTRY(loop_timer) link;
};

/* Something to be done at the end of this turn of the loop: what must not be done from inside the caller. */
struct loop_deferred {
	void (*run)(struct loop_deferred *deferred);
	struct loop *loop; /* NULL when not waiting */
	TAILQ_ENTRY(loop_deferred) link;
};

struct loop_signal {
	void (*raised)(struct loop_signal *signal);
	int number;
	LIST_ENTRY(loop_signal) link;
};

struct loop_child {
	void (*exited)(struct loop_child *child, int wait_status);
	pid_t pid;
	LIST_ENTRY(loop_child) link;
};

/* Fatal when the kernel refuses. */
struct loop *loop_new(void);
/* After fork: a child throws the parent's loop away with this (nothing registered is called) and makes its own. */
void loop_free(struct loop *loop);
/* Runs until loop_stop. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/* To be called each time before the loop waits: for what may gather meanwhile. */
void loop_before_wait(struct loop *loop, void (*call)(void));
/* Handles what is ready now and returns; for tests and for programs that wait elsewhere. */
void loop_once(struct loop *loop, int timeout_ms);

/* The monotonic clock in ms, read once per turn of the loop. */
uint64_t loop_now_ms(const struct loop *loop);
/* Reads the clock anew: after work that took long. */
void loop_refresh(struct loop *loop);

/* fd stays the caller's, who removes it before closing it. events may be 0. */
void loop_io_add(struct loop *loop, struct loop_io *io, int fd, unsigned events,
    void (*ready)(struct loop_io *, unsigned));
/* Changes what is waited for; no system call when nothing changes. */
void loop_io_want(struct loop_io *io, unsigned events);
/* Harmless when it is in no loop. */
void loop_io_remove(struct loop_io *io);

/* (Re)sets it to expire once, after_ms from now. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t after_ms,
    void (*expired)(struct loop_timer *));
/* Harmless when it is not set. */
void loop_timer_cancel(struct loop_timer *timer);

/* Once, however often it is called until then. One that is deferred while the deferred ones run waits for the next turn,
 * which begins at once. */
void loop_defer(struct loop *loop, struct loop_deferred *deferred, void (*run)(struct loop_deferred *));
/* Harmless when it is not waiting. */
void loop_defer_cancel(struct loop_deferred *deferred);

/* Blocks the signal's usual effect from now on. */
void loop_signal_add(struct loop *loop, struct loop_signal *signal, int number,
    void (*raised)(struct loop_signal *));
void loop_child_add(struct loop *loop, struct loop_child *child, pid_t pid,
    void (*exited)(struct loop_child *, int));
void loop_child_remove(struct loop_child *child);

#endif
