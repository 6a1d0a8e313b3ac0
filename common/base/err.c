#include "common/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool
err_set(struct err *err, enum err_class class, const char *format, ...)
{
	va_list ap;

	if (err == NULL)
		return false;
	err->class = class;
	err->errnum = 0;
	va_start(ap, format);
	(void)vsnprintf(err->text, sizeof err->text, format, ap);
	va_end(ap);
	return false;
}

bool
err_sys(struct err *err, const char *format, ...)
{
	int errnum = errno;
	va_list ap;
	size_t n;

	if (err == NULL)
		return false;
	err->class = ERR_TEMP;
	err->errnum = errnum;
	va_start(ap, format);
	(void)vsnprintf(err->text, sizeof err->text, format, ap);
	va_end(ap);
	n = strlen(err->text);
	(void)snprintf(err->text + n, sizeof err->text - n, ": %s", strerror(errnum));
	return false;
}
