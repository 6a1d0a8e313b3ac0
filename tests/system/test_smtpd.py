"""smtpd between real processes: who may send what, limits, and what clients do that end early or never end."""

import base64
import os
import re
import signal
import socket
import time
import unittest

from suite import PASSWORD, Case, Instance, letter, wait_for, without_trace
from test_smuggling import Wire


class Server(Case):
    settings = {}

    @classmethod
    def setUpClass(cls):
        cls.server = Instance("satu.test", "127.0.0.2", settings=cls.settings)
        cls.server.__enter__()
        cls.lama = cls.server.add_user("lama")

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def wire(self, kind="mx", hello=b"EHLO x.test"):
        path = os.path.join(self.server.directory, "run", "submit")
        wire = Wire(path if kind == "submit" else (self.server.address, self.server.ports[kind]))
        self.addCleanup(wire.close)
        self.assertTrue(wire.reply().startswith(b"220 satu.test "))
        if hello:
            self.assertTrue(wire.ask(hello).startswith(b"250"))
        return wire

    def ask(self, wire, line, expected):
        reply = wire.ask(line)
        self.assertRegex(reply.decode(), "^" + expected, line)
        return reply

    def ask_all(self, wire, *pairs):
        for line, expected in pairs:
            self.ask(wire, line.encode(), expected)

    def envelope(self, wire, sender="a@b.test", recipient=None):
        self.ask_all(wire, ("MAIL FROM:<%s>" % sender, "250 2.1.0 "),
                     ("RCPT TO:<%s>" % (recipient or self.lama), "250 2.1.5 "), ("DATA", "354 "))

    def letters(self, count=1):
        found = self.server.wait_letters(self.lama, count)
        client = self.server.pop(self.lama)
        for i in range(client.stat()[0]):
            client.dele(i + 1)
        client.quit()
        return found


