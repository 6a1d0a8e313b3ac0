#include "deliver/one.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/conf/conf.h"
#include "common/conf/conf_log.h"
#include "common/daemon/daemon.h"
#include "common/base/log.h"
#include "common/store/owner.h"
#include "common/daemon/sandbox.h"
#include "common/net/socketmap.h"
#include "common/store/store_news.h"
#include "deliver/delivery.h"

#define LOOKUP_TIMEOUT_MS 30000
#define PIECE_BYTES ((size_t)64 * 1024)
#define OPTIONS ":c:d:f:a:"

struct options {
	const char *conf_path;
	const char *user;
	const char *sender;    /* -f */
	const char *recipient; /* -a; else the user */
};

static bool
options_read(int argc, char **argv, struct options *options)
{
	int option;

	*options = (struct options){.conf_path = conf_default_path(), .sender = ""};
	optind = 1;
	while ((option = getopt(argc, argv, OPTIONS)) != -1)
		switch (option) {
		case 'c':
			options->conf_path = optarg;
			break;
		case 'd':
			options->user = optarg;
			break;
		case 'f':
			options->sender = optarg;
			break;
		case 'a':
			options->recipient = optarg;
			break;
		default:
			return false;
		}
	if (options->recipient == NULL)
		options->recipient = options->user;
	return options->user != NULL && optind == argc;
}

bool
one_is_asked_for(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-c") == 0)
			i++;
		else if (strcmp(argv[i], "-f") == 0 || strcmp(argv[i], "-a") == 0)
			return true;
		else if (strcmp(argv[i], "-d") == 0)
			return i + 1 < argc && argv[i + 1][0] != '-';
		else if (strncmp(argv[i], "-d", 2) == 0)
			return true;
	}
	return false;
}

/* --- the account ----------------------------------------------------------------------------------------------------------- */

static int
account_find(const struct conf *conf, const char *user, struct account *account)
{
	struct buf value;
	struct err err = {ERR_NONE, 0, ""};
	int status = EX_TEMPFAIL;

	buf_init(&value, SOCKETMAP_REPLY_MAX);
	switch (socketmap_lookup(daemon_socket_path(conf, "map"), LOOKUP_TIMEOUT_MS, STR("account"), str_from(user), &value,
	    &err)) {
	case SOCKETMAP_OK:
		if (account_parse(account, buf_str(&value)))
			status = EX_OK;
		else
			log_error("authd describes the account %s in a way that makes no sense", user);
		break;
	case SOCKETMAP_NOTFOUND:
	case SOCKETMAP_PERM:
		log_error("there is no account %s", user);
		status = EX_NOUSER;
		break;
	case SOCKETMAP_TEMP:
		log_error("cannot look up the account %s: %s", user, err.text);
		break;
	}
	buf_clear(&value);
	return status;
}

/* --- the message ----------------------------------------------------------------------------------------------------------- */

static bool
read_input(struct buf *text, struct err *err)
{
	for (;;) {
		size_t room = text->max - text->n;
		char *p;
		ssize_t n;

		if (room == 0)
			return err_set(err, ERR_LIMIT, "the message is larger than message_size_limit");
		if (room > PIECE_BYTES)
			room = PIECE_BYTES;
		p = buf_reserve(text, room);
		if (p == NULL)
			return err_set(err, ERR_TEMP, "no memory for the message");
		n = read(STDIN_FILENO, p, room);
		if (n < 0 && errno != EINTR)
			return err_sys(err, "cannot read standard input");
		if (n == 0)
			return true;
		if (n > 0)
			buf_commit(text, (size_t)n);
	}
}

/* Some MTAs begin with the line by which an mbox separates messages. */
static struct str
without_from_line(struct str text)
{
	return str_starts(text, STR("From ")) ? str_skip(text, str_find(text, '\n') + 1) : text;
}

static bool
is_line(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 127)
			return false;
	return true;
}

static int
exit_status_of(enum handoff_status status)
{
	switch (status) {
	case HANDOFF_DELIVERED:
		return EX_OK;
	case HANDOFF_LOOP:
		return EX_UNAVAILABLE;
	case HANDOFF_QUOTA:
	case HANDOFF_DISK_FULL:
	case HANDOFF_TROUBLE:
	case HANDOFF_STATUSES:
		break;
	}
	return EX_TEMPFAIL;
}

/* --- delivering it -------------------------------------------------------------------------------------------------------- */

static bool
confine(const struct store *store, struct err *err)
{
	struct sandbox_spec spec = {
	    .promises = SANDBOX_STDIO | SANDBOX_OPEN | SANDBOX_CREATE | SANDBOX_CHANGE,
	    .paths = {{.fd = store_directory(store), .access = SANDBOX_READ | SANDBOX_WRITE | SANDBOX_REMOVE}},
	};

	return sandbox_enter(&spec, err);
}

static int
put(struct store *store, struct mailbox *mailbox, const struct options *options, struct str text)
{
	const struct handoff_letter letter = {.sender = str_from(options->sender),
	    .recipients = {str_from(options->recipient)},
	    .nrecipients = 1,
	    .content = text,
	    .size = text.n};
	struct deliveries list = STAILQ_HEAD_INITIALIZER(list);
	struct delivery *delivery = delivery_new(mailbox, 0, &letter, true);
	int status;

	STAILQ_INSERT_TAIL(&list, delivery, link);
	(void)deliveries_commit(&list, mailbox);
	store_news_send(store);
	status = exit_status_of(delivery->result.status[0]);
	delivery_free(delivery);
	return status;
}

static int
deliver_to(const struct account *account, const struct conf *conf, const struct options *options)
{
	struct store_host host;
	struct store *store = NULL;
	struct mailbox *mailbox = NULL;
	struct err err;
	struct buf text;
	int status = EX_TEMPFAIL;

	store_host_read(&host, conf->hostname);
	buf_init(&text, (size_t)conf->message_size_limit_bytes);
	if (!owner_become(account, &err) ||
	    (store = store_open(&host, account->home, account->mail, true, &err)) == NULL ||
	    (mailbox = mailbox_open(store, STR("INBOX"), MAILBOX_ADD, &err)) == NULL || !confine(store, &err)) {
		log_error("mailbox of %s: %s", account->name, err.text);
	} else if (!read_input(&text, &err)) {
		log_error("to=<%s>: %s", options->recipient, err.text);
		status = err.class == ERR_LIMIT ? EX_DATAERR : EX_TEMPFAIL;
	} else {
		status = put(store, mailbox, options, without_from_line(buf_str(&text)));
	}
	buf_clear(&text);
	mailbox_close(mailbox);
	store_close(store);
	return status;
}

int
one_main(int argc, char **argv)
{
	struct options options;
	struct account account;
	struct conf *conf;
	struct err err;
	int status;

	if (!options_read(argc, argv, &options) || !is_line(options.sender) || !is_line(options.recipient) ||
	    strlen(options.sender) > HANDOFF_ADDRESS_MAX || strlen(options.recipient) > HANDOFF_ADDRESS_MAX) {
		(void)fprintf(stderr, "usage: deliver -d USER [-f SENDER] [-a RECIPIENT] [-c FILE] < MESSAGE\n");
		return EX_USAGE;
	}
	(void)umask(077);
	if (!conf_load(options.conf_path, &conf, &err)) {
		log_error("%s", err.text);
		return EX_TEMPFAIL; /* nobody's mail bounces for it */
	}
	conf_log_open(conf, "deliver", false);
	tzset();
	status = account_find(conf, options.user, &account);
	if (status == EX_OK)
		status = deliver_to(&account, conf, &options);
	conf_free(conf);
	return status;
}
