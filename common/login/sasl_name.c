#include "common/login/sasl_name.h"

bool
sasl_name_read(char *dst, struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '=') {
			c = str_equal(str_sub(s, i, 3), STR("=2C")) ? ',' : str_equal(str_sub(s, i, 3), STR("=3D")) ? '=' : '\0';
			i += 2;
		}
		if (c == '\0' || n == ACCOUNT_NAME_MAX)
			return false;
		dst[n++] = c;
	}
	dst[n] = '\0';
	return n > 0;
}
