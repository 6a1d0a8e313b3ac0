#include "common/listener_kind.h"

#include <sys/socket.h>

/*
 * connect() asks for write permission on the socket. Modes only keep strangers from knocking: every server looks at
 * its peer's uid for itself.
 */
static const struct listener_kind_facts facts[LISTENER_KINDS] = {
    [LISTENER_MX] = {"mx", "smtpd", NULL, 25, false, 0, 0, NULL},
    [LISTENER_SUBMISSION] = {"submission", "smtpd", "submission", 587, false, 0, 0, NULL},
    [LISTENER_SUBMISSIONS] = {"submissions", "smtpd", "smtps", 465, true, 0, 0, NULL},
    [LISTENER_SUBMIT] = {"submit", "smtpd", "submit", 0, false, SOCK_STREAM, 0666, NULL},
    [LISTENER_POP3] = {"pop3", "popd", NULL, 110, false, 0, 0, NULL},
    [LISTENER_POP3S] = {"pop3s", "popd", NULL, 995, true, 0, 0, NULL},
    [LISTENER_IMAP] = {"imap", "imapd", NULL, 143, false, 0, 0, NULL},
    [LISTENER_IMAPS] = {"imaps", "imapd", NULL, 993, true, 0, 0, NULL},
    [LISTENER_LMTP] = {"lmtp", "deliver", NULL, 0, false, SOCK_STREAM, 0600, "_remote"},
    [LISTENER_SASL] = {"sasl", "authd", NULL, 0, false, SOCK_STREAM, 0666, NULL},
    [LISTENER_MAP] = {"map", "authd", NULL, 0, false, SOCK_STREAM, 0666, NULL},
    [LISTENER_MASTER] = {"master", "authd", NULL, 0, false, SOCK_STREAM, 0600, NULL},
    [LISTENER_QUEUE] = {"queue", "queued", NULL, 0, false, SOCK_SEQPACKET, 0666, "_queue"},
    [LISTENER_CLIENTS] = {"clients", "smtpd", NULL, 0, false, SOCK_SEQPACKET, 0600, "_smtpd"},
    [LISTENER_POKE] = {"poke", "queued", NULL, 0, false, SOCK_DGRAM, 0600, "_smtpd"},
};

const struct listener_kind_facts *
listener_kind_facts(enum listener_kind kind)
{
	return &facts[kind];
}

bool
listener_kind_parse(struct str name, enum listener_kind *kind)
{
	for (unsigned i = 0; i < LISTENER_KINDS; i++) {
		if (str_equal(name, str_from(facts[i].name))) {
			*kind = (enum listener_kind)i;
			return true;
		}
	}
	return false;
}
