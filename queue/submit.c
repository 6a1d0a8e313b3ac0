#include "queue/submit.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

/* smtpd answers at once, or is stopped; a disk that is slow to sync is what takes longest. */
#define REPLY_TIMEOUT_MS (10 * 60 * 1000)
#define ROOM_BYTES 32768

static bool
send_out(int fd, struct buf *out, struct err *err)
{
	while (out->n > 0) {
		ssize_t n = write(fd, out->p, out->n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "cannot write to the mail system");
		buf_consume(out, (size_t)n);
	}
	return true;
}

static bool
receive(int fd, struct smtp_client *client, struct buf *in, struct err *err)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	struct str input;
	char *p;
	ssize_t n;

	if (poll(&poll_fd, 1, REPLY_TIMEOUT_MS) == 0)
		return err_set(err, ERR_TEMP, "the mail system does not answer");
	p = buf_reserve(in, 4096);
	n = p != NULL ? read(fd, p, 4096) : -1;
	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0)
		return n < 0 ? err_sys(err, "cannot read from the mail system")
			     : err_set(err, ERR_TEMP, "the mail system closed the connection");
	buf_commit(in, (size_t)n);
	input = buf_str(in);
	smtp_client_feed(client, &input);
	buf_consume(in, in->n - input.n);
	return true;
}

/* All of the message; it is not ended unless it could be read to its end. */
static bool
send_body(struct submit *submit, struct smtp_client *client, struct buf *out, struct err *err)
{
	for (;;) {
		struct str bytes = submit->body(submit);

		if (bytes.p == NULL)
			return err_set(err, ERR_TEMP, "the message could not be read");
		if (bytes.n == 0)
			break;
		while (bytes.n > 0) {
			bytes = str_skip(bytes, smtp_client_body(client, bytes, ROOM_BYTES));
			if (!send_out(submit->fd, out, err))
				return false;
		}
	}
	smtp_client_body_end(client);
	return true;
}

static bool
step(struct submit *submit, struct smtp_client *client, struct buf *in, struct buf *out, bool *begun, struct err *err)
{
	switch (smtp_client_need(client)) {
	case SMTP_NEED_REPLY:
	case SMTP_NEED_FINAL_REPLY:
		return receive(submit->fd, client, in, err);
	case SMTP_NEED_BODY:
		return send_body(submit, client, out, err);
	case SMTP_NEED_NOTHING:
		if (*begun)
			smtp_client_quit(client);
		else
			smtp_client_begin(client, &submit->mail);
		*begun = true;
		return true;
	case SMTP_NEED_TLS:
	case SMTP_NEED_CLOSE:
		break;
	}
	return err_set(err, ERR_TEMP, "the mail system ended the session");
}

static bool
is_settled(const struct smtp_mail *mail)
{
	for (size_t i = 0; i < mail->nrecipients; i++)
		if (mail->recipients[i].verdict.outcome == SMTP_PENDING ||
		    mail->recipients[i].verdict.outcome == SMTP_ACCEPTED)
			return false;
	return true;
}

bool
submit_run(struct submit *submit, struct err *err)
{
	struct smtp_client client;
	struct buf in, out;
	bool begun = false, good = true;

	buf_init(&in, 65536);
	buf_init(&out, 2 * SMTP_CLIENT_OUTPUT_MAX);
	smtp_client_init(&client, &out, submit->hostname, false, false);
	while (good && smtp_client_need(&client) != SMTP_NEED_CLOSE)
		good = step(submit, &client, &in, &out, &begun, err) && send_out(submit->fd, &out, err);
	/* A farewell that got lost is nobody's loss. */
	good = is_settled(&submit->mail);
	if (!good && client.failure.words.n > 0)
		(void)err_set(err, client.failure.outcome == SMTP_FAILED ? ERR_PERM : ERR_TEMP, "%.*s",
		    STR_FMT(client.failure.words));
	smtp_client_clear(&client);
	buf_clear(&in);
	buf_clear(&out);
	return good;
}
