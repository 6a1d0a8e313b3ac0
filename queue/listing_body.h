/*
 * The content of a queued message as it would be sent, for `merpati queue show --body`.
 */
#ifndef QUEUE_LISTING_BODY_H
#define QUEUE_LISTING_BODY_H

#include "queue/listing.h"
#include "queue/listing_print.h"

/* What of it JSON shows, which has it as one string. */
#define LISTING_BODY_MAX (64UL * 1024 * 1024)

/*
 * Behind what listing_print_whole has written into b, which goes to standard output as it fills. As text its lines end in LF,
 * and on a terminal (is_shown) nothing in it is obeyed; as JSON it is the member `content`. False: why is in err.
 */
bool listing_body_add(struct buf *b, const struct listing_style *style, const struct listing *listing,
    const struct listed *message, bool is_shown, struct err *err);

#endif
