"""Nobody relays who may not: every old trick, in every state that a stranger can reach; and those relay who may."""

import base64
import itertools
import re
import ssl
import unittest

from suite import PASSWORD, Case, Instance, letter
from test_policy import ClientWire

ELSEWHERE = "elsewhere.test"

# Ways to write a recipient that some server has once taken for another host's.
RECIPIENTS = (
    "x@elsewhere.test", "X@ELSEWHERE.TEST", "x@Elsewhere.Test", "x@elsewhere.test.", "x@.elsewhere.test", "x@elsewhere..test",
    # percent and bang
    "x%elsewhere.test@satu.test", "x%elsewhere.test@[127.0.0.2]", "x%elsewhere.test", "x%elsewhere.test%satu.test@satu.test",
    "elsewhere.test!x", "elsewhere.test!x@satu.test", "satu.test!elsewhere.test!x", "elsewhere.test!x@[127.0.0.2]",
    "x%elsewhere.test@localhost", "elsewhere.test!x@localhost",
    # source routes
    "@satu.test:x@elsewhere.test", "@elsewhere.test:x@elsewhere.test", "@satu.test,@elsewhere.test:x@elsewhere.test",
    "@[127.0.0.2]:x@elsewhere.test", "@satu.test:@elsewhere.test:x@elsewhere.test", "@satu.test:x%elsewhere.test@satu.test",
    # quoted local parts, and more than one @
    '"x@elsewhere.test"', '"x@elsewhere.test"@satu.test', '"x@elsewhere.test"@[127.0.0.2]', '"x%elsewhere.test"@satu.test',
    '"elsewhere.test!x"@satu.test', '"x"@elsewhere.test', '"x\\@elsewhere.test"@satu.test', '"x@satu.test"@elsewhere.test',
    "x@elsewhere.test@satu.test", "x@satu.test@elsewhere.test", '"lama@satu.test,x"@elsewhere.test',
    '"@satu.test:x"@elsewhere.test', "x\\@elsewhere.test@satu.test", '"x @elsewhere.test', "x@elsewhere.test;lama@satu.test",
    "lama@satu.test,x@elsewhere.test", '"<x@elsewhere.test>"@satu.test', "<x@elsewhere.test>", "x@elsewhere.test>@satu.test",
    # literals
    "x@[192.0.2.1]", "x@[127.0.0.1]", "x@[127.0.0.2]", "x@127.0.0.2", "x@[IPv6:::1]", "x@[IPv6:::ffff:127.0.0.2]", "x@[satu.test]",
    "x@[]", "x@2130706434",
    # names near ours
    "x@sub.satu.test", "x@satu.test.elsewhere.test", "x@elsewheresatu.test", "x@satu.tes", "x@test", "x@satu", "x@.satu.test",
    "x@satu.test.", "x@satu..test", "x@*.test", "x@satu.test/../elsewhere.test", "x@satu.test:25", "x@satu.test#elsewhere.test",
    # names that belong to nobody here, and what programs make of them
    "elsewhere.test", "x", "@elsewhere.test", "|/bin/sh", "|/bin/sh@satu.test", "/etc/passwd@satu.test", ":include:/etc/passwd",
    "x=elsewhere.test@satu.test", "SRS0=xxxx=yy=elsewhere.test=x@satu.test", "prvs=1234abcd=x@elsewhere.test", "x+elsewhere.test@satu.test",
)
LOOKALIKES = (
    "x@els\u0435where.test", "lama@s\u0430tu.test", "lama@\u0455atu.test", "x@elsewhere\u3002test", "x@elsewhere\uff0etest",
    "x\uff20elsewhere.test@satu.test", "x\uff05elsewhere.test@satu.test", "x@\uff45lsewhere.test", "x@elsewhere.test\u200b",
    "x@elsewhere.te\u017ft", "x@xn--elsewhere-.test",
)
# Ours, however they are written: what says that the rest is not refused for want of a server.
LOCAL = ("lama@satu.test", "LAMA@Satu.TEST", '"lama"@satu.test', "lama+x@satu.test", "@elsewhere.test:lama@satu.test", "postmaster",
         "Postmaster@satu.test")
SENDERS = ("", "lama@satu.test", "postmaster@satu.test", "x@elsewhere.test", "x@[127.0.0.2]", "@satu.test:lama@satu.test", "x@localhost")


