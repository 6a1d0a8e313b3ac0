#include "common/conf/rule_set.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/dns/idn.h"

#define SLOTS_FIRST 64
#define PROBLEMS_SHOWN 400 /* bytes of a bad line */

/* A key of the set: bytes of `text`. n is 0 in a free slot. */
struct rule_set_entry {
	uint32_t off, n;
};

/* A key under construction: of bounded length; one that does not fit is found nowhere. */
struct key {
	char bytes[RULE_SET_KEY_MAX];
	size_t n;
	bool too_long;
};

static void
key_add(struct key *key, struct str s)
{
	if (s.n > sizeof key->bytes - key->n) {
		key->too_long = true;
		return;
	}
	for (size_t i = 0; i < s.n; i++)
		key->bytes[key->n++] = ascii_lower(s.p[i]);
}

/* Of a network; not a text, so it is no name's key. */
static void
key_network(struct key *key, const struct network *network)
{
	size_t n = network->family == AF_INET ? 4 : 16;

	key->bytes[0] = '\0';
	key->bytes[1] = (char)(network->family == AF_INET ? 4 : 6);
	key->bytes[2] = (char)(unsigned char)network->prefix;
	memcpy(key->bytes + 3, network->address, n);
	key->n = 3 + n;
	key->too_long = false;
}

void
rule_set_init(struct rule_set *set, enum rule_set_kind kind)
{
	memset(set, 0, sizeof *set);
	set->kind = kind;
	set->key = siphash_key_new();
	buf_init(&set->text, 2 * RULE_SET_FILE_MAX_BYTES);
}

