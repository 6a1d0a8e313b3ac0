#include "queue/doctor_certificate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

/* Certificates in one file. */
#define CHAIN_MAX 20

/* ---- reading ------------------------------------------------------------------------------------------------------- */

static bool
chain_read(struct doctor_certificate *c, const char *path)
{
	FILE *file = fopen(path, "re");
	X509 *x;

	*c = (struct doctor_certificate){.path = path, .chain = sk_X509_new_null()};
	while (file != NULL && c->chain != NULL && sk_X509_num(c->chain) < CHAIN_MAX &&
	    (x = PEM_read_X509(file, NULL, NULL, NULL)) != NULL)
		if (sk_X509_push(c->chain, x) <= 0)
			X509_free(x);
	ERR_clear_error();
	if (file != NULL)
		(void)fclose(file);
	c->leaf = c->chain != NULL && sk_X509_num(c->chain) > 0 ? sk_X509_value(c->chain, 0) : NULL;
	return c->leaf != NULL;
}

/* Expired ones, and those that nearly are, the configuration's check has told of. */
static void
report_end(struct doctor *d, const struct doctor_certificate *c)
{
	int days = 0, seconds = 0;
	bool is_own_issuer = X509_NAME_cmp(X509_get_subject_name(c->leaf), X509_get_issuer_name(c->leaf)) == 0;

	if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(c->leaf)) == 1 && days >= 0 && seconds >= 0)
		doctor_find(d, DOCTOR_OK, "certificate", str_from(c->path), "is valid for another %d days", days);
	if (is_own_issuer) {
		doctor_find(d, DOCTOR_NOTE, "certificate-self-signed", str_from(c->path), "is signed by itself, so that mail programs "
		    "warn of it, and senders that go by MTA-STS do not deliver");
		doctor_advise(d, "Get one from an authority, unless this host is for yourself and DANE only");
	}
}

void
doctor_certificates_load(struct doctor_certificates *certificates, struct doctor *d)
{
	const struct conf *conf = d->conf;

	d->area = DOCTOR_CERTIFICATES;
	*certificates = (struct doctor_certificates){.list = calloc(conf->ncertificates + 1, sizeof *certificates->list)};
	for (size_t i = 0; certificates->list != NULL && i < conf->ncertificates; i++) {
		struct doctor_certificate *c = &certificates->list[certificates->n];

		if (chain_read(c, conf->certificates[i].certificate)) {
			report_end(d, c);
			certificates->n++;
		} else {
			sk_X509_pop_free(c->chain, X509_free);
		}
	}
}

void
doctor_certificates_clear(struct doctor_certificates *certificates)
{
	for (size_t i = 0; i < certificates->n; i++)
		sk_X509_pop_free(certificates->list[i].chain, X509_free);
	free(certificates->list);
	*certificates = (struct doctor_certificates){.n = 0};
}

bool
doctor_certificate_is_for(const struct doctor_certificate *certificate, const char *host)
{
	return X509_check_host(certificate->leaf, host, strlen(host), 0, NULL) == 1;
}

/* ---- TLSA ---------------------------------------------------------------------------------------------------------- */

/* What a record's association is made of; the caller frees. */
static int
selected_bytes(X509 *x, unsigned selector, unsigned char **der)
{
	*der = NULL;
	if (selector == 0)
		return i2d_X509(x, der);
	return selector == 1 ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), der) : -1;
}

static bool
association_make(X509 *x, unsigned selector, unsigned matching, struct buf *association)
{
	unsigned char *der, digest[EVP_MAX_MD_SIZE];
	int n = selected_bytes(x, selector, &der);
	unsigned length = 0;
	bool good = n > 0;

	if (good && matching == 0)
		buf_add(association, (struct str){(const char *)der, (size_t)n});
	else if (good)
		good = EVP_Digest(der, (size_t)n, digest, &length, matching == 1 ? EVP_sha256() : EVP_sha512(), NULL) == 1;
	if (good && matching != 0)
		buf_add(association, (struct str){(const char *)digest, length});
	OPENSSL_free(der);
	return good && buf_ok(association);
}

bool
doctor_certificate_digest(const struct doctor_certificate *certificate, char hex[65])
{
	struct buf association;
	bool good;

	buf_init(&association, EVP_MAX_MD_SIZE);
	good = association_make(certificate->leaf, 1, 1, &association) && association.n == 32;
	for (size_t i = 0; good && i < association.n; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", (unsigned char)association.p[i]);
	buf_clear(&association);
	return good;
}

static bool
matches_one(X509 *x, const struct doctor_tlsa *tlsa)
{
	struct buf association;
	bool good;

	buf_init(&association, 65536);
	good = association_make(x, tlsa->selector, tlsa->matching, &association) &&
	    str_equal(buf_str(&association), tlsa->association);
	buf_clear(&association);
	return good;
}

bool
doctor_certificate_matches(const struct doctor_certificate *certificate, const struct doctor_tlsa *tlsa)
{
	if (tlsa->matching > 2)
		return false;
	if (tlsa->usage == 3)
		return matches_one(certificate->leaf, tlsa);
	for (int i = 1; tlsa->usage == 2 && i < sk_X509_num(certificate->chain); i++)
		if (matches_one(sk_X509_value(certificate->chain, i), tlsa))
			return true;
	return false;
}
