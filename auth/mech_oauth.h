/*
 * The messages of OAUTHBEARER (RFC 7628 3) and XOAUTH2 (Google's older form of it), server side. Pure.
 */
#ifndef AUTH_MECH_OAUTH_H
#define AUTH_MECH_OAUTH_H

#include "auth/token.h"

struct mech_oauth {
	char claimed[ACCOUNT_NAME_MAX + 1]; /* who the client says it is; empty: it does not */
	struct buf token; /* empty: the client only asks what it would take */
};

/* What a refused client is told; empty texts are left out. */
struct mech_oauth_hints {
	struct str scope;
	struct str configuration; /* URL of the authority's description of itself */
};

void mech_oauth_init(struct mech_oauth *oauth);
/* Wipes the token. Harmless on a zeroed one. */
void mech_oauth_clear(struct mech_oauth *oauth);
/* False when it is malformed. */
bool mech_oauth_bearer_read(struct mech_oauth *oauth, struct str message);
bool mech_oauth_xoauth2_read(struct mech_oauth *oauth, struct str message);
/* Appends it, as JSON (RFC 7628 3.2.2). */
void mech_oauth_bearer_refuse(struct buf *out, const struct mech_oauth_hints *hints);
void mech_oauth_xoauth2_refuse(struct buf *out, const struct mech_oauth_hints *hints);

#endif
