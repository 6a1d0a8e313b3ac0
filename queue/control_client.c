#include "queue/control_client.h"

#include <sys/socket.h>
#include <unistd.h>

#include "common/daemon/daemon.h"
#include "common/net/unix_socket.h"

/* A busy queued is asked so often, this long apart: a minute. */
#define BUSY_TRIES 1200
#define BUSY_PAUSE_US 50000

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
ask_once(struct control_client *client, const struct control_request *request, struct control_reply *reply,
    struct err *err)
{
	struct msg m;

	buf_reset(&client->packet);
	control_request_encode(&client->packet, 1, request);
	if (!buf_ok(&client->packet))
		return err_set(err, ERR_PERM, "the request is too long");
	if (!msg_send(client->fd, &client->packet, -1, err) || !msg_receive(client->fd, &client->packet, &m, err))
		return err->class != ERR_NONE ? false : err_set(err, ERR_TEMP, "queued closed the connection");
	if (m.type != CONTROL_REPLY || !control_reply_decode(&m, reply))
		return err_set(err, ERR_TEMP, "queued gave a senseless answer");
	return true;
}

bool
control_client_ask(struct control_client *client, const struct control_request *request, struct control_reply *reply,
    struct err *err)
{
	for (int i = 0; i < BUSY_TRIES; i++) {
		if (!ask_once(client, request, reply, err))
			return false;
		if (reply->status != CONTROL_BUSY)
			return true;
		(void)usleep(BUSY_PAUSE_US);
	}
	return true;
}
