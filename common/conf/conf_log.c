#include "common/conf/conf_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/base/log.h"

/* systemd says in $JOURNAL_STREAM which device and inode the journal's socket is. */
static bool
stderr_is_journal(const struct stat *st)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char ours[64];

	(void)snprintf(ours, sizeof ours, "%llu:%llu", (unsigned long long)st->st_dev, (unsigned long long)st->st_ino);
	return stream != NULL && strcmp(stream, ours) == 0;
}

/* The journal, or whatever standard error is connected to, or syslog if that is nowhere. */
static enum log_target
automatic(void)
{
	struct stat st, null;

	if (fstat(STDERR_FILENO, &st) != 0)
		return LOG_TO_SYSLOG;
	if (stderr_is_journal(&st))
		return LOG_TO_JOURNAL;
	if (stat("/dev/null", &null) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == null.st_rdev)
		return LOG_TO_SYSLOG;
	return LOG_TO_STDERR;
}

static enum log_target
target_of(enum conf_log log)
{
	switch (log) {
	case CONF_LOG_AUTO:
		return automatic();
	case CONF_LOG_STDERR:
		return LOG_TO_STDERR;
	case CONF_LOG_SYSLOG:
		return LOG_TO_SYSLOG;
	case CONF_LOG_JOURNAL:
		return LOG_TO_JOURNAL;
	}
	return LOG_TO_STDERR;
}

void
conf_log_open(const struct conf *conf, const char *program, bool debug)
{
	log_open(conf->syslog_tag, program, debug ? LOG_TO_STDERR : target_of(conf->log));
	log_set_debug(debug || conf->debug);
}
