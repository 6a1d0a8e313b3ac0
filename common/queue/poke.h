/*
 * What smtpd tells queued by datagrams on the `poke` socket: lines, each ended by LF, at most POKE_MAX_BYTES at a time. None
 * is answered, and one that is lost costs only time.
 *
 *     QUEUE-ID          a message is complete in incoming/
 *     wake TARGET       a client asks for what waits for it (ETRN, RFC 1985): a domain, "@domain" with all below it, or
 *                       the name of an exchanger. Printable ASCII, at most POKE_TARGET_MAX bytes. queued listens to
 *                       the same one once a minute
 */
#ifndef COMMON_POKE_H
#define COMMON_POKE_H

#define POKE_MAX_BYTES 4096
#define POKE_WAKE "wake "
#define POKE_TARGET_MAX 255

#endif
