#include "smtpd/intake.h"

#include <bsd/stdlib.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/queue/poke.h"

#define READ_PIECE 65536
#define WRITE_FROM 65536 /* bytes that gather before they are written */
#define NOTICE_GAP_MS 10 /* between two notices */
#define SURELY_FRESH_US 30000000 /* half of what queued waits before it takes an empty file for debris */
#define OUT_MAX (WRITE_FROM + QUEUE_RECORD_MAX + 2 * 65536)
/* The owner may write and nothing else; the group is the queue's, by the drop box's set-gid bit. */
#define FILE_MODE (S_IWUSR | S_IRGRP | S_IWGRP)
/* As an ordinary user the queue is the same user, and the owner's bits are its own. */
#define FILE_MODE_ONE_USER (S_IRUSR | S_IWUSR)

void
intake_init(struct intake *intake, struct loop *loop, struct commit *commit, int incoming_fd, const char *poke_path)
{
	struct stat st;

	*intake = (struct intake){.loop = loop, .commit = commit, .incoming_fd = incoming_fd, .poke_path = poke_path,
	    .file_mode = FILE_MODE};
	if (fstat(incoming_fd, &st) == 0 && st.st_uid == geteuid())
		intake->file_mode = FILE_MODE_ONE_USER;
	buf_init(&intake->notice, INTAKE_NOTICE_MAX);
	intake->poke_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (intake->poke_fd < 0)
		log_warning("cannot tell queued of new messages: socket: %s", strerror(errno));
}

static void notice_gap_over(struct loop_timer *timer);

/* As many lines as one notice holds. */
static struct str
notice_next(const struct intake *intake)
{
	struct str some = str_sub(buf_str(&intake->notice), 0, POKE_MAX_BYTES);

	return str_sub(some, 0, str_find_last(some, '\n') + 1);
}

/* False: queued has as many as it can hold, for it has much to do. */
static bool
notice_send(const struct intake *intake, struct str notice)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	if (intake->poke_fd < 0 || !str_copy(to.sun_path, sizeof to.sun_path, str_from(intake->poke_path)) ||
	    sendto(intake->poke_fd, notice.p, notice.n, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof to) >= 0)
		return true;
	if (errno == EAGAIN)
		return false;
	log_debug("queued was not told of new messages: %s", strerror(errno));
	return true;
}

/* A lost notice costs only time, since queued looks by itself as well; but that is seconds. */
void
intake_flush_notice(struct intake *intake)
{
	loop_timer_cancel(&intake->notice_gap);
	intake->noticed_ms = loop_now_ms(intake->loop);
	while (intake->notice.n > 0) {
		struct str notice = notice_next(intake);

		if (!notice_send(intake, notice)) {
			loop_timer_set(intake->loop, &intake->notice_gap, NOTICE_GAP_MS, notice_gap_over);
			return;
		}
		buf_consume(&intake->notice, notice.n);
	}
}

static void
notice_gap_over(struct loop_timer *timer)
{
	intake_flush_notice(container_of(timer, struct intake, notice_gap));
}

static void
notice_due(struct loop_deferred *deferred)
{
	struct intake *intake = container_of(deferred, struct intake, notice_due);
	uint64_t gap_ms = loop_now_ms(intake->loop) - intake->noticed_ms;

	if (gap_ms >= NOTICE_GAP_MS)
		intake_flush_notice(intake);
	else if (intake->notice_gap.loop == NULL)
		loop_timer_set(intake->loop, &intake->notice_gap, NOTICE_GAP_MS - gap_ms, notice_gap_over);
}

/* One datagram for all messages that became durable in this turn of the loop; when they come one upon the other, in a few
 * turns. */
static void
notice_add(struct intake *intake, const struct queue_id *id)
{
	if (intake->notice.n + QUEUE_ID_LENGTH + 1 > INTAKE_NOTICE_MAX)
		return;
	buf_add(&intake->notice, queue_id_str(id));
	buf_addc(&intake->notice, '\n');
	loop_defer(intake->loop, &intake->notice_due, notice_due);
}

void
intake_wake(struct intake *intake, struct str target)
{
	if (target.n > POKE_TARGET_MAX || intake->notice.n + sizeof POKE_WAKE + target.n > INTAKE_NOTICE_MAX)
		return;
	buf_adds(&intake->notice, POKE_WAKE);
	buf_add(&intake->notice, target);
	buf_addc(&intake->notice, '\n');
	loop_defer(intake->loop, &intake->notice_due, notice_due);
}

/* arc4random asks for the process's number each time, lest a fork repeat what its parent draws; this process makes none. */
static uint32_t
random_number(struct intake *intake)
{
	if (intake->nrandom == 0) {
		arc4random_buf(intake->random, sizeof intake->random);
		intake->nrandom = INTAKE_RANDOM;
	}
	return intake->random[--intake->nrandom];
}

void
intake_begin(struct intake_message *m, struct intake *intake, uint64_t time_us)
{
	*m = (struct intake_message){.intake = intake, .fd = -1};
	queue_id_make(&m->id, time_us, random_number(intake));
	queue_writer_init(&m->writer, OUT_MAX);
}

