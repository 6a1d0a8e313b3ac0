/*
 * The directories of an instance: their owners and modes in one table, made by `merpati run` and looked at by
 * `merpati check`.
 */
#ifndef QUEUE_RUN_DIRECTORIES_H
#define QUEUE_RUN_DIRECTORIES_H

#include "common/conf/conf.h"

/* Makes what is missing, and gives what is there its owner and mode. */
bool run_directories_make(const struct conf *conf, struct err *err);
/*
 * What is not as it should be with the directory of that number, in words; "" if nothing is. False when there is none
 * of that number. A directory that is not there yet is fine: it will be made.
 */
bool run_directories_problem(const struct conf *conf, size_t number, char *dst, size_t size);
/* Takes run_directory for this process alone; the lock holds until the descriptor, which stays open, is closed. */
bool run_directories_lock(const struct conf *conf, struct err *err);

#endif
