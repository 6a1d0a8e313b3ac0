/*
 * TLS with the private key elsewhere: a stream as the server, OpenSSL itself as the client in a thread of its own, the
 * key process as another thread.
 */
#include "tests/unit/rows.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/net/stream.h"
#include "common/tls/tls.h"
#include "common/tls/tls_certificate.h"
#include "common/tls/tls_key.h"
#include "common/tls/tls_key_request.h"
#include "common/tls/tls_ticket.h"

#define ASK_SIZE(n) TLS_KEY_REQUEST_SIZE((size_t)(n))

#define FILES_MAX 8

static char directory[] = "/tmp/mtlsXXXXXX";
static char certificate_paths[FILES_MAX][64], key_paths[FILES_MAX][64];
static size_t nwritten;

/* --- a key and a self-signed certificate, in files ------------------------------------------------------------------ */

static EVP_PKEY *
new_key(const char *type)
{
	if (strncmp(type, "RSA", 3) == 0)
		return EVP_RSA_gen((unsigned)strtoul(type + 3, NULL, 10));
	if (strcmp(type, "ED25519") == 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, type);
	return EVP_EC_gen(type);
}

static X509 *
new_certificate(EVP_PKEY *key, const char *name, const char *alternatives)
{
	X509 *x = X509_new();
	X509_EXTENSION *extension;

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_set_pubkey(x, key);
	if (alternatives != NULL) {
		extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alternatives);
		assert_non_null(extension);
		X509_add_ext(x, extension, -1);
		X509_EXTENSION_free(extension);
	}
	return x;
}

static void
write_pem(const char *path, X509 *x, EVP_PKEY *key)
{
	FILE *f = fopen(path, "w");

	assert_true(x == NULL || PEM_write_X509(f, x) == 1);
	assert_true(key == NULL || PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1);
	fclose(f);
}

struct wanted {
	const char *key, *alternatives; /* NULL: the common name satu.test alone */
};

static void
write_certificates(const struct wanted *wanted, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		EVP_PKEY *key = new_key(wanted[i].key);
		X509 *x = new_certificate(key, "satu.test", wanted[i].alternatives);

		assert_true(X509_sign(x, key, strcmp(wanted[i].key, "ED25519") == 0 ? NULL : EVP_sha256()) > 0);
		snprintf(certificate_paths[i], sizeof certificate_paths[i], "%s/c%zu.pem", directory, i);
		snprintf(key_paths[i], sizeof key_paths[i], "%s/k%zu.pem", directory, i);
		write_pem(certificate_paths[i], x, NULL);
		write_pem(key_paths[i], NULL, key);
		X509_free(x);
		EVP_PKEY_free(key);
	}
	nwritten = n;
}

static void
write_files(const char *type)
{
	const struct wanted wanted = {type, NULL};

	write_certificates(&wanted, 1);
}

/* --- the key process ------------------------------------------------------------------------------------------------ */

struct keeper {
	pthread_t thread;
	int fds[2];
	struct tls_keys *keys;
};

static void *
keeper_main(void *argument)
{
	struct keeper *keeper = argument;
	struct pollfd pollfd = {.fd = keeper->fds[1], .events = POLLIN};

	while (poll(&pollfd, 1, -1) == 1 && tls_keys_answer(keeper->keys, keeper->fds[1]))
		;
	return NULL;
}

static void
keeper_start(struct keeper *keeper)
{
	const char *paths[FILES_MAX];
	struct err err = {0};

	for (size_t i = 0; i < nwritten; i++)
		paths[i] = key_paths[i];
	keeper->keys = tls_keys_load(paths, nwritten, &err);
	if (keeper->keys == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, keeper->fds), 0);
	assert_int_equal(pthread_create(&keeper->thread, NULL, keeper_main, keeper), 0);
}

static void
keeper_end(struct keeper *keeper)
{
	close(keeper->fds[0]);
	pthread_join(keeper->thread, NULL);
	close(keeper->fds[1]);
	tls_keys_free(keeper->keys);
}

/* --- a process with its certificates -------------------------------------------------------------------------------- */

struct site {
	struct keeper keeper;
	struct tls_signer *signer;
	struct tls_certificates *certificates;
	struct tls_ticket_secret tickets;
};

/* With what write_files or write_certificates made. */
static void
site_open(struct site *site)
{
	const char *paths[FILES_MAX];
	struct err err = {0};

	for (size_t i = 0; i < nwritten; i++)
		paths[i] = certificate_paths[i];
	keeper_start(&site->keeper);
	site->signer = tls_signer_new(site->keeper.fds[0]);
	site->certificates = tls_certificates_load(paths, nwritten, site->signer, &err);
	if (site->certificates == NULL)
		fail_msg("%s", err.text);
	tls_ticket_secret_make(&site->tickets, tls_clock_s());
}

