/*
 * Closing what a process must not have.
 */
#ifndef COMMON_DESCRIPTORS_H
#define COMMON_DESCRIPTORS_H

#include <stddef.h>

#define DESCRIPTORS_KEEP_MAX 2048

/* Closes all descriptors but the standard ones and those of the list (in any order, -1 among them is ignored, which
 * this sorts). Fatal when the kernel refuses: a process with a descriptor too many must not go on. */
void descriptors_keep(int *keep, size_t n);

#endif
