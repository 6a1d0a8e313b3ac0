"""Nothing smuggled: only CRLF.CRLF ends a letter, whatever way it comes in; STARTTLS takes nothing along."""

import base64
import itertools
import os
import re
import socket
import ssl
import unittest

from suite import PASSWORD, Case, Instance, wait_for

ENDINGS = sorted({bytes(p) for n in range(3, 6) for p in itertools.product(b"\r\n.", repeat=n)
                  if b"." in p and p != tuple(b"\r\n.\r\n")} | {
    b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n.\r\0\n", b"\n.\0\n", b"\0.\0", b"\r\n.\r\r\n", b"\r\n.\n\r\n"})


class Wire:
    """A connection on which replies are read line by line."""

    def __init__(self, address):
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(address, 10)
        self.socket.settimeout(10)
        self.pending = b""

    def send(self, data):
        self.socket.sendall(data)

    def reply(self):
        """The next whole reply, or b"" at the end of the connection."""
        lines = []
        while True:
            while b"\r\n" not in self.pending:
                try:
                    more = self.socket.recv(65536)
                except ConnectionError:
                    more = b""
                if not more:
                    return b""
                self.pending += more
            line, _, self.pending = self.pending.partition(b"\r\n")
            lines.append(line)
            if line[3:4] != b"-":
                return b"\n".join(lines)

    def ask(self, line):
        self.send(line + b"\r\n")
        return self.reply()

    def close(self):
        self.socket.close()


class Smuggling(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Instance("satu.test", "127.0.0.2", settings={"recipients_per_message": 1000})
        cls.server.__enter__()
        cls.lama = cls.server.add_user("lama").encode()
        cls.server.add_user("baru")

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def ways(self):
        run = os.path.join(self.server.directory, "run")
        return {"mx": ((self.server.address, self.server.ports["mx"]), b"EHLO x.test"),
                "submissions": ((self.server.address, self.server.ports["submissions"]), b"EHLO x.test"),
                "submit": (os.path.join(run, "submit"), b"EHLO x.test"),
                "lmtp": (os.path.join(run, "lmtp"), b"LHLO x.test")}

    def begin(self, way, command=b"DATA"):
        address, hello = self.ways()[way]
        wire = Wire(address)
        if way == "submissions":
            wire.socket = self.server.tls_context().wrap_socket(wire.socket)
        self.assertTrue(wire.reply().startswith(b"220"))
        self.assertTrue(wire.ask(hello).startswith(b"250"))
        if way == "submissions":
            secret = base64.b64encode(b"\0baru@satu.test\0" + PASSWORD.encode())
            self.assertTrue(wire.ask(b"AUTH PLAIN " + secret).startswith(b"235"))
        self.assertTrue(wire.ask(b"MAIL FROM:<baru@satu.test>").startswith(b"250"))
        self.assertTrue(wire.ask(b"RCPT TO:<" + self.lama + b">").startswith(b"250"))
        if command == b"DATA":
            self.assertTrue(wire.ask(b"DATA").startswith(b"354"))
        return wire

    def hidden(self):
        return (b"MAIL FROM:<palsu@satu.test>\r\nRCPT TO:<" + self.lama +
                b">\r\nDATA\r\nSubject: diselundupkan\r\n\r\nx\r\n.\r\n")

    def smuggle_in_chunks(self, way):
        """In BDAT everything up to the count is content; what DATA would refuse is refused, wherever it is cut."""
        for number, ending in enumerate(ENDINGS + [b"\r\n.\r\n"]):
            content = b"Subject: luar\r\n\r\ntext" + ending + self.hidden()
            cut = len(content) - len(self.hidden()) - number % (len(ending) + 1)
            bare = re.search(rb"\r(?!\n)|(?<!\r)\n|\0", content)
            wire = self.begin(way, b"BDAT")
            wire.send(b"BDAT %d\r\n%sBDAT %d LAST\r\n%sNOOP\r\nQUIT\r\n" % (cut, content[:cut], len(content) - cut, content[cut:]))
            first, last = wire.reply(), wire.reply()
            self.assertRegex(first, rb"^(250 2\.0\.0 Ok: \d+ bytes|554)", ending)
            self.assertRegex(last, rb"^554 5\.6\.0 " if bare else rb"^250 ", ending)
            self.assertEqual([wire.reply()[:3], wire.reply()[:3], wire.reply()], [b"250", b"221", b""], ending)
            wire.close()

    def smuggle(self, way):
        """After each false ending comes a whole second transaction, then the true end: never may two be accepted."""
        hidden = self.hidden()
        for ending in ENDINGS:
            wire = self.begin(way)
            wire.send(b"Subject: luar\r\n\r\ntext" + ending + hidden)
            first = wire.reply()
            if first.startswith(b"2"):
                # The false ending was content; the hidden commands too, and the dot line at their end was the true one.
                self.assertNotIn(b"\n.\r", ending.replace(b"\r\n.\r\n", b""), ending)
                wire.send(b"QUIT\r\n")
                self.assertTrue(wire.reply().startswith(b"221"), ending)
            else:
                self.assertRegex(first, rb"^(5\d\d|421|$)", repr(ending))
                second = wire.reply()
                while second:
                    self.assertNotRegex(second, rb"^(250|354)", "%r: %r" % (ending, second))
                    second = wire.reply() if not second.startswith((b"221", b"421")) else b""
            wire.close()

    def delivered(self):
        return [m for m in self.server.letters(self.lama.decode())]

    def assert_no_second_letter(self):
        wait_for(lambda: not self.server.queue(), "the queue to be empty", 30)
        for found in self.delivered():
            self.assertNotIn(b"Return-Path: <palsu@", found)

    def test_no_false_ending_ends_data_on_the_mx_port(self):
        self.smuggle("mx")
        self.assert_no_second_letter()

    def test_no_false_ending_ends_data_on_the_submission_port(self):
        self.smuggle("submissions")
        self.assert_no_second_letter()

    def test_nothing_in_a_chunk_is_a_command(self):
        for way in self.ways():
            self.smuggle_in_chunks(way)
        self.assert_no_second_letter()

    def test_no_false_ending_ends_data_on_the_submit_socket(self):
        self.smuggle("submit")
        self.assert_no_second_letter()

    def test_no_false_ending_ends_data_by_lmtp(self):
        self.smuggle("lmtp")
        self.assert_no_second_letter()

    def test_every_cut_of_a_true_ending_gives_the_same_letter(self):
        body = b"Subject: potong\r\n\r\n..dua titik\r\nakhir\r\n.\r\n"
        for way in self.ways():
            for cut in range(1, len(body)):
                wire = self.begin(way)
                if way == "mx":
                    wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                wire.send(body[:cut])
                wire.send(body[cut:])
                self.assertTrue(wire.reply().startswith(b"250"), (way, cut))
                wire.close()
        wait_for(lambda: not self.server.queue(), "the queue to be empty", 30)
        texts = [m.split(b"\r\n\r\n", 1)[1] for m in self.delivered() if b"Subject: potong" in m]
        self.assertGreaterEqual(len(texts), len(self.ways()) * (len(body) - 1))
        self.assertEqual(set(texts), {b".dua titik\r\nakhir\r\n"})

    def test_commands_injected_before_tls_are_not_answered_inside(self):
        for kind, greeting, start, injected in (
                ("mx", b"220", b"EHLO x\r\nSTARTTLS\r\n", b"NOOP\r\nMAIL FROM:<palsu@satu.test>\r\n"),
                ("submission", b"220", b"EHLO x\r\nSTARTTLS\r\n", b"NOOP\r\n"),
                ("pop3", b"+OK", b"STLS\r\n", b"CAPA\r\n"),
                ("imap", b"* OK", b"a STARTTLS\r\n", b"b CAPABILITY\r\n")):
            raw = socket.create_connection((self.server.address, self.server.ports[kind]), 10)
            self.assertTrue(raw.recv(4096).startswith(greeting))
            raw.sendall(start + injected)
            received = b""
            raw.settimeout(5)
            try:
                while True:
                    more = raw.recv(4096)
                    if not more:
                        break
                    received += more
                    if received.rstrip().splitlines()[-1][:3] in (b"220", b"+OK") or b"a OK" in received:
                        break
            except (socket.timeout, ConnectionError):
                pass
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            try:
                inside = context.wrap_socket(raw)
            except (OSError, ssl.SSLError):
                continue  # the session was ended: what immunity rule 3 asks
            inside.settimeout(1)
            try:
                answer = inside.recv(4096)
            except (socket.timeout, OSError):
                answer = b""
            self.assertEqual(answer, b"", kind)
            inside.close()


if __name__ == "__main__":
    unittest.main()
