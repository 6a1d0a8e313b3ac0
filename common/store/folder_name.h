/*
 * Folder names and the directories of Maildir++: `Archive/2024` is the directory `.Archive.2024` in the Maildir.
 *
 * On the disk: UTF-8 as it is, no modified UTF-7; a dot within a level is `\2e`, a backslash `\5c`, and an `&` is
 * `\26` where it could be taken for modified UTF-7. Folders that Dovecot 2.3 or Courier made with modified UTF-7 in
 * their names are recognised by a canonical, non-empty shift sequence, and shown by what it means: a move to Merpati
 * renames nothing, and neither does Merpati. Pure.
 */
#ifndef COMMON_FOLDER_NAME_H
#define COMMON_FOLDER_NAME_H

#include "common/base/buf.h"

#define FOLDER_NAME_MAX 240  /* bytes of a name, and of the directory's name */
#define FOLDER_LEVELS_MAX 32

/* UTF-8, no control characters, no empty level, neither too long nor too deep. INBOX in any case is a good name. */
bool folder_name_is_good(struct str name);
bool folder_name_is_inbox(struct str name);
/* Appends the directory's name, with the dot in front; false when the name is not good or too long for a directory. */
bool folder_name_to_disk(struct buf *out, struct str name);
/* The other form in which other servers may have written it; false when there is none. */
bool folder_name_to_disk_mutf7(struct buf *out, struct str name);
/* Appends the name of the folder in this directory; false when that is none that we show. */
bool folder_name_from_disk(struct buf *out, struct str directory);

#endif
