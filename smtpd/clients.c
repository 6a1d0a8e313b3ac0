#include "smtpd/clients.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static int
client_compare(struct client *a, struct client *b)
{
	return memcmp(a->key, b->key, sizeof a->key);
}

TREE_GENERATE(client_tree, client, link, client_compare)

void
clients_init(struct clients *clients)
{
	RB_INIT(&clients->tree);
}

static void
key_make(unsigned char key[9], const struct sockaddr *address)
{
	memset(key, 0, 9);
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;

		key[0] = 4;
		memcpy(key + 1, &in->sin_addr, sizeof in->sin_addr);
	} else if (address->sa_family == AF_INET6) {
		const struct in6_addr *in6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
		bool is_v4 = IN6_IS_ADDR_V4MAPPED(in6);

		key[0] = is_v4 ? 4 : 6;
		memcpy(key + 1, is_v4 ? &in6->s6_addr[12] : &in6->s6_addr[0], is_v4 ? 4 : 8);
	}
}

struct client *
clients_add(struct clients *clients, const struct sockaddr *address, size_t max)
{
	struct client wanted, *client;

	key_make(wanted.key, address);
	client = RB_FIND(client_tree, &clients->tree, &wanted);
	if (client == NULL) {
		client = calloc(1, sizeof *client);
		if (client == NULL)
			return NULL;
		memcpy(client->key, wanted.key, sizeof client->key);
		(void)RB_INSERT(client_tree, &clients->tree, client);
	} else if (client->count >= max) {
		return NULL;
	}
	client->count++;
	return client;
}

void
clients_remove(struct clients *clients, struct client *client)
{
	if (client == NULL || --client->count > 0)
		return;
	(void)RB_REMOVE(client_tree, &clients->tree, client);
	free(client);
}
