/*
 * The packets of the milter protocol, version 6 (libmilter's, which has no RFC): four bytes of length in network order,
 * one byte that says what it is, the rest. Written and read here; what they mean is milter.h's. Pure.
 *
 *     we say                            a filter says
 *     O negotiate                       O negotiate
 *     D macros, for the command after it
 *     C connection  H HELO  M MAIL      c go on  a accept  r reject  t try later  d discard  y reply in its words
 *     R RCPT  T DATA  U unknown         f end the connection  4 shut it down  s no further chunks
 *     L field  N end of header  B body
 *     E end of message                  p still at it  h i m fields  b body  + 2 - recipients  e sender  q quarantine
 *     A abort  Q quit  K quit, and a new session follows
 */
#ifndef SMTPD_MILTER_MESSAGE_H
#define SMTPD_MILTER_MESSAGE_H

#include "common/base/buf.h"
#include "common/smtp/enhanced_status.h"
#include "common/base/err.h"

#define MILTER_VERSION 6
#define MILTER_VERSION_MIN 2

enum milter_command {
	MILTER_ABORT = 'A',
	MILTER_BODY = 'B',
	MILTER_CONNECT = 'C',
	MILTER_MACROS = 'D',
	MILTER_END = 'E',
	MILTER_HELO = 'H',
	MILTER_HEADER = 'L',
	MILTER_MAIL = 'M',
	MILTER_END_OF_HEADER = 'N',
	MILTER_NEGOTIATE = 'O',
	MILTER_QUIT = 'Q',
	MILTER_RCPT = 'R',
	MILTER_DATA = 'T',
	MILTER_UNKNOWN = 'U',
};

enum milter_reply {
	MILTER_SAYS_RECIPIENT_ADD = '+',
	MILTER_SAYS_RECIPIENT_REMOVE = '-',
	MILTER_SAYS_RECIPIENT_ADD_PARAMETERS = '2',
	MILTER_SAYS_SHUTDOWN = '4',
	MILTER_SAYS_NEGOTIATE = 'O',
	MILTER_SAYS_ACCEPT = 'a',
	MILTER_SAYS_BODY = 'b',
	MILTER_SAYS_CONTINUE = 'c',
	MILTER_SAYS_DISCARD = 'd',
	MILTER_SAYS_SENDER = 'e',
	MILTER_SAYS_CONNECTION_FAIL = 'f',
	MILTER_SAYS_HEADER_ADD = 'h',
	MILTER_SAYS_HEADER_INSERT = 'i',
	MILTER_SAYS_HEADER_CHANGE = 'm',
	MILTER_SAYS_PROGRESS = 'p',
	MILTER_SAYS_QUARANTINE = 'q',
	MILTER_SAYS_REJECT = 'r',
	MILTER_SAYS_SKIP = 's',
	MILTER_SAYS_TRY_LATER = 't',
	MILTER_SAYS_REPLY = 'y',
};

/* What a filter may change (SMFIF_*). */
enum milter_action {
	MILTER_ADD_HEADERS = 0x1,
	MILTER_CHANGE_BODY = 0x2,
	MILTER_ADD_RECIPIENTS = 0x4,
	MILTER_REMOVE_RECIPIENTS = 0x8,
	MILTER_CHANGE_HEADERS = 0x10,
	MILTER_QUARANTINE = 0x20,
	MILTER_CHANGE_SENDER = 0x40,
	MILTER_ADD_RECIPIENTS_PARAMETERS = 0x80,
	MILTER_SET_MACROS = 0x100,
	MILTER_ACTIONS_ALL = 0x1ff,
};

/* What it does not want to be told, does not answer, and otherwise wants to have different (SMFIP_*). */
enum milter_option {
	MILTER_NO_CONNECT = 0x1,
	MILTER_NO_HELO = 0x2,
	MILTER_NO_MAIL = 0x4,
	MILTER_NO_RCPT = 0x8,
	MILTER_NO_BODY = 0x10,
	MILTER_NO_HEADER = 0x20,
	MILTER_NO_END_OF_HEADER = 0x40,
	MILTER_MUTE_HEADER = 0x80,
	MILTER_NO_UNKNOWN = 0x100,
	MILTER_NO_DATA = 0x200,
	MILTER_MAY_SKIP = 0x400,
	MILTER_REFUSED_RCPT = 0x800, /* wants to be told of recipients that we refuse */
	MILTER_MUTE_CONNECT = 0x1000,
	MILTER_MUTE_HELO = 0x2000,
	MILTER_MUTE_MAIL = 0x4000,
	MILTER_MUTE_RCPT = 0x8000,
	MILTER_MUTE_DATA = 0x10000,
	MILTER_MUTE_UNKNOWN = 0x20000,
	MILTER_MUTE_END_OF_HEADER = 0x40000,
	MILTER_MUTE_BODY = 0x80000,
	MILTER_LEADING_SPACE = 0x100000, /* of a field's value: as it is in the message, both ways */
	MILTER_CHUNK_256K = 0x10000000,
	MILTER_CHUNK_1M = 0x20000000,
	MILTER_OPTIONS_ALL = 0x301fffff,
};

/* Bytes of body in one packet. */
#define MILTER_CHUNK_SMALL 65535
#define MILTER_CHUNK_MIDDLE (256 * 1024 - 1)
#define MILTER_CHUNK_LARGE (1024 * 1024 - 1)
/* The largest packet that we take. */
#define MILTER_PACKET_MAX (1024 * 1024 + 64)

/* --- writing ---------------------------------------------------------------------------------------------------------- */

/* Begins a packet at the end of out; returns where, for milter_packet_end, which fills in the length. */
size_t milter_packet_begin(struct buf *out, enum milter_command command);
void milter_packet_end(struct buf *out, size_t begin);
/* The bytes and a NUL. A NUL among them would end it early: it is left out. */
void milter_string_add(struct buf *out, struct str s);
void milter_number_add(struct buf *out, uint32_t value);
void milter_port_add(struct buf *out, uint16_t port);

/* --- reading ---------------------------------------------------------------------------------------------------------- */

struct milter_packet {
	char kind;
	struct str body; /* borrowed from the input */
};

/* Takes one packet off the beginning of *in. BAD: one that is larger than MILTER_PACKET_MAX, or has no kind. */
enum parse milter_packet_take(struct str *in, struct milter_packet *packet);
/* Takes a string and its NUL off the beginning of *body; false when there is none. */
bool milter_string_take(struct str *body, struct str *s);
bool milter_number_take(struct str *body, uint32_t *value);

/* A filter's own words for the client. */
#define MILTER_REPLY_TEXT_MAX 8192
#define MILTER_REPLY_LINES_MAX 32

struct milter_words {
	unsigned code;			    /* 4xx or 5xx */
	char status[ENHANCED_STATUS_MAX + 1]; /* of the same class; never empty */
	struct buf text;		    /* lines with a newline between them */
};

/*
 * Of the kind "550 5.7.1 text", or of several such lines, the last of which has a blank behind its code and the others a
 * hyphen. False when it is no refusal, or the lines do not agree. Whatever could break a reply is made harmless by who
 * writes it. words->text is the caller's, initialised.
 */
bool milter_words_parse(struct str text, struct milter_words *words);

#endif
