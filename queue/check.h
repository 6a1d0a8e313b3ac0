/*
 * `merpati check`: is the configuration right, and does this system fit it? Every finding names the file and line that
 * it is about, what is wrong, and what would be right.
 */
#ifndef QUEUE_CHECK_H
#define QUEUE_CHECK_H

#include "common/conf/conf.h"

struct check {
	const struct conf *conf;
	/* Is given each finding as one line of text. */
	void (*found)(struct check *check, bool is_error, const char *text);
	unsigned errors;
	unsigned warnings;
};

/* About a key of the configuration (NULL: about the file as a whole). */
void check_error(struct check *check, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));
void check_warning(struct check *check, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* What nothing can start without: users, certificate and key. */
void check_essentials(struct check *check);
/* All of it. */
void check_all(struct check *check);

/* Returns the exit status: EX_CONFIG if there are errors. */
int check_main(const char *conf_path);

#endif
