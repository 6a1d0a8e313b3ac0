/*
 * A hand-over as a captured login worker might write it, and what the parent would then pass on.
 */
#include <stdlib.h>

#include "common/login/login_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void
check(const struct login_connection *connection, int fd)
{
	if (connection->fd != fd || connection->label.n > LOGIN_LABEL_MAX || connection->input.n > LOGIN_INPUT_MAX ||
	    connection->remote.n > LOGIN_ADDRESS_MAX || connection->local.n > LOGIN_ADDRESS_MAX)
		abort();
	for (size_t i = 0; i < connection->label.n; i++)
		if (!ascii_is_print(connection->label.p[i]))
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct login_connection connection, again;
	struct login_claim claim;
	struct buf b;
	struct msg m;

	if (!msg_open(&m, (struct str){(const char *)bytes, n}, 99) || !login_handover_read(&m, &claim, &connection))
		return 0;
	check(&connection, 99);
	buf_init(&b, MSG_MAX_BYTES);
	login_connection_write(&b, 1, &connection);
	if (!msg_open(&m, buf_str(&b), 98) || !login_connection_read(&m, &again))
		abort();
	check(&again, 98);
	if (!str_equal(again.input, connection.input) || again.tls != connection.tls)
		abort();
	buf_clear(&b);
	return 0;
}
