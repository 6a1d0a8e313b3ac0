#include "common/tls/tls_peer.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "common/base/str.h"

#define EXPORTER_BYTES 32 /* RFC 9266 2 */

/* --- channel bindings ---------------------------------------------------------------------------------------------- */

static bool
exporter(SSL *ssl, unsigned char *out, size_t *n)
{
	static const char label[] = "EXPORTER-Channel-Binding";

	*n = EXPORTER_BYTES;
	return SSL_version(ssl) == TLS1_3_VERSION &&
	    SSL_export_keying_material(ssl, out, *n, label, sizeof label - 1, (const unsigned char *)"", 0, 1) == 1;
}

/* The first Finished message of the handshake: the client's, or in a resumed session the server's. Without an extended
 * master secret somebody between could make two connections whose values are equal. */
static bool
unique(SSL *ssl, unsigned char *out, size_t *n)
{
	bool client_first = SSL_session_reused(ssl) == 0, is_server = SSL_is_server(ssl) == 1;

	if (SSL_version(ssl) != TLS1_2_VERSION || SSL_get_extms_support(ssl) != 1)
		return false;
	*n = client_first == is_server ? SSL_get_peer_finished(ssl, out, TLS_BINDING_MAX)
				       : SSL_get_finished(ssl, out, TLS_BINDING_MAX);
	return *n > 0 && *n <= TLS_BINDING_MAX;
}

/* The hash of the certificate's signature, but at least SHA-256. None is defined for signatures without a hash. */
static const EVP_MD *
end_point_digest(X509 *certificate)
{
	int digest;

	if (X509_get_signature_info(certificate, &digest, NULL, NULL, NULL) != 1 || digest == NID_undef)
		return NULL;
	return digest == NID_md5 || digest == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(digest);
}

/* A resumed session has no Certificate message: which of several was shown at its beginning is not known any more. */
static bool
server_end_point(SSL *ssl, unsigned char *out, size_t *n)
{
	X509 *certificate = SSL_is_server(ssl) ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl);
	const EVP_MD *digest = certificate != NULL ? end_point_digest(certificate) : NULL;
	unsigned size = 0;

	if (digest == NULL || EVP_MD_get_size(digest) > TLS_BINDING_MAX || SSL_session_reused(ssl) == 1 ||
	    X509_digest(certificate, digest, out, &size) != 1)
		return false;
	*n = size;
	return true;
}

bool
tls_channel_binding(struct ssl_st *ssl, enum tls_binding binding, unsigned char out[TLS_BINDING_MAX], size_t *n)
{
	bool ok = false;

	*n = 0;
	switch (binding) {
	case TLS_BINDING_EXPORTER:
		ok = exporter(ssl, out, n);
		break;
	case TLS_BINDING_UNIQUE:
		ok = unique(ssl, out, n);
		break;
	case TLS_BINDING_SERVER_END_POINT:
		ok = server_end_point(ssl, out, n);
		break;
	}
	ERR_clear_error();
	return ok;
}

/* --- the client's certificate -------------------------------------------------------------------------------------- */

/* False for what is empty, too long, or holds anything but printable text: "a@satu.test\0@dua.test" is neither of both. */
static bool
name_copy(char dst[TLS_CLIENT_NAME_MAX + 1], struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f)
			return false;
	return name.n > 0 && str_copy(dst, TLS_CLIENT_NAME_MAX + 1, name);
}

static void
common_name_take(const X509_NAME *subject, char name[TLS_CLIENT_NAME_MAX + 1])
{
	int last = -1, next = X509_NAME_get_index_by_NID(subject, NID_commonName, -1), n;
	unsigned char *text = NULL;

	for (; next >= 0; next = X509_NAME_get_index_by_NID(subject, NID_commonName, next))
		last = next; /* the most specific one */
	if (last < 0)
		return;
	n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)));
	if (n < 0 || !name_copy(name, (struct str){(const char *)text, (size_t)n}))
		name[0] = '\0';
	OPENSSL_free(text);
}

static void
alternative_take(const GENERAL_NAME *alternative, struct tls_client *client)
{
	int type;
	const ASN1_IA5STRING *value = GENERAL_NAME_get0_value(alternative, &type);
	struct str name;

	if (type != GEN_EMAIL && type != GEN_DNS)
		return;
	name = (struct str){(const char *)ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)};
	if (type == GEN_EMAIL && client->nemails < TLS_CLIENT_NAMES_MAX && name_copy(client->emails[client->nemails], name))
		client->nemails++;
	if (type == GEN_DNS && client->ndomains < TLS_CLIENT_NAMES_MAX && name_copy(client->domains[client->ndomains], name))
		client->ndomains++;
}

static void
alternatives_take(X509 *certificate, struct tls_client *client)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++)
		alternative_take(sk_GENERAL_NAME_value(names, i), client);
	GENERAL_NAMES_free(names);
}

static bool
fingerprint_take(X509 *certificate, struct tls_client *client)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (X509_digest(certificate, EVP_sha256(), hash, &n) != 1 || n * 2 + 1 != sizeof client->fingerprint)
		return false;
	for (unsigned i = 0; i < n; i++) {
		client->fingerprint[2 * i] = digits[hash[i] >> 4];
		client->fingerprint[2 * i + 1] = digits[hash[i] & 15];
	}
	client->fingerprint[2 * n] = '\0';
	return true;
}

bool
tls_client_certificate(struct ssl_st *ssl, struct tls_client *client)
{
	X509 *certificate = SSL_is_server(ssl) ? SSL_get0_peer_certificate(ssl) : NULL;
	bool taken;

	memset(client, 0, sizeof *client);
	if (certificate == NULL)
		return false;
	client->is_verified = SSL_get_verify_result(ssl) == X509_V_OK;
	taken = fingerprint_take(certificate, client);
	if (client->is_verified) {
		common_name_take(X509_get_subject_name(certificate), client->subject);
		common_name_take(X509_get_issuer_name(certificate), client->issuer);
		alternatives_take(certificate, client);
	}
	ERR_clear_error();
	return taken;
}
