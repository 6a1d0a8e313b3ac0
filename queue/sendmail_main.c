/*
 * sendmail, mailq, newaliases: the classic interface of a mail system, for programs of this host. Without any privilege:
 * smtpd asks the kernel who is at the other end of the submit socket.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/daemon.h"
#include "common/unix_socket.h"
#include "queue/run.h"
#include "queue/sendmail_text.h"
#include "queue/submit.h"

#define HEADER_MAX_BYTES (1024 * 1024)
#define ARENA_MAX_BYTES (64UL * 1024 * 1024)
#define READ_BYTES 32768

enum mode {
	MODE_SEND,    /* -bm */
	MODE_SMTP,    /* -bs */
	MODE_LIST,    /* -bp, mailq */
	MODE_ALIASES, /* -bi, newaliases */
	MODE_RETRY,   /* -q */
	MODE_UNKNOWN,
};

struct options {
	enum mode mode;
	bool takes_recipients; /* -t */
	bool ignore_dots;      /* -i, -oi */
	bool is_8bit;	       /* -B8BITMIME */
	const char *sender;    /* -f, -r */
	const char *full_name; /* -F */
};

static int
fail(int status, const char *text)
{
	(void)fprintf(stderr, "sendmail: %s\n", text);
	return status;
}

/* ---- the message ----------------------------------------------------------------------------------------------- */

struct letter {
	struct submit submit;
	struct sendmail_lines lines;
	struct buf text; /* in wire form, not sent yet */
	size_t sent;	 /* bytes at its beginning that smtpd has */
	bool failed;
	bool at_end;
};

/* More of standard input into text; false at its end. */
static bool
letter_read(struct letter *letter)
{
	char bytes[READ_BYTES];
	ssize_t n;

	if (letter->at_end || letter->lines.ended)
		return false;
	do
		n = read(STDIN_FILENO, bytes, sizeof bytes);
	while (n < 0 && errno == EINTR);
	letter->failed = letter->failed || n < 0;
	if (n <= 0) {
		letter->at_end = true;
		sendmail_lines_end(&letter->lines, &letter->text);
		return n == 0 && letter->text.n > 0;
	}
	sendmail_lines_feed(&letter->lines, (struct str){bytes, (size_t)n}, &letter->text);
	return true;
}

static struct str
letter_body(struct submit *submit)
{
	struct letter *letter = container_of(submit, struct letter, submit);

	buf_consume(&letter->text, letter->sent);
	letter->sent = 0;
	while (letter->text.n == 0 && letter_read(letter))
		;
	letter->sent = letter->text.n;
	if (letter->failed || !buf_ok(&letter->text))
		return STR_NONE;
	return letter->text.n > 0 ? buf_str(&letter->text) : STR("");
}

/* Reads until the header is complete, and replaces it by the one that is sent. */
static bool
letter_header(struct letter *letter, const struct sendmail_header_rules *rules, struct arena *arena,
    struct sendmail_recipients *recipients)
{
	struct buf header;
	size_t n;
	bool good;

	while ((n = sendmail_header_length(buf_str(&letter->text))) == 0 && letter->text.n < HEADER_MAX_BYTES &&
	    letter_read(letter))
		;
	if (n == 0)
		n = letter->text.n;
	buf_init(&header, 4 * HEADER_MAX_BYTES);
	good = sendmail_header(rules, str_sub(buf_str(&letter->text), 0, n), arena, recipients, &header);
	buf_add(&header, str_skip(buf_str(&letter->text), n));
	good = good && buf_ok(&header) && !letter->failed;
	buf_clear(&letter->text);
	letter->text = header;
	return good;
}

/* ---- who sends ------------------------------------------------------------------------------------------------- */

struct identity {
	struct str sender; /* the envelope's; empty: null */
	struct str from;   /* the header's */
	struct str full_name;
};

static struct str
login_name(struct arena *arena, struct str *full_name)
{
	const struct passwd *pw = getpwuid(getuid());

	*full_name = STR_NONE;
	if (pw == NULL)
		return arena_printf(arena, "uid-%u", (unsigned)getuid());
	*full_name = str_from(pw->pw_gecos);
	*full_name = arena_copy(arena, str_sub(*full_name, 0, str_find(*full_name, ',')));
	return arena_copy(arena, str_from(pw->pw_name));
}

