#include "smtpd/trace.h"

#define HELO_SHOWN_MAX 255

/* Visible ASCII that cannot break the field's syntax; anything else becomes "?". */
static void
token_add(struct buf *out, struct str s)
{
	s = str_sub(s, 0, HELO_SHOWN_MAX);
	if (s.n == 0)
		buf_adds(out, "unknown");
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool breaks = !ascii_is_print(c) || c == ' ' || c == '(' || c == ')' || c == '<' || c == '>' || c == ';' ||
		    c == '\\' || c == '"' || c == ',';

		buf_addc(out, breaks ? '?' : c);
	}
}

static void
from_add(struct buf *out, const struct trace_facts *f)
{
	buf_adds(out, "Received: from ");
	token_add(out, f->helo);
	buf_adds(out, " (");
	token_add(out, f->client_name);
	buf_addf(out, " [%s%.*s])", str_find(f->client, ':') < f->client.n ? "IPv6:" : "", STR_FMT(f->client));
}

/* There was no host, and no protocol of mail's. */
static void
local_add(struct buf *out, const struct trace_facts *f)
{
	buf_addf(out, "Received: by %.*s (Merpati, from user ", STR_FMT(f->hostname));
	token_add(out, f->local_user);
	buf_addf(out, ")\r\n\tid %.*s; %.*s\r\n", STR_FMT(f->id), STR_FMT(f->date));
}

void
trace_received_add(struct buf *out, const struct trace_facts *f)
{
	if (f->client.n == 0) {
		local_add(out, f);
		return;
	}
	from_add(out, f);
	if (f->tls_version.n > 0)
		buf_addf(out, "\r\n\t(using %.*s with cipher %.*s)", STR_FMT(f->tls_version), STR_FMT(f->tls_cipher));
	buf_addf(out, "\r\n\tby %.*s with %.*s id %.*s", STR_FMT(f->hostname), STR_FMT(f->protocol), STR_FMT(f->id));
	if (f->recipient.n > 0)
		buf_addf(out, "\r\n\tfor <%.*s>", STR_FMT(f->recipient));
	if (f->tls_suite.n > 0)
		buf_addf(out, "\r\n\ttls %.*s", STR_FMT(f->tls_suite));
	buf_addf(out, ";\r\n\t%.*s\r\n", STR_FMT(f->date));
}
