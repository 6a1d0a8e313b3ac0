/*
 * The commands of POP3 and their one table: which there are, when they are legal, how many arguments they take. Both
 * sides of the login use it. Pure.
 */
#ifndef POPD_COMMAND_H
#define POPD_COMMAND_H

#include "common/base/buf.h"

#define COMMAND_ARGUMENTS_MAX 2
#define COMMAND_LINE_MAX_BYTES 512 /* RFC 2449 4 says 255; AUTH has a limit of its own */

enum pop3_state {
	POP3_AUTHORIZATION = 1,
	POP3_TRANSACTION = 2,
};

enum command_verb {
	COMMAND_AUTH,
	COMMAND_CAPA,
	COMMAND_DELE,
	COMMAND_LIST,
	COMMAND_NOOP,
	COMMAND_PASS,
	COMMAND_QUIT,
	COMMAND_RETR,
	COMMAND_RSET,
	COMMAND_STAT,
	COMMAND_STLS,
	COMMAND_TOP,
	COMMAND_UIDL,
	COMMAND_USER,
};

struct command {
	enum command_verb verb;
	struct str arguments[COMMAND_ARGUMENTS_MAX]; /* borrowed from the line */
	size_t n;
};

/* Takes a line without its CRLF apart. NULL, or what is wrong with it: a text for "-ERR". */
const char *command_parse(struct command *command, struct str line, enum pop3_state state);

/* The reply to CAPA (RFC 2449). mechanisms: of SASL, may be empty. */
struct command_capabilities {
	struct str mechanisms;
	bool user; /* USER and PASS are possible */
	bool stls;
};

void command_write_capabilities(struct buf *out, const struct command_capabilities *capabilities);

#endif
