"""SMTP's extensions from one host to another: two whole instances, satu.test and dua.test, or satu.test and a server that the
test plays. What the next host can take arrives as it was sent; what it cannot comes back with the reason."""

import base64
import email
import glob
import os
import time
import unittest

from smtp_server import SmtpServer
from suite import PASSWORD, Case, Dns, Instance, two_instances, wait_for
from test_notifications import Notification

SCRIPTS = ["budi.santosoé", "用户", "مستخدم"]
BINARY = b"Subject: biner\r\nContent-Transfer-Encoding: binary\r\n\r\n" + bytes(range(256)) + b"\r\n.\r\n\r\r\n\n.\n\0"


class RelayCase(Case):
    @staticmethod
    def submit(instance, sender, recipients, content, mail="", rcpt="", chunks=False):
        """By hand, with parameters; the queue ID."""
        with instance.smtp("submissions") as client:
            client.command_encoding = "utf-8"
            client.ehlo()
            plain = base64.b64encode(("\0%s\0%s" % (sender, PASSWORD)).encode()).decode()  # smtplib's login knows ASCII only
            code, text = client.docmd("AUTH", "PLAIN " + plain)
            assert code == 235, text
            replies = [client.docmd("MAIL", "FROM:<%s> %s" % (sender, mail))]
            replies += [client.docmd("RCPT", "TO:<%s> %s" % (r, rcpt)) for r in recipients]
            if chunks:
                client.send(b"BDAT %d LAST\r\n" % len(content) + content)
                replies.append(client.getreply())
            else:
                replies.append(client.data(content))
            assert all(code == 250 for code, _ in replies), replies
            return replies[-1][1].decode().split()[-1]

    def inbox(self, instance, user, count=1):
        """The files of the Maildir's new/, once there are so many; they are removed."""
        pattern = os.path.join(instance.directory, "**", glob.escape(user), "**", "new", "*")
        names = wait_for(lambda: (lambda f: f if len(f) >= count else None)(glob.glob(pattern, recursive=True)),
                         "%d files for %s" % (count, user))
        contents = []
        for name in names:
            with open(name, "rb") as f:
                contents.append(f.read())
            os.unlink(name)
        return contents

    def notification(self, instance, user):
        (content,) = self.inbox(instance, user)
        return Notification(content)


