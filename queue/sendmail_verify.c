#include "queue/sendmail_verify.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "common/daemon/descriptors.h"
#include "queue/smtp_features.h"

#define REPLY_TIMEOUT_MS (60 * 1000)
#define COMMAND_MAX_BYTES 4096
/* After so many smtpd is told to forget them. */
#define VERIFY_BATCH 200

/* One session: what was read and not used yet. */
struct dialogue {
	int fd;
	char bytes[4096];
	struct str input;
	struct smtp_reply reply;
	struct buf command;
};

static bool
read_more(struct dialogue *d, struct err *err)
{
	struct pollfd poll_fd = {.fd = d->fd, .events = POLLIN};
	ssize_t n;

	if (poll(&poll_fd, 1, REPLY_TIMEOUT_MS) == 0)
		return err_set(err, ERR_TEMP, "the mail system does not answer");
	do
		n = read(d->fd, d->bytes, sizeof d->bytes);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? err_sys(err, "cannot read from the mail system")
			     : err_set(err, ERR_TEMP, "the mail system closed the connection");
	d->input = (struct str){d->bytes, (size_t)n};
	return true;
}

static bool
receive(struct dialogue *d, struct err *err)
{
	for (;;) {
		if (d->input.n == 0 && !read_more(d, err))
			return false;
		switch (smtp_reply_take(&d->reply, &d->input)) {
		case PARSE_OK:
			return d->reply.code != 421 || err_set(err, ERR_TEMP, "the mail system ends the session");
		case PARSE_MORE:
			break;
		case PARSE_BAD:
			return err_set(err, ERR_TEMP, "the mail system's answer makes no sense");
		}
	}
}

/* Sends the command and waits for its reply. */
static bool
say(struct dialogue *d, struct err *err)
{
	bool good = buf_ok(&d->command);

	buf_adds(&d->command, "\r\n");
	if (!good || !buf_ok(&d->command))
		return err_set(err, ERR_PERM, "an address is too long");
	if (!descriptor_write_all(d->fd, buf_str(&d->command)))
		return err_sys(err, "cannot write to the mail system");
	buf_reset(&d->command);
	return receive(d, err);
}

static enum sendmail_verdict
verdict_of(unsigned code)
{
	if (code == 252)
		return SENDMAIL_UNKNOWABLE;
	if (code < 300)
		return SENDMAIL_DELIVERABLE;
	return code >= 500 ? SENDMAIL_UNDELIVERABLE : SENDMAIL_LATER;
}

static bool
ask(struct dialogue *d, struct sendmail_verify *verify, struct str address, bool smtputf8, struct err *err)
{
	buf_addf(&d->command, "VRFY <%.*s>%s", STR_FMT(address), smtputf8 ? " SMTPUTF8" : "");
	if (!say(d, err))
		return false;
	verify->tell(verify, address, verdict_of(d->reply.code), buf_str(&d->reply.text));
	return true;
}

static bool
forget(struct dialogue *d, struct err *err)
{
	buf_adds(&d->command, "RSET");
	return say(d, err);
}

static bool
converse(struct dialogue *d, struct sendmail_verify *verify, const struct str *addresses, size_t n, struct err *err)
{
	struct smtp_features features;

	if (!receive(d, err))
		return false;
	buf_addf(&d->command, "EHLO %.*s", STR_FMT(verify->hostname));
	if (!say(d, err))
		return false;
	if (d->reply.code / 100 != 2)
		return err_set(err, ERR_TEMP, "the mail system refuses the session");
	smtp_features_read(&features, &d->reply);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && i % VERIFY_BATCH == 0 && !forget(d, err))
			return false;
		if (!ask(d, verify, addresses[i], features.smtputf8 && !str_is_ascii(addresses[i]), err))
			return false;
	}
	(void)descriptor_write_all(d->fd, STR("QUIT\r\n"));
	return true;
}

bool
sendmail_verify_run(struct sendmail_verify *verify, const struct str *addresses, size_t n, struct err *err)
{
	struct dialogue d = {.fd = verify->fd};
	bool good;

	smtp_reply_init(&d.reply);
	buf_init(&d.command, COMMAND_MAX_BYTES);
	good = converse(&d, verify, addresses, n, err);
	buf_clear(&d.command);
	smtp_reply_clear(&d.reply);
	return good;
}
