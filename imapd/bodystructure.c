#include "imapd/bodystructure.h"

#include "imapd/envelope.h"
#include "imapd/respond.h"

/* body-fld-param = "(" string SP string *(SP string SP string) ")" / nil */
static void
write_params(struct buf *out, const struct mime_param *params)
{
	if (params == NULL) {
		buf_adds(out, "NIL");
		return;
	}
	for (const struct mime_param *param = params; param != NULL; param = param->next) {
		buf_addc(out, param == params ? '(' : ' ');
		respond_string(out, param->name);
		buf_addc(out, ' ');
		respond_string(out, param->value);
	}
	buf_addc(out, ')');
}

/* body-fld-dsp = "(" string SP body-fld-param ")" / nil */
static void
write_disposition(struct buf *out, const struct mime_disposition *disposition)
{
	if (disposition->kind.n == 0) {
		buf_adds(out, "NIL");
		return;
	}
	buf_addc(out, '(');
	respond_string(out, disposition->kind);
	buf_addc(out, ' ');
	write_params(out, disposition->params);
	buf_addc(out, ')');
}

/* body-fld-lang = nstring / "(" string *(SP string) ")" */
static void
write_languages(struct buf *out, const struct mime_language *languages)
{
	if (languages == NULL) {
		buf_adds(out, "NIL");
		return;
	}
	for (const struct mime_language *language = languages; language != NULL; language = language->next) {
		buf_addc(out, language == languages ? '(' : ' ');
		respond_string(out, language->tag);
	}
	buf_addc(out, ')');
}

/* What ends the extension data of every kind: disposition, language, location. */
static void
write_extension(struct buf *out, const struct mime_part *part)
{
	buf_addc(out, ' ');
	write_disposition(out, &part->disposition);
	buf_addc(out, ' ');
	write_languages(out, part->languages);
	buf_addc(out, ' ');
	respond_nstring(out, part->location);
}

static void
write_type(struct buf *out, const struct mime_part *part)
{
	respond_string(out, part->content_type.type);
	buf_addc(out, ' ');
	respond_string(out, part->content_type.subtype);
	buf_addc(out, ' ');
	if (!part->has_content_type && mime_is_type(part, "text", "plain"))
		buf_adds(out, "(\"charset\" \"us-ascii\")"); /* RFC 2045 5.2 */
	else
		write_params(out, part->content_type.params);
}

/* media-subtype and body-ext-mpart, behind the children. */
static void
write_multipart_end(struct buf *out, const struct mime_part *part, bool extended)
{
	buf_addc(out, ' ');
	respond_string(out, part->content_type.subtype);
	if (extended) {
		buf_addc(out, ' ');
		write_params(out, part->content_type.params);
		write_extension(out, part);
	}
	buf_addc(out, ')');
}

/* body-type-basic, body-type-text and the beginning of body-type-msg: without what follows the size. */
static void
write_leaf_begin(struct buf *out, const struct mime_part *part)
{
	write_type(out, part);
	buf_addc(out, ' ');
	respond_nstring(out, part->id);
	buf_addc(out, ' ');
	respond_nstring(out, part->description);
	buf_addc(out, ' ');
	respond_string(out, part->encoding.n > 0 ? part->encoding : STR("7bit"));
	buf_addf(out, " %llu", (unsigned long long)part->body.octets);
}

static void
write_leaf_end(struct buf *out, const struct mime_part *part, bool extended)
{
	if (part->kind == MIME_MESSAGE || str_equal_nocase(part->content_type.type, STR("text")))
		buf_addf(out, " %llu", (unsigned long long)part->body.lines);
	if (extended) {
		buf_addc(out, ' ');
		respond_nstring(out, part->md5);
		write_extension(out, part);
	}
	buf_addc(out, ')');
}

static void
begin_part(struct buf *out, const struct mime_part *part)
{
	buf_addc(out, '(');
	if (part->kind == MIME_MULTIPART)
		return;
	write_leaf_begin(out, part);
	if (part->kind == MIME_MESSAGE) {
		buf_addc(out, ' ');
		envelope_write(out, part->first->header_text);
		buf_addc(out, ' ');
	}
}

static void
end_part(struct buf *out, const struct mime_part *part, bool extended)
{
	if (part->kind == MIME_MULTIPART)
		write_multipart_end(out, part, extended);
	else
		write_leaf_end(out, part, extended);
}

/* Down to the first child, on to the next, up when there is none: the tree itself is the stack. */
void
bodystructure_write(struct buf *out, const struct mime_part *part, bool extended)
{
	const struct mime_part *root = part;

	begin_part(out, part);
	for (;;) {
		if (part->first != NULL) {
			part = part->first;
			begin_part(out, part);
			continue;
		}
		end_part(out, part, extended);
		while (part != root && part->next == NULL) {
			part = part->parent;
			end_part(out, part, extended);
		}
		if (part == root)
			return;
		part = part->next;
		begin_part(out, part);
	}
}
