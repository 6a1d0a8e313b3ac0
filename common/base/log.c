#include "common/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096
#define SYSLOG_FACILITY_MAIL (2 << 3)

static const int syslog_severity[] = {
    [LOG_LEVEL_ERROR] = 3,
    [LOG_LEVEL_WARNING] = 4,
    [LOG_LEVEL_INFO] = 6,
    [LOG_LEVEL_DEBUG] = 7,
};

static const char *const level_word[] = {
    [LOG_LEVEL_ERROR] = "error: ",
    [LOG_LEVEL_WARNING] = "warning: ",
    [LOG_LEVEL_INFO] = "",
    [LOG_LEVEL_DEBUG] = "debug: ",
};

static struct {
	char tag[32];
	char program[32];
	char host[64];
	enum log_target target;
	int syslog_fd;
	bool debug;
	bool opened;
	pid_t pid; /* after log_open: 0 is to be asked for; a fork forgets it */
} out = {.tag = "merpati", .program = "merpati", .host = "localhost", .target = LOG_TO_STDERR, .syslog_fd = -1};

#define GATHER_MAX 4096 /* what a pipe takes in one piece */
#define GATHER_LINES 32

/* Threads log as well. */
static struct {
	pthread_mutex_t mutex;
	bool on;
	char bytes[GATHER_MAX];
	size_t n;
	size_t ends[GATHER_LINES]; /* of each line */
	size_t nlines;
} gathered = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static int
syslog_connect(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof addr) != 0) {
		(void)close(fd);
		fd = -1;
	}
	return fd;
}

/* What the parent gathered is the parent's to write. */
static void
forget_parent(void)
{
	out.pid = 0;
	gathered.n = gathered.nlines = 0;
	gathered.on = false;
}

void
log_open(const char *tag, const char *program, enum log_target target)
{
	(void)str_copy(out.tag, sizeof out.tag, str_from(tag));
	log_role(program);
	if (gethostname(out.host, sizeof out.host - 1) != 0)
		(void)str_copy(out.host, sizeof out.host, STR("localhost"));
	out.host[strcspn(out.host, ".")] = '\0';
	out.target = target;
	if (!out.opened)
		(void)pthread_atfork(NULL, NULL, forget_parent);
	out.opened = true;
	tzset();
	if (target == LOG_TO_SYSLOG && out.syslog_fd < 0)
		out.syslog_fd = syslog_connect();
}

void
log_role(const char *program)
{
	if (program != NULL)
		(void)str_copy(out.program, sizeof out.program, str_from(program));
}

void
log_set_debug(bool on)
{
	out.debug = on;
}

int
log_fd(void)
{
	return out.syslog_fd;
}

