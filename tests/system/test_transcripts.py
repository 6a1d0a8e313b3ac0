"""The command sequences of mail programs and servers that people use, word for word, against smtpd."""

import base64
import re
import socket
import ssl
import unittest

from suite import PASSWORD, Case, Instance, wait_for

STARTTLS = object()

LETTER = ("Message-ID: <{id}@klien.test>\r\nDate: Tue, 24 Nov 2026 10:00:00 +0700\r\nFrom: {from}\r\nTo: {to}\r\n"
          "Subject: {id}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
          "Apa kabar? \u00e9\r\n..titik\r\n")


def b64(text):
    return base64.b64encode(text.encode()).decode()


class Transcripts(Case):
    """Each line of a transcript is what the client sends and what a reply to it must look like."""

    @classmethod
    def setUpClass(cls):
        cls.server = Instance("satu.test", "127.0.0.2")
        cls.server.__enter__()
        cls.lama = cls.server.add_user("lama")
        cls.baru = cls.server.add_user("baru")

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def connect(self, kind):
        raw = socket.create_connection((self.server.address, self.server.ports[kind]), 10)
        self.raw = self.server.tls_context().wrap_socket(raw) if kind == "submissions" else raw
        self.raw.settimeout(10)
        self.addCleanup(lambda: self.raw.close())
        self.pending = b""
        self.assertRegex(self.reply(), r"^220 satu\.test ESMTP")

    def reply(self):
        lines = []
        while not lines or lines[-1][3:4] == "-":
            while b"\r\n" not in self.pending:
                more = self.raw.recv(65536)
                self.assertTrue(more, "the server closed: %r" % lines)
                self.pending += more
            line, _, self.pending = self.pending.partition(b"\r\n")
            lines.append(line.decode())
        return "\n".join(lines)

    def play(self, kind, name, script):
        """Sends each entry as it stands; expects one reply a pattern."""
        words = {"id": name, "from": self.baru, "to": self.lama, "plain": b64("\0%s\0%s" % (self.baru, PASSWORD)),
                 "user": b64(self.baru), "password": b64(PASSWORD)}
        letter = LETTER.format(**words)
        content = letter.replace("\r\n.", "\r\n..")
        self.connect(kind)
        for entry in script:
            if entry is STARTTLS:
                self.assertEqual(self.pending, b"")
                self.raw = self.server.tls_context().wrap_socket(self.raw)
                continue
            said, *patterns = entry
            said = said.replace("{content}", content).replace("{letter}", letter)
            said = re.sub(r"\{(\w+)\}", lambda m: str(words.get(m.group(1)) or len(letter.encode())), said)
            self.raw.sendall(said.encode())
            for pattern in patterns:
                self.assertRegex(self.reply(), "(?s)^" + pattern, said)

        def arrived():
            return [m for m in self.server.letters(self.lama) if b"\r\nSubject: %s\r\n" % name.encode() in m]
        found = wait_for(arrived, "the letter of " + name)
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0].endswith(letter.split("\r\n\r\n", 1)[1].encode()), found[0])
        return found[0]

    def test_thunderbird_with_starttls(self):
        found = self.play("submission", "thunderbird", [
            ("EHLO [192.168.1.10]\r\n", r"250-satu\.test\n.*250-STARTTLS\n"), ("STARTTLS\r\n", "220 2.0.0 "), STARTTLS,
            ("EHLO [192.168.1.10]\r\n", r"250-.*250-AUTH [^\n]*PLAIN"), ("AUTH PLAIN {plain}\r\n", "235 2.7.0 "),
            ("MAIL FROM:<{from}> BODY=8BITMIME SIZE={size}\r\n", "250 2.1.0 "), ("RCPT TO:<{to}>\r\n", "250 2.1.5 "),
            ("DATA\r\n", "354 "), ("{content}.\r\n", "250 2.0.0 Ok: queued as "), ("QUIT\r\n", "221 2.0.0 ")])
        self.assertIn(b"with ESMTPSA id ", found)

    def test_thunderbird_wants_to_hear_of_its_delivery(self):
        self.play("submissions", "thunderbird-dsn", [
            ("EHLO [192.168.1.10]\r\n", r"250-.*250-DSN\n"), ("AUTH PLAIN {plain}\r\n", "235 "),
            ("MAIL FROM:<{from}> BODY=8BITMIME SMTPUTF8 SIZE={size} RET=FULL ENVID=<a8d7ef02-1111-2222@satu.test>\r\n", "250 "),
            ("RCPT TO:<{to}> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;{to}\r\n", "250 "),
            ("DATA\r\n", "354 "), ("{content}.\r\n", "250 "), ("QUIT\r\n", "221 ")])

    def test_thunderbird_retries_after_a_wrong_password(self):
        self.play("submissions", "thunderbird-retry", [
            ("EHLO [192.168.1.10]\r\n", "250"), ("AUTH PLAIN %s\r\n" % b64("\0baru@satu.test\0salah"), "535 5.7.8 "),
            ("AUTH LOGIN\r\n", "334 VXNlcm5hbWU6$"), ("*\r\n", "501 "), ("AUTH PLAIN {plain}\r\n", "235 "),
            ("MAIL FROM:<{from}> BODY=8BITMIME SIZE={size}\r\n", "250 "), ("RCPT TO:<{to}>\r\n", "250 "),
            ("DATA\r\n", "354 "), ("{content}.\r\n", "250 "), ("QUIT\r\n", "221 ")])

    def test_outlook(self):
        self.play("submission", "outlook", [
            ("EHLO DESKTOP-7QJ2K4M\r\n", "250-.*STARTTLS"), ("STARTTLS\r\n", "220 "), STARTTLS,
            ("EHLO DESKTOP-7QJ2K4M\r\n", "250-.*AUTH "), ("AUTH LOGIN\r\n", "334 VXNlcm5hbWU6$"), ("{user}\r\n", "334 UGFzc3dvcmQ6$"),
            ("{password}\r\n", "235 "), ("MAIL FROM: <{from}>\r\n", "250 "), ("RCPT TO: <{to}>\r\n", "250 "),
            ("DATA\r\n", "354 "), ("{content}.\r\n", "250 "), ("QUIT\r\n", "221 ")])

    def test_outlook_tests_the_account_and_keeps_the_connection(self):
        self.play("submissions", "outlook-test", [
            ("EHLO DESKTOP-7QJ2K4M\r\n", "250"), ("AUTH LOGIN {user}\r\n", "334 UGFzc3dvcmQ6$"), ("{password}\r\n", "235 "),
            ("MAIL FROM: <{from}>\r\n", "250 "), ("RCPT TO: <{to}>\r\n", "250 "), ("RSET\r\n", "250 "), ("NOOP\r\n", "250 "),
            ("MAIL FROM: <{from}> SIZE={size}\r\n", "250 "), ("RCPT TO: <{to}>\r\n", "250 "),
            ("DATA\r\n", "354 "), ("{content}.\r\n", "250 "), ("RSET\r\n", "250 "), ("QUIT\r\n", "221 ")])

    def test_apple_mail(self):
        self.play("submissions", "apple", [
            ("EHLO smtpclient.apple\r\n", "250"), ("AUTH PLAIN\r\n", "334"), ("{plain}\r\n", "235 "),
            ("MAIL FROM:<{from}> SIZE={size} BODY=8BITMIME\r\nRCPT TO:<{to}>\r\nDATA\r\n", "250 ", "250 ", "354 "),
            ("{content}.\r\n", "250 "), ("QUIT\r\n", "221 ")])

    def test_a_server_that_pipelines(self):
        found = self.play("mx", "pipelining", [
            ("EHLO mx.luar.test\r\n", "250-.*PIPELINING"), ("STARTTLS\r\n", "220 "), STARTTLS, ("EHLO mx.luar.test\r\n", "250"),
            ("MAIL FROM:<{from}> SIZE={size} BODY=8BITMIME\r\nRCPT TO:<{to}> ORCPT=rfc822;{to}\r\nDATA\r\n", "250 ", "250 ", "354 "),
            ("{content}.\r\nQUIT\r\n", "250 ", "221 ")])
        self.assertRegex(found, rb"with ESMTPS id [^;]*\r\n\ttls TLS_[A-Z0-9_]+;")

    def test_a_server_that_sends_chunks(self):
        self.play("mx", "chunking", [
            ("EHLO mail.luar.test\r\n", "250-.*CHUNKING"), ("STARTTLS\r\n", "220 "), STARTTLS, ("EHLO mail.luar.test\r\n", "250"),
            ("MAIL FROM:<{from}> SIZE={size} BODY=8BITMIME\r\nRCPT TO:<{to}> NOTIFY=FAILURE,DELAY\r\n", "250 ", "250 "),
            ("BDAT {size} LAST\r\n{letter}", "250 2.0.0 Ok: queued as "), ("QUIT\r\n", "221 ")])

    def test_a_device_that_knows_only_the_oldest_words(self):
        self.play("mx", "printer", [
            ("HELO printer\r\n", r"250 satu\.test$"), ("mail from:<{from}>\r\n", "250 "), ("rcpt to:<{to}>\r\n", "250 "),
            ("data\r\n", "354 "), ("{content}.\r\n", "250 "), ("quit\r\n", "221 ")])


if __name__ == "__main__":
    unittest.main()
