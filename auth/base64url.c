#include "auth/base64url.h"

#include "common/base/base64.h"

bool
base64url_decode(struct buf *out, struct str in)
{
	struct buf padded;
	bool good = in.n % 4 != 1;

	buf_init(&padded, in.n + 3);
	for (size_t i = 0; i < in.n && good; i++) {
		good = ascii_is_alnum(in.p[i]) || in.p[i] == '-' || in.p[i] == '_';
		buf_addc(&padded, in.p[i] == '-' ? '+' : in.p[i] == '_' ? '/' : in.p[i]);
	}
	while (good && padded.n % 4 != 0)
		buf_addc(&padded, '=');
	good = good && buf_ok(&padded) && base64_decode(out, buf_str(&padded));
	buf_clear_secret(&padded);
	return good;
}