class Strangers(Server):
    """Clients that are in none of our networks."""
    settings = {"networks": "192.0.2.0/24", "smtpd_workers": 1, "smtpd_clients_per_address": 8, "smtpd_errors_per_session": 5,
                "greet_pause": 0}

    def test_nothing_relays(self):
        for recipient in ("x@elsewhere.test", "x%elsewhere.test@satu.test", "elsewhere.test!x@satu.test",
                          "@satu.test:x@elsewhere.test", "@satu.test,@satu.test:x@elsewhere.test", '"x@elsewhere.test"',
                          '"x@elsewhere.test"@satu.test', "x@[192.0.2.1]", "x@[127.0.0.2]", "x@[IPv6:::1]",
                          "x@elsewhere.test.", "x@satu.test.", "x@sub.satu.test", "x@satu.test.elsewhere.test",
                          "X@ELSEWHERE.TEST", '"x"@elsewhere.test', "x@elsewhere.test@satu.test", "lama", "lama@",
                          "x@satu.test@elsewhere.test", "|/bin/sh@satu.test", "/etc/passwd@satu.test"):
            for sender in ("", "lama@satu.test", "a@elsewhere.test"):
                wire = self.wire()
                self.ask(wire, b"MAIL FROM:<%s>" % sender.encode(), "250")
                self.ask(wire, b"RCPT TO:<%s>" % recipient.encode(), "5")
                self.ask(wire, b"DATA", "503 5.5.1")
                wire.close()

    def test_mail_for_our_users_and_the_postmaster_is_taken(self):
        wire = self.wire()
        self.ask_all(wire, ("MAIL FROM:<a@b.test>", "250"), ("RCPT TO:<LAMA@SATU.TEST>", "250"),
                     ("RCPT TO:<lama+x@satu.test>", "250"), ('RCPT TO:<"lama"@satu.test>', "250"),
                     ("RCPT TO:<@x.test:lama@satu.test>", "250"), ("RCPT TO:<tiada@satu.test>", "550 5.1.1 "))

    def test_an_address_may_have_so_many_connections(self):
        held = [self.wire() for _ in range(8)]
        more = Wire((self.server.address, self.server.ports["mx"]))
        self.assertRegex(more.reply(), rb"^421 4\.7\.0 ")
        for wire in held + [more]:
            wire.close()
        wait_for(self.is_greeted, "a place to be free again")

    def is_greeted(self):
        wire = Wire((self.server.address, self.server.ports["mx"]))
        reply = wire.reply()
        wire.close()
        return reply.startswith(b"220")

    def test_too_many_errors_end_the_session(self):
        wire = self.wire()
        for _ in range(5):
            wire.send(b"FOO\r\n")
        replies = [wire.reply() for _ in range(7)]
        self.assertEqual([r[:3] for r in replies], [b"500"] * 5 + [b"421", b""])

    def test_passwords_are_taken_where_users_send(self):
        self.assertNotIn(b"AUTH", self.wire("mx").ask(b"EHLO x"))
        self.assertIn(b"AUTH PLAIN LOGIN", self.wire("submission").ask(b"EHLO x"))
        wire = self.wire("submission")
        self.ask_all(wire, ("MAIL FROM:<lama@satu.test>", "530 5.7.0 "), ("AUTH LOGIN", "334 VXNlcm5hbWU6"), ("*", "501 5.7.0 "),
                     ("AUTH PLAIN !", "501 5.5.2 "), ("AUTH CRAM-MD5", "504 5.5.4 "))
        secret = base64.b64encode(("\0lama@satu.test\0" + PASSWORD).encode()).decode()
        wire = self.wire("submission")
        self.ask_all(wire, ("AUTH PLAIN", "334 $"), (secret, "235 2.7.0 "), ("AUTH PLAIN " + secret, "503 5.5.1 "),
                     ("MAIL FROM:<lama@satu.test>", "250"), ("RCPT TO:<x@elsewhere.test>", "250"), ("QUIT", "221"))

    def test_a_client_that_closes_its_side_still_gets_its_replies(self):
        wire = Wire((self.server.address, self.server.ports["mx"]))
        wire.send(b"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<%s>\r\nRCPT TO:<tiada@satu.test>\r\nDATA\r\n"
                  b"Subject: setengah\r\n\r\nx\r\n.\r\n" % self.lama.encode())
        wire.socket.shutdown(socket.SHUT_WR)
        codes = []
        while True:
            reply = wire.reply()
            if not reply:
                break
            codes.append(reply[:3])
        wire.close()
        self.assertEqual(codes, [b"220", b"250", b"250", b"250", b"550", b"354", b"250"])
        self.assertIn(b"Subject: setengah", self.letters()[0])

    def test_the_log_has_postfix_s_shape(self):
        wire = self.wire(hello=b"EHLO bentuk.test")
        self.ask_all(wire, ("MAIL FROM:<a@b.test>", "250"), ("RCPT TO:<tiada@satu.test>", "550"))
        self.envelope_again(wire)
        wire.send(b"Message-ID: <bentuk@x.test>\r\n\r\nx\r\n.\r\n")
        queue_id = re.match(rb"250 2\.0\.0 Ok: queued as (\w+)$", wire.reply()).group(1).decode()
        self.ask(wire, b"QUIT", "221")
        for pattern in (r"smtpd\[\d+\]: connect from unknown\[127\.0\.0\.\d+\]$",
                        r"smtpd\[\d+\]: NOQUEUE: reject: RCPT from unknown\[127\.0\.0\.\d+\]: 550 5\.1\.1 <tiada@satu\.test>: "
                        r"Recipient address rejected: User unknown; from=<a@b\.test> to=<tiada@satu\.test> proto=ESMTP "
                        r"helo=<bentuk\.test>$",
                        r"smtpd\[\d+\]: %s: client=unknown\[127\.0\.0\.\d+\]$" % queue_id,
                        r"smtpd\[\d+\]: %s: message-id=<bentuk@x\.test>$" % queue_id,
                        r"queued\[\d+\]: %s: from=<a@b\.test>, size=\d+, nrcpt=1 \(queue active\)$" % queue_id,
                        r"disconnect from unknown\[127\.0\.0\.\d+\] ehlo=1 mail=1 rcpt=1/2 data=1 quit=1 commands=5/6$"):
            self.server.wait_log("(?m)" + pattern)
        self.letters()

    def envelope_again(self, wire):
        self.ask_all(wire, ("RCPT TO:<%s>" % self.lama, "250"), ("DATA", "354"))

    def test_what_was_swept_after_a_leap_of_the_clock_is_not_acknowledged(self):
        incoming = os.path.join(self.server.directory, "spool", "incoming")
        wire = self.wire()
        self.envelope(wire)
        wire.send(b"Subject: lama sekali\r\n\r\n" + (b"x" * 70 + b"\r\n") * 2000)
        name = wait_for(lambda: os.listdir(incoming), "the file")[0]
        os.utime(os.path.join(incoming, name), (1, 1))
        wait_for(lambda: not os.listdir(incoming), "queued to remove it")
        wire.send(b".\r\n")
        self.assertRegex(wire.reply(), rb"^451 4\.3\.0 ")
        self.ask(wire, b"QUIT", "221")

    def test_an_exchange_that_authd_ends_while_the_client_thinks_ends_with_its_next_line(self):
        workers = [pid for pid, words in self.server.processes().items() if "smtpd: worker" in words]
        wire = self.wire("submission")
        self.ask(wire, b"AUTH LOGIN", "334 VXNlcm5hbWU6")
        for pid, words in self.server.processes().items():
            if "authd: front" in words:
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)
        self.ask(wire, base64.b64encode(self.lama.encode()), "454 4.7.0 ")
        self.ask(wire, b"NOOP", "250")
        self.assertEqual([pid for pid, words in self.server.processes().items() if "smtpd: worker" in words], workers)

    def test_tls_is_named_in_the_received_field(self):
        with self.server.smtp() as client:
            client.starttls(context=self.server.tls_context())
            client.sendmail("a@b.test", [self.lama], letter("a@b.test", self.lama))
        found = self.letters()[0].decode()
        self.assertRegex(found, r"\(using TLSv1\.[23] with cipher \S+\)\r\n\tby satu\.test with ESMTPS id \w+\r\n"
                                r"\tfor <lama@satu\.test>\r\n\ttls \S+;\r\n")

    def test_a_recipient_is_put_off_while_authd_is_away(self):
        stopped = [pid for pid, words in self.server.processes().items() if "authd" in words]
        wire = self.wire()
        wire.socket.settimeout(30)
        self.ask(wire, b"MAIL FROM:<a@b.test>", "250")
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            # One that exists and was not asked about of late, or the worker would still know it.
            self.ask(wire, b"RCPT TO:<lama+%d@satu.test>" % time.time_ns(), "451 4.3.0 ")
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        wait_for(lambda: wire.ask(b"RCPT TO:<lama@satu.test>").startswith(b"250"), "authd to be asked again")

    def test_a_worker_that_is_told_to_end_while_it_asks_says_goodbye(self):
        worker = [pid for pid, words in self.server.processes().items() if "smtpd: worker" in words][0]
        with open("/proc/%d/status" % worker) as f:
            parent = int(re.search(r"PPid:\s+(\d+)", f.read()).group(1))
        stopped = [pid for pid, words in self.server.processes().items() if "authd" in words]
        wire = self.wire()
        self.ask(wire, b"MAIL FROM:<a@b.test>", "250")
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        wire.send(b"RCPT TO:<lama+%d@satu.test>\r\n" % time.time_ns())
        time.sleep(0.1)
        os.kill(parent, signal.SIGTERM)
        try:
            self.assertRegex(wire.reply(), rb"^421 4\.3\.2 ")
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        time.sleep(0.3)  # the answer comes while the connection is being closed
        wire.close()
        wait_for(lambda: not os.path.exists("/proc/%d" % worker), "the end of the worker")
        self.assertNotIn("Assertion", self.server.log())
        wait_for(self.is_greeted_again, "another smtpd")

    def is_greeted_again(self):
        try:
            return self.is_greeted()
        except OSError:
            return False


