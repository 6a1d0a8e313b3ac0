/*
 * The documentation that follows from the tables of parameters: the manual page and the commented default file. Both are
 * kept in the tree, and a test compares.
 */
#ifndef COMMON_CONF_DOC_H
#define COMMON_CONF_DOC_H

#include "common/base/buf.h"

/* man/merpati.conf.5, in mdoc(7). */
void conf_doc_manual(struct buf *out);
/* etc/merpati.conf: every parameter with its documentation and default, commented out. */
void conf_doc_file(struct buf *out);

#endif
