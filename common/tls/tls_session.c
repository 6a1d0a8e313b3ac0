#include "common/tls/tls_session.h"

#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/str.h"

struct tls_session {
	RB_ENTRY(tls_session) tree;
	TAILQ_ENTRY(tls_session) recent;
	char *key;
	uint64_t expires_s;
	bool proven;
	size_t n;
	unsigned char bytes[]; /* i2d_SSL_SESSION */
};

static int
session_compare(struct tls_session *a, struct tls_session *b)
{
	return strcmp(a->key, b->key);
}

TREE_GENERATE(tls_session_tree, tls_session, tree, session_compare)

void
tls_sessions_init(struct tls_sessions *sessions)
{
	*sessions = (struct tls_sessions){.n = 0};
	RB_INIT(&sessions->tree);
	TAILQ_INIT(&sessions->recent);
}

static void
session_drop(struct tls_sessions *sessions, struct tls_session *s)
{
	(void)RB_REMOVE(tls_session_tree, &sessions->tree, s);
	TAILQ_REMOVE(&sessions->recent, s, recent);
	sessions->n--;
	OPENSSL_cleanse(s->bytes, s->n);
	free(s->key);
	free(s);
}

void
tls_sessions_clear(struct tls_sessions *sessions)
{
	struct tls_session *s;

	while ((s = TAILQ_FIRST(&sessions->recent)) != NULL)
		session_drop(sessions, s);
}

static struct tls_session *
session_find(struct tls_sessions *sessions, const char *key)
{
	struct tls_session probe = {.key = str_dup(str_from(key))};
	struct tls_session *s = RB_FIND(tls_session_tree, &sessions->tree, &probe);

	free(probe.key);
	return s;
}

void
tls_sessions_put(struct tls_sessions *sessions, const char *key, struct ssl_session_st *session, bool proven,
    uint64_t since_s)
{
	struct tls_session *s = session_find(sessions, key);
	int n = i2d_SSL_SESSION(session, NULL);
	unsigned char *at;

	if (s != NULL)
		session_drop(sessions, s);
	if (n <= 0 || n > TLS_SESSION_BYTES_MAX)
		return;
	s = calloc(1, sizeof *s + (size_t)n);
	if (s == NULL)
		fatal("out of memory for a TLS session");
	at = s->bytes;
	s->n = (size_t)i2d_SSL_SESSION(session, &at);
	s->key = str_dup(str_from(key));
	s->proven = proven;
	s->expires_s = since_s + TLS_SESSION_AGE_MAX_S;
	if (sessions->n == TLS_SESSIONS_MAX)
		session_drop(sessions, TAILQ_LAST(&sessions->recent, tls_session_list));
	(void)RB_INSERT(tls_session_tree, &sessions->tree, s);
	TAILQ_INSERT_HEAD(&sessions->recent, s, recent);
	sessions->n++;
}

struct ssl_session_st *
tls_sessions_take(struct tls_sessions *sessions, const char *key, bool *proven, uint64_t *since_s,
    uint64_t now_s)
{
	struct tls_session *s = session_find(sessions, key);
	const unsigned char *at;
	SSL_SESSION *session;

	if (s == NULL)
		return NULL;
	at = s->bytes;
	session = s->expires_s > now_s ? d2i_SSL_SESSION(NULL, &at, (long)s->n) : NULL;
	*proven = s->proven;
	*since_s = s->expires_s - TLS_SESSION_AGE_MAX_S;
	if (session == NULL || SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION) {
		session_drop(sessions, s);
		return session;
	}
	TAILQ_REMOVE(&sessions->recent, s, recent);
	TAILQ_INSERT_HEAD(&sessions->recent, s, recent);
	return session;
}
