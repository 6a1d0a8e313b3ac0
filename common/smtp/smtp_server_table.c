/*
 * The tables of SMTP and LMTP: commands and extensions.
 */
#include "common/base/date.h"
#include "common/smtp/smtp_server_inner.h"

#define BOTH (1U << SMTP_ESMTP | 1U << SMTP_LMTP)
#define ONLY_SMTP (1U << SMTP_ESMTP)
#define ONLY_LMTP (1U << SMTP_LMTP)

/* No transaction is under way. */
#define STATE_IDLE (SMTP_STATE_CONNECTED | SMTP_STATE_GREETED)

static const struct smtp_command commands[] = {
    /* verb             in         legal in states                   flags                                      needs */
    {STR("EHLO"),     ONLY_SMTP, STATE_ANY,                         SMTP_HAS_ARGUMENT | SMTP_IS_JUNK,          SMTP_EXT_NONE,
        smtp_command_hello,    "RFC 5321 4.1.1.1"},
    {STR("HELO"),     ONLY_SMTP, STATE_ANY,                         SMTP_HAS_ARGUMENT | SMTP_IS_JUNK,          SMTP_EXT_NONE,
        smtp_command_hello,    "RFC 5321 4.1.1.1"},
    {STR("LHLO"),     ONLY_LMTP, STATE_ANY,                         SMTP_HAS_ARGUMENT | SMTP_IS_JUNK,          SMTP_EXT_NONE,
        smtp_command_hello,    "RFC 2033 4.1"},
    {STR("MAIL"),     BOTH,      SMTP_STATE_GREETED,                SMTP_HAS_ARGUMENT | SMTP_AFTER_AUTH,       SMTP_EXT_NONE,
        smtp_command_mail,     "RFC 5321 4.1.1.2"},
    {STR("RCPT"),     BOTH,      SMTP_STATE_MAIL | SMTP_STATE_RCPT, SMTP_HAS_ARGUMENT,                         SMTP_EXT_NONE,
        smtp_command_rcpt,     "RFC 5321 4.1.1.3"},
    {STR("DATA"),     BOTH,      SMTP_STATE_RCPT,                   SMTP_NO_ARGUMENT,                          SMTP_EXT_NONE,
        smtp_command_data,     "RFC 5321 4.1.1.4"},
    {STR("BDAT"),     BOTH,      SMTP_STATE_RCPT | SMTP_STATE_BDAT, SMTP_HAS_ARGUMENT | SMTP_HAS_CHUNK,        SMTP_EXT_CHUNKING,
        smtp_command_bdat,     "RFC 3030 2"},
    {STR("RSET"),     BOTH,      STATE_ANY,                         SMTP_NO_ARGUMENT | SMTP_IS_JUNK,           SMTP_EXT_NONE,
        smtp_command_rset,     "RFC 5321 4.1.1.5"},
    {STR("NOOP"),     BOTH,      STATE_ANY,                         SMTP_IS_JUNK,                              SMTP_EXT_NONE,
        smtp_command_noop,     "RFC 5321 4.1.1.9"},
    {STR("VRFY"),     BOTH,      STATE_HELLO,                       SMTP_HAS_ARGUMENT | SMTP_AFTER_AUTH | SMTP_IS_JUNK, SMTP_EXT_NONE,
        smtp_command_vrfy,     "RFC 5321 4.1.1.6"},
    {STR("HELP"),     BOTH,      STATE_ANY,                         SMTP_IS_JUNK,                              SMTP_EXT_NONE,
        smtp_command_help,     "RFC 5321 4.1.1.8"},
    {STR("QUIT"),     BOTH,      STATE_ANY,                         SMTP_NO_ARGUMENT,                          SMTP_EXT_NONE,
        smtp_command_quit,     "RFC 5321 4.1.1.10"},
    {STR("STARTTLS"), BOTH,      SMTP_STATE_GREETED,                SMTP_NO_ARGUMENT,                          SMTP_EXT_STARTTLS,
        smtp_command_starttls, "RFC 3207 4"},
    {STR("AUTH"),     BOTH,      SMTP_STATE_GREETED,                SMTP_HAS_ARGUMENT | SMTP_LONG_LINE,        SMTP_EXT_AUTH,
        smtp_command_auth,     "RFC 4954 4"},
    {STR("ETRN"),     ONLY_SMTP, SMTP_STATE_GREETED,                SMTP_HAS_ARGUMENT | SMTP_AFTER_AUTH | SMTP_IS_JUNK, SMTP_EXT_ETRN,
        smtp_command_etrn,     "RFC 1985 5.1"},
    {STR("XCLIENT"),  BOTH,      STATE_IDLE,                        SMTP_HAS_ARGUMENT | SMTP_IS_JUNK,          SMTP_EXT_XCLIENT,
        smtp_command_xclient,  "Postfix XCLIENT_README"},
    {STR("XFORWARD"), BOTH,      SMTP_STATE_GREETED,                SMTP_HAS_ARGUMENT | SMTP_IS_JUNK,          SMTP_EXT_XFORWARD,
        smtp_command_xforward, "Postfix XFORWARD_README"},
};