class Relay(Case):
    settings = {"networks": "192.0.2.0/24", "smtpd_workers": 1, "smtpd_errors_per_session": 1000, "smtpd_error_delay": "0",
                "refused_recipients_per_session": 1000}

    @classmethod
    def setUpClass(cls):
        cls.server = Instance("satu.test", "127.0.0.2", settings=cls.settings)
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__, None, None, None)
        cls.lama = cls.server.add_user("lama")

    def wire(self, kind="mx", helo=b"EHLO klien.test", tls=False):
        wire = ClientWire((self.server.address, self.server.ports[kind]))
        self.addCleanup(lambda: wire.close())
        if kind == "submissions":
            wire.socket = self.server.tls_context().wrap_socket(wire.socket)
        self.assertTrue(wire.reply().startswith(b"220 "))
        if tls:
            wire.ask(helo)
            self.assertTrue(wire.ask(b"STARTTLS").startswith(b"220 "))
            wire.socket = self.server.tls_context().wrap_socket(wire.socket)
        if helo:
            self.assertTrue(wire.ask(helo).startswith(b"250"))
        return wire

    def assert_nothing_was_taken(self):
        self.assertEqual(self.server.queue(), [])
        self.assertNotRegex(self.server.log(), r"orig_to=|to=<[^>]*elsewhere[^>]*>, relay")

    def refuses(self, wire, sender, recipients, parameters=b"", encoding="ascii"):
        wire.ask(b"RSET")
        wire.ask(b"MAIL FROM:<%s>%s" % (sender.encode(encoding), parameters))
        for recipient in recipients:
            reply = wire.ask(b"RCPT TO:<%s>" % recipient.encode(encoding)).decode()
            self.assertRegex(reply, "^5", "MAIL FROM:<%s>, RCPT TO:<%s>" % (sender, recipient))
        self.assertRegex(wire.ask(b"DATA").decode(), "^5")

    def test_no_way_of_writing_a_recipient_relays(self):
        for sender in SENDERS:
            self.refuses(self.wire(), sender, RECIPIENTS)
        self.assert_nothing_was_taken()

    def test_no_greeting_and_no_encryption_opens_it(self):
        for helo in (b"HELO klien.test", b"EHLO [127.0.0.9]", b"EHLO [127.0.0.1]", b"EHLO localhost", b"HELO x", b"EHLO satu.test.",
                     b"EHLO 127.0.0.1", b"EHLO mx.satu.test"):
            self.refuses(self.wire(helo=helo), "lama@satu.test", RECIPIENTS[:3])
        self.refuses(self.wire(tls=True), "lama@satu.test", RECIPIENTS)
        self.assert_nothing_was_taken()

    def test_lookalikes_are_somebody_else(self):
        wire = self.wire()
        for sender in ("", "lama@s\u0430tu.test"):
            self.refuses(wire, sender, LOOKALIKES, b" SMTPUTF8", "utf-8")
        self.refuses(self.wire(), "a@b.test", LOOKALIKES, b"", "utf-8")
        self.assert_nothing_was_taken()

    def test_the_null_sender_with_many_recipients_is_no_exception(self):
        wire = self.wire()
        self.assertTrue(wire.ask(b"MAIL FROM:<>").startswith(b"250"))
        self.assertTrue(wire.ask(b"RCPT TO:<lama@satu.test>").startswith(b"250"))
        wire.send(b"".join(b"RCPT TO:<x%d@elsewhere.test>\r\n" % i for i in range(200)))
        self.assertEqual({wire.reply()[:3] for _ in range(200)}, {b"554"})
        self.assertTrue(wire.ask(b"DATA").startswith(b"354"))
        self.assertTrue(wire.ask(letter("", self.lama) + b".").startswith(b"250"))
        self.assertEqual(len(self.server.wait_letters(self.lama)), 1)
        self.assert_nothing_was_taken()

    def test_without_a_login_submission_takes_nothing(self):
        for kind, tls in (("submission", False), ("submission", True), ("submissions", False)):
            wire = self.wire(kind, tls=tls)
            for sender, recipient in itertools.product(SENDERS, ("x@elsewhere.test", "lama@satu.test")):
                self.assertRegex(wire.ask(b"MAIL FROM:<%s>" % sender.encode()).decode(), "^5")
                self.assertRegex(wire.ask(b"RCPT TO:<%s>" % recipient.encode()).decode(), "^503")
            wire.ask(b"AUTH PLAIN " + base64.b64encode(b"\0lama@satu.test\0salah"))
            self.assertRegex(wire.ask(b"MAIL FROM:<lama@satu.test>").decode(), "^530")
            # Claiming a login is not having one.
            self.assertRegex(wire.ask(b"MAIL FROM:<lama@satu.test> AUTH=lama@satu.test").decode(), "^5")
        self.assertRegex(self.wire().ask(b"MAIL FROM:<lama@satu.test> AUTH=lama@satu.test").decode(), "^5")
        self.assert_nothing_was_taken()

    def test_a_client_s_word_for_another_is_not_believed(self):
        wire = self.wire()
        for line in (b"XCLIENT ADDR=192.0.2.1 NAME=mx.satu.test", b"XCLIENT LOGIN=lama@satu.test", b"XFORWARD ADDR=192.0.2.1"):
            self.assertRegex(wire.ask(line).decode(), "^5")
        self.refuses(wire, "lama@satu.test", RECIPIENTS[:3])
        self.assertNotRegex(self.wire(helo=None).ask(b"EHLO x.test").decode(), "XCLIENT|XFORWARD")
        for header in (b"PROXY TCP4 192.0.2.1 127.0.0.2 4711 25\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\x7f\0\0\x02\x10\0\0\x19"):
            wire = ClientWire((self.server.address, self.server.ports["mx"]))
            self.addCleanup(wire.close)
            wire.reply()
            wire.send(header + b"EHLO x.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<x@elsewhere.test>\r\nQUIT\r\n")
            replies = list(iter(wire.reply, b""))
            self.assertNotRegex(b"\n".join(replies).decode(), r"(?m)^250 2\.1\.5")
        self.assert_nothing_was_taken()

    def test_commands_in_a_heap_change_nothing(self):
        wire = self.wire()
        wire.send(b"MAIL FROM:<>\r\nRCPT TO:<lama@satu.test>\r\nRCPT TO:<x@elsewhere.test>\r\nRSET\r\n"
                  b"RCPT TO:<x@elsewhere.test>\r\nMAIL FROM:<lama@satu.test>\r\nRCPT TO:<x@elsewhere.test>\r\nDATA\r\n"
                  b"EHLO y.test\r\nRCPT TO:<x@elsewhere.test>\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<x@elsewhere.test>\r\nQUIT\r\n")
        codes = [r[:3].decode() for r in iter(wire.reply, b"")]
        self.assertEqual(codes, "250 250 554 250 503 250 554 503 250 503 250 554 221".split())
        self.assert_nothing_was_taken()

    def test_our_own_are_taken_from_everybody(self):
        for sender in ("", "x@elsewhere.test", "lama@satu.test"):
            wire = self.wire()
            self.assertTrue(wire.ask(b"MAIL FROM:<%s>" % sender.encode()).startswith(b"250"))
            for recipient in LOCAL:
                self.assertRegex(wire.ask(b"RCPT TO:<%s>" % recipient.encode()).decode(), "^(250|451.*nobody|451)", recipient)

    def test_a_login_relays_but_not_by_tricks(self):
        with self.server.smtp("submissions") as client:
            client.login(self.lama, PASSWORD)
            client.mail(self.lama)
            self.assertEqual(client.rcpt("x@elsewhere.test")[0], 250)
            for recipient in ("x%elsewhere.test@satu.test", "elsewhere.test!x@satu.test", '"x@elsewhere.test"@satu.test',
                              "tiada@satu.test"):
                self.assertEqual(client.docmd("RCPT TO:<%s>" % recipient)[0], 550, recipient)
            client.rset()


class Trusted(Case):
    def test_networks_relay(self):
        with Instance("satu.test", "127.0.0.2", settings={"networks": "127.0.0.9/32", "smtpd_workers": 1}) as server:
            for source, code in (("127.0.0.9", b"250"), ("127.0.0.8", b"554")):
                wire = ClientWire((server.address, server.ports["mx"]), source)
                wire.reply()
                wire.ask(b"EHLO x.test")
                wire.ask(b"MAIL FROM:<a@b.test>")
                self.assertEqual(wire.ask(b"RCPT TO:<x@elsewhere.test>")[:3], code)
                wire.close()


if __name__ == "__main__":
    unittest.main()
