/*
 * Descriptors: closing what a process must not have, writing all there is to write.
 */
#ifndef COMMON_DESCRIPTORS_H
#define COMMON_DESCRIPTORS_H

#include <stddef.h>

#include "common/base/str.h"

#define DESCRIPTORS_KEEP_MAX 2048

/* Closes all descriptors but the standard ones and those of the list (in any order, -1 among them is ignored, which
 * this sorts). Fatal when the kernel refuses: a process with a descriptor too many must not go on. */
void descriptors_keep(int *keep, size_t n);

/* To a blocking descriptor. False: errno tells why; some of it may be written. */
bool descriptor_write_all(int fd, struct str bytes);

#endif
