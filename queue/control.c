#include "queue/control.h"

void
control_request_encode(struct buf *b, uint32_t id, const struct control_request *request)
{
	msg_begin(b, CONTROL_REQUEST, id);
	msg_add_u64(b, request->verb);
	msg_add_str(b, request->id);
	msg_add_str(b, request->time);
	msg_add_str(b, request->text);
}

bool
control_request_decode(struct msg *m, struct control_request *request)
{
	uint64_t verb = msg_get_u64(m);

	request->id = msg_get_str(m);
	request->time = msg_get_str(m);
	request->text = msg_get_str(m);
	if (verb >= CONTROL_VERBS)
		return false;
	request->verb = (enum control_verb)verb;
	return msg_done(m);
}

void
control_reply_encode(struct buf *b, uint32_t id, const struct control_reply *reply)
{
	msg_begin(b, CONTROL_REPLY, id);
	msg_add_u64(b, reply->status);
	msg_add_str(b, reply->text);
}

bool
control_reply_decode(struct msg *m, struct control_reply *reply)
{
	uint64_t status = msg_get_u64(m);

	reply->text = msg_get_str(m);
	if (status >= CONTROL_STATUSES)
		return false;
	reply->status = (enum control_status)status;
	return msg_done(m);
}
