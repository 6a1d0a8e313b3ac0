/*
 * What the unit tests share: cmocka with what it must be preceded by, and comparisons of struct str.
 */
#ifndef TESTS_UNIT_ROWS_H
#define TESTS_UNIT_ROWS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/str.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

#define assert_str(actual, expected) assert_str_at((actual), (expected), __FILE__, __LINE__)

static inline void
assert_str_at(struct str actual, struct str expected, const char *file, int line)
{
	if (str_equal(actual, expected))
		return;
	print_error("expected \"%.*s\"\n but got \"%.*s\"\n", STR_FMT(expected), STR_FMT(actual));
	_fail(file, line);
}

#endif
