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

/* Where it was set; of a section the path in the message tells enough. */
static const char *
certificate_key(const struct conf_certificate *c)
{
	return c->line == 0 ? "tls_certificate" : NULL;
}

static const char *
key_key(const struct conf_certificate *c)
{
	return c->line == 0 ? "tls_key" : NULL;
}

static X509 *
certificate_read(struct check *check, const struct conf_certificate *c)
{
	const char *path = c->certificate;
	FILE *file = fopen(path, "re");
	X509 *certificate;

	if (file == NULL) {
		check_error(check, certificate_key(c), "%s: %s", path, strerror(errno));
		return NULL;
	}
	certificate = PEM_read_X509(file, NULL, NULL, NULL);
	if (certificate == NULL)
		check_error(check, certificate_key(c), "%s holds no certificate that can be read: %s", path, openssl_reason());
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
key_permissions(struct check *check, const struct conf_certificate *c, FILE *file)
{
	const char *path = c->key;
	struct stat st;

	if (fstat(fileno(file), &st) != 0)
		check_error(check, key_key(c), "%s: %s", path, strerror(errno));
	else if (st.st_mode & (S_IROTH | S_IWOTH))
		check_error(check, key_key(c), "%s can be read by everybody; say: chmod 600 %s", path, path);
	else if (st.st_mode & (S_IWGRP))
		check_warning(check, key_key(c), "%s can be changed by its group; say: chmod 600 %s", path, path);
}

static EVP_PKEY *
key_read(struct check *check, const struct conf_certificate *c)
{
	const char *path = c->key;
	FILE *file = fopen(path, "re");
	EVP_PKEY *key;

	if (file == NULL && errno == EACCES && geteuid() != 0) {
		check_warning(check, key_key(c), "%s cannot be looked at by this user; run the check as root", path);
		return NULL;
	}
	if (file == NULL) {
		check_error(check, key_key(c), "%s: %s", path, strerror(errno));
		return NULL;
	}
	key_permissions(check, c, file);
	key = PEM_read_PrivateKey(file, NULL, no_pass_phrase, NULL);
	if (key == NULL)
		check_error(check, key_key(c), "%s holds no private key that can be read without a pass phrase: %s", path,
		    openssl_reason());
	(void)fclose(file);
	return key;
}

static void
certificate_dates(struct check *check, const struct conf_certificate *c, const X509 *certificate)
{
	const ASN1_TIME *from = X509_get0_notBefore(certificate), *until = X509_get0_notAfter(certificate);
	const char *path = c->certificate;
	int days = 0, seconds = 0;

	if (X509_cmp_current_time(from) > 0)
		check_error(check, certificate_key(c), "the certificate in %s is not valid yet", path);
	if (X509_cmp_current_time(until) < 0)
		check_error(check, certificate_key(c), "the certificate in %s has expired; get a new one", path);
	else if (ASN1_TIME_diff(&days, &seconds, NULL, until) == 1 && days < WARN_DAYS)
		check_warning(check, certificate_key(c), "the certificate in %s expires in %d days", path, days);
}

static void
check_one(struct check *check, const struct conf_certificate *c)
{
	const char *hostname = check->conf->hostname;
	X509 *certificate = certificate_read(check, c);
	EVP_PKEY *key = key_read(check, c);

	if (certificate != NULL) {
		certificate_dates(check, c, certificate);
		if (c->line == 0 && X509_check_host(certificate, hostname, strlen(hostname), 0, NULL) != 1)
			check_warning(check, certificate_key(c), "the certificate in %s is not for this host's name, %s",
			    c->certificate, hostname);
	}
	if (certificate != NULL && key != NULL && X509_check_private_key(certificate, key) != 1) {
		check_error(check, key_key(c), "the key in %s does not belong to the certificate in %s", c->key, c->certificate);
		ERR_clear_error();
	}
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static void
check_client_ca(struct check *check, const struct conf_listener *listener)
{
	FILE *file = listener->client_ca[0] != '\0' ? fopen(listener->client_ca, "re") : NULL;
	X509 *authority = file != NULL ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

	if (listener->client_ca[0] != '\0' && file == NULL)
		check_error(check, NULL, "[listener %s]: client_ca: %s: %s", listener->name, listener->client_ca, strerror(errno));
	else if (file != NULL && authority == NULL)
		check_error(check, NULL, "[listener %s]: client_ca: %s holds no certificate that can be read: %s", listener->name,
		    listener->client_ca, openssl_reason());
	X509_free(authority);
	if (file != NULL)
		(void)fclose(file);
}

void
check_tls(struct check *check)
{
	for (size_t i = 0; i < check->conf->ncertificates; i++)
		check_one(check, &check->conf->certificates[i]);
	for (size_t i = 0; conf_has_tls(check->conf) && i < check->conf->nlisteners; i++)
		check_client_ca(check, &check->conf->listeners[i]);
}