static struct tls_context *
site_listener(struct site *site, const char *name, enum tls_client_mode mode, const char *ca)
{
	const struct tls_server_spec spec = {.listener = name, .certificates = site->certificates, .tickets = &site->tickets,
	    .client_mode = mode, .client_ca = ca};
	struct err err = {0};
	struct tls_context *context = tls_server_new(&spec, &err);

	if (context == NULL)
		fail_msg("%s", err.text);
	return context;
}

static void
site_close(struct site *site)
{
	tls_certificates_free(site->certificates);
	tls_signer_free(site->signer);
	keeper_end(&site->keeper);
}

/* --- the client ----------------------------------------------------------------------------------------------------- */

struct client {
	pthread_t thread;
	SSL_CTX *context;
	SSL_SESSION *resume, *session;
	int fd;
	bool shaken, resumed;
	char got[64];
	unsigned char exporter[32], finished[TLS_BINDING_MAX], end_point[TLS_BINDING_MAX];
	size_t nfinished, nend_point;
	bool asks; /* for `name`; else for mx.satu.test */
	const char *name;
	char shown[64]; /* the first name in the certificate that it got */
	int shown_type;
	const char *send;
	const char *plain; /* sent after close_notify; NULL: nothing, and the server is to finish */
};

/* The channel bindings as the other side sees them, by OpenSSL alone. */
static void
client_bindings(struct client *client, SSL *ssl)
{
	unsigned n = 0;

	(void)SSL_export_keying_material(ssl, client->exporter, sizeof client->exporter, "EXPORTER-Channel-Binding", 24, NULL, 0,
	    0);
	client->nfinished = client->resumed ? SSL_get_peer_finished(ssl, client->finished, sizeof client->finished)
					    : SSL_get_finished(ssl, client->finished, sizeof client->finished);
	(void)X509_digest(SSL_get0_peer_certificate(ssl), EVP_sha256(), client->end_point, &n);
	client->nend_point = n;
}

static void
client_look(struct client *client, X509 *certificate)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

	client->shown_type = EVP_PKEY_get_base_id(X509_get0_pubkey(certificate));
	if (names != NULL)
		snprintf(client->shown, sizeof client->shown, "%s",
		    (const char *)ASN1_STRING_get0_data(sk_GENERAL_NAME_value(names, 0)->d.dNSName));
	GENERAL_NAMES_free(names);
}

/* OpenSSL's macro casts the const away. */
static void
client_ask_for(SSL *ssl, const char *wanted)
{
	char name[64];

	(void)snprintf(name, sizeof name, "%s", wanted);
	SSL_set_tlsext_host_name(ssl, name);
}

static void *
client_main(void *argument)
{
	struct client *client = argument;
	SSL *ssl = SSL_new(client->context);
	size_t n = 0;
	int got;

	SSL_set_fd(ssl, client->fd);
	if (client->resume != NULL)
		SSL_set_session(ssl, client->resume);
	if (!client->asks || client->name != NULL)
		client_ask_for(ssl, client->asks ? client->name : "mx.satu.test");
	client->shaken = SSL_connect(ssl) == 1;
	if (client->shaken) {
		client->resumed = SSL_session_reused(ssl) == 1;
		client_bindings(client, ssl);
		client_look(client, SSL_get0_peer_certificate(ssl));
		SSL_write(ssl, client->send, (int)strlen(client->send));
		if (client->plain != NULL) {
			SSL_shutdown(ssl);
			(void)!write(client->fd, client->plain, strlen(client->plain));
			shutdown(client->fd, SHUT_WR);
		}
		while ((got = SSL_read(ssl, client->got + n, (int)(sizeof client->got - 1 - n))) > 0)
			n += (size_t)got;
		client->session = SSL_get1_session(ssl);
		SSL_shutdown(ssl);
	}
	SSL_free(ssl);
	close(client->fd);
	return NULL;
}

/* --- the server: answers each line with itself, in brackets, and closes after one ----------------------------------- */

struct server {
	struct stream stream;
	struct loop *loop;
	bool secured, closed, keeps_open;
	enum stream_end why;
	char version[16], got[64], name[64];
	bool has[TLS_BINDING_SERVER_END_POINT + 1];
	unsigned char bindings[TLS_BINDING_SERVER_END_POINT + 1][TLS_BINDING_MAX];
	size_t nbindings[TLS_BINDING_SERVER_END_POINT + 1];
	struct tls_client client;
	bool knows_client;
};

static void
server_input(struct stream *stream)
{
	struct server *server = container_of(stream, struct server, stream);
	struct str in = buf_str(&stream->in);

	if (server->keeps_open) {
		strncat(server->got, in.p, in.n);
		buf_consume(&stream->in, in.n);
		return;
	}
	if (str_find(in, '\n') == in.n)
		return;
	buf_addf(&stream->out, "<%.*s>", STR_FMT(str_trim(in)));
	buf_consume(&stream->in, in.n);
	stream_finish(stream);
}

