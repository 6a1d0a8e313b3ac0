#include "imapd/capability.h"

#define ALWAYS "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE"

/* RFC 3501 6.2.3, 7.2.1: where a password would travel in plain text, none is offered to be taken. */
void
capability_write_before_login(struct buf *out, const struct login_facts *facts)
{
	struct str rest = facts->mechanisms, mechanism;

	buf_adds(out, ALWAYS);
	if (facts->can_start_tls && !facts->tls)
		buf_adds(out, " STARTTLS");
	if (!facts->plain_text)
		buf_adds(out, " LOGINDISABLED");
	while (str_word(&rest, &mechanism)) {
		buf_adds(out, " AUTH=");
		buf_add(out, mechanism);
	}
}

void
capability_write(struct buf *out)
{
	buf_adds(out, ALWAYS " NAMESPACE UIDPLUS UNSELECT CHILDREN SPECIAL-USE MOVE");
}

void
capability_write_id(struct buf *out)
{
	buf_adds(out, "* ID (\"name\" \"Merpati\" \"version\" \"" MERPATI_VERSION "\")\r\n");
}
