/*
 * The Received field (RFC 5321 4.4; protocol names of RFC 3848 and 6531) that this server puts on top of a message. Pure.
 */
#ifndef SMTPD_TRACE_H
#define SMTPD_TRACE_H

#include "common/base/buf.h"

struct trace_facts {
	struct str helo;	  /* as the client wrote it */
	struct str client_name;	  /* verified; empty: unknown */
	struct str client;	  /* IP address as text; empty: a program of this host */
	struct str local_user;	  /* that program's user, when client is empty */
	struct str tls_version;	  /* empty without TLS */
	struct str tls_cipher;
	struct str tls_suite; /* the same in IANA's name, for the clause of RFC 8314 4.3 */
	struct str hostname;
	struct str protocol; /* "ESMTPS" */
	struct str id;
	struct str recipient; /* only when there is a single one: others would be told of each other; else empty */
	struct str date;      /* RFC 5322 */
};

/* Appends the field with its CRLF. What the client wrote is cut and cleaned so that it can end neither line nor
 * comment. */
void trace_received_add(struct buf *out, const struct trace_facts *facts);

#endif