static void
server_secured(struct stream *stream)
{
	struct server *server = container_of(stream, struct server, stream);

	server->secured = true;
	snprintf(server->version, sizeof server->version, "%s", stream_tls_version(stream));
	snprintf(server->name, sizeof server->name, "%s", stream_tls_server_name(stream));
	server->knows_client = stream_tls_client(stream, &server->client);
	for (unsigned i = 0; i <= TLS_BINDING_SERVER_END_POINT; i++)
		server->has[i] =
		    stream_tls_channel_binding(stream, (enum tls_binding)i, server->bindings[i], &server->nbindings[i]);
}

static void
server_closed(struct stream *stream, enum stream_end why, const struct err *err)
{
	struct server *server = container_of(stream, struct server, stream);

	(void)err;
	server->why = why;
	server->closed = true;
	loop_stop(server->loop);
}

static const struct stream_events server_events = {
    .input = server_input, .secured = server_secured, .closed = server_closed};
static const struct stream_limits limits = {.in_max = 4096, .out_max = 4096};

static void
serve(struct server *server, struct tls_context *context, struct client *client)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	*server = (struct server){.loop = loop_new(), .keeps_open = client->plain != NULL};
	client->fd = fds[1];
	client->send = "halo\n";
	assert_int_equal(pthread_create(&client->thread, NULL, client_main, client), 0);
	stream_open(&server->stream, server->loop, fds[0], &server_events, &limits);
	stream_set_deadline(&server->stream, 20000);
	assert_true(stream_start_tls(&server->stream, context, NULL));
	loop_run(server->loop);
	pthread_join(client->thread, NULL);
	loop_free(server->loop);
}

/* --- tests ---------------------------------------------------------------------------------------------------------- */

static const struct row {
	const char *key;
	int version;
	const char *signature_algorithms; /* NULL: OpenSSL's own choice */
	bool works;
} rows[] = {
    {"RSA2048", TLS1_3_VERSION, NULL, true},
    {"RSA2048", TLS1_3_VERSION, "rsa_pss_rsae_sha256", true},
    {"RSA2048", TLS1_3_VERSION, "rsa_pss_rsae_sha384", true},
    {"RSA2048", TLS1_3_VERSION, "rsa_pss_rsae_sha512", true},
    {"RSA2048", TLS1_2_VERSION, NULL, true},
    {"RSA2048", TLS1_2_VERSION, "rsa_pkcs1_sha256", true},
    {"RSA2048", TLS1_2_VERSION, "rsa_pkcs1_sha384", true},
    {"RSA2048", TLS1_2_VERSION, "rsa_pkcs1_sha512", true},
    {"RSA2048", TLS1_1_VERSION, NULL, false}, /* below the floor */
    {"RSA2049", TLS1_3_VERSION, NULL, true},  /* the PSS block is one byte shorter than the modulus */
    {"RSA4096", TLS1_3_VERSION, NULL, true},
    {"P-256", TLS1_3_VERSION, NULL, true},
    {"P-256", TLS1_2_VERSION, NULL, true},
    {"P-384", TLS1_3_VERSION, NULL, true},
    {"P-384", TLS1_2_VERSION, NULL, true},
};

static void
run_row(const struct row *row)
{
	struct site site;
	struct server server;
	struct client client = {.context = SSL_CTX_new(TLS_client_method())};
	struct tls_context *context;
	char algorithms[64];

	write_files(row->key);
	site_open(&site);
	context = site_listener(&site, "mx", TLS_CLIENT_NONE, NULL);
	SSL_CTX_set_min_proto_version(client.context, row->version);
	SSL_CTX_set_max_proto_version(client.context, row->version);
	SSL_CTX_set_security_level(client.context, 0);
	if (row->signature_algorithms != NULL) {
		/* OpenSSL's macro casts the const away. */
		(void)snprintf(algorithms, sizeof algorithms, "%s", row->signature_algorithms);
		assert_int_equal(SSL_CTX_set1_sigalgs_list(client.context, algorithms), 1);
	}
	serve(&server, context, &client);
	if (client.shaken != row->works)
		fail_msg("%s, version %x, %s", row->key, (unsigned)row->version, row->signature_algorithms);
	assert_int_equal(server.secured, row->works);
	if (row->works) {
		assert_string_equal(client.got, "<halo>");
		assert_string_equal(server.version, row->version == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2");
	}
	SSL_SESSION_free(client.session);
	SSL_CTX_free(client.context);
	tls_free(context);
	site_close(&site);
}

static void
a_handshake_is_signed_by_the_key_process(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		run_row(&rows[i]);
}

static void
a_ticket_is_good_for_its_own_listener_only(void **state)
{
	struct site site;
	struct server server;
	struct client client = {.context = SSL_CTX_new(TLS_client_method())};
	struct tls_context *mx, *submission;

	(void)state;
	write_files("P-256");
	site_open(&site);
	mx = site_listener(&site, "mx", TLS_CLIENT_NONE, NULL);
	submission = site_listener(&site, "submission", TLS_CLIENT_NONE, NULL);
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		SSL_SESSION *session;

		SSL_CTX_set_max_proto_version(client.context, version);
		client.resume = NULL;
		serve(&server, mx, &client);
		assert_false(client.resumed);
		session = client.resume = client.session;
		serve(&server, mx, &client);
		assert_true(client.resumed);
		SSL_SESSION_free(client.session);
		client.resume = session;
		serve(&server, submission, &client);
		assert_true(client.shaken);
		assert_false(client.resumed);
		SSL_SESSION_free(client.session);
		SSL_SESSION_free(session);
	}
	SSL_CTX_free(client.context);
	tls_free(mx);
	tls_free(submission);
	site_close(&site);
}

