#include "queue/doctor_system.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/vfs.h>
#include <time.h>

#include "queue/listing_print.h"

/* A message needs one; so many must be left, so that the next minutes bring no refusal. */
#define INODES_LEAST 1000
#define BYTES_LEAST (64UL * 1024 * 1024)
/* With less than this percentage left it is time to look. */
#define PERCENT_LOW 5
/* No clock was ever right before this was written: 2026-11-01. */
#define TIME_LEAST 1793491200

enum doctor_level
doctor_room_level(uint64_t left, uint64_t total, uint64_t least)
{
	if (left < least)
		return DOCTOR_ERROR;
	return left < total / 100 * PERCENT_LOW ? DOCTOR_WARNING : DOCTOR_OK;
}

/* ---- disks --------------------------------------------------------------------------------------------------------- */

static void
report_bytes(struct doctor *d, const char *path, const struct statvfs *fs)
{
	uint64_t left = (uint64_t)fs->f_bavail * fs->f_frsize, total = (uint64_t)fs->f_blocks * fs->f_frsize,
		 least = d->conf->message_size_limit_bytes > BYTES_LEAST ? d->conf->message_size_limit_bytes : BYTES_LEAST;
	enum doctor_level level = doctor_room_level(left, total, least);
	char left_text[16], total_text[16];

	listing_print_bytes(left_text, left);
	listing_print_bytes(total_text, total);
	doctor_find(d, level, level == DOCTOR_OK ? "room" : "room-low", str_from(path), "has %s of %s left", left_text, total_text);
	if (level != DOCTOR_OK)
		doctor_advise(d, "Make room: a full disk refuses all mail (452)");
}

/* Some file systems make inodes as they are needed, and count none. */
static void
report_inodes(struct doctor *d, const char *path, const struct statvfs *fs)
{
	enum doctor_level level = doctor_room_level(fs->f_favail, fs->f_files, INODES_LEAST);

	if (fs->f_files == 0 || level == DOCTOR_OK)
		return;
	doctor_find(d, level, "inodes-low", str_from(path), "has room for only %llu more files (inodes)",
	    (unsigned long long)fs->f_favail);
	doctor_advise(d, "Remove files that nobody needs, or move it to a larger file system");
}

static void
report_kind(struct doctor *d, const char *path)
{
	struct statfs fs;

	if (statfs(path, &fs) != 0)
		return;
	if (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC) {
		doctor_find(d, DOCTOR_WARNING, "disk-memory", str_from(path), "is in memory: after a power cut all mail in it is gone");
		doctor_advise(d, "Set `spool_directory` to a directory on a disk");
	} else if (fs.f_type == NFS_SUPER_MAGIC || (uint32_t)fs.f_type == SMB2_SUPER_MAGIC) {
		doctor_find(d, DOCTOR_WARNING, "disk-network", str_from(path), "is another host's: what is promised there may not be kept");
		doctor_advise(d, "Set `spool_directory` to a directory on a disk of this host");
	}
}

static void
report_disk(struct doctor *d, const char *path, bool is_spool)
{
	struct statvfs fs;

	if (statvfs(path, &fs) != 0) {
		if (errno == EACCES)
			doctor_find(d, DOCTOR_NOTE, "disk-forbidden", str_from(path), "cannot be looked at by this user");
		else
			doctor_find(d, DOCTOR_ERROR, "disk-away", str_from(path), "cannot be looked at: %s", strerror(errno));
		return;
	}
	if (fs.f_flag & ST_RDONLY) {
		doctor_find(d, DOCTOR_ERROR, "disk-read-only", str_from(path), "cannot be written to: its file system is read-only");
		doctor_advise(d, "The kernel's log says why; after the repair mount it anew");
		return;
	}
	report_bytes(d, path, &fs);
	report_inodes(d, path, &fs);
	if (is_spool)
		report_kind(d, path);
}

void
doctor_disk(struct doctor *d)
{
	d->area = DOCTOR_DISK;
	report_disk(d, d->conf->spool_directory, true);
	report_disk(d, d->conf->cache_directory, false);
}

/* ---- the clock ----------------------------------------------------------------------------------------------------- */

void
doctor_clock(struct doctor *d)
{
	struct timex state = {.modes = 0};
	int result = adjtimex(&state);

	d->area = DOCTOR_CLOCK;
	if (time(NULL) < TIME_LEAST) {
		doctor_find(d, DOCTOR_ERROR, "clock-wrong", STR("The clock"), "is years behind: certificates and the times of retries are "
		    "all wrong");
		doctor_advise(d, "Set it, and keep it right: apt-get install systemd-timesyncd");
	} else if (result < 0) {
		doctor_find(d, DOCTOR_NOTE, "clock-unknown", STR("The clock"), "cannot be asked whether it is kept right: %s", strerror(errno));
	} else if (result == TIME_ERROR) {
		doctor_find(d, DOCTOR_WARNING, "clock-alone", STR("The clock"), "is not kept right by any other (NTP)");
		doctor_advise(d, "apt-get install systemd-timesyncd, or chrony; in a container that is the host's matter");
	} else {
		doctor_find(d, DOCTOR_OK, "clock", STR("The clock"), "is kept right (NTP)");
	}
}
