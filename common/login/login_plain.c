#include "common/base/base64.h"
#include "common/login/login.h"

bool
login_plain(struct buf *out, struct str name, struct str password)
{
	struct buf message;

	if (name.n == 0 || password.n == 0 || str_find(name, '\0') < name.n || str_find(password, '\0') < password.n)
		return false;
	buf_init(&message, name.n + password.n + 2);
	(void)buf_reserve(&message, message.max); /* so that it does not move and leave the password behind */
	buf_addc(&message, '\0');
	buf_add(&message, name);
	buf_addc(&message, '\0');
	buf_add(&message, password);
	if (buf_ok(&message))
		base64_encode(out, buf_str(&message));
	else
		out->failed = true;
	buf_clear_secret(&message);
	return buf_ok(out);
}
