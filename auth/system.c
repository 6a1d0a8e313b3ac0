#include "auth/system.h"

#include <errno.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/password.h"
#include "common/base/log.h"

#define NSS_BUFFER_MAX (1024 * 1024)

/* --- NSS ----------------------------------------------------------------------------------------------------------- */

static enum found
user_copy(const struct passwd *pw, struct system_user *user)
{
	if (!str_copy(user->name, sizeof user->name, str_from(pw->pw_name)) ||
	    !str_copy(user->home, sizeof user->home, str_from(pw->pw_dir)))
		return FOUND_NOT;
	user->uid = pw->pw_uid;
	user->gid = pw->pw_gid;
	return FOUND;
}

/* getpwnam_r when name is not NULL, else getpwuid_r; with a buffer as large as it asks for. */
static enum found
passwd_read(const char *name, uid_t uid, struct system_user *user, struct err *err)
{
	struct passwd entry, *pw = NULL;
	enum found found = FOUND_TROUBLE;
	char *buffer = NULL;
	size_t size = 1024;
	int status;

	do {
		char *larger = realloc(buffer, size *= 2);

		if (larger == NULL)
			break;
		buffer = larger;
		status = name != NULL ? getpwnam_r(name, &entry, buffer, size, &pw)
				      : getpwuid_r(uid, &entry, buffer, size, &pw);
	} while (status == ERANGE && size < NSS_BUFFER_MAX);
	if (buffer != NULL && pw != NULL)
		found = user_copy(pw, user);
	else if (buffer != NULL && (status == 0 || status == ENOENT || status == ESRCH))
		found = FOUND_NOT;
	else if (buffer != NULL) {
		errno = status;
		(void)err_sys(err, "the system's user database");
	} else
		(void)err_set(err, ERR_TEMP, "no memory for the system's user database");
	free(buffer);
	return found;
}

static enum found
by_name(struct str name, struct system_user *user, struct err *err)
{
	char text[ACCOUNT_NAME_MAX + 1];

	if (!str_copy(text, sizeof text, name))
		return FOUND_NOT;
	return passwd_read(text, 0, user, err);
}

static enum found
by_uid(uid_t uid, struct system_user *user, struct err *err)
{
	return passwd_read(NULL, uid, user, err);
}

/* --- PAM ----------------------------------------------------------------------------------------------------------- */

/* Answers every question for something hidden with the password, and any other with nothing. */
static int
converse(int n, const struct pam_message **questions, struct pam_response **answers, void *password)
{
	struct pam_response *list;

	if (n <= 0 || n > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	list = calloc((size_t)n, sizeof *list);
	if (list == NULL)
		return PAM_BUF_ERR;
	for (int i = 0; i < n; i++) {
		const char *answer = questions[i]->msg_style == PAM_PROMPT_ECHO_OFF ? password : "";

		if (questions[i]->msg_style != PAM_PROMPT_ECHO_OFF && questions[i]->msg_style != PAM_PROMPT_ECHO_ON)
			continue;
		list[i].resp = strdup(answer);
	}
	*answers = list;
	return PAM_SUCCESS;
}

/* PAM's own wait after a failure would hold a checker; authd's front makes clients wait instead. */
static void
no_delay(int status, unsigned microseconds, void *unused)
{
	(void)status;
	(void)microseconds;
	(void)unused;
}

static int
pam_ask(const char *service, const char *name, char *password, const char *remote, pam_handle_t **pam)
{
	struct pam_conv conversation = {.conv = converse, .appdata_ptr = password};
	int status = pam_start(service, name, &conversation, pam);

	if (status == PAM_SUCCESS)
		status = pam_set_item(*pam, PAM_FAIL_DELAY, (const void *)(uintptr_t)no_delay);
	if (status == PAM_SUCCESS && remote[0] != '\0')
		status = pam_set_item(*pam, PAM_RHOST, remote);
	if (status == PAM_SUCCESS)
		status = pam_set_item(*pam, PAM_TTY, "merpati");
	if (status == PAM_SUCCESS)
		status = pam_authenticate(*pam, PAM_SILENT);
	if (status == PAM_SUCCESS)
		status = pam_acct_mgmt(*pam, PAM_SILENT);
	return status;
}

static enum found
pam_verdict(int status, const char *service, const char *why, struct err *err)
{
	switch (status) {
	case PAM_SUCCESS:
		return FOUND;
	case PAM_AUTH_ERR:
	case PAM_USER_UNKNOWN:
	case PAM_MAXTRIES:
	case PAM_ACCT_EXPIRED:
	case PAM_NEW_AUTHTOK_REQD:
	case PAM_AUTHTOK_EXPIRED:
	case PAM_CRED_EXPIRED:
	case PAM_PERM_DENIED:
		(void)err_set(err, ERR_PERM, "PAM: %s", why);
		return FOUND_NOT;
	default:
		(void)err_set(err, ERR_TEMP, "PAM service \"%s\": %s", service, why);
		return FOUND_TROUBLE;
	}
}

static enum found
verify(const char *service, const struct system_user *user, struct str password, struct str remote, struct err *err)
{
	char clear[PASSWORD_MAX + 1], host[64];
	pam_handle_t *pam = NULL;
	enum found found;
	int status;

	if (geteuid() != 0) {
		password_waste(STR_NONE, password);
		(void)err_set(err, ERR_PERM, "only root can check passwords of system users");
		return FOUND_NOT;
	}
	if (!str_copy(clear, sizeof clear, password)) {
		password_waste(STR_NONE, password);
		(void)err_set(err, ERR_PERM, "too long a password");
		return FOUND_NOT;
	}
	(void)str_copy(host, sizeof host, remote);
	status = pam_ask(service, user->name, clear, host, &pam);
	found = pam_verdict(status, service, pam_strerror(pam, status), err);
	if (pam != NULL)
		(void)pam_end(pam, status);
	explicit_bzero(clear, sizeof clear);
	return found;
}

static enum found
permit(const char *service, const struct system_user *user, struct err *err)
{
	char none[] = "";
	struct pam_conv conversation = {.conv = converse, .appdata_ptr = none};
	pam_handle_t *pam = NULL;
	enum found found;
	int status;

	if (geteuid() != 0) {
		(void)err_set(err, ERR_PERM, "only root can check accounts of system users");
		return FOUND_NOT;
	}
	status = pam_start(service, user->name, &conversation, &pam);
	if (status == PAM_SUCCESS)
		status = pam_acct_mgmt(pam, PAM_SILENT);
	found = pam_verdict(status, service, pam_strerror(pam, status), err);
	if (pam != NULL)
		(void)pam_end(pam, status);
	return found;
}

const struct system_accounts system_accounts_real = {
    .by_name = by_name,
    .by_uid = by_uid,
    .verify = verify,
    .permit = permit,
};

void
system_check_pam(const char *service)
{
	static const char *const directories[] = {"/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d"};
	char path[256];

	for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", directories[i], service);
		if (access(path, R_OK) == 0)
			return;
	}
	log_warning("PAM has no service \"%s\" (/etc/pam.d/%s is missing): what /etc/pam.d/other says holds for system users",
	    service, service);
}
