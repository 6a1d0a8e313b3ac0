/*
 * Reports of periods that are over (RFC 8460 4, 5): each domain's goes to the places that its record names now, as mail through
 * smtpd's submit socket or by HTTPS. In the event loop of the process `policy`.
 *
 * Whoever takes the file of a period renames it first, so that no other process does. One that was taken and then not written
 * for ten minutes is taken up again: what could not be handed over, and what a process that died has left. That goes on for a
 * day.
 */
#ifndef QUEUE_TLSRPT_SEND_H
#define QUEUE_TLSRPT_SEND_H

#include "common/net/http_client.h"
#include "queue/remote_connection.h"
#include "queue/tlsrpt_counts.h"

#define TLSRPT_SENDING_MAX 10 /* domains at a time */
#define TLSRPT_GIVE_UP_S 86400
#define TLSRPT_POST_MS 60000

struct tlsrpt_sender {
	/* Set by the owner: */
	const struct conf *conf;
	struct http_client http;
	int directory;
	uint64_t period_s;
	struct str from;
	void (*before)(struct tlsrpt_sender *sender); /* files are looked at: what is to be in them must be there now */

	/* tlsrpt_send.c's own: */
	struct remote_context mail;
	uint64_t delay_s; /* after the end of a period: not all the world's reports come in one minute */
	struct loop_timer look;
	char name[64]; /* of the file that is being sent; "": none */
	uint64_t begin_s, end_s;
	struct tlsrpt_counts counts;
	struct tlsrpt_domain *next; /* of counts: to be sent next */
	size_t sending;
	uint64_t saved_ms;
};

void tlsrpt_sender_start(struct tlsrpt_sender *sender);
/* Says in the file what is done, for the end of the process. */
void tlsrpt_sender_save(struct tlsrpt_sender *sender);

#endif
