#include "auth/check.h"

#include "auth/password.h"

void
check_request_write(struct buf *b, uint32_t id, const struct check_request *request)
{
	msg_begin(b, request->type, id);
	msg_add_str(b, request->subject);
	if (request->type != CHECK_VERIFY)
		return;
	msg_add_str(b, request->password);
	msg_add_str(b, request->remote);
}

static bool
text_is_good(struct str s, size_t max)
{
	return s.n <= max && str_find(s, '\0') == s.n;
}

bool
check_request_read(struct msg *m, struct check_request *request)
{
	*request = (struct check_request){.type = (enum check)m->type};
	if (m->type < CHECK_VERIFY || m->type > CHECK_UID)
		return false;
	request->subject = msg_get_str(m);
	if (m->type == CHECK_VERIFY) {
		request->password = msg_get_str(m);
		request->remote = msg_get_str(m);
	}
	return msg_done(m) && request->subject.n > 0 && text_is_good(request->subject, CHECK_SUBJECT_MAX) &&
	       text_is_good(request->password, PASSWORD_MAX) && text_is_good(request->remote, CHECK_REMOTE_MAX);
}

void
check_answer_write(struct buf *b, uint32_t id, const struct check_answer *answer)
{
	msg_begin(b, CHECK_ANSWER, id);
	msg_add_u64(b, answer->found);
	msg_add_str(b, answer->value);
}

bool
check_answer_read(struct msg *m, struct check_answer *answer)
{
	uint64_t found;

	if (m->type != CHECK_ANSWER)
		return false;
	found = msg_get_u64(m);
	answer->value = msg_get_str(m);
	answer->found = found == FOUND ? FOUND : found == FOUND_NOT ? FOUND_NOT : FOUND_TROUBLE;
	return msg_done(m) && found <= FOUND_TROUBLE;
}
