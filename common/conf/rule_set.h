/*
 * A file of names, addresses or networks as a hashed set: one a line, # begins a comment. A look-up costs a few probes,
 * however long the file is: one for the thing itself and one for each domain above it, or for each length of prefix that
 * the file holds.
 *
 *     example.org        that name; of an address: any at that domain
 *     *.example.org      any name below it (.example.org says the same)
 *     a@example.org      that address;  a@* that local part anywhere
 *     192.0.2.0/24       that network
 */
#ifndef COMMON_RULE_SET_H
#define COMMON_RULE_SET_H

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/net/network.h"
#include "common/base/siphash.h"

#define RULE_SET_FILE_MAX_BYTES (64UL * 1024 * 1024)
#define RULE_SET_KEY_MAX 600

/* What its lines are. */
enum rule_set_kind {
	RULE_SET_NAMES,	    /* domain names, logins */
	RULE_SET_CLIENTS,   /* addresses, networks, domain names */
	RULE_SET_ADDRESSES, /* mail addresses, domains */
};

struct rule_set {
	enum rule_set_kind kind;
	struct siphash_key key;
	struct buf text;   /* the entries' bytes */
	struct rule_set_entry *slots;
	size_t nslots; /* a power of two, or 0 */
	size_t n;
	bool has_v4[33], has_v6[129]; /* lengths of prefix that there are */
};

void rule_set_init(struct rule_set *set, enum rule_set_kind kind);
void rule_set_clear(struct rule_set *set);
/* Adds the lines of text; a bad one is told as "PATH:LINE: what" in problems, and the others count. False when memory is
 * out. path is for the problems only. */
bool rule_set_parse(struct rule_set *set, struct str text, const char *path, struct buf *problems);
/* Reads the file at path. */
bool rule_set_load(struct rule_set *set, const char *path, struct buf *problems, struct err *err);

/* name: in lower case. */
bool rule_set_has_name(const struct rule_set *set, struct str name);
bool rule_set_has_client(const struct rule_set *set, const struct sockaddr *address);
/* local and domain in lower case. */
bool rule_set_has_address(const struct rule_set *set, struct str local, struct str domain);

#endif
