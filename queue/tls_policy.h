/*
 * How much TLS a host must show before it is given a message, and which policy says so. Pure: the facts come from the
 * message, the configuration, DNS and MTA-STS; what follows from them is said here and nowhere else.
 *
 * What decides, the strongest first: REQUIRETLS of the message (RFC 8689), the `tls` of the route, DANE (RFC 7672),
 * MTA-STS (RFC 8461), and otherwise TLS where it is offered. DANE goes before MTA-STS, which must not override it (RFC
 * 8461 2). Nothing that a server says, or somebody on the way leaves out, weakens what was decided.
 */
#ifndef QUEUE_TLS_POLICY_H
#define QUEUE_TLS_POLICY_H

#include "common/base/str.h"
#include "common/conf/conf.h"

/* Who decided; tls_policy_word tells it. */
enum tls_policy_by {
	TLS_BY_NONE,
	TLS_BY_MAY,
	TLS_BY_ENCRYPT,
	TLS_BY_VERIFY,
	TLS_BY_DANE,
	TLS_BY_STS,
	TLS_BY_REQUIRETLS,
};

/* "none", "may", "encrypt", "verify", "dane", "sts", "requiretls": in the log and in `merpati queue show`. */
const char *tls_policy_word(enum tls_policy_by by);

/* What a host must show; each more than the one before. */
enum tls_need {
	TLS_NEED_PLAIN,	  /* nothing, and STARTTLS is not said */
	TLS_NEED_MAY,	  /* nothing: TLS where it is offered */
	TLS_NEED_ENCRYPT, /* TLS, whatever the certificate */
	TLS_NEED_NAME,	  /* a certificate of its name, from an authority that is trusted */
	TLS_NEED_DANE,	  /* a certificate that its TLSA records agree with */
};

/* What DNS says of a host's TLSA records. */
enum tls_dane {
	TLS_DANE_NONE,	   /* there are none, or none that DNSSEC secures */
	TLS_DANE_USABLE,   /* there are, and some can be used */
	TLS_DANE_UNUSABLE, /* there are, but none of a kind that we know (RFC 7672 2.2) */
	TLS_DANE_UNKNOWN,  /* DNS does not tell: the host must not be used (RFC 7672 2.1.2) */
};

/* The policy of the domain. */
enum tls_sts_mode {
	TLS_STS_NONE, /* it has none, or none is known */
	TLS_STS_TESTING,
	TLS_STS_ENFORCE,
};

struct tls_sts {
	enum tls_sts_mode mode;
	bool names_host; /* one of its mx patterns does */
};

struct tls_facts {
	bool requiretls;
	enum conf_route_tls configured; /* AUTO: nothing */
	/* The host was named by the configuration, the sender, or an answer of DNS that DNSSEC secures. */
	bool name_is_certain;
	enum tls_dane dane;
	struct tls_sts sts;
};

struct tls_policy {
	enum tls_policy_by by;
	enum tls_need need;
	/* .p not NULL: the host is not to be used, and why; for the sender of the message, static. */
	struct str refusal;
	struct str code; /* of it; 5.x.x: for good */
};

struct tls_policy tls_policy_decide(const struct tls_facts *facts);

/* Whether these facts matter at all, so that they need not be found out otherwise. */
bool tls_policy_wants_dane(enum conf_route_tls configured);
bool tls_policy_wants_sts(enum conf_route_tls configured, bool requiretls);

#endif
