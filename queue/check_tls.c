#include "queue/check_tls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define WARN_DAYS 7

/* Why OpenSSL's last call failed, and nothing left behind for the next. */
static const char *
openssl_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return reason != NULL ? reason : "it is not in PEM form";
}

static X509 *
certificate_read(struct check *check)
{
	const char *path = check->conf->tls_certificate;
	FILE *file = fopen(path, "re");
	X509 *certificate;

	if (file == NULL) {
		check_error(check, "tls_certificate", "%s: %s", path, strerror(errno));
		return NULL;
	}
	certificate = PEM_read_X509(file, NULL, NULL, NULL);
	if (certificate == NULL)
		check_error(check, "tls_certificate", "%s holds no certificate that can be read: %s", path, openssl_reason());
	(void)fclose(file);
	return certificate;
}

/* Asking for a pass phrase at a terminal would hang: a key under one cannot be used. */
static int
no_pass_phrase(char *buffer, int size, int writing, void *context)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)context;
	return -1;
}

static void
key_permissions(struct check *check, FILE *file)
{
	const char *path = check->conf->tls_key;
	struct stat st;

	if (fstat(fileno(file), &st) != 0)
		check_error(check, "tls_key", "%s: %s", path, strerror(errno));
	else if (st.st_mode & (S_IROTH | S_IWOTH))
		check_error(check, "tls_key", "%s can be read by everybody; say: chmod 600 %s", path, path);
	else if (st.st_mode & (S_IWGRP))
		check_warning(check, "tls_key", "%s can be changed by its group; say: chmod 600 %s", path, path);
}

static EVP_PKEY *
key_read(struct check *check)
{
	const char *path = check->conf->tls_key;
	FILE *file = fopen(path, "re");
	EVP_PKEY *key;

	if (file == NULL && errno == EACCES && geteuid() != 0) {
		check_warning(check, "tls_key", "%s cannot be looked at by this user; run the check as root", path);
		return NULL;
	}
	if (file == NULL) {
		check_error(check, "tls_key", "%s: %s", path, strerror(errno));
		return NULL;
	}
	key_permissions(check, file);
	key = PEM_read_PrivateKey(file, NULL, no_pass_phrase, NULL);
	if (key == NULL)
		check_error(check, "tls_key", "%s holds no private key that can be read without a pass phrase: %s", path,
		    openssl_reason());
	(void)fclose(file);
	return key;
}

static void
certificate_dates(struct check *check, const X509 *certificate)
{
	const ASN1_TIME *from = X509_get0_notBefore(certificate), *until = X509_get0_notAfter(certificate);
	const char *path = check->conf->tls_certificate;
	int days = 0, seconds = 0;

	if (X509_cmp_current_time(from) > 0)
		check_error(check, "tls_certificate", "the certificate in %s is not valid yet", path);
	if (X509_cmp_current_time(until) < 0)
		check_error(check, "tls_certificate", "the certificate in %s has expired; get a new one", path);
	else if (ASN1_TIME_diff(&days, &seconds, NULL, until) == 1 && days < WARN_DAYS)
		check_warning(check, "tls_certificate", "the certificate in %s expires in %d days", path, days);
}

void
check_tls(struct check *check)
{
	const char *hostname = check->conf->hostname;
	X509 *certificate;
	EVP_PKEY *key;

	if (!conf_has_tls(check->conf))
		return;
	certificate = certificate_read(check);
	key = key_read(check);
	if (certificate != NULL) {
		certificate_dates(check, certificate);
		if (X509_check_host(certificate, hostname, strlen(hostname), 0, NULL) != 1)
			check_warning(check, "tls_certificate", "the certificate in %s is not for this host's name, %s",
			    check->conf->tls_certificate, hostname);
	}
	if (certificate != NULL && key != NULL && X509_check_private_key(certificate, key) != 1) {
		check_error(check, "tls_key", "the key in %s does not belong to the certificate in %s", check->conf->tls_key,
		    check->conf->tls_certificate);
		ERR_clear_error();
	}
	X509_free(certificate);
	EVP_PKEY_free(key);
}
