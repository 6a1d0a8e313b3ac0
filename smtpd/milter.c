#include "smtpd/milter.h"

void
milter_init(struct milter *m)
{
	*m = (struct milter){.chunk_max = MILTER_CHUNK_SMALL};
	buf_init(&m->words.text, MILTER_REPLY_TEXT_MAX);
	for (size_t i = 0; i < MILTER_MACRO_STAGES; i++)
		buf_init(&m->wanted[i], MILTER_WANTED_MAX);
}

void
milter_clear(struct milter *m)
{
	buf_clear(&m->words.text);
	for (size_t i = 0; i < MILTER_MACRO_STAGES; i++)
		buf_clear(&m->wanted[i]);
}

/* --- macros ----------------------------------------------------------------------------------------------------------- */

/* What filters get that do not say what they want: as Sendmail and Postfix send it. */
static const struct str macros_usual[MILTER_MACRO_STAGES] = {
    [MILTER_AT_CONNECT] = STR("j _ {daemon_name} {if_name} {if_addr} {daemon_addr} {daemon_port} v"),
    [MILTER_AT_HELO] = STR("{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}"),
    [MILTER_AT_MAIL] = STR("i {auth_type} {auth_authen} {auth_ssf} {auth_author} {mail_mailer} {mail_host} {mail_addr}"),
    [MILTER_AT_RCPT] = STR("i {rcpt_mailer} {rcpt_host} {rcpt_addr}"),
    [MILTER_AT_DATA] = STR("i"),
    [MILTER_AT_END] = STR("i {msg_id}"),
    [MILTER_AT_END_OF_HEADER] = STR("i"),
};

/* The names come with blanks or commas between them. */
static bool
name_take(struct str *list, struct str *name)
{
	size_t n = 0;

	while (list->n > 0 && (list->p[0] == ' ' || list->p[0] == ','))
		*list = str_skip(*list, 1);
	while (n < list->n && list->p[n] != ' ' && list->p[n] != ',')
		n++;
	*name = str_sub(*list, 0, n);
	*list = str_skip(*list, n);
	return n > 0;
}

/* Also without any macro: it tells a filter that those of an earlier command are not valid any more. */
static void
macros_add(struct milter *m, struct buf *out, enum milter_macro_stage stage, enum milter_command command,
    const struct milter_macros *macros)
{
	bool chosen = m->chooses & 1U << stage;
	struct str list = chosen ? buf_str(&m->wanted[stage]) : macros_usual[stage], name;
	size_t begin = milter_packet_begin(out, MILTER_MACROS);

	buf_addc(out, (char)command);
	while (name_take(&list, &name)) {
		struct str value = macros->value(macros, name);

		if (value.n == 0)
			continue;
		milter_string_add(out, name);
		milter_string_add(out, value);
	}
	milter_packet_end(out, begin);
}

/* --- what we say ------------------------------------------------------------------------------------------------------ */

void
milter_negotiate(struct milter *m, struct buf *out)
{
	size_t begin = milter_packet_begin(out, MILTER_NEGOTIATE);

	milter_number_add(out, MILTER_VERSION);
	milter_number_add(out, MILTER_ACTIONS_ALL);
	milter_number_add(out, MILTER_OPTIONS_ALL);
	milter_packet_end(out, begin);
	m->asked = MILTER_NEGOTIATE;
}

static bool
leaves_out(const struct milter *m, enum milter_option option)
{
	return (m->options & (uint32_t)option) != 0;
}

/* True: the answer must be awaited. */
static bool
ask(struct milter *m, enum milter_command command, enum milter_option mute)
{
	if (leaves_out(m, mute))
		return false;
	m->asked = command;
	return true;
}

bool
milter_connect(struct milter *m, struct buf *out, const struct milter_macros *macros, const struct milter_peer *peer)
{
	bool has_address = peer->family == AF_INET || peer->family == AF_INET6;
	size_t begin;

	if (leaves_out(m, MILTER_NO_CONNECT))
		return false;
	macros_add(m, out, MILTER_AT_CONNECT, MILTER_CONNECT, macros);
	begin = milter_packet_begin(out, MILTER_CONNECT);
	milter_string_add(out, peer->name);
	buf_addc(out, peer->family == AF_INET ? '4' : has_address ? '6' : 'U');
	if (has_address) {
		milter_port_add(out, peer->port);
		milter_string_add(out, peer->address);
	}
	milter_packet_end(out, begin);
	return ask(m, MILTER_CONNECT, MILTER_MUTE_CONNECT);
}

bool
milter_helo(struct milter *m, struct buf *out, const struct milter_macros *macros, struct str name)
{
	size_t begin;

	if (leaves_out(m, MILTER_NO_HELO))
		return false;
	macros_add(m, out, MILTER_AT_HELO, MILTER_HELO, macros);
	begin = milter_packet_begin(out, MILTER_HELO);
	milter_string_add(out, name);
	milter_packet_end(out, begin);
	return ask(m, MILTER_HELO, MILTER_MUTE_HELO);
}

