/*
 * DNS answers put together by hand, for the tests of what reads them.
 */
#ifndef TESTS_UNIT_DNS_PACKET_H
#define TESTS_UNIT_DNS_PACKET_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/str.h"

struct packet {
	unsigned char p[65535];
	size_t n;
};

static inline void
packet_u16(struct packet *packet, unsigned value)
{
	packet->p[packet->n++] = (unsigned char)(value >> 8);
	packet->p[packet->n++] = (unsigned char)value;
}

static inline void
packet_u32(struct packet *packet, uint32_t value)
{
	packet_u16(packet, value >> 16);
	packet_u16(packet, value & 0xffff);
}

static inline void
packet_bytes(struct packet *packet, const void *bytes, size_t n)
{
	memcpy(packet->p + packet->n, bytes, n);
	packet->n += n;
}

/* Labels as they stand between the dots; "" is the root. */
static inline void
packet_name(struct packet *packet, const char *name)
{
	struct str rest = str_from(name), label;

	while (rest.n > 0 && str_token(&rest, '.', &label)) {
		packet->p[packet->n++] = (unsigned char)label.n;
		packet_bytes(packet, label.p, label.n);
	}
	packet->p[packet->n++] = 0;
}

/* Adds 1 to a counter of the header: 0 questions, 1 answers, 2 authority, 3 additional. */
static inline void
packet_count(struct packet *packet, unsigned section)
{
	packet->p[5 + 2 * section]++;
}

static inline void
packet_begin(struct packet *packet, unsigned id, unsigned flags, const char *name, unsigned type)
{
	packet->n = 0;
	packet_u16(packet, id);
	packet_u16(packet, flags);
	packet_u32(packet, 0);
	packet_u32(packet, 0);
	packet_name(packet, name);
	packet_u16(packet, type);
	packet_u16(packet, 1);
	packet_count(packet, 0);
}

/* A record whose RDATA follows; returns where its length stands, for packet_record_end. */
static inline size_t
packet_record(struct packet *packet, unsigned section, const char *name, unsigned type, uint32_t ttl)
{
	packet_name(packet, name);
	packet_u16(packet, type);
	packet_u16(packet, 1);
	packet_u32(packet, ttl);
	packet_u16(packet, 0);
	packet_count(packet, section);
	return packet->n - 2;
}

static inline void
packet_record_end(struct packet *packet, size_t at)
{
	size_t length = packet->n - at - 2;

	packet->p[at] = (unsigned char)(length >> 8);
	packet->p[at + 1] = (unsigned char)length;
}

static inline void
packet_mx(struct packet *packet, const char *name, uint32_t ttl, unsigned preference, const char *host)
{
	size_t at = packet_record(packet, 1, name, 15, ttl);

	packet_u16(packet, preference);
	packet_name(packet, host);
	packet_record_end(packet, at);
}

static inline void
packet_a(struct packet *packet, const char *name, uint32_t ttl, uint32_t address)
{
	size_t at = packet_record(packet, 1, name, 1, ttl);

	packet_u32(packet, address);
	packet_record_end(packet, at);
}

static inline void
packet_cname(struct packet *packet, const char *name, uint32_t ttl, const char *target)
{
	size_t at = packet_record(packet, 1, name, 5, ttl);

	packet_name(packet, target);
	packet_record_end(packet, at);
}

static inline void
packet_soa(struct packet *packet, const char *name, uint32_t ttl, uint32_t minimum)
{
	size_t at = packet_record(packet, 2, name, 6, ttl);

	packet_name(packet, "ns.test");
	packet_name(packet, "hostmaster.test");
	for (int i = 0; i < 4; i++)
		packet_u32(packet, 1);
	packet_u32(packet, minimum);
	packet_record_end(packet, at);
}

static inline struct str
packet_str(const struct packet *packet)
{
	return (struct str){(const char *)packet->p, packet->n};
}

#endif