static bool
identify(struct identity *who, const struct options *options, const struct conf *conf, struct arena *arena)
{
	struct str login = login_name(arena, &who->full_name);
	struct sendmail_recipients given = {.list = NULL};
	struct address own;
	bool good = address_make(arena, login, str_from(conf->hostname), ADDRESS_MAY_BE_UTF8, &own);

	if (options->full_name != NULL)
		who->full_name = str_from(options->full_name);
	who->sender = who->from = own.text;
	if (!good || options->sender == NULL)
		return good;
	if (options->sender[0] == '\0' || strcmp(options->sender, "<>") == 0) {
		who->sender = STR("");
		return true;
	}
	good = sendmail_recipients_add(&given, arena, str_from(options->sender), str_from(conf->hostname)) &&
	    given.n == 1 && given.bad == 0;
	if (good)
		who->sender = who->from = given.list[0];
	sendmail_recipients_clear(&given);
	return good;
}

/* ---- sending --------------------------------------------------------------------------------------------------- */

static int
status_of(const struct smtp_recipient *r)
{
	switch (r->verdict.outcome) {
	case SMTP_DELIVERED:
		return EX_OK;
	case SMTP_FAILED:
		return str_equal(r->verdict.code, STR("5.1.1")) ? EX_NOUSER : EX_UNAVAILABLE;
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
report(const struct smtp_mail *mail)
{
	int status = EX_OK;

	for (size_t i = 0; i < mail->nrecipients; i++) {
		const struct smtp_recipient *r = &mail->recipients[i];
		int own = status_of(r);

		if (own == EX_OK)
			continue;
		(void)fprintf(stderr, "sendmail: %.*s: %.*s\n", STR_FMT(r->address), STR_FMT(r->verdict.words));
		status = status == EX_OK ? own : status;
	}
	return status;
}

static int
connect_submit(const struct conf *conf, struct err *err)
{
	return unix_connect(daemon_socket_path(conf, "submit"), SOCK_STREAM, err);
}

static int
submit_letter(struct letter *letter, const struct conf *conf, const struct identity *who,
    const struct sendmail_recipients *recipients, struct arena *arena, bool is_8bit)
{
	struct smtp_recipient *list = calloc(recipients->n, sizeof *list);
	struct err err;
	int status;

	if (list == NULL)
		return fail(EX_OSERR, "out of memory");
	for (size_t i = 0; i < recipients->n; i++)
		list[i].address = recipients->list[i];
	letter->submit.hostname = str_from(conf->hostname);
	letter->submit.body = letter_body;
	letter->submit.mail = (struct smtp_mail){.sender = who->sender, .flags = is_8bit ? SMTP_MAIL_8BIT : 0,
	    .recipients = list, .nrecipients = recipients->n, .arena = arena};
	letter->submit.fd = connect_submit(conf, &err);
	if (letter->submit.fd < 0) {
		status = fail(EX_TEMPFAIL, err.text);
	} else {
		status = submit_run(&letter->submit, &err)
		    ? report(&letter->submit.mail)
		    : fail(err.class == ERR_PERM ? EX_UNAVAILABLE : EX_TEMPFAIL, err.text);
		(void)close(letter->submit.fd);
	}
	free(list);
	return status;
}

static int
prepare_and_send(const struct options *options, const struct conf *conf, char **words, struct arena *arena,
    struct letter *letter, struct sendmail_recipients *recipients)
{
	struct sendmail_header_rules rules = {
	    .takes_recipients = options->takes_recipients, .domain = str_from(conf->hostname)};
	struct identity who;

	if (!identify(&who, options, conf, arena))
		return fail(EX_USAGE, "the sender is not an address");
	rules.from = who.from;
	rules.full_name = who.full_name;
	for (; *words != NULL; words++)
		if (!sendmail_recipients_add(recipients, arena, str_from(*words), rules.domain))
			return fail(EX_OSERR, "out of memory");
	if (recipients->bad > 0 || (recipients->n == 0 && !options->takes_recipients))
		return fail(EX_USAGE, recipients->bad > 0 ? "a recipient is not an address" : "no recipients");
	if (!letter_header(letter, &rules, arena, recipients))
		return fail(EX_DATAERR, "the message could not be read");
	if (recipients->n == 0)
		return fail(EX_USAGE, "the message names no recipients");
	return submit_letter(letter, conf, &who, recipients, arena, options->is_8bit);
}

static int
send_letter(const struct options *options, const struct conf *conf, char **words)
{
	struct letter letter = {.lines = {.ignore_dots = options->ignore_dots}};
	struct sendmail_recipients recipients = {.list = NULL};
	struct arena arena;
	int status;

	arena_init(&arena, ARENA_MAX_BYTES);
	buf_init(&letter.text, 4 * HEADER_MAX_BYTES);
	status = prepare_and_send(options, conf, words, &arena, &letter, &recipients);
	sendmail_recipients_clear(&recipients);
	buf_clear(&letter.text);
	arena_clear(&arena);
	return status;
}

/* ---- the other modes ------------------------------------------------------------------------------------------- */

/* What is at hand at one end goes to the other; 0 at the end, <0 on errors. */
static ssize_t
pass(int from, int to)
{
	char bytes[READ_BYTES];
	ssize_t n = read(from, bytes, sizeof bytes), done = 0;

	if (n < 0 && errno == EINTR)
		return 1;
	while (done < n) {
		ssize_t written = write(to, bytes + done, (size_t)(n - done));

		if (written < 0 && errno != EINTR)
			return -1;
		done += written > 0 ? written : 0;
	}
	return n;
}

/* SMTP on standard input and output: smtpd speaks it, we hand it through. */
static int
speak_smtp(const struct conf *conf)
{
	struct err err;
	struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.events = POLLIN}};

	fds[1].fd = connect_submit(conf, &err);
	if (fds[1].fd < 0)
		return fail(EX_TEMPFAIL, err.text);
	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return fail(EX_OSERR, strerror(errno));
		if (fds[1].revents != 0) {
			ssize_t n = pass(fds[1].fd, STDOUT_FILENO);

			if (n <= 0)
				return n == 0 ? EX_OK : EX_IOERR;
		}
		if (fds[0].revents != 0 && pass(STDIN_FILENO, fds[1].fd) <= 0) {
			(void)shutdown(fds[1].fd, SHUT_WR);
			fds[0].fd = -1;
			fds[0].revents = 0;
		}
	}
}

