/*
 * One value of the configuration: from its text into the field of its parameter. Pure.
 */
#ifndef COMMON_CONF_VALUE_H
#define COMMON_CONF_VALUE_H

#include "common/base/arena.h"
#include "common/conf/conf_table.h"
#include "common/base/err.h"

/*
 * Parses text as the parameter's type, looks at its range, and writes the field at param->offset of base. Strings and
 * lists go into the arena. Relative paths are taken from `directory`. On failure the field stays as it was and err's
 * text says what is wrong and what would be right.
 */
bool conf_value_parse(const struct conf_param *param, struct str text, struct str directory, struct arena *arena,
    void *base, struct err *err);

/* A number with a unit: bytes from "50M"; milliseconds from "15m". False if it is none or too large. */
bool conf_value_size(struct str text, uint64_t *bytes);
bool conf_value_time(struct str text, uint64_t *ms);

/* Host and domain names: labels of letters, digits, hyphens and underscores, 63 bytes each, 253 in all. */
bool conf_value_is_domain(struct str text);

#endif
