/*
 * A table of fixed size for what strangers make grow: records of one size in sets of eight. A new record takes the place of
 * the one in its set that was used longest ago. Whoever keys it hashes with a key (common/base/siphash.h), so that nobody can
 * aim at a set. The memory is the caller's and may be a mapped file, which two processes share while a configuration is
 * renewed: records hold numbers only, and none of them is trusted. Pure; times are ms since 1970.
 */
#ifndef SMTPD_GUARD_TABLE_H
#define SMTPD_GUARD_TABLE_H

#include "common/base/str.h"

#define GUARD_TABLE_WAYS 8

/* What every record begins with. */
struct guard_slot {
	uint64_t hash;	  /* of whom it is about; 0: unused */
	uint64_t used_ms; /* last */
};

struct guard_table {
	unsigned char *records;
	size_t record_size;
	size_t sets;
};

/* Bytes of memory, aligned for uint64_t, that the table needs. */
size_t guard_table_size(const struct guard_table *table);

/* NULL when there is none. hash is not 0. */
void *guard_table_find(const struct guard_table *table, uint64_t hash);
/* The record, or a new one that is zero behind its slot. used_ms is set. */
void *guard_table_make(const struct guard_table *table, uint64_t hash, uint64_t now_ms);

struct guard_table_visit {
	void (*visit)(struct guard_table_visit *visit, const void *record);
};

/* Of each record that is in use. */
void guard_table_each(const struct guard_table *table, struct guard_table_visit *visit);

#endif
