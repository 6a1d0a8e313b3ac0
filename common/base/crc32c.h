/*
 * CRC-32C (Castagnoli, RFC 3720 B.4): finds damage, not malice. Begin with 0; the result of one call is the start of
 * the next.
 */
#ifndef COMMON_CRC32C_H
#define COMMON_CRC32C_H

#include "common/base/str.h"

uint32_t crc32c(uint32_t crc, struct str bytes);
/* The same without the processor's help: for the tests, which compare. */
uint32_t crc32c_by_tables(uint32_t crc, struct str bytes);

#endif