static void
assert_binding(const struct server *server, enum tls_binding binding, const unsigned char *expected, size_t n)
{
	assert_int_equal(server->has[binding], expected != NULL);
	if (expected == NULL)
		return;
	assert_int_equal(server->nbindings[binding], n);
	assert_memory_equal(server->bindings[binding], expected, n);
}

/* Twice in each version: a full handshake, and a resumed one. */
static void
both_sides_have_the_same_channel_bindings(void **state)
{
	struct site site;
	struct server server;
	struct client client = {.context = SSL_CTX_new(TLS_client_method())};
	struct tls_context *context;

	(void)state;
	write_files("P-256");
	site_open(&site);
	context = site_listener(&site, "mx", TLS_CLIENT_NONE, NULL);
	for (int i = 0; i < 4; i++) {
		bool is_12 = i < 2, again = i % 2 == 1;
		SSL_SESSION *session = again ? client.session : NULL;

		SSL_CTX_set_max_proto_version(client.context, is_12 ? TLS1_2_VERSION : TLS1_3_VERSION);
		client.resume = session;
		serve(&server, context, &client);
		assert_int_equal(client.resumed, again);
		assert_string_equal(server.name, "mx.satu.test");
		assert_binding(&server, TLS_BINDING_EXPORTER, is_12 ? NULL : client.exporter, 32);
		assert_binding(&server, TLS_BINDING_UNIQUE, is_12 ? client.finished : NULL, client.nfinished);
		assert_binding(&server, TLS_BINDING_SERVER_END_POINT, again ? NULL : client.end_point, client.nend_point);
		if (again)
			SSL_SESSION_free(client.session);
		SSL_SESSION_free(session);
	}
	SSL_CTX_free(client.context);
	tls_free(context);
	site_close(&site);
}

/* RFC 7627: without it two connections with somebody between can have equal values. */
static void
without_an_extended_master_secret_there_is_no_tls_unique(void **state)
{
	struct site site;
	struct server server;
	struct client client = {.context = SSL_CTX_new(TLS_client_method())};
	struct tls_context *context;

	(void)state;
	write_files("P-256");
	site_open(&site);
	context = site_listener(&site, "mx", TLS_CLIENT_NONE, NULL);
	SSL_CTX_set_max_proto_version(client.context, TLS1_2_VERSION);
	SSL_CTX_set_options(client.context, SSL_OP_NO_EXTENDED_MASTER_SECRET);
	serve(&server, context, &client);
	assert_true(client.shaken);
	assert_false(server.has[TLS_BINDING_UNIQUE]);
	assert_false(server.has[TLS_BINDING_EXPORTER]);
	assert_true(server.has[TLS_BINDING_SERVER_END_POINT]);
	SSL_SESSION_free(client.session);
	SSL_CTX_free(client.context);
	tls_free(context);
	site_close(&site);
}

static void
without_a_key_process_the_handshake_fails_and_nothing_else(void **state)
{
	struct site site;
	struct server server;
	struct client client = {.context = SSL_CTX_new(TLS_client_method())};
	struct tls_context *context;

	(void)state;
	write_files("RSA2048");
	site_open(&site);
	context = site_listener(&site, "mx", TLS_CLIENT_NONE, NULL);
	shutdown(site.keeper.fds[0], SHUT_RDWR);
	serve(&server, context, &client);
	assert_false(client.shaken);
	assert_true(server.closed);
	SSL_CTX_free(client.context);
	tls_free(context);
	site_close(&site);
}