static uint64_t
now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static bool
file_create(struct intake_message *m, struct err *err)
{
	int access = m->intake->reads_back ? O_RDWR : O_WRONLY;

	if (m->fd >= 0)
		return true;
	m->created_us = now_us();
	m->fd = openat(m->intake->incoming_fd, m->id.text, access | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
	    m->intake->file_mode);
	if (m->fd < 0)
		return err_sys(err, "cannot create %s in the queue", m->id.text);
	return true;
}

void
intake_widen(struct intake_message *m, size_t bytes)
{
	m->writer.out.max += bytes;
}

struct str
intake_content(const struct intake_message *m, uint64_t offset, uint64_t max, struct err *err)
{
	static char piece[READ_PIECE];
	uint64_t written = m->writer.written;
	size_t wanted;
	ssize_t n;

	if (offset >= written)
		return str_sub(queue_writer_output(&m->writer), (size_t)(offset - written), (size_t)max);
	wanted = (size_t)(max < written - offset ? max : written - offset);
	do
		n = pread(m->fd, piece, wanted < sizeof piece ? wanted : sizeof piece, (off_t)offset);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return (struct str){piece, (size_t)n};
	if (n == 0)
		errno = EIO;
	(void)err_sys(err, "cannot read %s", m->id.text);
	return STR_NONE;
}

static bool
write_all(struct intake_message *m, struct err *err)
{
	struct str out = queue_writer_output(&m->writer);

	if (!file_create(m, err))
		return false;
	while (out.n > 0) {
		ssize_t n = write(m->fd, out.p, out.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = ENOSPC;
			return err_sys(err, "cannot write %s", m->id.text);
		}
		queue_writer_wrote(&m->writer, (size_t)n);
		out = queue_writer_output(&m->writer);
	}
	return true;
}

bool
intake_flush(struct intake_message *m, struct err *err)
{
	if (m->failed) {
		*err = m->err;
		return false;
	}
	if (queue_writer_output(&m->writer).n < WRITE_FROM)
		return true;
	if (write_all(m, &m->err))
		return true;
	m->failed = true;
	*err = m->err;
	return false;
}

/* A file that was begun before its end was known gets its head now. */
static bool
head_write(struct intake_message *m, struct err *err)
{
	char head[QUEUE_HEAD_BYTES];

	(void)queue_writer_head(&m->writer, head);
	if (pwrite(m->fd, head, sizeof head, 0) != (ssize_t)sizeof head)
		return err_sys(err, "cannot write the head of %s", m->id.text);
	return true;
}

/*
 * After a leap of the clock queued may take a file under way for debris of yesterday. Now that it is complete nobody
 * removes it any more before it is delivered, but what has lost its name already must not be acknowledged.
 */
static bool
file_has_name(const struct intake_message *m, struct err *err)
{
	struct stat st;

	if (fstat(m->fd, &st) != 0)
		return err_sys(err, "cannot look at %s", m->id.text);
	return st.st_nlink > 0 || err_set(err, ERR_TEMP, "%s was removed while it was written", m->id.text);
}

static bool
file_end(struct intake_message *m, struct err *err)
{
	bool begun = m->writer.written > 0;

	if (!queue_writer_ok(&m->writer))
		return err_set(err, ERR_LIMIT, "%s does not fit the queue file format", m->id.text);
	if (!write_all(m, err) || (begun && !head_write(m, err)))
		return false;
	/* One that was made and written at once has had no time to look old. */
	return (!begun && now_us() - m->created_us < SURELY_FRESH_US) || file_has_name(m, err);
}

/* A message that is refused must not look complete to queued, whatever became of its name. */
static void
file_void(struct intake_message *m)
{
	if (m->fd >= 0 && ftruncate(m->fd, 0) != 0)
		log_warning("%s: cannot truncate what is left of a refused message: %s", m->id.text, strerror(errno));
}

static void
durable(struct commit_entry *entry, bool ok, const struct err *err)
{
	struct intake_message *m = container_of(entry, struct intake_message, entry);

	if (m->failed) {
		ok = false;
		err = &m->err;
	}
	if (!ok)
		file_void(m);
	/* Nothing is lost by a close that fails: what it wrote is durable. */
	if (m->fd >= 0)
		(void)close(m->fd);
	m->fd = -1;
	if (ok)
		notice_add(m->intake, &m->id);
	m->done(m, ok, err);
}

void
intake_finish(struct intake_message *m, void (*done)(struct intake_message *, bool, const struct err *))
{
	m->done = done;
	if (!m->writer.ended)
		queue_writer_end(&m->writer);
	if (!m->failed && !file_end(m, &m->err))
		m->failed = true;
	/* One that failed goes the same way, so that done is never called from inside. */
	commit_submit(m->intake->commit, &m->entry, m->failed ? -1 : m->fd, m->intake->incoming_fd, durable);
}

void
intake_clear(struct intake_message *m)
{
	if (m->fd >= 0) {
		file_void(m);
		(void)close(m->fd);
	}
	m->fd = -1;
	queue_writer_clear(&m->writer);
}