class TwoHosts(RelayCase):
    @classmethod
    def setUpClass(cls):
        cls.dns = Dns()
        cls.dns.__enter__()
        cls.dns.add("test", "SECURE")  # or nobody vouches for the names that REQUIRETLS wants
        cls.satu, cls.dua = two_instances(cls.dns, settings={"retry": "1h"})
        # The certificate of an instance names its domain.
        cls.dns.clear("dua.test")
        cls.dns.add("dua.test", "MX", "10 dua.test")
        cls.dns.add("dua.test", "A", "127.0.0.3")
        cls.dua.__enter__()
        cls.satu.settings["tls_authorities"] = cls.dua.certificate
        cls.satu.__enter__()
        cls.baru, cls.lama = cls.satu.add_user("baru"), cls.dua.add_user("lama")

    @classmethod
    def tearDownClass(cls):
        cls.satu.__exit__(None, None, None)
        cls.dua.__exit__(None, None, None)
        cls.dns.__exit__()

    def test_letters_between_addresses_in_three_scripts(self):
        for name in SCRIPTS:
            sender, recipient = self.satu.add_user(name), self.dua.add_user(name)
            content = ("From: <%s>\r\nTo: <%s>\r\nSubject: Surat untuk %s\r\n\r\nIsi %s\r\n" % (sender, recipient, name, name)).encode()
            self.submit(self.satu, sender, [recipient], content, "SMTPUTF8 BODY=8BITMIME")
            (found,) = self.inbox(self.dua, name)
            for line in content.splitlines():
                self.assertIn(b"\n" + line, found)
            self.assertIn(("Return-Path: <%s>" % sender).encode(), found)
            self.assertIn(b"with UTF8SMTP", found)
            # A failure comes back to such an address, too.
            self.submit(self.satu, sender, ["tiada" + recipient], content, "SMTPUTF8 BODY=8BITMIME")
            n = self.notification(self.satu, name)
            self.assertEqual(n.recipients[0]["Final-Recipient"], "utf-8; tiada" + recipient)
            self.assertEqual(n.recipients[0]["Status"], "5.1.1")

    def test_binary_content_arrives_byte_for_byte(self):
        self.submit(self.satu, self.baru, [self.lama], BINARY, "BODY=BINARYMIME", chunks=True)
        (found,) = self.inbox(self.dua, "lama")
        self.assertTrue(found.endswith(BINARY[BINARY.index(b"\r\n\r\n"):]), found)

    def test_success_is_told_by_the_host_that_delivers(self):
        self.submit(self.satu, self.baru, [self.lama], b"Subject: kabar\r\n\r\nx\r\n", "RET=HDRS ENVID=a+2Bb",
                    "NOTIFY=SUCCESS ORCPT=rfc822;Lama@dua.test")
        n = self.notification(self.satu, "baru")
        self.assertEqual(n.per_message["Reporting-MTA"], "dns; dua.test")
        self.assertEqual(n.per_message["Original-Envelope-Id"], "a+b")
        self.assertEqual(n.actions(), {self.lama: "delivered"})
        self.assertEqual(n.recipients[0]["Original-Recipient"], "rfc822;Lama@dua.test")
        self.assertEqual(len(self.inbox(self.dua, "lama")), 1)

    def test_never_means_never(self):
        name = self.submit(self.satu, self.baru, ["tiada@dua.test"], b"\r\nx\r\n", rcpt="NOTIFY=NEVER")
        self.satu.wait_log(name + ": removed")
        self.assertNotIn(name + ": sender non-delivery", self.satu.log())

    def test_requiretls_holds_all_the_way(self):
        self.submit(self.satu, self.baru, [self.lama], b"Subject: rahasia\r\n\r\nx\r\n", "REQUIRETLS")
        (found,) = self.inbox(self.dua, "lama")
        self.assertIn(b"Subject: rahasia", found)
        self.assertIn(b"TLSv1.3", found)

    def test_a_letter_for_later_comes_later(self):
        begun = time.monotonic()
        self.submit(self.satu, self.baru, [self.lama], b"Subject: nanti\r\n\r\nx\r\n", "HOLDFOR=3")
        self.submit(self.satu, self.baru, [self.lama], b"Subject: segera\r\n\r\nx\r\n")
        first, = self.inbox(self.dua, "lama")
        self.assertIn(b"Subject: segera", first)
        second, = self.inbox(self.dua, "lama")
        self.assertIn(b"Subject: nanti", second)
        self.assertGreater(time.monotonic() - begun, 2.5)

    def test_time_and_priority_go_along(self):
        name = self.submit(self.satu, self.baru, [self.lama], b"Subject: kilat\r\n\r\nx\r\n", "BY=3600;R MT-PRIORITY=3")
        self.satu.wait_log(name + ": removed")
        (found,) = self.inbox(self.dua, "lama")
        self.assertIn(b"Subject: kilat", found)


