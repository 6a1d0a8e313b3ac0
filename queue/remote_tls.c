#include "queue/remote_tls.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/siphash.h"
#include "common/dns/dns_message.h"

#define KEY_MAX (DNS_NAME_MAX + 512)

/* Of all records, each as long as it is. */
static uint64_t
records_hash(const struct remote_identity *identity)
{
	static const struct siphash_key key;
	uint64_t hash = identity->ndane;

	for (size_t i = 0; i < identity->ndane; i++) {
		const struct tls_dane_record *r = &identity->dane[i];

		hash = hash * 1099511628211U ^ (uint64_t)(r->usage << 16 | r->selector << 8 | r->matching);
		hash = hash * 1099511628211U ^ siphash(&key, r->association);
	}
	return hash;
}

/* What a session is good for: the same server, of which the same is demanded, by the same records. */
static void
key_make(char key[KEY_MAX], const struct remote_identity *identity, const struct tls_policy *policy, const char *server)
{
	(void)snprintf(key, KEY_MAX, "%.*s %s %d %016" PRIx64, STR_FMT(identity->name), server, (int)policy->need,
	    records_hash(identity));
}

/* NULL: none, or one that DNS cannot have. */
static const char *
name_copy(char buffer[DNS_NAME_MAX + 1], struct str name)
{
	return name.n > 0 && str_copy(buffer, DNS_NAME_MAX + 1, name) ? buffer : NULL;
}

bool
remote_tls_start(struct stream *stream, struct tls_context *tls, const struct remote_identity *identity,
    const struct tls_policy *policy, const char *server)
{
	char name[DNS_NAME_MAX + 1], others[TLS_OTHER_NAMES_MAX][DNS_NAME_MAX + 1], key[KEY_MAX];
	struct tls_expected expected = {.server_name = name_copy(name, identity->name), .session_key = key,
	    .keeps_unproven = policy->need < TLS_NEED_NAME};

	if (policy->need == TLS_NEED_DANE) {
		expected.dane = identity->dane;
		expected.ndane = identity->ndane;
		for (size_t i = 0; i < TLS_OTHER_NAMES_MAX; i++)
			expected.other_names[i] = name_copy(others[i], identity->domains[i]);
	}
	key_make(key, identity, policy, server);
	return stream_start_tls_to(stream, tls, &expected);
}