static void
after_tls_ends_no_plain_byte_is_read(void **state)
{
	struct site site;
	struct server server;
	struct client client = {.context = SSL_CTX_new(TLS_client_method()), .plain = "MAIL FROM:<>\r\n"};
	struct tls_context *context;

	(void)state;
	write_files("P-256");
	site_open(&site);
	context = site_listener(&site, "mx", TLS_CLIENT_NONE, NULL);
	serve(&server, context, &client);
	assert_true(client.shaken);
	assert_string_equal(server.got, "halo\n");
	assert_int_equal(server.why, STREAM_EOF);
	SSL_SESSION_free(client.session);
	SSL_CTX_free(client.context);
	tls_free(context);
	site_close(&site);
}

/* --- STARTTLS between two streams, begun by both from inside a callback ---------------------------------------------- */

struct side {
	struct stream stream;
	struct tls_context *context;
	unsigned secured;
	bool is_client, closed;
	char said[64];
};

static void
side_input(struct stream *stream)
{
	struct side *side = container_of(stream, struct side, stream);

	strncat(side->said, stream->in.p, stream->in.n);
	buf_consume(&stream->in, stream->in.n);
	if (stream_is_tls(stream)) {
		if (!side->is_client)
			buf_adds(&stream->out, "250 halo\r\n");
		stream_finish(stream);
		return;
	}
	if (!side->is_client)
		buf_adds(&stream->out, "220 go\r\n");
	assert_true(stream_start_tls(stream, side->context, side->is_client ? "satu.test" : NULL));
}

static void
side_secured(struct stream *stream)
{
	struct side *side = container_of(stream, struct side, stream);

	side->secured++;
	if (side->is_client)
		buf_adds(&stream->out, "EHLO\r\n");
}

static void
side_closed(struct stream *stream, enum stream_end why, const struct err *err)
{
	if (err != NULL)
		fail_msg("%s", err->text);
	assert_int_not_equal(why, STREAM_DEADLINE);
	container_of(stream, struct side, stream)->closed = true;
}

static const struct stream_events side_events = {.input = side_input, .secured = side_secured, .closed = side_closed};