class OldHost(RelayCase):
    """The next host knows only what everybody knows."""

    @classmethod
    def setUpClass(cls):
        cls.old = SmtpServer("127.0.0.3", features=("PIPELINING", "8BITMIME")).start()
        cls.dns = Dns()
        cls.dns.__enter__()
        cls.dns.add("tua.test", "A", "127.0.0.3")
        cls.satu = Instance("satu.test", "127.0.0.2", cls.dns, settings={"retry": "1h", "relay_port": cls.old.port})
        cls.satu.__enter__()
        cls.baru = cls.satu.add_user("baru")

    @classmethod
    def tearDownClass(cls):
        cls.satu.__exit__(None, None, None)
        cls.old.stop()
        cls.dns.__exit__()

    def setUp(self):
        self.old.messages.clear()

    def refused(self, code, sender, recipient, content, mail, **words):
        self.submit(self.satu, sender, [recipient], content, mail, **words)
        n = self.notification(self.satu, sender.partition("@")[0])
        self.assertEqual((n.recipients[0]["Action"], n.recipients[0]["Status"]), ("failed", code))
        self.assertEqual((self.old.messages, self.old.faults), ([], []))
        return n

    def test_other_scripts_come_back(self):
        for name in SCRIPTS:
            n = self.refused("5.6.7", self.baru, name + "@tua.test", b"Subject: x\r\n\r\nx\r\n", "SMTPUTF8")
            self.assertEqual(n.recipients[0]["Final-Recipient"], "utf-8; %s@tua.test" % name)
            self.refused("5.6.7", self.satu.add_user(name), "lama@tua.test", b"Subject: x\r\n\r\nx\r\n", "SMTPUTF8")
        self.refused("5.6.7", self.baru, "lama@tua.test", "Subject: 你好\r\n\r\nx\r\n".encode(), "SMTPUTF8")

    def test_what_needs_no_other_script_goes(self):
        self.submit(self.satu, self.baru, ["lama@tua.test"], "Subject: x\r\n\r\n你好\r\n".encode(), "SMTPUTF8 BODY=8BITMIME")
        wait_for(lambda: self.old.messages, "the message")
        self.assertEqual(self.old.messages[0].mail, "BODY=8BITMIME")

    def test_binary_content_is_made_into_what_it_takes(self):
        self.submit(self.satu, self.baru, ["lama@tua.test"], BINARY, "BODY=BINARYMIME", chunks=True)
        wait_for(lambda: self.old.messages, "the message")
        message = email.message_from_bytes(self.old.messages[0].content)
        self.assertEqual(message["Content-Transfer-Encoding"], "base64")
        self.assertEqual(message.get_payload(decode=True), BINARY.partition(b"\r\n\r\n")[2])

    def test_what_cannot_be_converted_comes_back(self):
        content = (b"MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\0\r\n--b\r\n\r\nx\r\n"
                   b"--b--\r\n")
        n = self.refused("5.6.3", self.baru, "lama@tua.test", content, "BODY=BINARYMIME", chunks=True)
        self.assertIn("signed or encrypted", n.text.get_content().replace("\n   ", ""))

    def test_what_must_keep_tls_comes_back(self):
        self.refused("5.7.30", self.baru, "lama@tua.test", b"Subject: x\r\n\r\nx\r\n", "REQUIRETLS")

    def test_what_must_come_in_time_comes_back(self):
        self.refused("5.3.3", self.baru, "lama@tua.test", b"Subject: x\r\n\r\nx\r\n", "BY=3600;R")

    def test_a_client_asks_for_its_mail(self):
        """ETRN (RFC 1985): what waits for a host that was away goes when it says that it is back."""
        self.old.stop()
        name = self.submit(self.satu, self.baru, ["lama@tua.test"], b"Subject: menunggu\r\n\r\nx\r\n")
        self.satu.wait_log(name + ": to=<lama@tua.test>.*status=deferred")
        wait_for(lambda: [m for m in self.satu.queue() if m["queue_name"] == "deferred"], "the deferral")
        self.old.start()
        with self.satu.smtp("mx") as client:
            client.ehlo("tua.test")
            self.assertEqual(client.docmd("ETRN", "tua.test")[0], 250)
        wait_for(lambda: self.old.messages, "the message")
        self.assertIn(b"Subject: menunggu", self.old.messages[0].content)

    def test_success_is_told_as_relayed(self):
        self.submit(self.satu, self.baru, ["lama@tua.test"], b"Subject: x\r\n\r\nx\r\n", rcpt="NOTIFY=SUCCESS")
        n = self.notification(self.satu, "baru")
        self.assertEqual(n.actions(), {"lama@tua.test": "relayed"})
        self.assertEqual(self.old.messages[0].rcpts, {"lama@tua.test": ""})


if __name__ == "__main__":
    unittest.main()
