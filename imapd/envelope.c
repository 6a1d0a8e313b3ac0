#include "imapd/envelope.h"

#include "common/mime/mime.h"
#include "common/mime/rfc5322.h"
#include "imapd/respond.h"

#define ARENA_BYTES (16 * 1024 * 1024) /* a list of addresses that does not fit is cut */

enum field {
	FIELD_DATE,
	FIELD_SUBJECT,
	FIELD_FROM,
	FIELD_SENDER,
	FIELD_REPLY_TO,
	FIELD_TO,
	FIELD_CC,
	FIELD_BCC,
	FIELD_IN_REPLY_TO,
	FIELD_MESSAGE_ID,
	FIELD_COUNT,
};

/* In the order of the response. */
static const struct str field_names[FIELD_COUNT] = {
    STR("Date"),
    STR("Subject"),
    STR("From"),
    STR("Sender"),
    STR("Reply-To"),
    STR("To"),
    STR("Cc"),
    STR("Bcc"),
    STR("In-Reply-To"),
    STR("Message-ID"),
};

/* The first of each name; .p is NULL where there is none. */
static void
find_fields(struct str header, struct str fields[FIELD_COUNT])
{
	struct str name, value;

	while (mime_field_next(&header, &name, &value)) {
		for (size_t i = 0; i < FIELD_COUNT; i++) {
			if (fields[i].p == NULL && str_equal_nocase(name, field_names[i])) {
				fields[i] = value;
				break;
			}
		}
	}
}

static void
write_unfolded(struct buf *out, struct str value)
{
	struct buf unfolded;

	if (value.p == NULL) {
		buf_adds(out, "NIL");
		return;
	}
	value = str_trim(value);
	buf_init(&unfolded, value.n);
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] != '\r' && value.p[i] != '\n')
			buf_addc(&unfolded, value.p[i]);
	respond_string(out, buf_str(&unfolded));
	buf_clear(&unfolded);
}

/* A NIL host would mean a group, a NIL mailbox its end: so what is missing gets a name. */
static void
write_mailbox(struct buf *out, const struct rfc5322_address *address)
{
	buf_addc(out, '(');
	respond_nstring(out, address->name);
	buf_addc(out, ' ');
	respond_nstring(out, address->route);
	buf_addc(out, ' ');
	respond_string(out, address->local.n > 0 ? address->local : STR("MISSING_MAILBOX"));
	buf_addc(out, ' ');
	respond_string(out, address->domain.n > 0 ? address->domain : STR("MISSING_DOMAIN"));
	buf_addc(out, ')');
}

static void
write_address(struct buf *out, const struct rfc5322_address *address)
{
	switch (address->kind) {
	case RFC5322_MAILBOX:
		write_mailbox(out, address);
		break;
	case RFC5322_GROUP:
		buf_adds(out, "(NIL NIL ");
		respond_string(out, address->name);
		buf_adds(out, " NIL)");
		break;
	case RFC5322_GROUP_END:
		buf_adds(out, "(NIL NIL NIL NIL)");
		break;
	}
}

/* "(" 1*address ")" / nil; true when there was an address. */
static bool
write_addresses(struct buf *out, struct str value)
{
	const struct rfc5322_address *address;
	struct arena arena;
	unsigned n = 0;

	arena_init(&arena, ARENA_BYTES);
	address = rfc5322_addresses_parse(&arena, value, NULL);
	for (; address != NULL && n < ENVELOPE_ADDRESSES_MAX; address = address->next) {
		if (n++ == 0)
			buf_addc(out, '(');
		write_address(out, address);
	}
	buf_adds(out, n > 0 ? ")" : "NIL");
	arena_clear(&arena);
	return n > 0;
}

/* RFC 3501 7.4.2: Sender and Reply-To that are absent or empty are those of From. */
static void
write_address_field(struct buf *out, const struct str fields[FIELD_COUNT], enum field field)
{
	size_t before = out->n;

	if (write_addresses(out, fields[field]) || (field != FIELD_SENDER && field != FIELD_REPLY_TO))
		return;
	buf_truncate(out, before);
	(void)write_addresses(out, fields[FIELD_FROM]);
}

void
envelope_write(struct buf *out, struct str header)
{
	struct str fields[FIELD_COUNT] = {{0}};

	find_fields(header, fields);
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		buf_addc(out, i == 0 ? '(' : ' ');
		if (i >= FIELD_FROM && i <= FIELD_BCC)
			write_address_field(out, fields, (enum field)i);
		else
			write_unfolded(out, fields[i]);
	}
	buf_addc(out, ')');
}
