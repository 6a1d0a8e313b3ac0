#include "common/tls/tls_certificate.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/str.h"
#include "common/tls/tls.h"
#include "common/tls/tls_key.h"

#define NAME_MAX_BYTES 253 /* of a domain */
#define KEY_TYPES 2

struct certificate {
	X509 *leaf;
	STACK_OF(X509) *chain; /* what goes with it; may be NULL */
	EVP_PKEY *key;
};

struct name {
	char *text; /* in lower case; a wildcard is "*.example.org" */
	size_t certificate;
};

struct tls_certificates {
	struct certificate *list;
	size_t n;
	struct name *names; /* sorted by text, then by certificate */
	size_t nnames, names_room;
};

/* --- names --------------------------------------------------------------------------------------------------------- */

/* In lower case, without a dot at the end; false when it cannot be a domain's name. */
static bool
name_fold(char dst[NAME_MAX_BYTES + 1], struct str name)
{
	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || !str_copy(dst, NAME_MAX_BYTES + 1, name) || strlen(dst) != name.n)
		return false;
	for (size_t i = 0; i < name.n; i++)
		dst[i] = ascii_lower(dst[i]);
	return true;
}

static void
name_add(struct tls_certificates *certificates, size_t certificate, struct str name)
{
	char folded[NAME_MAX_BYTES + 1];
	struct name *names = certificates->names;

	if (!name_fold(folded, name))
		return;
	if (certificates->nnames == certificates->names_room) {
		certificates->names_room = 2 * certificates->names_room + 16;
		names = realloc(names, certificates->names_room * sizeof *names);
		if (names == NULL)
			fatal("out of memory for the names of certificates");
		certificates->names = names;
	}
	names[certificates->nnames] = (struct name){strdup(folded), certificate};
	if (names[certificates->nnames++].text == NULL)
		fatal("out of memory for the names of certificates");
}

static struct str
asn1_str(const ASN1_STRING *string)
{
	return (struct str){(const char *)ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string)};
}

static bool
alternatives_add(struct tls_certificates *certificates, size_t certificate)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificates->list[certificate].leaf, NID_subject_alt_name, NULL, NULL);
	size_t before = certificates->nnames;

	for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names) && i < TLS_CERTIFICATE_NAMES_MAX; i++) {
		int type;
		const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);

		if (type == GEN_DNS)
			name_add(certificates, certificate, asn1_str(value));
	}
	GENERAL_NAMES_free(names);
	return certificates->nnames > before;
}

/* The common name counts only where there are no others, as clients do it. */
static void
names_add(struct tls_certificates *certificates, size_t certificate)
{
	const X509_NAME *subject = X509_get_subject_name(certificates->list[certificate].leaf);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	if (!alternatives_add(certificates, certificate) && at >= 0)
		name_add(certificates, certificate, asn1_str(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))));
}

static int
name_compare(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	int order = strcmp(x->text, y->text);

	return order != 0 ? order : (x->certificate > y->certificate) - (x->certificate < y->certificate);
}

/* The first that has this name; the others follow it. */
static const struct name *
name_find(const struct tls_certificates *certificates, const char *text)
{
	size_t low = 0, high = certificates->nnames;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(certificates->names[middle].text, text) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < certificates->nnames && strcmp(certificates->names[low].text, text) == 0 ? &certificates->names[low] : NULL;
}

/* --- choosing ------------------------------------------------------------------------------------------------------ */

struct choice {
	const struct certificate *list[KEY_TYPES];
	size_t n;
};

static void
choice_add(struct choice *choice, const struct certificate *certificate)
{
	for (size_t i = 0; i < choice->n; i++)
		if (EVP_PKEY_get_base_id(choice->list[i]->key) == EVP_PKEY_get_base_id(certificate->key))
			return;
	if (choice->n < KEY_TYPES)
		choice->list[choice->n++] = certificate;
}

static void
choice_add_named(struct choice *choice, const struct tls_certificates *certificates, const char *text)
{
	const struct name *end = certificates->names + certificates->nnames;

	for (const struct name *name = name_find(certificates, text);
	     name != NULL && name < end && strcmp(name->text, text) == 0; name++)
		choice_add(choice, &certificates->list[name->certificate]);
}

