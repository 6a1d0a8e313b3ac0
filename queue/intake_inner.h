/*
 * What the parts of queued's intake share: one message (intake_message.c), incoming/ and its notices (intake_incoming.c), deferred/
 * and the clock (intake_deferred.c), and whose turn it is (intake.c).
 */
#ifndef QUEUE_INTAKE_INNER_H
#define QUEUE_INTAKE_INNER_H

#include "queue/clock_watch.h"
#include "queue/intake.h"

/* What is done in one turn of the loop. */
#define INTAKE_TURN_MESSAGES 32
#define INTAKE_TURN_BYTES (1024 * 1024)
/* A file that could not be read is tried again after this; so is what had to stay in active/. */
#define INTAKE_UNREADABLE_MS 60000

struct due {
	RB_ENTRY(due) link;
	uint64_t time_s;
	bool again; /* something in it could not be taken */
	struct spool_time time;
};

RB_HEAD(due_tree, due);

struct intake {
	struct queue *queue;
	struct loop_io poke;
	struct loop_timer turn;	 /* there is work */
	struct loop_timer clock; /* something becomes due, or incoming/ is to be looked at */
	struct spool_scan active, incoming, deferred; /* under way */
	bool scan_incoming; /* again, as soon as there is room */
	bool retry_all;	    /* whatever the time */
	uint64_t next_scan_ms;
	uint64_t active_again_ms; /* when active/ is to be read again; 0: not */
	uint64_t complained_ms;	  /* of files in incoming/ that cannot be opened; 0: never */
	struct clock_watch clock_watch;
	struct due_tree due;
	/* Directories that may lie further ahead than any retry, because something in them is not released before. */
	struct due_tree releases;
	bool looks_ahead; /* the directory under way is taken before its time, but for what is not released */
	bool left_some;	  /* of those */
	bool cut_short;	  /* nothing more can be taken from it now */
	TAILQ_HEAD(, message) loading; /* large ones, of which there is more to read */
	uint64_t longest_retry_s;
};

/* What a command wants with the message that is taken. */
struct intake_order {
	struct str bounce; /* for this reason; empty: it is tried */
	bool is_none;	   /* no command: it just came, or is due */
	bool was_deferred;
	bool is_left; /* a look into active/ found it */
};

/* New mail; what was due; what a look into active/ found. */
extern const struct intake_order intake_new_mail, intake_due_mail, intake_left_over;

/* There is work: a turn follows. */
void intake_wake(struct intake *intake);
/* Sets the timer for what is due next. */
void intake_clock_set(struct intake *intake);
bool intake_has_room_for_new(const struct queue *q);
bool intake_has_room_for_retry(const struct queue *q);

/* Takes what is in active/ already. */
void intake_take_by(struct intake *intake, const struct queue_id *id, const struct intake_order *order);
/* The same of an open file. */
void intake_begin(struct intake *intake, const struct queue_id *id, int fd, const struct intake_order *order);
/* Reads on; the message is gone when it turns out to be none. */
void intake_load(struct intake *intake, struct message *m);
void intake_to_corrupt(struct intake *intake, const struct queue_id *id, enum spool_place from, const char *why);
/* Opening says that this is no file: a symbolic link, a socket, a device. */
bool intake_is_no_file(const struct err *err);

/* False: nothing more can be taken now. noticed: smtpd said that it is complete. */
bool intake_take_incoming(struct intake *intake, const struct queue_id *id, bool noticed);
void intake_poke_ready(struct loop_io *io, unsigned events);

/* False: nothing more can be taken now. */
bool intake_take_deferred(struct intake *intake, const struct queue_id *id, const struct spool_time *time);
/* At the start: which times there are. */
void intake_list_deferred(struct intake *intake);
/* Is there a directory whose time has come? */
bool intake_is_due(struct intake *intake);
/* Opens the next such directory; false when there is none. */
bool intake_scan_due(struct intake *intake);
/* The end of the one that was opened. */
void intake_due_done(struct intake *intake);
/* When the next one is due, in milliseconds since 1970. */
uint64_t intake_next_due_ms(struct intake *intake);
/* Moves the times along with the clock, should it have leapt. */
void intake_look_at_clock(struct intake *intake);
void intake_due_clear(struct intake *intake);

#endif
