/*
 * sendmail, mailq, newaliases: the classic interface of a mail system, for programs of this host. Without any privilege:
 * smtpd asks the kernel who is at the other end of its local socket.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf/conf.h"
#include "common/daemon/daemon.h"
#include "common/base/log.h"
#include "common/net/unix_socket.h"
#include "queue/run.h"
#include "queue/sendmail_letter.h"
#include "queue/sendmail_options.h"
#include "queue/sendmail_pump.h"
#include "queue/sendmail_sender.h"
#include "queue/sendmail_verify.h"

#define ARENA_MAX_BYTES (64UL * 1024 * 1024)
#define SHOWN_MAX_BYTES 2048

static int
fail(int status, const char *text)
{
	(void)fprintf(stderr, "sendmail: %s\n", text);
	return status;
}

static int
fail_err(const struct err *err)
{
	return fail(err->class == ERR_PERM ? EX_UNAVAILABLE : err->class == ERR_LIMIT ? EX_DATAERR : EX_TEMPFAIL, err->text);
}

/* An address and what is to be said of it; neither may play with the terminal. */
static void
tell(FILE *out, const char *before, struct str address, const char *between, struct str words)
{
	char shown[SHOWN_MAX_BYTES], said[SHOWN_MAX_BYTES];

	(void)log_escape(shown, sizeof shown, address);
	(void)log_escape(said, sizeof said, words);
	(void)fprintf(out, "%s%s%s%s\n", before, shown, between, said);
}

/* ---- a message, and whom it is for ------------------------------------------------------------------------------- */

struct sending {
	const struct sendmail_options *options;
	const struct conf *conf;
	struct arena arena;
	struct sendmail_letter letter;
	struct sendmail_sender sender;
	struct sendmail_recipients recipients;
};

static int
connect_local(const struct conf *conf, struct err *err)
{
	return unix_connect(daemon_socket_path(conf, "submit"), SOCK_STREAM, err);
}

static int
take_words(struct sending *s)
{
	struct str hostname = str_from(s->conf->hostname);

	for (size_t i = 0; i < s->options->nrecipients; i++)
		if (!sendmail_recipients_add(&s->recipients, &s->arena, str_from(s->options->recipients[i]), hostname))
			return fail(EX_OSERR, "out of memory");
	if (s->recipients.bad == 0)
		return EX_OK;
	tell(stderr, "sendmail: ", s->recipients.bad_list, ": this is not an address", STR(""));
	return EX_USAGE;
}

