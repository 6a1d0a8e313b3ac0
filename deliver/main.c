/*
 * deliver: local mail into Maildirs. The parent has root's rights and reads nothing that strangers wrote; `front` speaks
 * LMTP and has no rights; a `writer` writes into one account's mailbox, as its owner. `deliver -d USER` is a program of
 * its own, for other MTAs: one message on standard input.
 */
#include <string.h>

#include "common/daemon/daemon.h"
#include "deliver/front.h"
#include "deliver/one.h"
#include "deliver/parent.h"
#include "deliver/writer.h"

enum {
	ROLE_FRONT,
	ROLE_WRITER,
};

static unsigned
front_count(const struct conf *conf)
{
	return (unsigned)conf->deliver.workers;
}

static const struct daemon_role roles[] = {
    [ROLE_FRONT] = {.name = "front", .user = "_deliver", .count = front_count, .main = front_main,
	.listeners = LISTENER_BIT(LISTENER_LMTP), .received = parent_front_received, .ended = parent_front_ended},
    [ROLE_WRITER] = {.name = "writer", .on_demand = true, .keeps_root = true, .main = writer_main,
	.ended = parent_writer_ended},
};

int
main(int argc, char **argv)
{
	static struct daemon daemon = {.name = "deliver", .roles = roles, .nroles = sizeof roles / sizeof roles[0]};

	if (one_is_asked_for(argc, argv))
		return one_main(argc, argv);
	parent_init(&daemon, &roles[ROLE_WRITER]);
	return daemon_main(&daemon, argc, argv);
}
