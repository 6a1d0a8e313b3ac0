/*
 * The log: one line an event, one write a line (or a few lines: log_gather), in the shape that Postfix's tools parse:
 *     merpati/smtpd[123]: QUEUEID: from=<a@b>, size=...
 * The one escaper of the suite sits at its exit: whatever is not printable ASCII or valid UTF-8 leaves as \ooo, so
 * that a stranger's bytes can neither end a line nor reach a terminal.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "common/base/str.h"

enum log_level {
	LOG_LEVEL_ERROR, /* somebody must act */
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG, /* only written after log_set_debug(true) */
};

enum log_target {
	LOG_TO_STDERR,	/* with "Mon dd hh:mm:ss host " in front, as in a log file */
	LOG_TO_SYSLOG,	/* /dev/log, opened by log_open, so that it lives on in an empty root */
	LOG_TO_JOURNAL, /* stderr is the journal: "<6>program[pid]: text", no time */
};

/* program: "smtpd"; tag: "merpati" or what syslog_tag says. Before this everything goes to stderr. */
void log_open(const char *tag, const char *program, enum log_target target);
/* A process that has forked calls this with its role, for the process title in the log; NULL keeps it. */
void log_role(const char *program);
void log_set_debug(bool on);
/* From now on ordinary lines wait for log_flush, and leave in one write; warnings and errors take along at once what
 * waits. For a process with an event loop: loop_before_wait(loop, log_flush). Its end flushes by itself. */
void log_gather(void);
/* Harmless when nothing waits. */
void log_flush(void);
/* The descriptor that must stay open when a process closes what it should not have; -1: none but standard error. */
int log_fd(void);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* As a named service of the program: merpati/submission/smtpd[123]. NULL: as the program itself. */
void log_as(const char *service, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The environment is broken (never reached by a peer's bytes): logs, then exits with 75 (EX_TEMPFAIL). */
_Noreturn void fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes s with everything unprintable as \ooo into dst (terminated; cut when too long); returns its length. */
size_t log_escape(char *dst, size_t size, struct str s);

#endif
