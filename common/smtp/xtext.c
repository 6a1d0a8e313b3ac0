#include "common/smtp/xtext.h"

static bool
is_xchar(char c)
{
	return c > ' ' && c < 127 && c != '+' && c != '=';
}

/* xtext = *( xchar / hexchar ); hexchar = "+" 2HEXDIG */
bool
xtext_decode(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		int high, low;

		if (is_xchar(text.p[i])) {
			buf_addc(out, text.p[i]);
			continue;
		}
		if (text.p[i] != '+' || text.n - i < 3)
			return false;
		high = ascii_hex_value(text.p[i + 1]);
		low = ascii_hex_value(text.p[i + 2]);
		if (high < 0 || low < 0)
			return false;
		buf_addc(out, (char)(high << 4 | low));
		i += 2;
	}
	return true;
}

void
xtext_encode(struct buf *out, struct str bytes)
{
	for (size_t i = 0; i < bytes.n; i++)
		if (is_xchar(bytes.p[i]))
			buf_addc(out, bytes.p[i]);
		else
			buf_addf(out, "+%02X", (unsigned char)bytes.p[i]);
}
