/*
 * The commands, each carrying out session->imap.command and replying to it, now or by a job.
 */
#ifndef IMAPD_CMD_H
#define IMAPD_CMD_H

#include "imapd/session.h"

/* cmd_state.c: the session and its selected mailbox */
void cmd_capability(struct session *session);
void cmd_noop(struct session *session);
void cmd_id(struct session *session);
void cmd_enable(struct session *session);
void cmd_logout(struct session *session);
void cmd_idle(struct session *session);
void cmd_select(struct session *session);
void cmd_check(struct session *session);
void cmd_unselect(struct session *session);

/* cmd_folder.c: the tree of folders */
void cmd_create(struct session *session);
void cmd_delete(struct session *session);
void cmd_rename(struct session *session);
void cmd_subscribe(struct session *session);
void cmd_status(struct session *session);
void cmd_namespace(struct session *session);

/* cmd_list.c */
void cmd_list(struct session *session);

/* cmd_append.c */
void cmd_append_begin(struct session *session);
void cmd_append_chunk(struct session *session);
void cmd_append_abort(struct session *session);
void cmd_append(struct session *session);

/* cmd_fetch.c, cmd_search.c, cmd_store.c, cmd_expunge.c, cmd_copy.c */
void cmd_fetch(struct session *session);
void cmd_search(struct session *session);
void cmd_store(struct session *session);
void cmd_expunge(struct session *session);
void cmd_close(struct session *session);
void cmd_copy(struct session *session);

#endif
