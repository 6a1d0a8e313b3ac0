#!/usr/bin/env python3
"""The first letter: two complete mail servers on loopback addresses, and a letter's way from one to the other.

`make demo` runs this and leaves the servers running until Ctrl-C; `make demo ONCE=1` ends by itself, with status 0 only
if what POP3 and IMAP read is what was sent.
"""

import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
import suite  # noqa: E402

ONCE = os.environ.get("ONCE", "") not in ("", "0")
COLOUR = sys.stdout.isatty()
TEXT = ["Halo Lama,", "", "merpati pertama sudah terbang.", ". a line that begins with a dot", "..and one with two",
        "Salam, Baru"]


def say(text, code="1"):
    print("\033[%sm%s\033[0m" % (code, text) if COLOUR else text, flush=True)


def show_log(instance, pattern, begin):
    """The instance's log lines since `begin` (a length) that match; returns the new length."""
    text = instance.log()
    for line in text[begin:].splitlines():
        if re.search(pattern, line):
            say("    " + re.sub(r"^\S+ +\S+ \S+ \S+ ", "", line), "2")
    return len(text)


def letter_travels(satu, dua):
    baru, lama = satu.add_user("baru"), dua.add_user("lama")
    sent = suite.letter(baru, lama, "Merpati pertama", TEXT)
    mark_satu, mark_dua = len(satu.log()), len(dua.log())

    say("\n1. %s hands a letter to satu.test (submission over TLS, with a password)" % baru)
    satu.submit(baru, [lama], sent)
    satu.wait_log(r"to=<lama@dua\.test>.*status=sent")
    show_log(satu, r"/smtpd\[", mark_satu)

    say("\n2. satu.test's queue asks DNS for the exchanger of dua.test and relays")
    show_log(satu, r"/(queued|remote|qmgr|smtp)\[", mark_satu)

    say("\n3. dua.test accepts it, queues it, and delivers it to lama's Maildir")
    dua.wait_log(r"to=<lama@dua\.test>.*status=sent")
    show_log(dua, r"/(smtpd|queued|remote|deliver|lmtp|qmgr)\b", mark_dua)

    say("\n4. lama reads it by POP3")
    mark_dua = len(dua.log())
    by_pop = dua.wait_letters(lama)[0]
    mark_dua = show_log(dua, r"/popd\[", mark_dua)
    print("".join("    %s\n" % line for line in by_pop.decode().splitlines()))

    say("5. lama reads it by IMAP")
    client = dua.imap(lama)
    client.select("INBOX")
    _, answer = client.fetch("1", "(UID FLAGS ENVELOPE BODY.PEEK[])")
    by_imap = answer[0][1]
    client.logout()
    show_log(dua, r"/imapd\[", mark_dua)
    print("    " + answer[0][0].decode(errors="replace"))

    same_pop = suite.without_trace(by_pop) == sent
    same_imap = suite.without_trace(by_imap) == sent
    say("\nthe text read by POP3 %s the text sent, the text read by IMAP %s" % (
        "is" if same_pop else "IS NOT", "is too" if same_imap else "IS NOT"))
    return same_pop and same_imap


def invite(satu, dua):
    say("\nBoth servers stay up. Point a mail client at them (certificates are self-signed):")
    for instance, user in ((satu, "baru@satu.test"), (dua, "lama@dua.test")):
        p = instance.ports
        print("    %-15s password %s   server %s" % (user, suite.PASSWORD, instance.address))
        print("        IMAP %d (TLS %d)   POP3 %d (TLS %d)   sending: submissions (TLS) %d, submission %d" % (
            p["imap"], p["imaps"], p["pop3"], p["pop3s"], p["submissions"], p["submission"]))
        print("        log: %s" % instance.log_path)
        print("        queue: MERPATI_CONF=%s %s queue list" % (
            instance.conf, os.path.relpath(instance.program("merpati"))))
    print("    for example:")
    print("        curl -s --ssl-reqd -k -u lama@dua.test:%s 'imap://%s:%d/INBOX;MAILINDEX=1'" % (
        suite.PASSWORD, dua.address, dua.ports["imap"]))
    say("Ctrl-C ends them.")


def main():
    begin = time.monotonic()
    with suite.Dns() as dns:
        options = {} if ONCE else {"first_port": 2000}
        satu, dua = suite.two_instances(dns, **options)
        with satu, dua:
            say("two servers are up after %.1f s: satu.test on %s, dua.test on %s, MX records from %s" % (
                time.monotonic() - begin, satu.address, dua.address, dns.resolver))
            good = letter_travels(satu, dua)
            if ONCE or not good:
                sys.exit(0 if good else 1)
            invite(satu, dua)
            try:
                while True:
                    time.sleep(3600)
            except KeyboardInterrupt:
                print()


if __name__ == "__main__":
    main()