static void
arguments_add(struct buf *out, enum milter_command command, const struct str *arguments, size_t n)
{
	size_t begin = milter_packet_begin(out, command);

	for (size_t i = 0; i < n; i++)
		milter_string_add(out, arguments[i]);
	milter_packet_end(out, begin);
}

bool
milter_mail(struct milter *m, struct buf *out, const struct milter_macros *macros, const struct str *arguments, size_t n)
{
	m->skips = false;
	if (leaves_out(m, MILTER_NO_MAIL))
		return false;
	macros_add(m, out, MILTER_AT_MAIL, MILTER_MAIL, macros);
	arguments_add(out, MILTER_MAIL, arguments, n);
	return ask(m, MILTER_MAIL, MILTER_MUTE_MAIL);
}

bool
milter_wants_refused(const struct milter *m)
{
	return leaves_out(m, MILTER_REFUSED_RCPT) && !leaves_out(m, MILTER_NO_RCPT);
}

bool
milter_rcpt(struct milter *m, struct buf *out, const struct milter_macros *macros, const struct str *arguments, size_t n)
{
	if (leaves_out(m, MILTER_NO_RCPT))
		return false;
	macros_add(m, out, MILTER_AT_RCPT, MILTER_RCPT, macros);
	arguments_add(out, MILTER_RCPT, arguments, n);
	return ask(m, MILTER_RCPT, MILTER_MUTE_RCPT);
}

bool
milter_data(struct milter *m, struct buf *out, const struct milter_macros *macros)
{
	if (leaves_out(m, MILTER_NO_DATA))
		return false;
	macros_add(m, out, MILTER_AT_DATA, MILTER_DATA, macros);
	milter_packet_end(out, milter_packet_begin(out, MILTER_DATA));
	return ask(m, MILTER_DATA, MILTER_MUTE_DATA);
}

/* There is no stage of macros for it. */
bool
milter_unknown(struct milter *m, struct buf *out, const struct milter_macros *macros, struct str line)
{
	size_t begin;

	(void)macros;
	if (leaves_out(m, MILTER_NO_UNKNOWN))
		return false;
	begin = milter_packet_begin(out, MILTER_UNKNOWN);
	milter_string_add(out, line);
	milter_packet_end(out, begin);
	return ask(m, MILTER_UNKNOWN, MILTER_MUTE_UNKNOWN);
}

bool
milter_wants_header(const struct milter *m)
{
	return !leaves_out(m, MILTER_NO_HEADER);
}

/* A filter has no room for more than one packet: what is longer it sees cut. */
#define NAME_MAX 1024

/* In a filter's view the lines of a folded field end in LF, and one blank behind the colon is the server's. */
bool
milter_header(struct milter *m, struct buf *out, struct str name, struct str value)
{
	size_t begin, end;

	if (!milter_wants_header(m))
		return false;
	name = str_sub(name, 0, NAME_MAX);
	value = str_sub(value, 0, m->chunk_max - NAME_MAX - 2);
	if (!leaves_out(m, MILTER_LEADING_SPACE) && value.n > 0 && ascii_is_blank(value.p[0]))
		value = str_skip(value, 1);
	begin = milter_packet_begin(out, MILTER_HEADER);
	milter_string_add(out, name);
	for (; (end = str_search(value, STR("\r\n"))) < value.n; value = str_skip(value, end + 1)) {
		milter_string_add(out, str_sub(value, 0, end));
		buf_truncate(out, buf_ok(out) ? out->n - 1 : out->n);
	}
	milter_string_add(out, value);
	milter_packet_end(out, begin);
	return ask(m, MILTER_HEADER, MILTER_MUTE_HEADER);
}

bool
milter_end_of_header(struct milter *m, struct buf *out, const struct milter_macros *macros)
{
	if (leaves_out(m, MILTER_NO_END_OF_HEADER))
		return false;
	macros_add(m, out, MILTER_AT_END_OF_HEADER, MILTER_END_OF_HEADER, macros);
	milter_packet_end(out, milter_packet_begin(out, MILTER_END_OF_HEADER));
	return ask(m, MILTER_END_OF_HEADER, MILTER_MUTE_END_OF_HEADER);
}

bool
milter_wants_body(const struct milter *m)
{
	return !leaves_out(m, MILTER_NO_BODY) && !m->skips;
}

bool
milter_body(struct milter *m, struct buf *out, struct str chunk)
{
	size_t begin;

	if (!milter_wants_body(m))
		return false;
	begin = milter_packet_begin(out, MILTER_BODY);
	buf_add(out, chunk);
	milter_packet_end(out, begin);
	return ask(m, MILTER_BODY, MILTER_MUTE_BODY);
}

