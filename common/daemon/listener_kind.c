#include "common/daemon/listener_kind.h"

#include <sys/socket.h>

/*
 * connect() asks for write permission on the socket. Modes only keep strangers from knocking: every server looks at
 * its peer's uid for itself.
 */
static const struct listener_kind_facts facts[LISTENER_KINDS] = {
    [LISTENER_MX] = {.name = "mx", .program = "smtpd", .port = 25},
    [LISTENER_SUBMISSION] = {.name = "submission", .program = "smtpd", .service = "submission", .port = 587},
    [LISTENER_SUBMISSIONS] = {.name = "submissions", .program = "smtpd", .service = "smtps", .port = 465, .tls_at_once = true},
    [LISTENER_LOCAL] = {.name = "local", .program = "smtpd", .socket = "submit",
	.socket_type = SOCK_STREAM, .mode = 0666},
    [LISTENER_POP3] = {.name = "pop3", .program = "popd", .port = 110},
    [LISTENER_POP3S] = {.name = "pop3s", .program = "popd", .port = 995, .tls_at_once = true},
    [LISTENER_IMAP] = {.name = "imap", .program = "imapd", .port = 143},
    [LISTENER_IMAPS] = {.name = "imaps", .program = "imapd", .port = 993, .tls_at_once = true},
    [LISTENER_LMTP] = {.name = "lmtp", .program = "deliver", .port = 24, .on_loopback = true, .socket = "lmtp",
	.socket_type = SOCK_STREAM, .mode = 0600, .owner = "_remote"},
    [LISTENER_SASL] = {.name = "sasl", .program = "authd", .socket = "sasl", .socket_type = SOCK_STREAM, .mode = 0666},
    [LISTENER_MAP] = {.name = "map", .program = "authd", .socket = "map", .socket_type = SOCK_STREAM, .mode = 0666},
    [LISTENER_MASTER] = {.name = "master", .program = "authd", .socket = "master", .socket_type = SOCK_STREAM, .mode = 0600},
    [LISTENER_QUEUE] = {.name = "queue", .program = "queued", .socket = "queue", .socket_type = SOCK_SEQPACKET, .mode = 0666,
	.owner = "_queue"},
    [LISTENER_CLIENTS] = {.name = "clients", .program = "smtpd", .socket = "clients", .socket_type = SOCK_SEQPACKET, .mode = 0600,
	.owner = "_smtpd"},
    [LISTENER_POKE] = {.name = "poke", .program = "queued", .socket = "poke", .socket_type = SOCK_DGRAM, .mode = 0600,
	.owner = "_smtpd"},
};

const struct listener_kind_facts *
listener_kind_facts(enum listener_kind kind)
{
	return &facts[kind];
}

static bool
has_socket(enum listener_kind kind, struct str name)
{
	return facts[kind].socket != NULL && str_equal(name, str_from(facts[kind].socket));
}

bool
listener_kind_parse(struct str name, enum listener_kind *kind)
{
	for (unsigned i = 0; i < LISTENER_KINDS; i++) {
		*kind = (enum listener_kind)i;
		if (str_equal(name, str_from(facts[i].name)) || has_socket(*kind, name))
			return true;
	}
	return false;
}

bool
listener_kind_is_socket(struct str name)
{
	for (unsigned i = 0; i < LISTENER_KINDS; i++)
		if (has_socket((enum listener_kind)i, name))
			return true;
	return false;
}
