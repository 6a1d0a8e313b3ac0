#include "common/login/login_message.h"

static void
connection_add(struct buf *b, const struct login_connection *connection)
{
	msg_add_u64(b, connection->tls);
	msg_add_str(b, connection->label);
	msg_add_str(b, connection->input);
	msg_add_str(b, connection->remote);
	msg_add_str(b, connection->local);
}

static bool
is_printable(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_print(s.p[i]))
			return false;
	return true;
}

/* The last fields of both messages. */
static bool
connection_get(struct msg *m, struct login_connection *connection)
{
	uint64_t tls = msg_get_u64(m);

	*connection = (struct login_connection){.fd = -1, .tls = tls == 1};
	connection->label = msg_get_str(m);
	connection->input = msg_get_str(m);
	connection->remote = msg_get_str(m);
	connection->local = msg_get_str(m);
	if (!msg_done(m) || m->fd < 0 || tls > 1 || connection->label.n > LOGIN_LABEL_MAX ||
	    connection->input.n > LOGIN_INPUT_MAX || connection->remote.n > LOGIN_ADDRESS_MAX ||
	    connection->local.n > LOGIN_ADDRESS_MAX || !is_printable(connection->label) ||
	    !is_printable(connection->remote) || !is_printable(connection->local))
		return false;
	connection->fd = msg_take_fd(m);
	return true;
}

void
login_handover_write(struct buf *b, uint32_t id, const struct login_claim *claim,
    const struct login_connection *connection)
{
	msg_begin(b, LOGIN_HANDOVER, id);
	msg_add_u64(b, claim->exchange);
	msg_add_str(b, claim->cookie);
	connection_add(b, connection);
}

bool
login_handover_read(struct msg *m, struct login_claim *claim, struct login_connection *connection)
{
	uint64_t exchange = msg_get_u64(m);

	claim->exchange = (uint32_t)exchange;
	claim->cookie = msg_get_str(m);
	return exchange <= UINT32_MAX && claim->cookie.n <= LOGIN_COOKIE_MAX && connection_get(m, connection);
}

void
login_connection_write(struct buf *b, uint32_t id, const struct login_connection *connection)
{
	msg_begin(b, LOGIN_CONNECTION, id);
	connection_add(b, connection);
}

bool
login_connection_read(struct msg *m, struct login_connection *connection)
{
	return connection_get(m, connection);
}
