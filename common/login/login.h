/*
 * The login front of imapd and popd: everything between accept() and a user's own process. A program supplies a small
 * pure protocol for the time before authentication and the functions of its session process, and its main is
 * login_main. The processes:
 *
 *     login    many connections in one loop, TLS, no privilege; speaks the pre-authentication protocol and asks authd
 *     parent   parses nothing; asks authd for itself whether a login worker's claim is true; forks session processes
 *     session  one a user, under the owner's uid, boxed in; gets each connection as a descriptor (the connection
 *              itself, or, under TLS, a socket pair whose other end the login worker proxies)
 *
 * Who writes what: the protocol writes greeting, capabilities, challenges and refusals. The reply to a successful
 * login is the session's, since only it knows whether the mailbox can be opened.
 */
#ifndef COMMON_LOGIN_H
#define COMMON_LOGIN_H

#include "common/login/account.h"
#include "common/base/buf.h"
#include "common/conf/conf.h"
#include "common/base/loop.h"
#include "common/store/store.h"

/* --- before authentication: a pure core, one a connection ------------------------------------------------------------ */

/* What the core may know of its connection. The strings live as long as the core. */
struct login_facts {
	struct str hostname;
	struct str mechanisms; /* that may be used on this connection as it is: "PLAIN LOGIN"; may be empty */
	bool tls;
	bool can_start_tls; /* STARTTLS, STLS may be offered */
	bool plain_text;    /* passwords may be sent: TLS is on, or the peer is on this host */
	bool resumed;	    /* the first core after STARTTLS: no greeting */
};

struct login_protocol;

/* The core embeds this as its first member. Zeroed, then facts, protocol and out are set, then open is called. */
struct login_core {
	const struct login_protocol *protocol;
	struct login_facts facts;
	struct buf out; /* what is to be sent; the front takes from it after each call. Maximum 16 KiB */
};

enum login_action {
	LOGIN_MORE,	    /* no whole command is there: taken is 0. At LOGIN_INPUT_MAX bytes the front gives up */
	LOGIN_ANSWERED,	    /* a command was answered in out; step again */
	LOGIN_ERROR,	    /* the same, and it was the peer's error: the front counts them, then closes */
	LOGIN_START_TLS,    /* the go-ahead is in out. The front discards this core and makes a new one after the
			     * handshake; with any input left behind the command it closes instead */
	LOGIN_AUTHENTICATE, /* mechanism and perhaps an initial response are in the step */
	LOGIN_RESPOND,	    /* the peer's answer to a challenge is in the step */
	LOGIN_ABANDON,	    /* the peer gave up its exchange ("*"); the reply is in out */
	LOGIN_CLOSE,	    /* send out, then close (LOGOUT, QUIT) */
};

struct login_step {
	size_t taken;	      /* bytes of the input that are used up */
	struct str mechanism; /* AUTHENTICATE */
	bool has_initial;
	struct str response; /* AUTHENTICATE with has_initial, RESPOND: Base64 as the peer wrote it ("=" is the empty
			      * one). Borrowed from the input or the core until the next call */
};

/* What became of an AUTHENTICATE or RESPOND. */
enum login_verdict {
	LOGIN_CHALLENGE,   /* write the challenge (Base64); step then gets the peer's answer as it comes */
	LOGIN_REFUSED,	   /* wrong name or password: NO [AUTHENTICATIONFAILED], -ERR [AUTH] */
	LOGIN_UNAVAILABLE, /* authd cannot tell now: NO [UNAVAILABLE], -ERR [SYS/TEMP] */
	LOGIN_MALFORMED,   /* not Base64: BAD, -ERR */
};

enum login_goodbye {
	LOGIN_BYE_TIMEOUT,
	LOGIN_BYE_ERRORS,   /* too many errors or refused logins, or input without an end */
	LOGIN_BYE_BUSY,	    /* too many connections; the only thing that this peer ever sees: also the greeting */
	LOGIN_BYE_SHUTDOWN, /* the server ends or is reloaded */
};