static void
starttls_may_be_begun_from_inside_a_callback(void **state)
{
	struct site site;
	struct side server = {0}, client = {.is_client = true};
	struct loop *loop = loop_new();
	int fds[2];

	(void)state;
	write_files("RSA2048");
	site_open(&site);
	server.context = site_listener(&site, "mx", TLS_CLIENT_NONE, NULL);
	client.context = tls_client_new(NULL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	stream_open(&server.stream, loop, fds[0], &side_events, &limits);
	stream_open(&client.stream, loop, fds[1], &side_events, &limits);
	buf_adds(&client.stream.out, "STARTTLS\r\n");
	stream_flush(&client.stream);
	for (int i = 0; i < 100 && !(server.closed && client.closed); i++)
		loop_once(loop, 100);
	assert_true(server.closed && client.closed);
	assert_int_equal(server.secured, 1);
	assert_int_equal(client.secured, 1);
	assert_string_equal(server.said, "STARTTLS\r\nEHLO\r\n");
	assert_string_equal(client.said, "220 go\r\n250 halo\r\n");
	tls_free(server.context);
	tls_free(client.context);
	site_close(&site);
	loop_free(loop);
}

/* Sends a request as it stands, and returns the length of the signature that comes. */
static size_t
raw(struct keeper *keeper, const struct tls_key_request *request, size_t size)
{
	struct tls_key_answer answer = {.n = 99};

	assert_int_equal(send(keeper->fds[0], request, size, 0), size);
	assert_true(recv(keeper->fds[0], &answer, sizeof answer, 0) >= (ssize_t)TLS_KEY_ANSWER_SIZE(0));
	return answer.n;
}

static void
the_key_process_refuses_what_is_not_a_signature(void **state)
{
	struct keeper keeper;
	struct tls_key_request request = {.kind = TLS_KEY_RSA_PKCS1, .digest = NID_sha256, .n = 32};

	(void)state;
	write_files("RSA2048");
	keeper_start(&keeper);
	assert_int_equal(raw(&keeper, &request, ASK_SIZE(32)), 256);
	assert_int_equal(raw(&keeper, &request, ASK_SIZE(31)), 0); /* says 32, is 31 */
	assert_int_equal(raw(&keeper, &request, 3), 0);
	request.digest = NID_sha1;
	assert_int_equal(raw(&keeper, &request, ASK_SIZE(32)), 0);
	request.digest = NID_sha512;
	assert_int_equal(raw(&keeper, &request, ASK_SIZE(32)), 0);
	request.kind = TLS_KEY_EC;
	assert_int_equal(raw(&keeper, &request, ASK_SIZE(32)), 0);
	request.kind = 77;
	assert_int_equal(raw(&keeper, &request, ASK_SIZE(32)), 0);
	/* a block that is no PSS encoding, such as a recorded ciphertext */
	request.kind = TLS_KEY_RSA_PSS;
	request.n = 256;
	for (unsigned i = 0; i < 256; i++)
		request.bytes[i] = (unsigned char)(i / 2);
	assert_int_equal(raw(&keeper, &request, ASK_SIZE(256)), 0);
	request.bytes[255] = 0xbc;
	assert_int_equal(raw(&keeper, &request, ASK_SIZE(256)), 0);
	keeper_end(&keeper);
}

static void
a_late_answer_to_another_request_is_passed_over(void **state)
{
	struct keeper keeper;
	struct tls_key_answer stale = {.number = 4711, .n = 4};
	struct tls_signer *signer;
	EVP_PKEY *key, *public_key;
	EVP_PKEY_CTX *context;
	unsigned char digest[32] = {1}, signature[256];
	size_t n = sizeof signature;
	FILE *f;

	(void)state;
	write_files("P-256");
	keeper_start(&keeper);
	assert_true(send(keeper.fds[1], &stale, TLS_KEY_ANSWER_SIZE(4), 0) > 0);
	f = fopen(key_paths[0], "r");
	public_key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	signer = tls_signer_new(keeper.fds[0]);
	key = tls_signer_key(signer, 0, public_key);
	context = EVP_PKEY_CTX_new(key, NULL);
	assert_int_equal(EVP_PKEY_sign_init(context), 1);
	assert_int_equal(EVP_PKEY_sign(context, signature, &n, digest, sizeof digest), 1);
	EVP_PKEY_CTX_free(context);
	context = EVP_PKEY_CTX_new(public_key, NULL);
	assert_int_equal(EVP_PKEY_verify_init(context), 1);
	assert_int_equal(EVP_PKEY_verify(context, signature, n, digest, sizeof digest), 1);
	EVP_PKEY_CTX_free(context);
	EVP_PKEY_free(key);
	EVP_PKEY_free(public_key);
	tls_signer_free(signer);
	keeper_end(&keeper);
}

static bool
key_loads(const char *path, struct err *err)
{
	struct tls_keys *keys = tls_keys_load(&path, 1, err);

	tls_keys_free(keys);
	return keys != NULL;
}

static void
unusable_files_say_what_is_wrong(void **state)
{
	const char *path = certificate_paths[0];
	struct err err = {0};

	(void)state;
	assert_false(key_loads("/tmp/nowhere.pem", &err));
	assert_non_null(strstr(err.text, "/tmp/nowhere.pem"));
	write_files("RSA1024");
	assert_false(key_loads(key_paths[0], &err));
	assert_non_null(strstr(err.text, "1024 bits"));
	write_files("ED25519");
	assert_false(key_loads(key_paths[0], &err));
	assert_non_null(strstr(err.text, "neither"));
	assert_null(tls_certificates_load(&path, 1, NULL, &err));
	assert_non_null(strstr(err.text, "neither"));
	path = key_paths[0];
	assert_null(tls_certificates_load(&path, 1, NULL, &err)); /* no certificate in it */
}

/* --- several certificates ------------------------------------------------------------------------------------------- */

static void
a_client_is_shown_the_certificate_for_the_name_it_asks_for(void **state)
{
	static const struct wanted wanted[] = {
	    {"P-256", "DNS:satu.test"},
	    {"P-256", "DNS:dua.test,DNS:mx.DUA.test"},
	    {"P-256", "DNS:*.tiga.test"},
	    {"P-256", "DNS:imap.tiga.test"},
	    {"RSA2048", "DNS:satu.test"},
	    {"RSA2048", "DNS:dua.test,DNS:tiga.test"},
	};
	static const struct {
		const char *name; /* NULL: none */
		const char *algorithms;
		const char *shown; /* the alternatives of that certificate */
		int type;
	} asked[] = {
	    {NULL, "ECDSA+SHA256", "satu.test", EVP_PKEY_EC},
	    {NULL, "RSA-PSS+SHA256", "satu.test", EVP_PKEY_RSA},
	    {"satu.test", "ECDSA+SHA256:RSA-PSS+SHA256", "satu.test", EVP_PKEY_EC},
	    {"satu.test", "RSA-PSS+SHA256", "satu.test", EVP_PKEY_RSA},
	    {"unknown.test", "ECDSA+SHA256", "satu.test", EVP_PKEY_EC},
	    {"dua.test", "ECDSA+SHA256", "dua.test", EVP_PKEY_EC},
	    {"dua.test", "RSA-PSS+SHA256", "dua.test", EVP_PKEY_RSA},
	    {"MX.dua.test", "ECDSA+SHA256", "dua.test", EVP_PKEY_EC},
	    {"pop.tiga.test", "ECDSA+SHA256", "*.tiga.test", EVP_PKEY_EC},
	    {"imap.tiga.test", "ECDSA+SHA256", "imap.tiga.test", EVP_PKEY_EC}, /* said in full goes first */
	    {"tiga.test", "RSA-PSS+SHA256", "dua.test", EVP_PKEY_RSA},	       /* the wildcard is not for it */
	    {"a.b.tiga.test", "ECDSA+SHA256", "satu.test", EVP_PKEY_EC},       /* nor for two labels */
	    {"*.tiga.test", "ECDSA+SHA256", "*.tiga.test", EVP_PKEY_EC},
	};
	struct site site;
	struct tls_context *context;

	(void)state;
	write_certificates(wanted, ROWS(wanted));
	site_open(&site);
	context = site_listener(&site, "mx", TLS_CLIENT_NONE, NULL);
	for (size_t i = 0; i < ROWS(asked); i++) {
		struct client client = {.context = SSL_CTX_new(TLS_client_method()), .asks = true, .name = asked[i].name};
		char algorithms[64];
		struct server server;

		(void)snprintf(algorithms, sizeof algorithms, "%s", asked[i].algorithms);
		assert_int_equal(SSL_CTX_set1_sigalgs_list(client.context, algorithms), 1);
		SSL_CTX_set_max_proto_version(client.context, i % 2 == 0 ? TLS1_3_VERSION : TLS1_2_VERSION);
		serve(&server, context, &client);
		if (!client.shaken || strcmp(client.shown, asked[i].shown) != 0 || client.shown_type != asked[i].type)
			fail_msg("%s: %s instead of %s", asked[i].name, client.shown, asked[i].shown);
		SSL_SESSION_free(client.session);
		SSL_CTX_free(client.context);
	}
	tls_free(context);
	site_close(&site);
}

/* --- tickets -------------------------------------------------------------------------------------------------------- */

static void
a_client_may_come_back_to_another_worker(void **state)
{
	struct site site;
	struct tls_context *worker, *other;

	(void)state;
	write_files("P-256");
	site_open(&site);
	worker = site_listener(&site, "mx", TLS_CLIENT_NONE, NULL);
	other = site_listener(&site, "mx", TLS_CLIENT_NONE, NULL);
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct client client = {.context = SSL_CTX_new(TLS_client_method())};
		struct server server;

		SSL_CTX_set_max_proto_version(client.context, version);
		serve(&server, worker, &client);
		client.resume = client.session;
		serve(&server, other, &client);
		assert_true(client.resumed);
		assert_string_equal(server.name, "mx.satu.test");
		SSL_SESSION_free(client.session);
		SSL_SESSION_free(client.resume);
		SSL_CTX_free(client.context);
	}
	tls_free(worker);
	tls_free(other);
	site_close(&site);
}

