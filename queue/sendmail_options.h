/*
 * The command line of sendmail(1), mailq(1) and newaliases(1): all options that Sendmail's and Postfix's programs of these
 * names take. An option that has no meaning here is passed over when a program cannot be misled by that, and refused with
 * the reason otherwise. Pure.
 */
#ifndef QUEUE_SENDMAIL_OPTIONS_H
#define QUEUE_SENDMAIL_OPTIONS_H

#include "common/base/str.h"

#define SENDMAIL_ENVID_MAX 100 /* RFC 3461 4.4 */

enum sendmail_mode {
	SENDMAIL_SEND,	  /* -bm */
	SENDMAIL_SMTP,	  /* -bs */
	SENDMAIL_VERIFY,  /* -bv */
	SENDMAIL_LIST,	  /* -bp, mailq */
	SENDMAIL_ALIASES, /* -bi, -I, newaliases */
	SENDMAIL_RETRY,	  /* -q */
};

/* What -q names; the word behind it is options.retry. */
enum sendmail_retry {
	SENDMAIL_RETRY_ALL,
	SENDMAIL_RETRY_ID,     /* -qIID */
	SENDMAIL_RETRY_SITE,   /* -qRSITE */
	SENDMAIL_RETRY_SENDER, /* -qSSENDER */
};

enum sendmail_body {
	SENDMAIL_BODY_UNKNOWN, /* not said: the message shows */
	SENDMAIL_BODY_7BIT,
	SENDMAIL_BODY_8BITMIME,
};

struct sendmail_options {
	enum sendmail_mode mode;
	enum sendmail_body body; /* -B, -o7, -o8 */
	bool takes_recipients;	 /* -t */
	bool ignore_dots;	 /* -i, -oi */
	bool is_verbose;	 /* -v */
	const char *conf_path;	 /* -C; NULL: the usual one */
	const char *sender;	 /* -f, -r */
	const char *full_name;	 /* -F */
	char notify[32];	 /* -N, as RFC 3461 writes it; empty: not given */
	const char *ret;	 /* -R: "FULL" or "HDRS" */
	const char *envid;	 /* -V */
	enum sendmail_retry retry_what;
	const char *retry;
	char **recipients; /* argv, of which the first are recipients now; NULL behind the last */
	size_t nrecipients;
	char problem[160]; /* why the parser returned false */
};

/* The name in argv[0] says the mode that is meant if no option says one. Sorts argv; what is kept points into it. */
bool sendmail_options_parse(struct sendmail_options *options, int argc, char **argv);

#endif