class Friends(Server):
    """Clients of our networks; small limits."""
    settings = {"message_size_limit": "100K", "header_limit": "16K", "recipients_per_message": 100, "smtpd_timeout": "2s"}

    def content(self, wire, content, expected):
        wire.send(content + b".\r\n")
        self.assertRegex(wire.reply().decode(), "^" + expected)

    def test_what_is_too_large_is_refused_and_the_session_goes_on(self):
        wire = self.wire()
        self.ask(wire, b"MAIL FROM:<a@b.test> SIZE=200000", "552 5.3.4 ")
        line = b"x" * 70 + b"\r\n"
        for content, expected in ((b"\r\n" + line * 1600, "552 5.3.4 "), (b"X: " + line * 2, "250 2.0.0 "),
                                  ((b"X: " + line) * 300 + b"\r\n", "552 5.3.4 "),
                                  (b"Received: x\r\n" * 101 + b"\r\n", "554 5.4.6 "),
                                  (b"Received: x\r\n" * 100 + b"\r\n", "250 2.0.0 ")):
            self.envelope(wire)
            self.content(wire, content, expected)
        self.ask(wire, b"QUIT", "221 2.0.0")
        self.letters(2)

    def test_further_recipients_are_for_another_message(self):
        wire = self.wire()
        self.ask(wire, b"MAIL FROM:<a@b.test>", "250")
        wire.send(b"".join(b"RCPT TO:<lama+%d@satu.test>\r\n" % i for i in range(150)))
        replies = [wire.reply()[:9] for _ in range(150)]
        self.assertEqual(replies, [b"250 2.1.5"] * 100 + [b"452 4.5.3"] * 50)
        self.ask(wire, b"DATA", "354")
        self.content(wire, b"Subject: banyak\r\n\r\nx\r\n", "250")
        self.letters(100)

    def test_a_hundred_transactions_in_one_write(self):
        wire = self.wire()
        one = b"MAIL FROM:<a@b.test>\r\nRCPT TO:<%s>\r\nDATA\r\nSubject: %d\r\n\r\nx\r\n.\r\n"
        wire.send(b"".join(one % (self.lama.encode(), i) for i in range(100)) + b"QUIT\r\n")
        codes = [wire.reply()[:3] for _ in range(402)]
        self.assertEqual(codes, [b"250", b"250", b"354", b"250"] * 100 + [b"221", b""])
        found = b"".join(self.letters(100))
        for i in range(100):
            self.assertIn(b"\r\nSubject: %d\r\n" % i, found)

    def test_a_silent_client_is_told_and_left(self):
        wire = self.wire()
        begin = time.monotonic()
        self.assertRegex(wire.reply(), rb"^421 4\.4\.2 satu\.test ")
        self.assertEqual(wire.reply(), b"")
        self.assertTrue(1.5 < time.monotonic() - begin < 10)
        self.server.wait_log(r"smtpd\[\d+\]: timeout after EHLO from unknown\[")
        wire = self.wire()
        self.envelope(wire)
        wire.send(b"Subject: tak selesai\r\n\r\n")
        self.assertRegex(wire.reply(), rb"^421 4\.4\.2 ")
        self.server.wait_log(r"smtpd\[\d+\]: timeout after DATA from unknown\[")

    def test_a_silent_tls_client_is_left_too(self):
        raw = socket.create_connection((self.server.address, self.server.ports["submissions"]), 10)
        self.addCleanup(raw.close)
        self.assertEqual(raw.recv(1), b"")

    def test_a_client_that_vanishes_leaves_no_message(self):
        for content in (b"", b"Subject: hilang\r\n", b"Subject: hilang\r\n\r\n" + b"x" * 70000):
            wire = self.wire()
            self.envelope(wire)
            wire.send(content)
            wire.close()
        wait_for(lambda: self.server.log().count("lost connection after DATA from unknown[") >= 3, "the ends of all three")
        # smtpd can remove nothing: if it had begun to write the large one, that is void now, and swept in time.
        for message in self.server.queue():
            self.assertEqual((message["message_size"], message["problem"]), (0, "unfinished"))
        self.assertNotIn(b"hilang", b"".join(self.server.letters(self.lama)))

    def test_other_line_ends_and_foreign_protocols_end_the_session(self):
        for line in (b"NOOP\nNOOP\r\n", b"NOOP\rNOOP\r\n", b"NO\0OP\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n", b"Subject: x\r\n"):
            wire = self.wire()
            wire.send(line)
            self.assertRegex(wire.reply(), rb"^5")
            self.assertEqual(wire.reply(), b"", line)

    def test_a_long_line_is_refused_and_the_session_goes_on(self):
        wire = self.wire()
        wire.send(b"NOOP " + b"x" * 100000 + b"\r\n")
        self.assertRegex(wire.reply(), rb"^500 5\.5\.2")
        self.ask(wire, b"NOOP", "250")

    def test_many_idle_clients_do_not_hold_up_a_letter(self):
        crowd = [socket.create_connection((self.server.address, self.server.ports["mx"]), 10) for _ in range(300)]
        begin = time.monotonic()
        with self.server.smtp() as client:
            client.sendmail("a@b.test", [self.lama], letter("a@b.test", self.lama))
        self.assertLess(time.monotonic() - begin, 5)
        for s in crowd:
            s.close()
        self.letters()

    def test_programs_of_this_host_need_no_password_and_no_domain(self):
        wire = self.wire("submit")
        self.envelope(wire, "root", "lama")
        wire.send(b"Subject: dari sini\r\nBcc: rahasia@x.test\r\nReturn-Path: <palsu@x.test>\r\n\r\nx\r\n.\r\n")
        self.assertRegex(wire.reply(), rb"^250 2\.0\.0 Ok: queued as ")
        self.ask(wire, b"QUIT", "221")
        found = self.letters()[0].decode()
        self.assertRegex(found, r"(?s)^Return-Path: <root@satu\.test>\r\n.*Received: by satu\.test \(Merpati, from user \S+\)\r\n\tid \w+; ")
        self.assertRegex(found, r"\r\nDate: \w{3}, \d+ \w{3} \d{4} [\d:]{8} [+-]\d{4}\r\nMessage-ID: <\w+@satu\.test>\r\n\r\nx\r\n")
        self.assertNotIn("rahasia", found)
        self.assertNotIn("palsu", found)


class Normalising(Server):
    settings = {"normalise_line_ends": "yes"}

    def test_lone_line_ends_become_whole_ones_and_end_nothing(self):
        wire = self.wire()
        self.envelope(wire)
        wire.send(b"Subject: lama sekali\n\nsatu\n.\ndua\rtiga\r\nempat\0\n.\r\nlima\r\n.\r\n")
        self.assertRegex(wire.reply(), rb"^250")
        self.ask(wire, b"QUIT", "221")
        found = without_trace(self.letters()[0])
        self.assertEqual(found, b"Subject: lama sekali\r\n\r\nsatu\r\n.\r\ndua\r\ntiga\r\nempat\r\n.\r\nlima\r\n")


if __name__ == "__main__":
    unittest.main()
