/*
 * What the files of a session's filters share; for session_filter*.c only.
 */
#ifndef SMTPD_SESSION_FILTER_INNER_H
#define SMTPD_SESSION_FILTER_INNER_H

#include "smtpd/letter.h"
#include "smtpd/milter_client.h"
#include "smtpd/session.h"
#include "smtpd/session_filter.h"
#include "smtpd/session_message.h"

enum filter_stage {
	FILTER_IDLE,
	FILTER_CONNECT,
	FILTER_HELO,
	FILTER_MAIL,
	FILTER_RCPT,
	FILTER_REFUSED_RCPT, /* one that is not accepted in any case */
	FILTER_DATA,
	FILTER_UNKNOWN,
	FILTER_END,
};

enum filter_state {
	FILTER_AWAY, /* not connected yet, or not any more */
	FILTER_OPENING,
	FILTER_UP,
	FILTER_DOWN, /* it failed; at the next MAIL it is tried again */
};

struct filter {
	struct milter_user user;
	struct session_filters *all;
	size_t index; /* in the configuration */
	enum filter_state state;
	enum filter_stage saying; /* about what it was told last */
	bool is_past;		  /* it accepted the whole session */
	bool is_through;	  /* with this message */
	bool was_tried;
	bool knows_client, knows_helo, knows_mail;
};

/* Where a filter is with the message. */
enum filter_place {
	PLACE_FIELDS,
	PLACE_END_OF_HEADER,
	PLACE_BODY,
	PLACE_END,
	PLACE_OVER,
};

/* A message that is being shown to filters. */
struct filter_message {
	struct letter letter; /* as the filters so far have left it */
	struct letter draft;  /* what the one at hand makes of it; counts once that one is done */
	bool has_draft;
	bool has_more; /* bodies were appended to the content, whether they count or not */
	struct arena arena;   /* of recipients */
	struct str *recipients;
	size_t nrecipients;
	enum filter_place place;
	size_t field;
	uint64_t shown; /* bytes of the body */
};

struct session_filters {
	struct session *session;
	struct milter_macros macros;
	enum filter_stage stage; /* IDLE: nobody is asked anything */
	size_t at;		 /* whose turn it is */
	bool told;		 /* and it was told what this is about */
	bool inside;		 /* of the function that began the stage */
	bool discards;		 /* one of them wants the message thrown away */
	unsigned refused;	 /* or refused it at DATA, with this code: whoever asks again gets no other answer */
	void (*connected)(struct session *s, const struct smtp_reply *refusal);
	/* Of a recipient that we refuse. */
	struct smtp_reply refusal;
	char refusal_text[SMTP_REPLY_TEXT_MAX + 1];
	struct filter_message *message;
	size_t n;
	struct filter list[];
};

enum filter_step {
	STEP_WAIT, /* for the filter */
	STEP_NEXT,
	STEP_OVER, /* the stage was ended */
};

/* --- session_filter.c */

const struct conf_filter *filter_conf(const struct filter *f);
/* It cannot be used any more: the connection is given up, and the configuration says what that means. */
enum filter_step filter_failed(struct filter *f, const char *why);
/* The stage is over. NULL: nobody refuses. */
void filters_end(struct session_filters *all, const struct smtp_reply *refusal);
/* In the words of Postfix's log: "milter-reject", "milter-hold" ... */
void filters_log(const struct session_filters *all, const char *what, const char *place, const struct str words);

/* --- session_filter_message.c */

/* False: it could not be read back, or is too much; *reply says so. */
bool filter_message_begin(struct session_filters *all, struct smtp_reply *reply);
void filter_message_clear(struct session_filters *all);
/* The next filter begins. */
void filter_message_rewind(struct filter_message *m);
/* Shows the filter as much as it takes now. */
enum filter_step filter_message_show(struct filter *f);
/* False, with *problem: what it wants cannot be done. */
bool filter_message_change(struct filter *f, const char **problem);
/* What the filter at hand has changed counts (or else never happened). False as above. */
bool filter_message_keep(struct filter *f, const char **problem);

/* --- session_filter_macros.c */

struct str filter_macro(const struct milter_macros *macros, struct str name);

#endif
