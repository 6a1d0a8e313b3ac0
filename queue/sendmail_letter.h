/*
 * The message that a program gives to sendmail(1) on standard input, on its way to smtpd: its header is read whole and
 * completed, its body is streamed. A message for more recipients than go in one transaction is kept in an unnamed
 * temporary file meanwhile, so that it can be sent again.
 */
#ifndef QUEUE_SENDMAIL_LETTER_H
#define QUEUE_SENDMAIL_LETTER_H

#include "common/base/err.h"
#include "queue/sendmail_text.h"
#include "queue/submit.h"

#define SENDMAIL_HEADER_MAX_BYTES (1024 * 1024)
/* Of a message whose body was not declared, this much is looked at for bytes above 127. */
#define SENDMAIL_LOOK_BYTES (256 * 1024)

struct sendmail_letter {
	struct submit submit;
	struct sendmail_lines lines;
	struct buf text; /* in wire form, not sent yet */
	size_t sent;	 /* bytes at its beginning that smtpd has */
	bool at_end;
	bool failed;
	int file_fd; /* -1: not kept */
};

void sendmail_letter_init(struct sendmail_letter *letter, bool ignore_dots);
void sendmail_letter_clear(struct sendmail_letter *letter);
/* Reads to the end of the header, and replaces it by the one that is sent. */
bool sendmail_letter_header(struct sendmail_letter *letter, const struct sendmail_header_rules *rules,
    struct arena *arena, struct sendmail_recipients *recipients, struct err *err);
/* Reads on, up to SENDMAIL_LOOK_BYTES: has it bytes above 127? */
bool sendmail_letter_is_8bit(struct sendmail_letter *letter);
/* Reads all of the rest into a file; from now on the message can be sent from its beginning again. */
bool sendmail_letter_keep(struct sendmail_letter *letter, struct err *err);
bool sendmail_letter_rewind(struct sendmail_letter *letter, struct err *err);

#endif