struct login_protocol {
	size_t core_size; /* sizeof the embedding struct */
	/* Greets (unless facts.resumed). */
	void (*open)(struct login_core *core);
	/* Looks at no more than one command at the beginning of in. Never called between AUTHENTICATE or RESPOND and
	 * verdict. */
	enum login_action (*step)(struct login_core *core, struct str in, struct login_step *step);
	/* challenge is empty unless CHALLENGE. */
	void (*verdict)(struct login_core *core, enum login_verdict verdict, struct str challenge);
	/* After success: what the session needs for its reply (the IMAP tag), at most LOGIN_LABEL_MAX bytes. May be
	 * NULL: empty. Borrowed until clear. */
	struct str (*label)(const struct login_core *core);
	/* One line such as `* BYE ...`; the connection is closed after it. */
	void (*goodbye)(struct login_core *core, enum login_goodbye why);
	/* Wipes and frees what the core owns besides itself and out. May be NULL. */
	void (*clear)(struct login_core *core);
};

#define LOGIN_INPUT_MAX 16384 /* bytes of one command before authentication */
#define LOGIN_LABEL_MAX 255

/* For LOGIN, and for USER and PASS: appends the Base64 of a PLAIN response. False when name or password is empty or
 * holds a NUL, or out is full. out holds a secret afterwards: buf_clear_secret. */
bool login_plain(struct buf *out, struct str name, struct str password);

/* --- the session process --------------------------------------------------------------------------------------------- */

/* One connection as it comes to a session process. The strings live during the call. */
struct login_connection {
	int fd;		   /* non-blocking stream socket; the callee's to close */
	bool tls;	   /* was encrypted: fd is a socket pair to the login worker */
	struct str label;  /* of login_protocol.label */
	struct str input;  /* bytes that the peer has already sent behind its login; handle them first */
	struct str remote; /* IP address as text, for the log */
	struct str local;
};

struct login_session {
	const struct conf *conf;
	const struct account *account;
	const struct store_host *host;
	struct store *store;   /* the account's Maildir, made if it was missing */
	int cache_directory;   /* of this user, below cache_directory; -1 if there is none: then nothing is cached */
	struct loop *loop;
};

/*
 * To be called once for each connection that session_connection got, when it is closed. After the last one the process
 * lingers for a while and then ends in agreement with the parent, so that no connection falls between.
 */
void login_session_closed(struct login_session *session);

/* --- the program ------------------------------------------------------------------------------------------------------ */

/* The program's parameters, for what is shared. */
struct login_limits {
	uint64_t workers, clients_per_worker;
	uint64_t login_timeout_ms;
	uint64_t users;		       /* session processes at a time */
	uint64_t connections_per_user; /* at a time */
	uint64_t linger_ms;	       /* of a session process after its last connection */
};

struct login_service {
	const char *program;	  /* "imapd": log */
	const char *name;	  /* "imap": what authd is told, and the log */
	enum listener_kind kind, kind_tls;
	const struct login_protocol *protocol;
	void (*limits)(const struct conf *conf, struct login_limits *limits);
	/* SANDBOX_... promises of the session process besides those for reading and changing a Maildir. */
	unsigned promises;

	/*
	 * In the session process, already under the owner's uid and with Landlock open for the Maildir and the user's
	 * cache directory only. False (after logging): the process ends, its connections are refused for the time being
	 * and the next login tries again. May be NULL.
	 */
	bool (*session_start)(struct login_session *session);
	/* A connection arrived: reply to its login, then serve it in session->loop. Calls login_session_closed later,
	 * perhaps from inside. */
	void (*session_connection)(struct login_session *session, const struct login_connection *connection);
	/* The server ends: say so to idle peers, finish what is under way, close all within a few seconds. Called once;
	 * not called at a reload, which sessions outlive. */
	void (*session_stop)(struct login_session *session);
};

/* The whole of imapd's and popd's main: `PROG -c FILE`. Returns the exit status. */
int login_main(int argc, char **argv, const struct login_service *service);

#endif
