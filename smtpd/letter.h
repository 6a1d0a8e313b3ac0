/*
 * A message while filters look at it and change it: its header fields one by one, its body as a place in the queue file,
 * its envelope, and what each filter has changed of them. Pure.
 *
 * Content that is in the file stays there as it is. New fields are kept in memory, and new bodies are appended to the file
 * by the owner; in the end letter_write appends the new fields too and ends the file with the pieces of which the message
 * now consists, and with the changes of its envelope.
 *
 * Filters are programs of the postmaster, but what they insert may come from strangers. So whatever a change says, a field
 * stays one field and the body a body (immunity rule 1): line ends of any kind become CRLF, lines behind the first are
 * continuations, empty lines in a field are left out, a NUL anywhere makes the change fail.
 */
#ifndef SMTPD_LETTER_H
#define SMTPD_LETTER_H

#include "common/smtp/address.h"
#include "common/base/arena.h"
#include "common/queue/queue_file.h"
#include "smtpd/milter.h"

/* What one message may have; more makes letter_field or a change fail. */
#define LETTER_FIELDS_MAX 20000
#define LETTER_RECIPIENTS_ADDED_MAX 1000
#define LETTER_HOLD_MAX 200 /* bytes of the reason; more is cut */

struct letter_field {
	uint64_t offset;      /* in the file; 0: not there yet */
	uint32_t at;	      /* in `text`, with its last line end */
	uint32_t n;
	uint32_t name_n;
	bool is_hidden;	      /* our own trace field, which filters do not see */
	bool is_removed;
};

struct letter_recipient {
	struct letter_recipient *next;
	struct str address;
	struct str orcpt, notify; /* .p NULL: none */
	bool is_removed;
};

struct letter_rules {
	uint64_t size_max;   /* of a new body */
	size_t header_max;   /* of the header, what was removed included */
	struct str domain;   /* of added addresses that have none; borrowed */
	bool is_8bit;	     /* it was declared as 8BITMIME or BINARYMIME already */
};

struct letter {
	struct buf text; /* of all fields there ever were */
	struct letter_field *fields;
	size_t nfields, cap;
	struct queue_piece separator; /* the empty line behind the header */
	struct queue_piece body;
	/* Of the new body under way: */
	bool body_is_new;
	bool after_cr;	  /* the last byte was a CR, which has become a whole line end */
	bool inside_line; /* something stands behind the last line end */
	struct letter_rules rules;

	struct arena arena; /* what follows lives there */
	bool has_sender;    /* the sender is another one now */
	struct str sender;
	struct str ret, envid; /* with it; .p NULL: as they were */
	struct letter_recipient *added;
	size_t nadded;
	const struct str *recipients; /* those of the envelope, the owner's, in the order of the file */
	size_t nrecipients;
	unsigned char *removed; /* a byte each */
	struct str hold;	/* .p NULL: not to be held */
	bool has_8bit;		/* something that was put in has bytes above 127 */
	bool changed;
};

/* recipients are borrowed for the letter's life. False: memory is out. */
bool letter_init(struct letter *l, const struct letter_rules *rules, const struct str *recipients, size_t n);
void letter_clear(struct letter *l);
/* A copy that can be thrown away, or take the original's place; *copy is not initialised. False: memory is out; there is
 * nothing to clear. */
bool letter_copy(struct letter *copy, const struct letter *l);

/* --- reading it in ------------------------------------------------------------------------------------------------------ */

/* The next field of the stored header, with its line end, which is at offset in the file. */
bool letter_field(struct letter *l, struct str raw, uint64_t offset, bool is_hidden);
/* Behind the last field. */
void letter_body(struct letter *l, struct queue_piece separator, struct queue_piece body);

/* --- as filters see it ---------------------------------------------------------------------------------------------------- */

/* The next field from *position on (0: the first); false at the end. Borrowed until the next change. */
bool letter_next(const struct letter *l, size_t *position, struct str *name, struct str *value);
/* Of recipients, is this one (by its index) still there? */
bool letter_has_recipient(const struct letter *l, size_t index);
bool letter_has_recipients(const struct letter *l);

/* --- changes ---------------------------------------------------------------------------------------------------------------- */

/*
 * Applies a change of a filter, all kinds but BODY_REPLACE. False with *problem: it cannot be done, because it is not well
 * formed or there would be too much of something; the letter is then of no use any more.
 */
bool letter_change(struct letter *l, const struct milter_change *change, const char **problem);
/*
 * A piece of a new body: appended to out are the bytes that belong into the file at its end, which is at offset. The first
 * piece takes the place of the old body. To be followed by letter_body_end, which appends what is still missing.
 */
bool letter_body_replace(struct letter *l, struct str piece, uint64_t offset, struct buf *out, const char **problem);
/* Harmless when the body was not replaced. */
void letter_body_end(struct letter *l, struct buf *out);

/* --- the end ---------------------------------------------------------------------------------------------------------------- */

/* Ends the file, with everything that has changed. */
void letter_write(struct letter *l, struct queue_writer *w);

#endif
