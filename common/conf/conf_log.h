/*
 * Opens the log as the configuration says.
 */
#ifndef COMMON_CONF_LOG_H
#define COMMON_CONF_LOG_H

#include "common/conf/conf.h"

/* program: its name in the log. debug: log everything, to standard error, whatever the configuration says (-d). */
void conf_log_open(const struct conf *conf, const char *program, bool debug);

#endif