#define NCOMMANDS (sizeof commands / sizeof commands[0])
_Static_assert(NCOMMANDS <= SMTP_COMMANDS_MAX, "struct smtp_counters has a place for each command");

const struct smtp_command *
smtp_server_commands(size_t *n)
{
	*n = NCOMMANDS;
	return commands;
}

const struct smtp_command *
smtp_command_find(enum smtp_protocol protocol, struct str verb, size_t *index)
{
	for (size_t i = 0; i < NCOMMANDS; i++) {
		if ((commands[i].protocols & 1U << protocol) == 0 || !str_equal_nocase(verb, commands[i].verb))
			continue;
		*index = i;
		return &commands[i];
	}
	*index = SMTP_COMMANDS_MAX;
	return NULL;
}

/* --- extensions -------------------------------------------------------------------------------------------------------- */

static bool
always(const struct smtp_server *s)
{
	(void)s;
	return true;
}

static bool
can_start_tls(const struct smtp_server *s)
{
	return s->facts.can_start_tls && !s->facts.tls;
}

static bool
can_authenticate(const struct smtp_server *s)
{
	return s->facts.mechanisms.n > 0;
}

static bool
offers_dsn(const struct smtp_server *s)
{
	return s->facts.offers_dsn;
}

static bool
offers_requiretls(const struct smtp_server *s)
{
	return s->facts.offers_requiretls && s->facts.tls;
}

static bool
offers_priority(const struct smtp_server *s)
{
	return s->facts.offers_priority;
}

static bool
offers_deliverby(const struct smtp_server *s)
{
	return s->facts.offers_deliverby;
}

static bool
offers_futurerelease(const struct smtp_server *s)
{
	return s->facts.hold_max_s > 0;
}

static bool
offers_etrn(const struct smtp_server *s)
{
	return s->facts.offers_etrn;
}

static bool
may_xclient(const struct smtp_server *s)
{
	return s->facts.may_xclient;
}

static bool
may_xforward(const struct smtp_server *s)
{
	return s->facts.may_xforward;
}

static void
write_size(const struct smtp_server *s, struct buf *out)
{
	buf_addf(out, " %llu", (unsigned long long)s->facts.size_max);
}

static void
write_mechanisms(const struct smtp_server *s, struct buf *out)
{
	buf_addf(out, " %.*s", STR_FMT(s->facts.mechanisms));
}

/* RFC 9422 4.2; no MAILMAX: the messages of a session are not counted. */
static void
write_limits(const struct smtp_server *s, struct buf *out)
{
	buf_addf(out, " RCPTMAX=%zu", s->facts.recipients_max);
}

/* RFC 4865 3: for how long, and until when. */
static void
write_futurerelease(const struct smtp_server *s, struct buf *out)
{
	char text[DATE_RFC3339_SIZE];
	struct date last = {.seconds = (int64_t)(s->time_ms / 1000 + s->facts.hold_max_s)};

	buf_addf(out, " %llu %s", (unsigned long long)s->facts.hold_max_s, date_format_rfc3339(text, last));
}