/* Length of the valid UTF-8 sequence of two or more bytes that s begins with, or 0. */
static size_t
utf8_sequence(struct str s)
{
	unsigned char c = (unsigned char)s.p[0];
	size_t n = c >= 0xc2 && c <= 0xdf ? 2 : c >= 0xe0 && c <= 0xef ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
	unsigned char second;

	if (n == 0 || s.n < n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if (((unsigned char)s.p[i] & 0xc0) != 0x80)
			return 0;
	second = (unsigned char)s.p[1];
	if (c == 0xe0 && second < 0xa0) /* overlong */
		return 0;
	if (c == 0xed && second > 0x9f) /* surrogate */
		return 0;
	if (c == 0xf0 && second < 0x90)
		return 0;
	if (c == 0xf4 && second > 0x8f)
		return 0;
	if (c == 0xc2 && second < 0xa0) /* C1 controls */
		return 0;
	return n;
}

static size_t
printable(struct str s)
{
	size_t n = 0;

	while (n < s.n && ascii_is_print(s.p[n]))
		n++;
	return n;
}

size_t
log_escape(char *dst, size_t size, struct str s)
{
	size_t n = 0;

	while (s.n > 0 && size - n > 5) {
		size_t take = printable(str_sub(s, 0, size - n - 5));

		if (take == 0)
			take = utf8_sequence(s);

		if (take > 0) {
			memcpy(dst + n, s.p, take);
			n += take;
		} else {
			unsigned char c = (unsigned char)s.p[0];

			dst[n++] = '\\';
			dst[n++] = (char)('0' + (c >> 6));
			dst[n++] = (char)('0' + ((c >> 3) & 7));
			dst[n++] = (char)('0' + (c & 7));
			take = 1;
		}
		s = str_skip(s, take);
	}
	dst[n] = '\0';
	return n;
}

/* Made once a second: many lines have the same. */
static const char *
time_stamp(void)
{
	static _Thread_local char stamp[32];
	static _Thread_local time_t made;
	time_t now = time(NULL);
	struct tm tm;

	if (now != made && localtime_r(&now, &tm) != NULL) {
		(void)strftime(stamp, sizeof stamp, "%b %e %H:%M:%S", &tm);
		made = now;
	}
	return stamp;
}

static size_t
line_head(char *line, size_t size, enum log_level level, const char *service)
{
	int n = 0;

	switch (out.target) {
	case LOG_TO_STDERR:
		n = snprintf(line, size, "%s %s ", time_stamp(), out.host);
		break;
	case LOG_TO_SYSLOG:
		n = snprintf(line, size, "<%d>%s ", SYSLOG_FACILITY_MAIL | syslog_severity[level], time_stamp());
		break;
	case LOG_TO_JOURNAL:
		n = snprintf(line, size, "<%d>", SYSLOG_FACILITY_MAIL | syslog_severity[level]);
		break;
	}
	if (n < 0 || (size_t)n >= size)
		return 0;
	if (out.pid == 0 || !out.opened)
		out.pid = getpid();
	n += snprintf(line + n, size - (size_t)n, "%s/%s%s%s[%d]: %s", out.tag, service ? service : "",
	    service ? "/" : "", out.program, (int)out.pid, level_word[level]);
	return (size_t)n < size ? (size_t)n : 0;
}

static void
bytes_write(const char *bytes, size_t n)
{
	/* On failure there is nobody left to tell. */
	ssize_t ignored = write(STDERR_FILENO, bytes, n);

	(void)ignored;
}

static void
line_write(const char *line, size_t n)
{
	if (out.target == LOG_TO_SYSLOG && out.syslog_fd >= 0) {
		if (send(out.syslog_fd, line, n - 1, MSG_NOSIGNAL) >= 0 || errno == EAGAIN)
			return;
		(void)close(out.syslog_fd); /* the syslog daemon was restarted */
		out.syslog_fd = syslog_connect();
		if (out.syslog_fd >= 0 && send(out.syslog_fd, line, n - 1, MSG_NOSIGNAL) >= 0)
			return;
	}
	bytes_write(line, n);
}

/* --- several lines at a time ------------------------------------------------------------------------------------------ */

/* A datagram a line, but one system call; those that did not go, one by one. */
static size_t
lines_send(void)
{
	struct mmsghdr messages[GATHER_LINES] = {0};
	struct iovec pieces[GATHER_LINES];
	size_t begin = 0;
	int sent;

	for (size_t i = 0; i < gathered.nlines; i++) {
		pieces[i] = (struct iovec){gathered.bytes + begin, gathered.ends[i] - begin - 1};
		messages[i].msg_hdr.msg_iov = &pieces[i];
		messages[i].msg_hdr.msg_iovlen = 1;
		begin = gathered.ends[i];
	}
	sent = sendmmsg(out.syslog_fd, messages, (unsigned)gathered.nlines, MSG_NOSIGNAL);
	return sent > 0 ? (size_t)sent : 0;
}

/* Under the mutex. */
static void
gathered_write(void)
{
	size_t sent;

	if (gathered.nlines == 0)
		return;
	if (out.target == LOG_TO_SYSLOG && out.syslog_fd >= 0) {
		sent = gathered.nlines > 1 ? lines_send() : 0;
		for (; sent < gathered.nlines; sent++) {
			size_t begin = sent > 0 ? gathered.ends[sent - 1] : 0;

			line_write(gathered.bytes + begin, gathered.ends[sent] - begin);
		}
	} else {
		bytes_write(gathered.bytes, gathered.n);
	}
	gathered.n = gathered.nlines = 0;
}

static void
line_gather(const char *line, size_t n, bool at_once)
{
	(void)pthread_mutex_lock(&gathered.mutex);
	if (gathered.nlines == GATHER_LINES || n > GATHER_MAX - gathered.n)
		gathered_write();
	if (n > GATHER_MAX) {
		line_write(line, n);
	} else {
		memcpy(gathered.bytes + gathered.n, line, n);
		gathered.n += n;
		gathered.ends[gathered.nlines++] = gathered.n;
	}
	if (at_once)
		gathered_write();
	(void)pthread_mutex_unlock(&gathered.mutex);
}

void
log_flush(void)
{
	(void)pthread_mutex_lock(&gathered.mutex);
	gathered_write();
	(void)pthread_mutex_unlock(&gathered.mutex);
}

void
log_gather(void)
{
	if (!gathered.on)
		(void)atexit(log_flush);
	gathered.on = true;
}

/* --- lines ------------------------------------------------------------------------------------------------------------ */

static void log_line(enum log_level level, const char *service, const char *format, va_list ap)
    __attribute__((format(printf, 3, 0)));

static void
log_line(enum log_level level, const char *service, const char *format, va_list ap)
{
	char text[LINE_MAX_BYTES], line[LINE_MAX_BYTES + 256];
	int errnum = errno;
	size_t n;
	int m = vsnprintf(text, sizeof text, format, ap);

	if (m < 0)
		return;
	if ((size_t)m >= sizeof text)
		m = sizeof text - 1;
	n = line_head(line, 256, level, service);
	n += log_escape(line + n, sizeof line - n - 1, (struct str){text, (size_t)m});
	line[n++] = '\n';
	if (gathered.on)
		line_gather(line, n, level == LOG_LEVEL_ERROR || level == LOG_LEVEL_WARNING);
	else
		line_write(line, n);
	errno = errnum;
}

void
log_error(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	log_line(LOG_LEVEL_ERROR, NULL, format, ap);
	va_end(ap);
}

void
log_warning(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	log_line(LOG_LEVEL_WARNING, NULL, format, ap);
	va_end(ap);
}

void
log_info(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	log_line(LOG_LEVEL_INFO, NULL, format, ap);
	va_end(ap);
}

void
log_debug(const char *format, ...)
{
	va_list ap;

	if (!out.debug)
		return;
	va_start(ap, format);
	log_line(LOG_LEVEL_DEBUG, NULL, format, ap);
	va_end(ap);
}

void
log_as(const char *service, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	log_line(LOG_LEVEL_INFO, service, format, ap);
	va_end(ap);
}

void
fatal(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	log_line(LOG_LEVEL_ERROR, NULL, format, ap);
	va_end(ap);
	exit(EX_TEMPFAIL);
}
