/*
 * What authd's front asks its checkers, as messages of common/base/msg.h. The front has no access to any account; a checker
 * has, reads nothing but these messages, and takes each as data: fields of the stated number and length, or the
 * message is dropped.
 *
 *     request  type CHECK_..., id, subject (text)
 *                [VERIFY: password, remote address (texts)]
 *                [SALT: hash (enum scram_hash)]
 *                [PROOF: hash, proof, messages (bytes), remote address]
 *     answer   type CHECK_ANSWER, id, found (enum found), value (text), signature (bytes; PROOF only)
 *     offers   type CHECK_OFFERS: for which hashes SCRAM may be offered now (a bit each)
 *     hello    type CHECK_HELLO: a new checker serves from here; what its predecessor had begun gets no answer
 *     leaving  type CHECK_LEAVING: the checker is told to drain, and so the front is as good as told
 *     goodbye  type CHECK_GOODBYE: the front has nothing more to ask; now the checker may end
 */
#ifndef AUTH_CHECK_H
#define AUTH_CHECK_H

#include "common/login/scram.h"
#include "auth/system.h"
#include "common/base/msg.h"

enum check {
	CHECK_HELLO = 1,
	CHECK_LEAVING,
	CHECK_GOODBYE,
	CHECK_ANSWER,
	CHECK_VERIFY,	 /* login name, password, remote -> account line, or why not */
	CHECK_ACCOUNT,	 /* login name or address -> account line */
	CHECK_RECIPIENT, /* address -> "local", "alias" */
	CHECK_SENDER,	 /* login name, blank, address -> nothing: it may send under that address */
	CHECK_ALIAS,	 /* address -> addresses */
	CHECK_UID,	 /* number -> name */
	CHECK_LOGIN,	 /* login name that needs no proof any more -> account line, or why it may not log in */
	CHECK_SALT,	 /* login name -> `iterations,salt`; for those who have none as well, and they never learn it */
	CHECK_PROOF,	 /* login name, proof and what it proves -> account line and the server's signature, or why not */
	CHECK_OFFERS,
};

#define CHECK_SUBJECT_MAX 1100 /* bytes: of a login and an address */
#define CHECK_REMOTE_MAX 63
/* A checker that takes longer for one request is killed, by a timer of its own. */
#define CHECK_SECONDS_MAX 30

struct check_request {
	enum check type;
	struct str subject;
	struct str password; /* VERIFY only */
	struct str remote;   /* VERIFY and PROOF; may be empty */
	enum scram_hash hash; /* SALT and PROOF */
	struct str proof, messages; /* PROOF */
};

/* Slow, and a guess: what must not keep look-ups waiting. */
bool check_is_password(enum check type);

void check_request_write(struct buf *b, uint32_t id, const struct check_request *request);
/* False when it is none; the strings are borrowed from the message. */
bool check_request_read(struct msg *m, struct check_request *request);

struct check_answer {
	enum found found;
	struct str value; /* or, if not FOUND, the reason for the log */
	struct str signature;
};

void check_answer_write(struct buf *b, uint32_t id, const struct check_answer *answer);
bool check_answer_read(struct msg *m, struct check_answer *answer);

#define CHECK_OFFER(hash) (1U << (hash))

void check_offers_write(struct buf *b, unsigned offers);
bool check_offers_read(struct msg *m, unsigned *offers);

#endif
