#include "queue/control_client.h"

#include <sys/socket.h>
#include <unistd.h>

#include "common/daemon/daemon.h"
#include "common/net/unix_socket.h"

/* A busy queued is asked so often, this long apart: a minute. */
#define BUSY_TRIES 1200
#define BUSY_PAUSE_US 50000
/* Requests that wait for their answers: as many as queued reads in a turn. */
#define UNDER_WAY 32

bool
control_client_open(struct control_client *client, const struct conf *conf, struct err *err)
{
	buf_init(&client->packet, MSG_MAX_BYTES);
	client->fd = unix_connect(daemon_socket_path(conf, "queue"), SOCK_SEQPACKET, err);
	return client->fd >= 0;
}

void
control_client_close(struct control_client *client)
{
	if (client->fd >= 0)
		(void)close(client->fd);
	buf_clear(&client->packet);
}

static bool
send_request(struct control_client *client, const struct control_request *request, uint32_t id, struct err *err)
{
	buf_reset(&client->packet);
	control_request_encode(&client->packet, id, request);
	if (!buf_ok(&client->packet))
		return err_set(err, ERR_PERM, "the request is too long");
	return msg_send(client->fd, &client->packet, -1, err);
}

static bool
receive_reply(struct control_client *client, struct control_reply *reply, uint32_t id, struct err *err)
{
	struct msg m;

	if (!msg_receive(client->fd, &client->packet, &m, err))
		return err->class != ERR_NONE ? false : err_set(err, ERR_TEMP, "queued closed the connection");
	if (m.type != CONTROL_REPLY || m.id != id || !control_reply_decode(&m, reply))
		return err_set(err, ERR_TEMP, "queued gave a senseless answer");
	return true;
}

bool
control_client_ask(struct control_client *client, const struct control_request *request, struct control_reply *reply,
    struct err *err)
{
	for (int i = 0; i < BUSY_TRIES; i++) {
		if (!send_request(client, request, 1, err) || !receive_reply(client, reply, 1, err))
			return false;
		if (reply->status != CONTROL_BUSY)
			return true;
		(void)usleep(BUSY_PAUSE_US);
	}
	return true;
}

bool
control_client_ask_many(struct control_client *client, const struct control_request *requests, size_t n,
    void (*replied)(struct control_client *client, size_t index, const struct control_reply *reply), struct err *err)
{
	size_t sent = 0;

	for (size_t received = 0; received < n; received++) {
		struct control_reply reply;

		for (; sent < n && sent - received < UNDER_WAY; sent++)
			if (!send_request(client, &requests[sent], (uint32_t)sent, err))
				return false;
		if (!receive_reply(client, &reply, (uint32_t)received, err))
			return false;
		replied(client, received, &reply);
	}
	return true;
}
