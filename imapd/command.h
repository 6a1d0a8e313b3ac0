/*
 * The commands of IMAP4rev1 and its extensions after login: one table of verb, legal states, arguments, reference. The
 * arguments of a command are read into one struct. Pure.
 */
#ifndef IMAPD_COMMAND_H
#define IMAPD_COMMAND_H

#include "imapd/fetch_item.h"
#include "imapd/search_key.h"
#include "imapd/seqset.h"

enum command_verb {
	COMMAND_APPEND,
	COMMAND_CAPABILITY,
	COMMAND_CHECK,
	COMMAND_CLOSE,
	COMMAND_COPY,
	COMMAND_CREATE,
	COMMAND_DELETE,
	COMMAND_ENABLE,
	COMMAND_EXAMINE,
	COMMAND_EXPUNGE,
	COMMAND_FETCH,
	COMMAND_ID,
	COMMAND_IDLE,
	COMMAND_LIST,
	COMMAND_LOGOUT,
	COMMAND_LSUB,
	COMMAND_MOVE,
	COMMAND_NAMESPACE,
	COMMAND_NOOP,
	COMMAND_RENAME,
	COMMAND_SEARCH,
	COMMAND_SELECT,
	COMMAND_STATUS,
	COMMAND_STORE,
	COMMAND_SUBSCRIBE,
	COMMAND_UNSELECT,
	COMMAND_UNSUBSCRIBE,
};

enum {
	COMMAND_IN_AUTHENTICATED = 1,
	COMMAND_IN_SELECTED = 2,
	COMMAND_IN_BOTH = 3,
};

enum status_item {
	STATUS_MESSAGES = 1 << 0,
	STATUS_RECENT = 1 << 1,
	STATUS_UIDNEXT = 1 << 2,
	STATUS_UIDVALIDITY = 1 << 3,
	STATUS_UNSEEN = 1 << 4,
};

enum store_change {
	STORE_SET,
	STORE_ADD,
	STORE_REMOVE,
};

struct command_row;

struct command {
	const struct command_row *row;
	struct str tag;
	bool uid; /* UID FETCH, UID SEARCH ... */
	struct str mailbox;	/* as written: modified UTF-7. LIST, LSUB: the reference */
	struct str other_mailbox; /* RENAME: the new name. LIST, LSUB: the pattern */
	struct seqset set;
	struct parse_flags flags; /* STORE, APPEND */
	enum store_change change;
	bool silent;
	bool has_date;
	int64_t date;	 /* APPEND: seconds since 1970 */
	unsigned status; /* enum status_item */
	struct fetch_items fetch;
	struct search search;
};

struct command_row {
	struct str verb;
	unsigned states;
	enum command_verb command;
	bool (*parse)(struct parse_text *t, struct command *command); /* what follows the verb */
	bool has_uid_form;
	bool keeps_numbers; /* sequence numbers stay as they are until its reply (RFC 3501 7.4.1) */
	const char *reference;
};

enum command_result {
	COMMAND_GOOD,
	COMMAND_NO_TAG,  /* not even that: command->tag is empty */
	COMMAND_BAD,	 /* t->problem says why */
	COMMAND_UNKNOWN, /* no such verb */
};

/*
 * Reads a whole command. Of APPEND: what comes before the message; the text must end there. What it returns is borrowed
 * from the text, but for the tag, which is the arena's.
 */
enum command_result command_parse(struct parse_text *t, struct command *command);

/* The arguments of ID, which is also a command of the time before login. */
bool command_parse_id(struct parse_text *t);

/* For tests, and for the pre-login protocol's "already logged in". */
const struct command_row *command_rows(size_t *n);

#endif
