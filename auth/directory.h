/*
 * The directory: which accounts and aliases there are, decided from the configuration, the users file, the aliases
 * file and the system's users. Names come from strangers by way of authd's front and are checked here again.
 *
 * Which account a name means:
 *     name@DOMAIN   virtual domain: that line of the users file. System domain: as `name`. Other domain: none
 *     name          the line `name` of the users file; else, if any domain has system accounts, the system user; else
 *                   the line name@DOMAIN of the first virtual domain
 * Aliases without a domain hold in system domains and in the one that is this host's name. Case does not matter. In
 * addresses (not in logins) a detail behind the recipient_delimiter is cut off if the whole local part is neither
 * account nor alias.
 */
#ifndef AUTH_DIRECTORY_H
#define AUTH_DIRECTORY_H

#include "auth/aliases.h"
#include "auth/check.h"
#include "auth/textfile.h"
#include "auth/users.h"
#include "common/conf/conf.h"

#define DIRECTORY_SECRET_BYTES 32

struct directory {
	const struct conf *conf;
	const struct system_accounts *system;
	struct textfile users_text, aliases_text;
	struct users users;
	struct aliases aliases;
	bool users_there;	/* there is a users file that could be read */
	bool aliases_unreadable;
	bool privileged; /* may serve accounts of other uids than the own */
	bool silent;	 /* another process reports what is wrong with the files */
	bool complained; /* about the file that cannot be read; once, until it can */
	unsigned char secret[DIRECTORY_SECRET_BYTES]; /* of this host: salts of who does not exist are made with it */
};

/*
 * Before the first directory_init, and in a process from which all that have a directory are forked: the secret with which
 * salts are made for who does not exist. It comes from the id that systemd gives each host, which no client knows and
 * which a restart does not change; without one it is random, and who comes back after a restart can tell such a salt.
 */
void directory_secret_make(void);

/* conf is borrowed. system: system_accounts_real but for tests. */
void directory_init(struct directory *directory, const struct conf *conf, const struct system_accounts *system);
void directory_clear(struct directory *directory);

/* Re-reads the files if they have changed, and reports what is wrong with them. */
void directory_refresh(struct directory *directory);

/* All of these re-read the files if they have changed, and may block. On
 * FOUND_TROUBLE, and on FOUND_NOT where it says something, err tells why. */

/* Whose password that is; about equally slow whether there is such an account or not. */
enum found directory_verify(struct directory *directory, struct str login, struct str password, struct str remote,
    struct account *account, struct err *err);
/* That account, for a login whose right was proved otherwise than by its password; FOUND_NOT if it is locked. */
enum found directory_login(struct directory *directory, struct str login, struct account *account, struct err *err);
/* For which hashes SCRAM may be offered: CHECK_OFFERs. */
unsigned directory_offers(const struct directory *directory);
/* `iterations,salt` of that account's keys, appended to out. FOUND whoever it is: who has no keys gets, always, the same
 * salt of somebody who might. */
enum found directory_salt(struct directory *directory, struct str login, enum scram_hash hash, struct buf *out,
    struct err *err);
/* Whether the proof is that account's, and then its account and the server's signature. It takes the same time whether
 * there is such an account or not. */
enum found directory_proof(struct directory *directory, const struct check_request *request, struct account *account,
    unsigned char signature[SCRAM_DIGEST_MAX], struct err *err);

/* Of that line of the users file. */
enum found directory_virtual(struct directory *directory, const struct user *user, struct account *account,
    struct err *err);
/* By login name or address. */
enum found directory_account(struct directory *directory, struct str name, struct account *account, struct err *err);
/* FOUND and *is_alias for an address that takes mail. Every domain of ours has a postmaster. */
enum found directory_recipient(struct directory *directory, struct str address, bool *is_alias, struct err *err);
/*
 * "LOGIN ADDRESS": may the login send under that address? FOUND for the account's own address, for one with a detail, and
 * for an alias that leads to the account, among others or by way of further aliases.
 */
enum found directory_sender(struct directory *directory, struct str login_and_address, struct err *err);
/* FOUND: the addresses, separated by commas, with domain, appended to out. */
enum found directory_alias(struct directory *directory, struct str address, struct buf *out, struct err *err);
/* The name of the user with that uid, for mail that is submitted on this host. */
enum found directory_uid(struct directory *directory, uid_t uid, struct buf *out, struct err *err);

#endif
