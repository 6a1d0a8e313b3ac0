/*
 * What both sides of the Dovecot authentication protocol share: lines of tab-separated words, in which tab, newline,
 * CR, NUL and the escape byte itself (\001) are escaped.
 */
#ifndef COMMON_SASL_H
#define COMMON_SASL_H

#include "common/base/buf.h"

#define SASL_LINE_MAX 12288 /* bytes of Base64 in one response; RFC 4954 4 wants 12,288 */
#define SASL_ID_MAX UINT32_MAX
#define SASL_BINDINGS_MAX 3	 /* kinds of channel binding of one connection */
#define SASL_BINDING_MAX 64	 /* bytes of one */
#define SASL_BINDING_TYPE_MAX 31 /* bytes of the kind's name */

/* A value that both ends of a TLS connection know and nobody between them can have (RFC 5056). */
struct sasl_binding {
	const char *type; /* "tls-exporter" */
	unsigned char bytes[SASL_BINDING_MAX];
	size_t n;
};

/* Appends s escaped. */
void sasl_escape(struct buf *out, struct str s);
/* Appends what s stands for; false when an escape is cut or unknown, or out is full. */
bool sasl_unescape(struct buf *out, struct str s);

/* A name as RFC 4422 3.1 has it, any case: 1 to 20 letters, digits, `-` and `_`. */
bool sasl_mechanism_is_good(struct str name);

/* Splits `key=value`; a word without `=` is a key with an empty value. */
void sasl_parameter(struct str word, struct str *key, struct str *value);

#endif
