/*
 * Line ends: CRLF on the wire, LF in a Maildir. Both ways are one state machine each, fed in pieces of any size.
 *
 *     to the disk     CRLF becomes LF, but CR CRLF stays as it is; everything else stays
 *     to the wire     LF without a CR in front becomes CRLF; everything else stays
 *
 * so that what came in as CRLF lines goes out byte for byte as it came, lone CRs included, and files that another tool
 * wrote with CRLF are served right.
 */
#ifndef COMMON_CRLF_H
#define COMMON_CRLF_H

#include "common/base/buf.h"

struct crlf {
	unsigned pending_cr; /* CRs held back (to the disk), or seen last (to the wire); 0, 1 or 2 = two and more */
};

/*
 * Converts as much of in as there is room for: returns the bytes taken, *written says how many were written (at most
 * room). room >= 2 makes progress. All zero is the start of a message.
 */
size_t crlf_to_disk(struct crlf *c, struct str in, char *out, size_t room, size_t *written);
/* At the end of the message: what was held back; at most 1 byte. */
size_t crlf_to_disk_end(struct crlf *c, char *out);

size_t crlf_to_wire(struct crlf *c, struct str in, char *out, size_t room, size_t *written);
/* How many bytes more than in.n crlf_to_wire would write for it. */
size_t crlf_wire_extra(struct crlf *c, struct str in);

#endif
