/*
 * What one connection has been told of its mailbox: the messages under their sequence numbers, with the flags that it
 * knows of. The mailbox goes on without it; view_sync finds what is different and says it. Since states are compared and
 * no events are kept, nothing can be lost or told twice, and a connection that is silent for a day costs nothing. Pure.
 */
#ifndef IMAPD_VIEW_H
#define IMAPD_VIEW_H

#include "common/store/mailbox.h"
#include "imapd/respond.h"

struct view_entry {
	uint32_t uid;
	uint32_t keywords;
	unsigned char flags;
	bool recent;
	bool gone; /* the message is no more, but the client has not been told yet */
};

struct view {
	struct view_entry *entries; /* ascending by UID; entry i has the sequence number i + 1 */
	size_t n, max;
	size_t recent; /* entries with \Recent */
	size_t gone;   /* entries that are */
};

/* The mailbox as it is. */
struct view_source {
	const struct mailbox_record *records;
	size_t n;
	uint32_t recent_above; /* messages up to this UID were recent for some other connection */
	const char *(*keyword_name)(const void *context, unsigned i);
	const void *context;
};

enum view_manner {
	VIEW_EXPUNGE = 1,  /* EXPUNGE may be said now (RFC 3501 7.4.1) */
	VIEW_WITH_UID = 2, /* FETCH responses hold the UID */
};

/* Takes all messages, saying nothing. False when memory is out. */
bool view_open(struct view *view, const struct view_source *source);
void view_close(struct view *view);
/*
 * Says what changed: EXPUNGE, FETCH FLAGS, EXISTS, RECENT. Stops when out holds more than out_max bytes (and when memory
 * is out): false, to be called again when there is room.
 */
bool view_sync(struct view *view, const struct view_source *source, enum view_manner manner, struct buf *out,
    size_t out_max);

/* NULL when it is not in the view. Numbers count from 1. */
struct view_entry *view_find(const struct view *view, uint32_t uid);
struct view_entry *view_at(const struct view *view, uint32_t sequence);
uint32_t view_sequence(const struct view *view, const struct view_entry *entry);
/* The greatest UID; 0 when it is empty. */
uint32_t view_last_uid(const struct view *view);

/* "FLAGS (...)" of an entry. */
void view_write_flags(const struct view_entry *entry, const struct view_source *source, struct buf *out);

#endif