/* Time goes on for the keys, by turns of the secret, and stands still for the rest. */
static void
a_ticket_lives_as_long_as_its_key_and_the_next(void **state)
{
	struct site site;
	struct client client = {.context = SSL_CTX_new(TLS_client_method())};
	struct server server;
	struct tls_context *context;
	uint64_t period;
	SSL_SESSION *session = NULL;

	(void)state;
	write_files("P-256");
	site_open(&site);
	period = site.tickets.period;
	for (unsigned turns = 0; turns < 3; turns++) {
		tls_ticket_secret_advance(&site.tickets, (site.tickets.period + 2) * TLS_TICKET_PERIOD_S);
		site.tickets.period = period;
		context = site_listener(&site, "mx", TLS_CLIENT_NONE, NULL);
		client.resume = session;
		serve(&server, context, &client);
		assert_int_equal(client.resumed, turns == 1);
		if (session == NULL)
			session = client.session;
		else
			SSL_SESSION_free(client.session);
		tls_free(context);
	}
	SSL_SESSION_free(session);
	SSL_CTX_free(client.context);
	site_close(&site);
}

/* --- certificates of clients ----------------------------------------------------------------------------------------- */

enum bearer {
	BEARER_NONE,
	BEARER_SIGNED,	 /* by the authority */
	BEARER_STRANGER, /* by itself */
};

static void
bearer_make(SSL_CTX *context, enum bearer bearer, EVP_PKEY *authority)
{
	EVP_PKEY *key = new_key("P-256");
	X509 *x = new_certificate(key, "lama", "email:lama@satu.test,email:l@satu.test,DNS:host.satu.test");
	X509_NAME *issuer = X509_NAME_new();

	if (bearer == BEARER_SIGNED) {
		X509_NAME_add_entry_by_txt(issuer, "CN", MBSTRING_ASC, (const unsigned char *)"authority", -1, -1, 0);
		X509_set_issuer_name(x, issuer);
	}
	X509_sign(x, bearer == BEARER_SIGNED ? authority : key, EVP_sha256());
	if (bearer != BEARER_NONE)
		assert_int_equal(SSL_CTX_use_cert_and_key(context, x, key, NULL, 1), 1);
	X509_NAME_free(issuer);
	X509_free(x);
	EVP_PKEY_free(key);
}