void
rule_set_clear(struct rule_set *set)
{
	enum rule_set_kind kind = set->kind;

	free(set->slots);
	buf_clear(&set->text);
	rule_set_init(set, kind);
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

/* The slot of the key, or the free one where it would be. There is always a free one. */
static struct rule_set_entry *
slot_of(const struct rule_set *set, struct rule_set_entry *slots, size_t nslots, struct str key)
{
	size_t i = (size_t)siphash(&set->key, key) & (nslots - 1);

	while (slots[i].n > 0 && !str_equal(key, str_sub(buf_str(&set->text), slots[i].off, slots[i].n)))
		i = (i + 1) & (nslots - 1);
	return &slots[i];
}

static bool
grow(struct rule_set *set)
{
	size_t nslots = set->nslots == 0 ? SLOTS_FIRST : set->nslots * 2;
	struct rule_set_entry *slots = calloc(nslots, sizeof *slots);

	if (slots == NULL)
		return false;
	for (size_t i = 0; i < set->nslots; i++) {
		const struct rule_set_entry *old = &set->slots[i];

		if (old->n > 0)
			*slot_of(set, slots, nslots, str_sub(buf_str(&set->text), old->off, old->n)) = *old;
	}
	free(set->slots);
	set->slots = slots;
	set->nslots = nslots;
	return true;
}

static bool
insert(struct rule_set *set, const struct key *key)
{
	struct str s = {key->bytes, key->n};
	struct rule_set_entry *slot;

	if (set->n >= set->nslots / 2 && !grow(set))
		return false;
	slot = slot_of(set, set->slots, set->nslots, s);
	if (slot->n > 0)
		return true;
	*slot = (struct rule_set_entry){(uint32_t)set->text.n, (uint32_t)s.n};
	buf_add(&set->text, s);
	set->n++;
	return buf_ok(&set->text);
}

static bool
has(const struct rule_set *set, const struct key *key)
{
	struct str s = {key->bytes, key->n};

	return set->nslots > 0 && !key->too_long && key->n > 0 && slot_of(set, set->slots, set->nslots, s)->n > 0;
}

static bool
has_pair(const struct rule_set *set, struct str front, struct str back)
{
	struct key key = {0};

	key_add(&key, front);
	key_add(&key, back);
	return has(set, &key);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* "x.y", "*.y", ".y": the key without further stars, or false. */
static bool
name_key(struct key *key, struct str name)
{
	char domain[RULE_SET_KEY_MAX];

	if (name.n > 1 && name.p[0] == '.')
		key_add(key, STR("*"));
	key_add(key, idn_fold(name, domain, sizeof domain));
	if (name.n > 2 && name.p[0] == '*' && name.p[1] == '.')
		name = str_skip(name, 2);
	return name.n > 0 && str_find(name, '*') == name.n;
}

static bool
address_key(struct key *key, struct str address)
{
	size_t at = str_find_last(address, '@');
	struct str local = str_sub(address, 0, at), domain = str_skip(address, at + 1);
	bool any_domain = str_equal(domain, STR("*"));

	if (at == address.n) {
		domain = address;
		local = STR("*");
	} else if (at == 0) {
		local = STR("*");
	}
	key_add(key, local);
	key_add(key, STR("@"));
	if (any_domain) {
		key_add(key, domain);
		return !str_equal(local, STR("*")) && str_find(local, '*') == local.n;
	}
	return name_key(key, domain) && (str_equal(local, STR("*")) || str_find(local, '*') == local.n);
}

static bool
client_key(struct rule_set *set, struct key *key, struct str s)
{
	struct network network;

	if (!network_parse(s, &network, NULL))
		return name_key(key, s);
	key_network(key, &network);
	if (network.family == AF_INET)
		set->has_v4[network.prefix] = true;
	else
		set->has_v6[network.prefix] = true;
	return true;
}

static bool
line_key(struct rule_set *set, struct key *key, struct str line)
{
	for (size_t i = 0; i < line.n; i++)
		if ((unsigned char)line.p[i] <= ' ' || line.p[i] == 127)
			return false;
	switch (set->kind) {
	case RULE_SET_NAMES:
		return name_key(key, line);
	case RULE_SET_CLIENTS:
		return client_key(set, key, line);
	case RULE_SET_ADDRESSES:
		return address_key(key, line);
	}
	return false;
}

static const char *
form_of(enum rule_set_kind kind)
{
	switch (kind) {
	case RULE_SET_NAMES:
		return "a name, such as mail.example.org or *.example.org";
	case RULE_SET_CLIENTS:
		return "an address, a network or a name, such as 192.0.2.1, 2001:db8::/32 or *.example.org";
	case RULE_SET_ADDRESSES:
		return "an address or a domain, such as a@example.org, example.org or *.example.org";
	}
	return "";
}

static struct str
without_comment(struct str line)
{
	for (size_t i = 0; i < line.n; i++)
		if (line.p[i] == '#' && (i == 0 || ascii_is_blank(line.p[i - 1])))
			return str_trim(str_sub(line, 0, i));
	return str_trim(line);
}

bool
rule_set_parse(struct rule_set *set, struct str text, const char *path, struct buf *problems)
{
	struct str line;

	for (unsigned n = 1; str_token(&text, '\n', &line); n++) {
		struct key key = {0};

		line = without_comment(line);
		if (line.n == 0)
			continue;
		if (!line_key(set, &key, line) || key.too_long)
			buf_addf(problems, "%s:%u: \"%.*s\" is not %s\n", path, n, STR_FMT(str_sub(line, 0, PROBLEMS_SHOWN)),
			    form_of(set->kind));
		else if (!insert(set, &key))
			return false;
	}
	return true;
}

static bool
read_all(int fd, const char *path, struct buf *text, struct err *err)
{
	for (;;) {
		char *p = buf_reserve(text, 65536);
		ssize_t n;

		if (p == NULL)
			return err_set(err, ERR_LIMIT, "%s is larger than %lu bytes", path, RULE_SET_FILE_MAX_BYTES);
		n = read(fd, p, 65536);
		if (n == 0)
			return true;
		if (n < 0)
			return err_sys(err, "%s", path);
		buf_commit(text, (size_t)n);
	}
}

bool
rule_set_load(struct rule_set *set, const char *path, struct buf *problems, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct buf text;
	bool ok;

	if (fd < 0)
		return err_sys(err, "%s", path);
	buf_init(&text, RULE_SET_FILE_MAX_BYTES + 65536);
	ok = read_all(fd, path, &text, err);
	(void)close(fd);
	if (ok && !rule_set_parse(set, buf_str(&text), path, problems))
		ok = err_set(err, ERR_LIMIT, "out of memory for %s", path);
	buf_clear(&text);
	return ok;
}

/* --- look-ups ----------------------------------------------------------------------------------------------------- */

/* front and the name, or front, *. and any domain above it. */
static bool
has_or_parent(const struct rule_set *set, struct str front, struct str name)
{
	struct key key = {0};

	if (has_pair(set, front, name))
		return true;
	key_add(&key, front);
	key_add(&key, STR("*"));
	for (size_t dot = str_find(name, '.'); dot < name.n; dot = str_find(name, '.')) {
		struct key parent = key;

		key_add(&parent, str_skip(name, dot)); /* with its dot */
		if (has(set, &parent))
			return true;
		name = str_skip(name, dot + 1);
	}
	return false;
}

bool
rule_set_has_name(const struct rule_set *set, struct str name)
{
	return has_or_parent(set, STR_NONE, name);
}

/* The network of so many bits that the address is in. */
static bool
has_network(const struct rule_set *set, struct network network, unsigned prefix)
{
	size_t bytes = network.family == AF_INET ? 4 : 16;
	struct key key;

	network.prefix = prefix;
	for (size_t i = 0; i < bytes; i++) {
		unsigned kept = prefix <= i * 8 ? 0 : prefix - (unsigned)i * 8;

		if (kept < 8)
			network.address[i] &= (unsigned char)(0xff00U >> kept);
	}
	key_network(&key, &network);
	return has(set, &key);
}

bool
rule_set_has_client(const struct rule_set *set, const struct sockaddr *address)
{
	char text[INET6_ADDRSTRLEN];
	struct network network;

	network_address_format(address, text);
	if (text[0] == '\0' || !network_parse(str_from(text), &network, NULL))
		return false;
	for (unsigned prefix = 0; prefix <= network.prefix; prefix++) {
		bool there = network.family == AF_INET ? set->has_v4[prefix] : set->has_v6[prefix];

		if (there && has_network(set, network, prefix))
			return true;
	}
	return false;
}

bool
rule_set_has_address(const struct rule_set *set, struct str local, struct str domain)
{
	char front[RULE_SET_KEY_MAX];
	struct str with_at = {front, local.n + 1};

	if (local.n + 1 > sizeof front)
		return false;
	memcpy(front, local.p, local.n);
	front[local.n] = '@';
	return has_or_parent(set, with_at, domain) || has_or_parent(set, STR("*@"), domain) ||
	    has_pair(set, with_at, STR("*"));
}
