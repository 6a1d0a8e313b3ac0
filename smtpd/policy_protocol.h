/*
 * Postfix's policy delegation protocol, as its SMTPD_POLICY_README and access(5) describe it: a request is lines
 * `name=value` and an empty line, its reply a line `action=...` and an empty line. Pure.
 */
#ifndef SMTPD_POLICY_PROTOCOL_H
#define SMTPD_POLICY_PROTOCOL_H

#include "common/base/buf.h"
#include "common/smtp/enhanced_status.h"
#include "common/base/err.h"

#define POLICY_REQUEST_MAX 16384
#define POLICY_REPLY_MAX 4096	   /* bytes of a whole reply */
#define POLICY_VALUE_SENT_MAX 1024 /* longer values are cut */

/* What is known; empty or 0 where it is not or does not apply. */
struct policy_request {
	struct str protocol_state; /* RCPT, END-OF-MESSAGE */
	struct str protocol_name;  /* SMTP, ESMTP */
	struct str client_address, client_name, reverse_client_name;
	uint16_t client_port, server_port;
	struct str server_address;
	struct str helo_name;
	struct str sender, recipient; /* without <> */
	uint64_t recipient_count;     /* only when all of them are known */
	uint64_t size;		      /* of the message, or as declared; 0: not declared */
	struct str queue_id, instance;
	struct str sasl_method, sasl_username, sasl_sender;
	struct str ccert_subject, ccert_issuer, ccert_fingerprint;
	struct str encryption_protocol, encryption_cipher;
	uint64_t encryption_keysize;
	struct str policy_context; /* which of our filters is asked */
};

/* Appends the request. A control character in a value is sent as `?`: it cannot pass for a line of its own. */
void policy_request_add(struct buf *out, const struct policy_request *request);

enum policy_action {
	POLICY_ACTION_OK,	       /* ends the list */
	POLICY_ACTION_DUNNO,	       /* no opinion */
	POLICY_ACTION_REPLY,	       /* code, status, text: refused or deferred */
	POLICY_ACTION_DEFER_IF_PERMIT, /* the same, if all others accept */
	POLICY_ACTION_DEFER_IF_REJECT, /* deferred, if others refuse */
	POLICY_ACTION_PREPEND,	       /* text: a header field */
	POLICY_ACTION_HOLD,	       /* the message */
	POLICY_ACTION_DISCARD,	       /* the message */
	POLICY_ACTION_REDIRECT,	       /* text: the address that gets the message instead */
	POLICY_ACTION_WARN,	       /* text: for the log */
	POLICY_ACTION_UNSUPPORTED,     /* text: the whole; we know it and do not do it */
};

struct policy_reply {
	enum policy_action action;
	unsigned code;
	char status[ENHANCED_STATUS_MAX + 1]; /* RFC 3463; never empty with a code */
	struct str text;		/* without control characters; may be empty; borrowed from the input */
};

/* Takes a reply off *rest. BAD: too long, or no action that is known: the connection is of no use any more. */
enum parse policy_reply_take(struct str *rest, struct policy_reply *reply);

#endif
