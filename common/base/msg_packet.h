/*
 * A packet and its descriptor on the wire: what msg.c and msg_channel.c share.
 */
#ifndef COMMON_MSG_PACKET_H
#define COMMON_MSG_PACKET_H

#include <sys/socket.h>

#include "common/base/str.h"

union msg_control {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int))];
};

/* The header sends this descriptor along, from `control`. */
void msg_control_put(struct msghdr *header, union msg_control *control, int fd);
/* The descriptor that came, or -1. Should there be more than the one, they are closed. */
int msg_control_take(struct msghdr *header);
/* As sendmsg does; pass_fd may be -1. */
ssize_t msg_packet_send(int fd, struct str packet, int pass_fd, int flags);

#endif
