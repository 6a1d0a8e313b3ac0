/*
 * The rules of a [policy] section: each a sentence that says what becomes of a recipient, and when.
 *
 *     refuse "we know you" when client is 192.0.2.0/24 and sender is *@spam.test
 *     ask postgrey when client is unknown
 *
 *     rule      = action [ "when" condition *( "and" condition ) ]
 *     action    = "accept" / "relay" / "greylist" / "standard"
 *               / ( "refuse" / "defer" ) [ CODE [ STATUS ] ] [ TEXT ]
 *               / "slow" TIME / "ask" FILTER [ "at" "end" ] / ( "tag" / "warn" ) TEXT
 *     condition = [ "not" ] subject [ "not" ] ( "is" [ "not" ] values / "in" FILE )
 *     subject   = "client" / "helo" / "tls" / "certificate" / "login" / "sender" / "recipient"
 *     values    = value / "(" value *( [ "," ] value ) ")"
 *
 * A value is a word of its subject (known, none, trusted ...), a network, or a name or address in which * stands for
 * anything; in double quotes it is never a word. What each means is said in merpati-policy(5). Pure, but for the files
 * of `in`, which are read by rule_files_load.
 *
 * No accept opens the relay: that takes `relay`, and the parser takes it only with a condition that a stranger cannot
 * meet at will.
 */
#ifndef COMMON_RULE_H
#define COMMON_RULE_H

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/net/network.h"
#include "common/conf/rule_set.h"

#define RULES_MAX 1000		 /* of a list */
#define RULE_VALUES_MAX 4096	 /* of a list, all its rules together; a file holds more */
#define RULE_CONDITIONS_MAX 32	 /* of a rule */
#define RULE_TEXT_MAX 300	 /* bytes of a reply's text or of a header field */
#define RULE_NAME_MAX 64	 /* bytes of a filter's name */
#define RULE_SLOW_MAX_MS 60000
#define RULE_STARS_MAX 4	 /* of a pattern: what a match may cost is bounded by it */

enum rule_action {
	RULE_ACCEPT,   /* ends the list; whether we relay there is another question */
	RULE_RELAY,    /* ends the list, and we do */
	RULE_REFUSE,
	RULE_DEFER,
	RULE_SLOW,     /* waits, then goes on */
	RULE_ASK,      /* a policy server decides or lets go on */
	RULE_GREYLIST, /* defers who is new, else goes on */
	RULE_TAG,      /* adds a header field and goes on */
	RULE_WARN,     /* a line in the log, and goes on */
	RULE_STANDARD, /* only while parsing: stands for the standard list */
};

enum rule_subject {
	RULE_CLIENT,
	RULE_HELO,
	RULE_TLS,
	RULE_CERTIFICATE,
	RULE_LOGIN,
	RULE_SENDER,
	RULE_RECIPIENT,
};

enum rule_word {
	RULE_WORD_ANY,	    /* tls: encrypted */
	RULE_WORD_FQDN,	    /* helo, sender, recipient: a domain name with a dot, or a literal */
	RULE_WORD_KNOWN,    /* client: has a verified name; login, certificate: there is one */
	RULE_WORD_LITERAL,  /* helo: an address in brackets */
	RULE_WORD_LOCAL,    /* client: this host */
	RULE_WORD_NONE,	    /* tls, login, certificate: there is none; sender: <> */
	RULE_WORD_OURS,	    /* helo: this host's name or address; sender, recipient: of a domain of ours */
	RULE_WORD_TRUSTED,  /* client: in `networks` */
	RULE_WORD_UNKNOWN,  /* client: has no verified name */
	RULE_WORD_VERIFIED, /* tls: the client's certificate is */
};

struct rule_value {
	enum { RULE_IS_WORD, RULE_IS_NETWORK, RULE_IS_NAME, RULE_IS_ADDRESS } kind;
	enum rule_word word;
	struct network network;
	/* Patterns in lower case. NAME: name only. ADDRESS: local part and domain, each a pattern of its own, so that no
	 * quoted local part passes for a domain. */
	struct str local, name;
};

/* A file of values, read by rule_files_load; shared by the conditions of a configuration that name it. */
struct rule_file {
	struct rule_file *next;
	const char *path;
	enum rule_subject subject;
	unsigned line; /* of the first condition */
	struct rule_set set;
};

struct rule_condition {
	enum rule_subject subject;
	bool negated;
	const struct rule_value *values;
	size_t nvalues;
	struct rule_file *file; /* instead of values */
	struct str text;	/* as it was written */
};

struct rule {
	struct rule *next;
	enum rule_action action;
	unsigned line; /* of the file; of the standard list's: 0 */
	struct str text; /* the whole sentence */
	const struct rule_condition *conditions;
	size_t nconditions;
	/* REFUSE, DEFER: the reply. TAG: the field "Name: value". WARN: what the log says. */
	unsigned code;
	const char *status;
	struct str words;
	uint64_t slow_ms;
	struct str filter; /* ASK: its name */
	size_t filter_index; /* in conf->filters; set when the whole configuration is known */
	bool at_end;	   /* ASK: when the content is there */
};

struct rule_list {
	struct rule *first;
	unsigned line; /* of its section; 0: the standard list */
	/* While it is made: */
	struct rule **last;
	size_t n, nvalues;
};

/* What the lists of one configuration share while they are parsed. */
struct rule_maker {
	struct arena *arena;
	struct str directory;	 /* where relative paths begin */
	struct rule_file *files; /* so far */
};

void rule_list_init(struct rule_list *list, unsigned line);
/* Appends the rule that stands in text (one line, without comment sign); false: err says what is wrong and what would be
 * right. Everything is copied into the arena. */
bool rule_list_add(struct rule_list *list, struct rule_maker *maker, struct str text, unsigned line, struct err *err);
/* Appends the standard list: what is right for a host on the Internet. */
bool rule_list_add_standard(struct rule_list *list, struct rule_maker *maker, unsigned line, struct err *err);
/* The lines of the standard list, for documents; NULL behind the last. */
const char *rule_standard(size_t i);

/* Reads all the files anew. Each bad line in one is told as "PATH:LINE: what" in problems and passed over; false when a file
 * cannot be read: err says which. May block. */
bool rule_files_load(struct rule_file *files, struct buf *problems, struct err *err);
void rule_files_clear(struct rule_file *files);

/* Does the name (in lower case) fit the pattern? Linear for each star. */
bool rule_pattern_matches(struct str pattern, struct str name);

#endif