bool
milter_end(struct milter *m, struct buf *out, const struct milter_macros *macros)
{
	macros_add(m, out, MILTER_AT_END, MILTER_END, macros);
	milter_packet_end(out, milter_packet_begin(out, MILTER_END));
	m->asked = MILTER_END;
	return true;
}

void
milter_abort(struct milter *m, struct buf *out)
{
	m->skips = false;
	milter_packet_end(out, milter_packet_begin(out, MILTER_ABORT));
}

void
milter_quit(struct milter *m, struct buf *out)
{
	m->skips = false;
	milter_packet_end(out, milter_packet_begin(out, MILTER_QUIT));
}

/* --- what it says: the agreement -------------------------------------------------------------------------------------- */

static enum milter_event
bad(struct milter *m, const char *problem)
{
	m->problem = problem;
	return MILTER_BAD;
}

/* stage (4 bytes), names; until the end of the packet. */
static bool
wanted_take(struct milter *m, struct str body)
{
	while (body.n > 0) {
		uint32_t stage;
		struct str names;

		if (!milter_number_take(&body, &stage) || !milter_string_take(&body, &names) || stage >= MILTER_MACRO_STAGES)
			return false;
		buf_reset(&m->wanted[stage]);
		buf_add(&m->wanted[stage], names);
		if (!buf_ok(&m->wanted[stage]))
			return false;
		m->chooses |= 1U << stage;
	}
	return true;
}

static void
chunk_set(struct milter *m)
{
	if (leaves_out(m, MILTER_CHUNK_1M))
		m->chunk_max = MILTER_CHUNK_LARGE;
	else if (leaves_out(m, MILTER_CHUNK_256K))
		m->chunk_max = MILTER_CHUNK_MIDDLE;
	else
		m->chunk_max = MILTER_CHUNK_SMALL;
}

static enum milter_event
negotiated(struct milter *m, struct str body)
{
	uint32_t unknown;

	if (!milter_number_take(&body, &m->version) || !milter_number_take(&body, &m->actions) ||
	    !milter_number_take(&body, &m->options))
		return bad(m, "a malformed negotiation");
	if (m->version < MILTER_VERSION_MIN || m->version > MILTER_VERSION)
		return bad(m, "a version of the protocol that was not offered");
	unknown = (m->actions & ~(uint32_t)MILTER_ACTIONS_ALL) | (m->options & ~(uint32_t)MILTER_OPTIONS_ALL);
	if (unknown != 0)
		return bad(m, "wants what was not offered");
	/* What was not there yet in the filter's version. */
	if (m->version < 3)
		m->options |= MILTER_NO_UNKNOWN;
	if (m->version < 4)
		m->options |= MILTER_NO_DATA;
	if (body.n > 0 && (!(m->actions & MILTER_SET_MACROS) || !wanted_take(m, body)))
		return bad(m, "a malformed list of macros");
	chunk_set(m);
	m->asked = 0;
	return MILTER_READY;
}

/* --- what it says: verdicts and changes ------------------------------------------------------------------------------- */

#define AT(command) (1U << ((command) - 'A'))
#define AT_MESSAGE                                                                                                    \
	(AT(MILTER_MAIL) | AT(MILTER_RCPT) | AT(MILTER_DATA) | AT(MILTER_HEADER) | AT(MILTER_END_OF_HEADER) |         \
	    AT(MILTER_BODY) | AT(MILTER_END))
#define AT_SESSION (AT(MILTER_CONNECT) | AT(MILTER_HELO) | AT(MILTER_UNKNOWN))
#define AT_ANY (AT_MESSAGE | AT_SESSION)

static const struct {
	char kind;
	enum milter_verdict_kind verdict;
	unsigned at; /* as an answer to what */
} verdicts[] = {
    {MILTER_SAYS_CONTINUE, MILTER_CONTINUES, AT_ANY},
    {MILTER_SAYS_ACCEPT, MILTER_ACCEPTS, AT_ANY},
    {MILTER_SAYS_REJECT, MILTER_REJECTS, AT_ANY},
    {MILTER_SAYS_TRY_LATER, MILTER_DEFERS, AT_ANY},
    {MILTER_SAYS_DISCARD, MILTER_DISCARDS, AT_MESSAGE},
    {MILTER_SAYS_REPLY, MILTER_REPLIES, AT_ANY},
    {MILTER_SAYS_SKIP, MILTER_SKIPS, AT(MILTER_BODY)},
    {MILTER_SAYS_CONNECTION_FAIL, MILTER_DISCONNECTS, AT_ANY},
    {MILTER_SAYS_SHUTDOWN, MILTER_DISCONNECTS, AT_ANY},
};

