/*
 * A client after login: any bytes, whole and in pieces, come to the same commands and replies.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "imapd/imap.h"
#include "imapd/section.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Uses what the parser gave out, as a driver would. */
static void
use(struct imap *imap)
{
	struct command *command = &imap->command;

	buf_add(imap->out, command->mailbox);
	buf_add(imap->out, command->other_mailbox);
	for (size_t i = 0; i < command->flags.n; i++)
		buf_add(imap->out, command->flags.keywords[i]);
	for (const struct fetch_section *s = command->fetch.sections; s != NULL; s = s->next)
		section_write_name(imap->out, s);
	if (command->set.n > 0) {
		seqset_resolve(&command->set, 1000);
		buf_addf(imap->out, "%d", seqset_contains(&command->set, 500));
	}
}

static void
execute(struct imap *imap)
{
	use(imap);
	switch (imap->command.row->command) {
	case COMMAND_SELECT:
	case COMMAND_EXAMINE:
		imap_set_state(imap, IMAP_SELECTED);
		break;
	case COMMAND_CLOSE:
	case COMMAND_UNSELECT:
		imap_set_state(imap, IMAP_AUTHENTICATED);
		break;
	case COMMAND_LOGOUT:
		imap_set_state(imap, IMAP_ENDED);
		break;
	case COMMAND_IDLE:
		imap_idle(imap);
		return;
	default:
		break;
	}
	imap_reply(imap, "OK");
}

static bool
act(struct imap *imap)
{
	switch (imap_next(imap)) {
	case IMAP_MORE:
		break;
	case IMAP_COMMAND:
		execute(imap);
		break;
	case IMAP_APPEND:
		use(imap);
		if (imap_append_bytes(imap) % 3 == 0)
			imap_append_refuse(imap, "NO");
		else
			imap_append_begin(imap);
		break;
	case IMAP_APPEND_CHUNK:
		buf_add(imap->out, imap_append_chunk(imap));
		imap_append_go_on(imap);
		break;
	case IMAP_APPEND_ABORT:
		buf_addc(imap->out, '!');
		break;
	case IMAP_IDLE_DONE:
		imap_reply(imap, "OK");
		break;
	case IMAP_CLOSE:
		return false;
	}
	return true;
}

static void
run(struct buf *out, struct str in, size_t step)
{
	struct imap imap;
	bool open = true;

	buf_init(out, 1 << 26);
	imap_init(&imap, out);
	for (size_t i = 0; i < in.n && open; i += step) {
		struct str piece = str_sub(in, i, step);

		while (piece.n > 0 && open) {
			piece = str_skip(piece, imap_feed(&imap, piece));
			open = act(&imap);
		}
	}
	imap_clear(&imap);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct str in = {(const char *)bytes, n};
	struct buf whole, pieces;

	run(&whole, in, n + 1);
	run(&pieces, in, n > 0 ? bytes[n - 1] % 7 + 1u : 1);
	if (!str_equal(buf_str(&whole), buf_str(&pieces)))
		abort();
	buf_clear(&whole);
	buf_clear(&pieces);
	return 0;
}
