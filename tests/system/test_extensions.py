"""SMTP's extensions between real processes: offered where they apply, kept in the queue file, and carried to the Maildir."""

import contextlib
import glob
import os
import re
import unittest

from suite import PASSWORD, Case, Instance, wait_for
from test_smuggling import Wire

ALWAYS = {"PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", "BINARYMIME", "SMTPUTF8", "DSN", "LIMITS", "DELIVERBY"}
# Indonesian with a foreign name's accent, Chinese, Arabic.
SCRIPTS = ["budi.santosoé", "用户", "مثال"]


class Server(Case):
    settings = {}
    sections = ""

    @classmethod
    def setUpClass(cls):
        cls.server = Instance("satu.test", "127.0.0.2", settings=cls.settings, sections=cls.sections)
        cls.server.__enter__()
        cls.lama = cls.server.add_user("lama")

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def wire(self, kind="mx", hello=b"EHLO x.test"):
        run = os.path.join(self.server.directory, "run")
        path = {"local": os.path.join(run, "submit"), "lmtp": os.path.join(run, "lmtp")}.get(kind)
        if kind == "local" and not os.path.exists(path):
            path = os.path.join(run, "local")
        wire = Wire(path or (self.server.address, self.server.ports[kind]))
        self.addCleanup(wire.close)
        self.assertTrue(wire.reply().startswith(b"220 "))
        if hello:
            self.assertTrue(wire.ask(hello).startswith(b"250"))
        return wire

    def ask(self, wire, line, expected):
        reply = wire.ask(line)
        self.assertRegex(reply.decode(), "^" + expected, line)
        return reply

    def in_maildir(self, user, count=1):
        """The files of new/, whole, once there are so many."""
        pattern = os.path.join(self.server.directory, "**", user, "**", "new", "*")

        def found():
            names = glob.glob(pattern, recursive=True)
            return names if len(names) >= count else None
        contents = []
        for name in wait_for(found, "%d files for %s" % (count, user), 20):
            with open(name, "rb") as f:
                contents.append(f.read())
            os.unlink(name)
        return contents

    def keywords(self, reply):
        return {line[4:].split()[0].decode() for line in reply.split(b"\n")[1:]}


