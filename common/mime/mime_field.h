/*
 * The header fields of MIME (RFC 2045, 2183, 3282, 2231): what is written in Content-Type, Content-Disposition and
 * Content-Language. Tolerant as mail demands: folding and comments are passed over wherever they may stand, values
 * without quotes may hold blanks, and what cannot be read is as if it were absent. Encoded words stay as they are.
 * Results live in the arena.
 */
#ifndef COMMON_MIME_FIELD_H
#define COMMON_MIME_FIELD_H

#include "common/base/arena.h"

#define MIME_PARAMS_MAX 64 /* of one field; further ones are passed over */
#define MIME_LANGUAGES_MAX 64

struct mime_param {
	struct mime_param *next;
	struct str name;  /* as written: with the *0* of RFC 2231 */
	struct str value; /* without its quotes */
};

struct mime_type {
	struct str type, subtype;
	struct mime_param *params;
};

struct mime_disposition {
	struct str kind;
	struct mime_param *params;
};

struct mime_language {
	struct mime_language *next;
	struct str tag;
};

/* False when there is no type/subtype to be read (or the arena is full): RFC 2045 5.2 then says text/plain. */
bool mime_type_parse(struct arena *a, struct str value, struct mime_type *type);
bool mime_disposition_parse(struct arena *a, struct str value, struct mime_disposition *disposition);
/* The tags in order; NULL when there are none. */
struct mime_language *mime_languages_parse(struct arena *a, struct str value);
/* The first word: Content-Transfer-Encoding. */
struct str mime_token_parse(struct arena *a, struct str value);
/* The whole value without its folding and outer blanks; .p is NULL at the arena's limit. */
struct str mime_unfold(struct arena *a, struct str value);

/*
 * The value of a parameter by its plain name (any case), put together from the pieces of RFC 2231 and with its
 * percent-encoding undone. charset (may be NULL) gets what RFC 2231 says of it, else is empty. .p is NULL when there
 * is none.
 */
struct str mime_param_value(struct arena *a, const struct mime_param *params, struct str name, struct str *charset);

#endif