static EVP_PKEY *
authority_make(char path[64])
{
	EVP_PKEY *key = new_key("P-256");
	X509 *x = new_certificate(key, "authority", NULL);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");

	X509_add_ext(x, extension, -1);
	X509_sign(x, key, EVP_sha256());
	(void)snprintf(path, 64, "%s/ca.pem", directory);
	write_pem(path, x, NULL);
	X509_EXTENSION_free(extension);
	X509_free(x);
	return key;
}

static void
a_client_is_believed_what_a_trusted_authority_signed(void **state)
{
	static const struct {
		enum tls_client_mode mode;
		bool has_ca;
		enum bearer bearer;
		bool served, known, verified;
	} cases[] = {
	    {TLS_CLIENT_NONE, true, BEARER_SIGNED, true, false, false},
	    {TLS_CLIENT_ASK, true, BEARER_NONE, true, false, false},
	    {TLS_CLIENT_ASK, true, BEARER_SIGNED, true, true, true},
	    {TLS_CLIENT_ASK, true, BEARER_STRANGER, true, true, false},
	    {TLS_CLIENT_ASK, false, BEARER_SIGNED, true, true, false},
	    {TLS_CLIENT_REQUIRE, true, BEARER_NONE, false, false, false},
	    {TLS_CLIENT_REQUIRE, true, BEARER_SIGNED, true, true, true},
	    {TLS_CLIENT_REQUIRE, true, BEARER_STRANGER, false, false, false},
	};
	char ca[64];
	EVP_PKEY *authority = authority_make(ca);
	struct site site;

	(void)state;
	write_files("P-256");
	site_open(&site);
	for (size_t i = 0; i < 2 * ROWS(cases); i++) {
		size_t k = i / 2;
		struct client client = {.context = SSL_CTX_new(TLS_client_method())};
		struct tls_context *context = site_listener(&site, "mx", cases[k].mode, cases[k].has_ca ? ca : "");
		struct server server;

		SSL_CTX_set_max_proto_version(client.context, i % 2 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION);
		bearer_make(client.context, cases[k].bearer, authority);
		for (int again = 0; again < (cases[k].served ? 2 : 1); again++) {
			client.resume = client.session; /* a session that is resumed knows its client too */
			serve(&server, context, &client);
			assert_int_equal(client.resumed, again);
			SSL_SESSION_free(client.resume);
			assert_int_equal(server.secured, cases[k].served);
			assert_int_equal(server.knows_client, cases[k].known);
			assert_int_equal(server.client.is_verified, cases[k].verified);
			assert_int_equal(strlen(server.client.fingerprint), cases[k].known ? 64 : 0);
			assert_string_equal(server.client.subject, cases[k].verified ? "lama" : "");
			assert_int_equal(server.client.nemails, cases[k].verified ? 2 : 0);
			assert_string_equal(server.client.emails[0], cases[k].verified ? "lama@satu.test" : "");
			assert_string_equal(server.client.emails[1], cases[k].verified ? "l@satu.test" : "");
			assert_string_equal(server.client.domains[0], cases[k].verified ? "host.satu.test" : "");
		}
		SSL_SESSION_free(client.session);
		SSL_CTX_free(client.context);
		tls_free(context);
	}
	EVP_PKEY_free(authority);
	site_close(&site);
	(void)unlink(ca);
}

static int
make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) == NULL;
}

static int
remove_directory(void **state)
{
	(void)state;
	for (size_t i = 0; i < FILES_MAX; i++) {
		(void)unlink(certificate_paths[i]);
		(void)unlink(key_paths[i]);
	}
	return rmdir(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_handshake_is_signed_by_the_key_process),
	    cmocka_unit_test(a_ticket_is_good_for_its_own_listener_only),
	    cmocka_unit_test(both_sides_have_the_same_channel_bindings),
	    cmocka_unit_test(without_an_extended_master_secret_there_is_no_tls_unique),
	    cmocka_unit_test(a_client_is_shown_the_certificate_for_the_name_it_asks_for),
	    cmocka_unit_test(a_client_may_come_back_to_another_worker),
	    cmocka_unit_test(a_ticket_lives_as_long_as_its_key_and_the_next),
	    cmocka_unit_test(a_client_is_believed_what_a_trusted_authority_signed),
	    cmocka_unit_test(after_tls_ends_no_plain_byte_is_read),
	    cmocka_unit_test(starttls_may_be_begun_from_inside_a_callback),
	    cmocka_unit_test(without_a_key_process_the_handshake_fails_and_nothing_else),
	    cmocka_unit_test(the_key_process_refuses_what_is_not_a_signature),
	    cmocka_unit_test(a_late_answer_to_another_request_is_passed_over),
	    cmocka_unit_test(unusable_files_say_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