static void
write_xclient(const struct smtp_server *s, struct buf *out)
{
	(void)s;
	smtp_attributes_write(out, SMTP_EXT_XCLIENT);
}

static void
write_xforward(const struct smtp_server *s, struct buf *out)
{
	(void)s;
	smtp_attributes_write(out, SMTP_EXT_XFORWARD);
}

static const struct extension {
	const char *keyword;
	bool (*offered)(const struct smtp_server *s);
	void (*write)(const struct smtp_server *s, struct buf *out); /* what follows the keyword; may be NULL */
	const char *reference;
} extensions[SMTP_EXTENSIONS] = {
    [SMTP_EXT_PIPELINING] = {"PIPELINING", always, NULL, "RFC 2920"},
    [SMTP_EXT_SIZE] = {"SIZE", always, write_size, "RFC 1870"},
    [SMTP_EXT_8BITMIME] = {"8BITMIME", always, NULL, "RFC 6152"},
    [SMTP_EXT_ENHANCEDSTATUSCODES] = {"ENHANCEDSTATUSCODES", always, NULL, "RFC 2034"},
    [SMTP_EXT_STARTTLS] = {"STARTTLS", can_start_tls, NULL, "RFC 3207"},
    [SMTP_EXT_AUTH] = {"AUTH", can_authenticate, write_mechanisms, "RFC 4954"},
    [SMTP_EXT_CHUNKING] = {"CHUNKING", always, NULL, "RFC 3030 2"},
    [SMTP_EXT_BINARYMIME] = {"BINARYMIME", always, NULL, "RFC 3030 3"},
    [SMTP_EXT_SMTPUTF8] = {"SMTPUTF8", always, NULL, "RFC 6531"},
    [SMTP_EXT_DSN] = {"DSN", offers_dsn, NULL, "RFC 3461"},
    [SMTP_EXT_REQUIRETLS] = {"REQUIRETLS", offers_requiretls, NULL, "RFC 8689"},
    [SMTP_EXT_LIMITS] = {"LIMITS", always, write_limits, "RFC 9422"},
    [SMTP_EXT_MT_PRIORITY] = {"MT-PRIORITY", offers_priority, NULL, "RFC 6710"},
    [SMTP_EXT_DELIVERBY] = {"DELIVERBY", offers_deliverby, NULL, "RFC 2852"},
    [SMTP_EXT_FUTURERELEASE] = {"FUTURERELEASE", offers_futurerelease, write_futurerelease, "RFC 4865"},
    [SMTP_EXT_ETRN] = {"ETRN", offers_etrn, NULL, "RFC 1985"},
    [SMTP_EXT_XCLIENT] = {"XCLIENT", may_xclient, write_xclient, "Postfix XCLIENT_README"},
    [SMTP_EXT_XFORWARD] = {"XFORWARD", may_xforward, write_xforward, "Postfix XFORWARD_README"},
};

bool
smtp_server_offers(const struct smtp_server *s, enum smtp_extension extension)
{
	return extension == SMTP_EXT_NONE || extensions[extension].offered(s);
}

void
smtp_extensions_write(struct smtp_server *s)
{
	size_t last = s->out->n;

	buf_addf(s->out, "250-%.*s\r\n", STR_FMT(s->facts.hostname));
	for (unsigned i = SMTP_EXT_NONE + 1; i < SMTP_EXTENSIONS; i++) {
		if (!extensions[i].offered(s))
			continue;
		last = s->out->n;
		buf_addf(s->out, "250-%s", extensions[i].keyword);
		if (extensions[i].write != NULL)
			extensions[i].write(s, s->out);
		buf_adds(s->out, "\r\n");
	}
	if (buf_ok(s->out))
		s->out->p[last + 3] = ' ';
}

void
smtp_help_write(struct smtp_server *s)
{
	buf_adds(s->out, "214 2.0.0");
	for (size_t i = 0; i < NCOMMANDS; i++)
		if ((commands[i].protocols & 1U << s->facts.protocol) && smtp_server_offers(s, commands[i].extension))
			buf_addf(s->out, " %.*s", STR_FMT(commands[i].verb));
	buf_adds(s->out, "\r\n");
}
