#include "auth/check.h"

#include "auth/mech_scram.h"
#include "auth/password.h"

bool
check_is_password(enum check type)
{
	return type == CHECK_VERIFY || type == CHECK_PROOF;
}

void
check_request_write(struct buf *b, uint32_t id, const struct check_request *request)
{
	msg_begin(b, request->type, id);
	msg_add_str(b, request->subject);
	if (request->type == CHECK_VERIFY)
		msg_add_str(b, request->password);
	if (request->type == CHECK_SALT || request->type == CHECK_PROOF)
		msg_add_u64(b, request->hash);
	if (request->type == CHECK_PROOF) {
		msg_add_str(b, request->proof);
		msg_add_str(b, request->messages);
	}
	if (check_is_password(request->type))
		msg_add_str(b, request->remote);
}

static bool
text_is_good(struct str s, size_t max)
{
	return s.n <= max && str_find(s, '\0') == s.n;
}

static bool
hash_read(struct msg *m, enum scram_hash *hash)
{
	uint64_t value = msg_get_u64(m);

	*hash = value == SCRAM_SHA_1 ? SCRAM_SHA_1 : SCRAM_SHA_256;
	return value < SCRAM_HASHES;
}

static bool
proof_read(struct msg *m, struct check_request *request)
{
	request->proof = msg_get_str(m);
	request->messages = msg_get_str(m);
	return request->proof.n == scram_digest_bytes(request->hash) && request->messages.n <= SCRAM_MESSAGES_MAX;
}

bool
check_request_read(struct msg *m, struct check_request *request)
{
	bool good = true;

	*request = (struct check_request){.type = (enum check)m->type};
	if (m->type < CHECK_VERIFY || m->type > CHECK_PROOF)
		return false;
	request->subject = msg_get_str(m);
	if (m->type == CHECK_VERIFY)
		request->password = msg_get_str(m);
	if (m->type == CHECK_SALT || m->type == CHECK_PROOF)
		good = hash_read(m, &request->hash);
	if (m->type == CHECK_PROOF)
		good = proof_read(m, request) && good;
	if (check_is_password(request->type))
		request->remote = msg_get_str(m);
	return good && msg_done(m) && request->subject.n > 0 && text_is_good(request->subject, CHECK_SUBJECT_MAX) &&
	       text_is_good(request->password, PASSWORD_MAX) && text_is_good(request->remote, CHECK_REMOTE_MAX);
}

void
check_answer_write(struct buf *b, uint32_t id, const struct check_answer *answer)
{
	msg_begin(b, CHECK_ANSWER, id);
	msg_add_u64(b, answer->found);
	msg_add_str(b, answer->value);
	msg_add_str(b, answer->signature);
}

bool
check_answer_read(struct msg *m, struct check_answer *answer)
{
	uint64_t found;

	if (m->type != CHECK_ANSWER)
		return false;
	found = msg_get_u64(m);
	answer->value = msg_get_str(m);
	answer->signature = msg_get_str(m);
	answer->found = found == FOUND ? FOUND : found == FOUND_NOT ? FOUND_NOT : FOUND_TROUBLE;
	return msg_done(m) && found <= FOUND_TROUBLE && answer->signature.n <= SCRAM_DIGEST_MAX;
}

void
check_offers_write(struct buf *b, unsigned offers)
{
	msg_begin(b, CHECK_OFFERS, 0);
	msg_add_u64(b, offers);
}

bool
check_offers_read(struct msg *m, unsigned *offers)
{
	uint64_t value = msg_get_u64(m);

	*offers = (unsigned)value;
	return msg_done(m) && value < CHECK_OFFER(SCRAM_HASHES);
}