static int
exec_queue(char *a, char *b, char *c)
{
	static char name[] = "merpati-queue";
	char path[PATH_MAX];
	char *argv[] = {name, a, b, c, NULL};

	if (!run_find_program(name, path))
		return fail(EX_UNAVAILABLE, "the program merpati-queue is not there");
	(void)execv(path, argv);
	return fail(EX_OSERR, strerror(errno));
}

static int
list_queue(void)
{
	static char list[] = "list", format[] = "--format", postfix[] = "postfix";

	return exec_queue(list, format, postfix);
}

static int
retry_queue(void)
{
	static char retry[] = "retry", all[] = "all";

	return exec_queue(retry, all, NULL);
}

/* ---- options --------------------------------------------------------------------------------------------------- */

static enum mode
mode_of(const char *letter)
{
	static const struct {
		char letter;
		enum mode mode;
	} modes[] = {{'m', MODE_SEND}, {'s', MODE_SMTP}, {'p', MODE_LIST}, {'i', MODE_ALIASES}};

	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
		if (letter[0] == modes[i].letter && letter[1] == '\0')
			return modes[i].mode;
	return MODE_UNKNOWN;
}

static bool
options_parse(struct options *options, int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "A:B:b:C:F:f:Ghio:L:mN:nO:p:q::R:r:tUV:vX:x")) != -1)
		switch (option) {
		case 'b':
			options->mode = mode_of(optarg);
			break;
		case 'B':
			options->is_8bit = strcmp(optarg, "7BIT") != 0;
			break;
		case 'F':
			options->full_name = optarg;
			break;
		case 'f':
		case 'r':
			options->sender = optarg;
			break;
		case 'i':
			options->ignore_dots = true;
			break;
		case 'o': /* of all of Sendmail's own options only `i` means something here */
			options->ignore_dots = options->ignore_dots || strcmp(optarg, "i") == 0;
			break;
		case 'q':
			options->mode = MODE_RETRY;
			break;
		case 't':
			options->takes_recipients = true;
			break;
		case '?':
			return false;
		default: /* accepted, for the programs that give them, and without meaning here */
			break;
		}
	return true;
}

static int
run(const struct options *options, char **words)
{
	struct conf *conf;
	struct err err;
	int status;

	if (options->mode == MODE_LIST)
		return list_queue();
	if (options->mode == MODE_RETRY)
		return retry_queue();
	if (options->mode == MODE_ALIASES)
		return EX_OK; /* authd reads the file when it has changed */
	if (options->mode == MODE_UNKNOWN)
		return fail(EX_USAGE, "only the modes -bm, -bs, -bp and -bi are known");
	if (!conf_load(conf_default_path(), &conf, &err))
		return fail(EX_CONFIG, err.text);
	status = options->mode == MODE_SMTP ? speak_smtp(conf) : send_letter(options, conf, words);
	conf_free(conf);
	return status;
}

int
main(int argc, char **argv)
{
	struct options options = {.mode = MODE_SEND};
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = slash != NULL ? slash + 1 : argc > 0 ? argv[0] : "sendmail";

	if (strcmp(name, "mailq") == 0)
		options.mode = MODE_LIST;
	else if (strcmp(name, "newaliases") == 0)
		options.mode = MODE_ALIASES;
	if (!options_parse(&options, argc, argv))
		return EX_USAGE;
	(void)signal(SIGPIPE, SIG_IGN);
	return run(&options, argv + optind);
}