static enum milter_event
verdict_take(struct milter *m, size_t row, struct str body)
{
	struct str text;

	if (m->asked == 0 || (verdicts[row].at & AT(m->asked)) == 0)
		return bad(m, "an answer to what was not asked");
	m->verdict = verdicts[row].verdict;
	if (m->verdict == MILTER_SKIPS) {
		if (!leaves_out(m, MILTER_MAY_SKIP))
			return bad(m, "skips, which was not agreed on");
		m->skips = true;
	}
	if (m->verdict == MILTER_REPLIES && (!milter_string_take(&body, &text) || !milter_words_parse(text, &m->words)))
		return bad(m, "a malformed reply");
	if (body.n > 0)
		return bad(m, "an answer that is too long");
	m->asked = 0;
	return MILTER_VERDICT;
}

/* The parts of a change, in the order in which they come: Number, Name, Value, Optional value, all that is left. */
static const struct {
	char kind;
	enum milter_change_kind change;
	unsigned actions; /* one of which must have been agreed on */
	const char *parts;
} changes[] = {
    {MILTER_SAYS_HEADER_ADD, MILTER_FIELD_ADD, MILTER_ADD_HEADERS, "nv"},
    {MILTER_SAYS_HEADER_INSERT, MILTER_FIELD_INSERT, MILTER_ADD_HEADERS, "inv"},
    {MILTER_SAYS_HEADER_CHANGE, MILTER_FIELD_CHANGE, MILTER_CHANGE_HEADERS, "inv"},
    {MILTER_SAYS_BODY, MILTER_BODY_REPLACE, MILTER_CHANGE_BODY, "*"},
    {MILTER_SAYS_RECIPIENT_ADD, MILTER_RECIPIENT_ADD, MILTER_ADD_RECIPIENTS | MILTER_ADD_RECIPIENTS_PARAMETERS, "n"},
    {MILTER_SAYS_RECIPIENT_ADD_PARAMETERS, MILTER_RECIPIENT_ADD, MILTER_ADD_RECIPIENTS_PARAMETERS, "no"},
    {MILTER_SAYS_RECIPIENT_REMOVE, MILTER_RECIPIENT_REMOVE, MILTER_REMOVE_RECIPIENTS, "n"},
    {MILTER_SAYS_SENDER, MILTER_SENDER_CHANGE, MILTER_CHANGE_SENDER, "no"},
    {MILTER_SAYS_QUARANTINE, MILTER_HOLD, MILTER_QUARANTINE, "v"},
};

static bool
parts_take(struct milter_change *change, const char *parts, struct str body)
{
	for (; *parts != '\0'; parts++) {
		if (*parts == 'i' && !milter_number_take(&body, &change->index))
			return false;
		if (*parts == 'n' && !milter_string_take(&body, &change->name))
			return false;
		if ((*parts == 'v' || (*parts == 'o' && body.n > 0)) && !milter_string_take(&body, &change->value))
			return false;
		if (*parts == '*') {
			change->value = body;
			body = STR_NONE;
		}
	}
	return body.n == 0;
}

static enum milter_event
change_take(struct milter *m, size_t row, struct str body)
{
	if (m->asked != MILTER_END)
		return bad(m, "a change before the end of the message");
	if ((m->actions & changes[row].actions) == 0)
		return bad(m, "a change that was not agreed on");
	m->change = (struct milter_change){.kind = changes[row].change, .has_space = leaves_out(m, MILTER_LEADING_SPACE)};
	if (!parts_take(&m->change, changes[row].parts, body))
		return bad(m, "a malformed change");
	return MILTER_CHANGED;
}

static enum milter_event
packet_take(struct milter *m, const struct milter_packet *packet)
{
	if (m->asked == MILTER_NEGOTIATE)
		return packet->kind == MILTER_SAYS_NEGOTIATE ? negotiated(m, packet->body)
							     : bad(m, "an answer that is no negotiation");
	for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++)
		if (verdicts[i].kind == packet->kind)
			return verdict_take(m, i, packet->body);
	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++)
		if (changes[i].kind == packet->kind)
			return change_take(m, i, packet->body);
	if (packet->kind == MILTER_SAYS_PROGRESS)
		return m->asked != 0 && packet->body.n == 0 ? MILTER_PROGRESS : bad(m, "progress at nothing");
	return bad(m, "an unknown packet");
}

enum milter_event
milter_feed(struct milter *m, struct str *in)
{
	struct milter_packet packet;

	switch (milter_packet_take(in, &packet)) {
	case PARSE_MORE:
		return MILTER_MORE;
	case PARSE_BAD:
		return bad(m, "a packet of a length that makes no sense");
	case PARSE_OK:
		break;
	}
	return packet_take(m, &packet);
}