class Offers(Server):
    def test_nobody_is_told_of_users_otherwise(self):
        self.ask(self.wire(), b"VRFY " + self.lama.encode(), "252 2.1.5 Send some mail")

    def test_each_listener_offers_what_applies_there(self):
        plain = {"mx": ALWAYS | {"STARTTLS", "MT-PRIORITY", "ETRN"},
                 "submission": ALWAYS | {"STARTTLS", "AUTH", "MT-PRIORITY", "FUTURERELEASE", "ETRN"},
                 "local": ALWAYS | {"MT-PRIORITY", "FUTURERELEASE"},
                 "lmtp": ALWAYS - {"DSN", "DELIVERBY"}}
        for kind, expected in plain.items():
            reply = self.wire(kind, None).ask(b"LHLO x.test" if kind == "lmtp" else b"EHLO x.test")
            self.assertEqual(self.keywords(reply), expected, kind)

    def test_under_tls_there_is_requiretls(self):
        with self.server.smtp("submissions") as client:
            client.ehlo()
            self.assertTrue(client.has_extn("requiretls"))
            self.assertTrue(client.has_extn("auth"))
            self.assertFalse(client.has_extn("starttls"))
            self.assertRegex(client.esmtp_features["futurerelease"], r"^2592000 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
            self.assertEqual(client.esmtp_features["limits"], "RCPTMAX=1000")
        wire = self.wire("submission")
        self.ask(wire, b"MAIL FROM:<a@b.test> REQUIRETLS", "530 |555 ")


class Parameters(Server):
    def records(self, queue_id):
        """The keys and values of a queue file's envelope."""
        def content():
            for path in glob.glob(os.path.join(self.server.directory, "**", queue_id), recursive=True):
                with contextlib.suppress(FileNotFoundError):  # it was moved on meanwhile
                    with open(path, "rb") as f:
                        return f.read()
            return None
        data = wait_for(content, "the queue file")
        return re.findall(rb"(?m)^(?:w )?([a-z0-9-]+) \d+:(.*), [0-9a-f]{8}$", data.split(b"\r\n", 1)[0].split(b"Received:")[0])

    def test_what_a_user_asks_for_is_in_the_queue_file(self):
        with self.server.smtp("submissions") as client:
            client.login(self.lama, PASSWORD)
            client.ehlo()
            code, text = client.docmd("MAIL", "FROM:<%s> RET=HDRS ENVID=a+20b HOLDFOR=3600 BY=7200;RT MT-PRIORITY=4 REQUIRETLS "
                                      "SMTPUTF8 BODY=8BITMIME" % self.lama)
            self.assertEqual(code, 250, text)
            code, text = client.docmd("RCPT", "TO:<a@luar.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@luar.test")
            self.assertEqual(code, 250, text)
            code, text = client.data(b"Subject: x\r\n\r\nx\r\n")
            self.assertEqual(code, 250, text)
        records = dict(self.records(text.decode().split()[-1]))
        moment = int(records[b"time"])
        self.assertEqual(records[b"ret"], b"HDRS")
        self.assertEqual(records[b"envid"], b"a b")
        self.assertEqual(records[b"priority"], b"4")
        self.assertEqual(records[b"requiretls"], b"")
        self.assertEqual(records[b"smtputf8"], b"")
        self.assertEqual(records[b"body"], b"8BITMIME")
        self.assertEqual(records[b"notify"], b"SUCCESS,DELAY")
        self.assertEqual(records[b"orcpt"], b"rfc822;a+b@luar.test")
        self.assertAlmostEqual(int(records[b"release"]) - moment, 3600000, delta=5000)
        due, mode = records[b"deliver-by"].split()
        self.assertAlmostEqual(int(due) - moment, 7200000, delta=5000)
        self.assertEqual(mode, b"RT")
        self.server.merpati("queue", "delete", text.decode().split()[-1])


class Chunks(Server):
    def begin(self, wire, body=b""):
        self.ask(wire, b"MAIL FROM:<baru@satu.test>" + body, "250 ")
        self.ask(wire, b"RCPT TO:<" + self.lama.encode() + b">", "250 ")

    def test_every_size_of_chunk_gives_the_same_letter(self):
        message = b"Subject: potong\r\n\r\n..dua titik\r\n.\r\nakhir\r\n"
        for way in ("mx", "local", "lmtp"):
            wire = self.wire(way, b"LHLO x.test" if way == "lmtp" else b"EHLO x.test")
            for size in range(1, len(message) + 1):
                pieces = [message[i:i + size] for i in range(0, len(message), size)]
                self.begin(wire)
                wire.send(b"".join(b"BDAT %d\r\n%s" % (len(p), p) for p in pieces) + b"BDAT 0 LAST\r\n")
                for p in pieces:
                    self.assertEqual(wire.reply(), b"250 2.0.0 Ok: %d bytes" % len(p))
                self.assertTrue(wire.reply().startswith(b"250 2.0.0 "))
        letters = self.in_maildir("lama", 3 * len(message))
        self.assertEqual(len(letters), 3 * len(message))
        for found in letters:
            self.assertIn(b"\nSubject: potong\n", found)
            self.assertTrue(found.endswith(b"\n\n..dua titik\n.\nakhir\n"), found)

    def test_binary_content_is_byte_for_byte_in_the_maildir(self):
        body = bytes(range(256)) + b"\r\r\n\n\n\r.\r\n.\r\n\0\0\r" + bytes(reversed(range(256)))
        message = b"Subject: biner\r\nContent-Transfer-Encoding: binary\r\n\r\n" + body
        for way in ("mx", "lmtp"):
            wire = self.wire(way, b"LHLO x.test" if way == "lmtp" else b"EHLO x.test")
            self.begin(wire, b" BODY=BINARYMIME")
            self.ask(wire, b"DATA", "503 5.5.1 ")
            wire.send(b"BDAT %d\r\n" % 70 + message[:70] + b"BDAT %d LAST\r\n" % (len(message) - 70) + message[70:])
            self.assertTrue(wire.reply().startswith(b"250 "))
            self.assertTrue(wire.reply().startswith(b"250 "))
            found = self.in_maildir("lama")[0]
            self.assertTrue(found.endswith(b"\r\n" + message), (way, found))
            self.assertEqual(found[:-len(message)].count(b"\n"), found[:-len(message)].count(b"\r\n"))

    def test_what_follows_a_refused_chunk_is_swallowed_by_its_count(self):
        hidden = b"MAIL FROM:<palsu@satu.test>\r\nRCPT TO:<%s>\r\nDATA\r\nSubject: selundup\r\n\r\n.\r\n" % self.lama.encode()
        for way in ("mx", "local", "lmtp"):
            wire = self.wire(way, b"LHLO x.test" if way == "lmtp" else b"EHLO x.test")
            # No transaction at all; a recipient that is refused; a bare LF in the first chunk.
            wire.send(b"BDAT %d LAST\r\n" % len(hidden) + hidden + b"NOOP\r\n")
            self.assertTrue(wire.reply().startswith(b"503 "), way)
            self.assertTrue(wire.reply().startswith(b"250 "), way)
            if way != "local":
                wire.send(b"MAIL FROM:<>\r\nRCPT TO:<tiada@satu.test>\r\nBDAT %d\r\n" % len(hidden) + hidden + b"BDAT 0 LAST\r\nRSET\r\n")
                self.assertEqual([wire.reply()[:3] for _ in range(5)], [b"250", b"550", b"503", b"503", b"250"], way)
            self.begin(wire)
            wire.send(b"BDAT 3\r\na\nbBDAT %d\r\n" % len(hidden) + hidden + b"BDAT 0 LAST\r\nNOOP\r\n")
            self.assertEqual([wire.reply()[:3] for _ in range(4)], [b"554", b"554", b"554", b"250"], way)
            self.begin(wire)
            wire.send(b"DATA\r\n")
            self.assertTrue(wire.reply().startswith(b"354"))
            wire.send(b"x\r\n.\r\nBDAT %d LAST\r\n" % len(hidden) + hidden + b"NOOP\r\n")
            self.assertEqual([wire.reply()[:3] for _ in range(3)], [b"250", b"503", b"250"], way)
            self.begin(wire)
            wire.send(b"BDAT 3\r\nx\r\nDATA\r\nBDAT 0 LAST\r\nNOOP\r\n")
            self.assertEqual([wire.reply()[:3] for _ in range(4)], [b"250", b"503", b"250", b"250"], way)
        for found in self.in_maildir("lama", 6):
            self.assertNotIn(b"selundup", found)


class Verify(Server):
    settings = {"vrfy": "yes"}

    def test_networks_are_told_where_the_postmaster_wants_it(self):
        wire = self.wire()
        self.ask(wire, b"VRFY " + self.lama.encode(), "250 2.1.5 <lama@satu.test>")
        self.ask(wire, b"VRFY <tiada@satu.test>", "550 5.1.1 ")
        self.ask(wire, b"VRFY a@luar.test", "252 ")
        self.ask(wire, b"VRFY Budi Santoso", "252 |550 |501 ")


class Scripts(Server):
    sections = "[domain 例子.test]\naccounts = virtual\n[domain xn--mgbh0fb.test]\naccounts = virtual\n"

    def test_so_do_those_whose_domain_is_in_another_script(self):
        for name, domain, ascii_domain in (("用户", "例子.test", "xn--fsqu00a.test"), ("مستخدم", "مثال.test", "xn--mgbh0fb.test")):
            self.server.add_user("%s@%s" % (name, domain))
            for number, written in enumerate((domain, ascii_domain)):
                address = ("%s@%s" % (name, written)).encode()
                wire = self.wire()
                self.ask(wire, b"MAIL FROM:<%s> SMTPUTF8" % address, "250 ")
                self.ask(wire, b"RCPT TO:<%s>" % address, "250 ")
                self.ask(wire, b"RCPT TO:<tiada@%s>" % written.encode(), "550 5.1.1 ")
                self.ask(wire, b"DATA", "354 ")
                wire.send(b"Subject: %d\r\n\r\nx\r\n.\r\n" % number)
                self.assertTrue(wire.reply().startswith(b"250 "))
                found = self.in_maildir(os.path.join(ascii_domain, name))[0]
                self.assertIn(b"Delivered-To: " + address, found)
                self.assertIn(b"Subject: %d" % number, found)

    def test_addresses_in_three_scripts_reach_their_maildirs(self):
        for name in SCRIPTS:
            address = self.server.add_user(name).encode()
            wire = self.wire()
            self.ask(wire, b"MAIL FROM:<%s>" % address, "553 5.6.7 ")
            self.ask(wire, b"MAIL FROM:<%s> SMTPUTF8" % address, "250 ")
            self.ask(wire, b"RCPT TO:<%s>" % address, "250 ")
            self.ask(wire, b"RCPT TO:<tiada%s>" % address, "550 5.1.1 ")
            self.ask(wire, b"DATA", "354 ")
            wire.send(b"From: <%s>\r\nSubject: %s\r\n\r\nx\r\n.\r\n" % (address, name.encode()))
            self.assertTrue(wire.reply().startswith(b"250 "))
            found = self.in_maildir(name)[0]
            self.assertIn(b"with UTF8SMTP id ", found)
            self.assertIn(b"Delivered-To: " + address, found)
            self.assertIn(b"Return-Path: <" + address + b">", found)
            self.assertIn(b"Subject: " + name.encode(), found)


if __name__ == "__main__":
    unittest.main()
