#include "queue/intake_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/queue/poke.h"
#include "queue/wake.h"

/* A file that was changed less than this ago may still be on its way to being acknowledged: its notice will come. */
#define SETTLE_MS 3000
/* When an unfinished file is debris: no session of smtpd lasts so long without a byte. An empty one is a message that
 * was refused after all: smtpd may not remove it. */
#define DEBRIS_S (24 * 3600)
#define EMPTY_DEBRIS_S 60

/* Is the file complete as far as its head tells? Reads nothing else: only what is in active/ is trusted to stay. */
static bool
is_finished(int fd)
{
	char bytes[QUEUE_HEAD_BYTES];
	struct queue_head head;
	ssize_t n = pread(fd, bytes, sizeof bytes, 0);

	if (n < 0)
		return true; /* whatever it is: to be moved to corrupt/ */
	switch (queue_head_parse((struct str){bytes, (size_t)n}, &head)) {
	case PARSE_OK:
		return head.complete;
	case PARSE_MORE:
		return false;
	case PARSE_BAD:
		break;
	}
	/* Of a newer version we understand that much. */
	return head.version > QUEUE_FILE_VERSION ? head.complete : n != 0;
}

/* A file without notice is left alone as long as smtpd may be at work on it, and removed when it cannot be any more. */
static bool
is_ours(struct intake *intake, const struct queue_id *id, int fd)
{
	uint64_t now_ms = queue_now_ms(), changed_ms;
	struct stat st;
	struct err err;

	if (fstat(fd, &st) != 0)
		return false;
	changed_ms = (uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000;
	if (is_finished(fd))
		return changed_ms > now_ms + SETTLE_MS || changed_ms + SETTLE_MS < now_ms;
	if ((uint64_t)st.st_mtim.tv_sec + (st.st_size > 0 ? DEBRIS_S : EMPTY_DEBRIS_S) >= now_ms / 1000)
		return false;
	if (!spool_remove(&intake->queue->spool, id, SPOOL_INCOMING, &err))
		log_error("%s: %s", id->text, err.text);
	else if (st.st_size > 0)
		log_info("%s: an unfinished file of yesterday was removed", id->text);
	return false;
}

/* Of such files, which stay until the postmaster gives them to us, one is named a minute. */
static void
cannot_open_incoming(struct intake *intake, const struct queue_id *id, const struct err *err)
{
	uint64_t now_ms = loop_now_ms(intake->queue->loop);

	/* A notice and a look into the directory may both have found it. */
	if (err->errnum == ENOENT)
		return;
	if (intake_is_no_file(err)) {
		intake_to_corrupt(intake, id, SPOOL_INCOMING, "it is no file");
		return;
	}
	if (intake->complained_ms != 0 && now_ms < intake->complained_ms + INTAKE_UNREADABLE_MS)
		return;
	intake->complained_ms = now_ms;
	log_error("%s: %s", id->text, err->text);
}

bool
intake_take_incoming(struct intake *intake, const struct queue_id *id, bool noticed)
{
	const struct spool *spool = &intake->queue->spool;
	struct err err;
	int fd = spool_open_file(spool, SPOOL_INCOMING, id, O_RDONLY, &err);

	if (fd < 0) {
		cannot_open_incoming(intake, id, &err);
		return true;
	}
	if (!noticed && !is_ours(intake, id, fd)) {
		(void)close(fd);
		return true;
	}
	if (spool_move(spool, id, SPOOL_INCOMING, SPOOL_ACTIVE, &err)) {
		intake_begin(intake, id, fd, &intake_new_mail);
		return true;
	}
	if (err.errnum == EEXIST)
		intake_to_corrupt(intake, id, SPOOL_INCOMING, "its name is taken");
	else if (spool_is_special(spool, id, SPOOL_INCOMING))
		intake_to_corrupt(intake, id, SPOOL_INCOMING, "it is no file");
	else
		log_error("%s: %s", id->text, err.text);
	(void)close(fd);
	return !spool_is_at_fault(err.errnum);
}

/* How many lines there were. */
static unsigned
poked(struct intake *intake, struct str lines)
{
	struct str token;
	unsigned n = 0;

	for (; str_token(&lines, '\n', &token); n++) {
		struct queue_id id;

		if (str_starts(token, STR(POKE_WAKE))) {
			(void)wake_site(intake->queue->wake, str_skip(token, sizeof POKE_WAKE - 1), true);
			continue;
		}
		if (token.n == 0 || !queue_id_parse(&id, token))
			continue;
		if (intake_has_room_for_new(intake->queue))
			(void)intake_take_incoming(intake, &id, true);
		else
			intake->scan_incoming = true;
	}
	return n;
}

void
intake_poke_ready(struct loop_io *io, unsigned events)
{
	struct intake *intake = container_of(io, struct intake, poke);
	char bytes[POKE_MAX_BYTES];

	(void)events;
	for (unsigned taken = 0; taken < INTAKE_TURN_MESSAGES;) {
		ssize_t n = recv(io->fd, bytes, sizeof bytes, MSG_DONTWAIT);

		if (n < 0)
			return;
		taken += poked(intake, (struct str){bytes, (size_t)n}) + 1;
	}
}
