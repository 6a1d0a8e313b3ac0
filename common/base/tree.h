/*
 * libbsd's red-black trees, with the static generator made fit for glibc, whose headers use the name __unused for
 * something else.
 */
#ifndef COMMON_TREE_H
#define COMMON_TREE_H

#include <bsd/sys/tree.h>

#define TREE_GENERATE(name, type, link, compare) \
	RB_GENERATE_INTERNAL(name, type, link, compare, static __attribute__((__unused__)))

#endif
