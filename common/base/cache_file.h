/*
 * Small files of which nothing is lost when they are: read whole, and replaced as a whole, so that whoever reads one after a
 * crash finds the old one or the new one. Names are plain names in an open directory, and begin with no dot.
 */
#ifndef COMMON_CACHE_FILE_H
#define COMMON_CACHE_FILE_H

#include "common/base/buf.h"
#include "common/base/err.h"

/* Appends the file to out. False: it is not there (errnum ENOENT), no regular file, or larger than out has room for. */
bool cache_file_read(int directory, const char *name, struct buf *out, struct err *err);
/* On the disk when it returns, except for the name. */
bool cache_file_replace(int directory, const char *name, struct str text, struct err *err);
/* Harmless when it is not there. */
void cache_file_remove(int directory, const char *name);
/* Calls for each name in the directory. `found` may remove the file. What a crash has left half written is removed. */
bool cache_file_list(int directory, void (*found)(void *owner, const char *name), void *owner, struct err *err);

#endif
