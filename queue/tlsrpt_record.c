#include "queue/tlsrpt_record.h"

#include "common/smtp/address.h"

/* The text without %XX; .p NULL: malformed, or something that no address or URL has. */
static struct str
percent_decode(struct arena *arena, struct str text)
{
	char *out = arena_alloc(arena, text.n + 1);
	size_t n = 0;

	for (size_t i = 0; out != NULL && i < text.n; i++) {
		int high = -1, low = -1;

		out[n] = text.p[i];
		if (text.p[i] == '%') {
			if (i + 2 < text.n) {
				high = ascii_hex_value(text.p[i + 1]);
				low = ascii_hex_value(text.p[i + 2]);
			}
			if (high < 0 || low < 0)
				return STR_NONE;
			out[n] = (char)(high << 4 | low);
			i += 2;
		}
		if (!ascii_is_print(out[n]))
			return STR_NONE;
		n++;
	}
	return (struct str){out, out != NULL ? n : 0};
}

/* "mailto:" address ["?" header fields, which are not for us]; RFC 6068 */
static bool
mail_parse(struct arena *arena, struct str text, struct tlsrpt_place *place)
{
	struct str decoded = percent_decode(arena, str_sub(text, 0, str_find(text, '?')));
	struct address address;

	place->kind = TLSRPT_MAIL;
	if (decoded.p == NULL || !address_parse(arena, decoded, 0, &address) || address.kind != ADDRESS_DOMAIN)
		return false;
	place->text = address.text;
	return true;
}

/* The commas, semicolons and exclamation marks of a URI stand as %XX in the record, and as such in the request too. */
static bool
https_parse(struct arena *arena, struct str text, struct tlsrpt_place *place)
{
	place->kind = TLSRPT_HTTPS;
	for (size_t i = 0; i < text.n; i++)
		if (!ascii_is_print(text.p[i]) || text.p[i] == ' ')
			return false;
	place->text = arena_copy(arena, text);
	return place->text.p != NULL;
}

static bool
place_parse(struct arena *arena, struct str text, struct tlsrpt_place *place)
{
	static const struct str mail = STR("mailto:"), https = STR("https://");

	if (text.n > TLSRPT_PLACE_MAX)
		return false;
	if (str_starts_nocase(text, mail))
		return mail_parse(arena, str_skip(text, mail.n), place);
	return str_starts_nocase(text, https) && https_parse(arena, text, place);
}

/* tlsrpt-rua = "rua=" uri *(*WSP "," *WSP uri) */
static size_t
places_parse(struct arena *arena, struct str list, struct tlsrpt_place places[TLSRPT_PLACES_MAX])
{
	struct str text;
	size_t n = 0;

	while (n < TLSRPT_PLACES_MAX && str_token(&list, ',', &text))
		if (place_parse(arena, str_trim(text), &places[n]))
			n++;
	return n;
}

/* "v=TLSRPTv1" and a semicolon; the fields follow it. */
static bool
is_tlsrpt_record(struct str record, struct str *fields)
{
	size_t semicolon = str_find(record, ';');

	*fields = str_skip(record, semicolon + 1);
	return semicolon < record.n && record.p[0] == 'v' &&
	    str_equal(str_trim(str_sub(record, 0, semicolon)), STR("v=TLSRPTv1"));
}

size_t
tlsrpt_record_find(const struct str *records, size_t n, struct arena *arena, struct tlsrpt_place places[TLSRPT_PLACES_MAX])
{
	static const struct str rua = STR("rua=");
	struct str rest, fields = STR_NONE, field;
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		if (is_tlsrpt_record(records[i], &rest)) {
			fields = rest;
			found++;
		}
	while (found == 1 && str_token(&fields, ';', &field)) {
		field = str_trim(field);
		if (str_starts(field, rua))
			return places_parse(arena, str_skip(field, rua.n), places);
	}
	return 0;
}