static void
choose(const struct tls_certificates *certificates, const char *name, struct choice *choice)
{
	char folded[NAME_MAX_BYTES + 1], wildcard[NAME_MAX_BYTES + 2];
	struct str rest;

	if (!name_fold(folded, str_from(name)))
		return;
	choice_add_named(choice, certificates, folded);
	rest = str_skip(str_from(folded), str_find(str_from(folded), '.'));
	if (choice->n > 0 || rest.n < 2)
		return;
	wildcard[0] = '*';
	(void)str_copy(wildcard + 1, sizeof wildcard - 1, rest);
	choice_add_named(choice, certificates, wildcard);
}

bool
tls_certificates_use(const struct tls_certificates *certificates, struct ssl_st *ssl, const char *name)
{
	struct choice choice = {.n = 0};

	choose(certificates, name, &choice);
	if (choice.n == 0)
		return true;
	SSL_certs_clear(ssl);
	for (size_t i = 0; i < choice.n; i++)
		if (SSL_use_cert_and_key(ssl, choice.list[i]->leaf, choice.list[i]->key, choice.list[i]->chain, 1) != 1)
			return false;
	return true;
}

bool
tls_certificates_use_default(const struct tls_certificates *certificates, struct ssl_ctx_st *context, struct err *err)
{
	struct choice choice = {.n = 0};

	choice_add(&choice, &certificates->list[0]);
	for (size_t i = 0; i < certificates->nnames; i++)
		if (certificates->names[i].certificate == 0)
			choice_add_named(&choice, certificates, certificates->names[i].text);
	for (size_t i = 0; i < choice.n; i++)
		if (SSL_CTX_use_cert_and_key(context, choice.list[i]->leaf, choice.list[i]->key, choice.list[i]->chain, 1) != 1)
			return tls_error(err, "cannot use the certificate");
	return true;
}

/* --- loading ------------------------------------------------------------------------------------------------------- */

/* OpenSSL reads chains into contexts only, and checks there whether they may be used at all. */
static bool
certificate_load(struct certificate *certificate, const char *path, struct tls_signer *signer, uint32_t number,
    struct err *err)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	STACK_OF(X509) *chain = NULL;
	bool ok = false;

	if (context == NULL || SSL_CTX_use_certificate_chain_file(context, path) != 1) {
		(void)tls_error(err, path);
		goto out;
	}
	certificate->leaf = SSL_CTX_get0_certificate(context);
	certificate->key = tls_signer_key(signer, number, X509_get0_pubkey(certificate->leaf));
	(void)X509_up_ref(certificate->leaf);
	if (SSL_CTX_get0_chain_certs(context, &chain) == 1 && chain != NULL)
		certificate->chain = X509_chain_up_ref(chain);
	if (certificate->key == NULL)
		(void)err_set(err, ERR_PERM, "%s: the certificate's key is neither RSA nor EC", path);
	else if (SSL_CTX_use_cert_and_key(context, certificate->leaf, certificate->key, certificate->chain, 1) != 1)
		(void)tls_error(err, path);
	else
		ok = true;
out:
	SSL_CTX_free(context);
	return ok;
}

struct tls_certificates *
tls_certificates_load(const char *const *paths, size_t n, struct tls_signer *signer, struct err *err)
{
	struct tls_certificates *certificates = calloc(1, sizeof *certificates);

	if (certificates == NULL || (certificates->list = calloc(n, sizeof *certificates->list)) == NULL)
		fatal("out of memory for %zu certificates", n);
	for (size_t i = 0; i < n; i++) {
		certificates->n++;
		if (!certificate_load(&certificates->list[i], paths[i], signer, (uint32_t)i, err)) {
			tls_certificates_free(certificates);
			return NULL;
		}
		names_add(certificates, i);
	}
	if (certificates->nnames > 0)
		qsort(certificates->names, certificates->nnames, sizeof *certificates->names, name_compare);
	return certificates;
}

void
tls_certificates_free(struct tls_certificates *certificates)
{
	if (certificates == NULL)
		return;
	for (size_t i = 0; i < certificates->n; i++) {
		X509_free(certificates->list[i].leaf);
		sk_X509_pop_free(certificates->list[i].chain, X509_free);
		EVP_PKEY_free(certificates->list[i].key);
	}
	for (size_t i = 0; i < certificates->nnames; i++)
		free(certificates->names[i].text);
	free(certificates->names);
	free(certificates->list);
	free(certificates);
}