static int
take_header(struct sending *s)
{
	struct sendmail_header_rules rules = {.takes_recipients = s->options->takes_recipients, .from = s->sender.from,
	    .full_name = s->sender.full_name, .domain = str_from(s->conf->hostname)};
	struct err err;

	if (!sendmail_letter_header(&s->letter, &rules, &s->arena, &s->recipients, &err))
		return fail(EX_DATAERR, err.text);
	if (s->recipients.n == 0 && s->recipients.bad == 0)
		return fail(EX_USAGE, "the message names no recipients");
	if (s->recipients.bad > 0)
		tell(stderr, "sendmail: ", s->recipients.bad_list, ": this cannot be read as addresses", STR(""));
	return EX_OK;
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

static int
status_of(const struct smtp_verdict *verdict)
{
	switch (verdict->outcome) {
	case SMTP_DELIVERED:
		return EX_OK;
	case SMTP_FAILED:
		return str_equal(verdict->code, STR("5.1.1")) ? EX_NOUSER : EX_UNAVAILABLE;
	case SMTP_PENDING:
	case SMTP_ACCEPTED:
	case SMTP_LEFT:
	case SMTP_DEFERRED:
		break;
	}
	return EX_TEMPFAIL;
}

/* What went wrong is told by recipient; of several reasons the status is that of the first. */
static int
report(const struct sending *s, const struct smtp_mail *mail)
{
	int status = EX_OK;

	for (size_t i = 0; i < mail->nrecipients; i++) {
		const struct smtp_recipient *r = &mail->recipients[i];
		int own = status_of(&r->verdict);

		if (own != EX_OK)
			tell(stderr, "sendmail: ", r->address, ": ", r->verdict.words);
		else if (s->options->is_verbose)
			tell(stdout, "", r->address, "... ", r->verdict.words);
		status = status == EX_OK ? own : status;
	}
	return status;
}

/* RFC 6531: asked for when an address needs it. A header with more than ASCII is given on as it is: few servers mind. */
static bool
needs_utf8(const struct sending *s)
{
	bool ascii = str_is_ascii(s->sender.envelope);

	for (size_t i = 0; ascii && i < s->recipients.n; i++)
		ascii = str_is_ascii(s->recipients.list[i]);
	return !ascii;
}

static unsigned
flags_of(struct sending *s)
{
	bool is_8bit = s->options->body == SENDMAIL_BODY_8BITMIME ||
	    (s->options->body == SENDMAIL_BODY_UNKNOWN && sendmail_letter_is_8bit(&s->letter));

	return (is_8bit ? SMTP_MAIL_8BIT : 0) | (needs_utf8(s) ? SMTP_MAIL_UTF8 : 0);
}

/* One transaction on a connection of its own. */
static int
send_to(struct sending *s, struct smtp_recipient *list, size_t n, unsigned flags)
{
	struct submit *submit = &s->letter.submit;
	struct err err;
	int status;

	submit->hostname = str_from(s->conf->hostname);
	submit->mail = (struct smtp_mail){.sender = s->sender.envelope, .flags = flags, .recipients = list, .nrecipients = n,
	    .ret = str_from(s->options->ret), .envid = str_from(s->options->envid), .arena = &s->arena};
	submit->fd = connect_local(s->conf, &err);
	if (submit->fd < 0)
		return fail(EX_TEMPFAIL, err.text);
	status = submit_run(submit, &err) ? report(s, &submit->mail) : fail_err(&err);
	(void)close(submit->fd);
	return status;
}

/* To as many at a time as smtpd takes. */
static int
send_to_all(struct sending *s, struct smtp_recipient *list, size_t n, unsigned flags)
{
	size_t most = s->conf->smtpd.recipients_per_message;
	int status = EX_OK;
	struct err err;

	if (n > most && !sendmail_letter_keep(&s->letter, &err))
		return fail(EX_TEMPFAIL, err.text);
	for (size_t at = 0; at < n; at += most) {
		int own = send_to(s, list + at, n - at < most ? n - at : most, flags);

		status = status == EX_OK ? own : status;
		if (n > most && !sendmail_letter_rewind(&s->letter, &err))
			return fail(EX_TEMPFAIL, err.text);
	}
	return status;
}

static int
send_letter(struct sending *s)
{
	unsigned flags = flags_of(s);
	struct smtp_recipient *list = calloc(s->recipients.n + 1, sizeof *list);
	int status;

	if (list == NULL)
		return fail(EX_OSERR, "out of memory");
	for (size_t i = 0; i < s->recipients.n; i++) {
		list[i].address = s->recipients.list[i];
		list[i].notify = str_from(s->options->notify);
	}
	status = send_to_all(s, list, s->recipients.n, flags);
	free(list);
	return status == EX_OK && s->recipients.bad > 0 ? EX_DATAERR : status;
}

/* ---- verifying --------------------------------------------------------------------------------------------------- */

struct verifying {
	struct sendmail_verify verify;
	int status;
};

static void
verified(struct sendmail_verify *verify, struct str address, enum sendmail_verdict verdict, struct str words)
{
	static const struct {
		const char *text;
		int status;
	} verdicts[] = {
	    [SENDMAIL_DELIVERABLE] = {"... deliverable: ", EX_OK},
	    [SENDMAIL_UNKNOWABLE] = {"... accepted, only sending shows more: ", EX_OK},
	    [SENDMAIL_UNDELIVERABLE] = {"... undeliverable: ", EX_NOUSER},
	    [SENDMAIL_LATER] = {"... not known now: ", EX_TEMPFAIL},
	};
	struct verifying *v = container_of(verify, struct verifying, verify);

	tell(stdout, "", address, verdicts[verdict].text, words);
	v->status = v->status == EX_OK ? verdicts[verdict].status : v->status;
}

static int
verify_all(struct sending *s)
{
	struct verifying v = {.verify = {.hostname = str_from(s->conf->hostname), .tell = verified}};
	struct err err;

	v.verify.fd = connect_local(s->conf, &err);
	if (v.verify.fd < 0)
		return fail(EX_TEMPFAIL, err.text);
	if (!sendmail_verify_run(&v.verify, s->recipients.list, s->recipients.n, &err))
		v.status = fail_err(&err);
	(void)close(v.verify.fd);
	return v.status == EX_OK && s->recipients.bad > 0 ? EX_DATAERR : v.status;
}

/* ---- the modes --------------------------------------------------------------------------------------------------- */

static int
with_recipients(struct sending *s)
{
	bool verifies = s->options->mode == SENDMAIL_VERIFY;
	int status = take_words(s);

	if (status != EX_OK)
		return status;
	if (!sendmail_sender_find(&s->sender, s->options, str_from(s->conf->hostname), &s->arena))
		return fail(EX_USAGE, "the sender is not an address");
	if (!verifies || s->options->takes_recipients)
		status = take_header(s);
	if (status != EX_OK)
		return status;
	return verifies ? verify_all(s) : send_letter(s);
}

static int
send_or_verify(const struct sendmail_options *options, const struct conf *conf)
{
	struct sending s = {.options = options, .conf = conf};
	int status;

	arena_init(&s.arena, ARENA_MAX_BYTES);
	sendmail_letter_init(&s.letter, options->ignore_dots);
	status = with_recipients(&s);
	sendmail_recipients_clear(&s.recipients);
	sendmail_letter_clear(&s.letter);
	arena_clear(&s.arena);
	return status;
}

static int
speak_smtp(const struct conf *conf)
{
	struct err err;
	int fd = connect_local(conf, &err), status = EX_OK;

	if (fd < 0)
		return fail(EX_TEMPFAIL, err.text);
	if (!sendmail_pump(STDIN_FILENO, STDOUT_FILENO, fd, &err))
		status = fail(EX_OSERR, err.text);
	(void)close(fd);
	return status;
}

static int
exec_queue(const struct sendmail_options *options, const char *const words[], size_t n)
{
	char path[PATH_MAX], *argv[8] = {NULL};
	size_t argc = 0;

	if (!run_find_program("merpati-queue", path))
		return fail(EX_UNAVAILABLE, "the program merpati-queue is not there");
	argv[argc++] = str_dup(STR("merpati-queue"));
	if (options->conf_path != NULL) {
		argv[argc++] = str_dup(STR("-c"));
		argv[argc++] = str_dup(str_from(options->conf_path));
	}
	for (size_t i = 0; i < n; i++)
		argv[argc++] = str_dup(str_from(words[i]));
	(void)execv(path, argv);
	return fail(EX_OSERR, strerror(errno));
}

static int
list_queue(const struct sendmail_options *options)
{
	const char *words[] = {"list", "--format", "mailq"};

	return exec_queue(options, words, sizeof words / sizeof words[0]);
}

static int
retry_queue(const struct sendmail_options *options)
{
	const char *words[3] = {"retry", "all"};
	size_t n = 2;

	switch (options->retry_what) {
	case SENDMAIL_RETRY_ALL:
		break;
	case SENDMAIL_RETRY_ID:
		words[1] = options->retry;
		break;
	case SENDMAIL_RETRY_SITE:
	case SENDMAIL_RETRY_SENDER:
		words[1] = options->retry_what == SENDMAIL_RETRY_SITE ? "--site" : "--sender";
		words[2] = options->retry;
		n = 3;
		break;
	}
	return exec_queue(options, words, n);
}

static int
with_conf(const struct sendmail_options *options)
{
	struct conf *conf;
	struct err err;
	int status;

	if (!conf_load(options->conf_path != NULL ? options->conf_path : conf_default_path(), &conf, &err))
		return fail(EX_CONFIG, err.text);
	status = options->mode == SENDMAIL_SMTP ? speak_smtp(conf) : send_or_verify(options, conf);
	conf_free(conf);
	return status;
}

int
main(int argc, char **argv)
{
	struct sendmail_options options;

	if (!sendmail_options_parse(&options, argc, argv))
		return fail(EX_USAGE, options.problem);
	(void)signal(SIGPIPE, SIG_IGN);
	switch (options.mode) {
	case SENDMAIL_SEND:
	case SENDMAIL_SMTP:
	case SENDMAIL_VERIFY:
		return with_conf(&options);
	case SENDMAIL_LIST:
		return list_queue(&options);
	case SENDMAIL_RETRY:
		return retry_queue(&options);
	case SENDMAIL_ALIASES:
		break; /* authd reads the file when it has changed */
	}
	return EX_OK;
}
