"""Clients that vanish at any point while whoever smtpd asks (filters, policy servers, authd, the guard, the connector) is
slow, dies or is killed; and the end of smtpd in the middle of it. What was acknowledged arrives, once."""

import base64
import contextlib
import os
import random
import re
import signal
import socket
import ssl
import struct
import threading
import time
import unittest

import milter_server as m
from milter_server import Milter
from policy_server import PolicyServer
from suite import PASSWORD, Case, Instance, wait_for

SEED = int(os.environ.get("MERPATI_SEED", random.getrandbits(32)))
CLIENTS, SECONDS = 12, 10
SECTIONS = """
[filter satu]
kind = milter
socket = %s
timeout = 1s
on_failure = accept
[filter dua]
kind = milter
socket = %s
timeout = 1s
on_failure = defer
[filter aturan]
kind = policy
socket = %s
timeout = 1s
on_failure = accept
[policy]
ask aturan
ask aturan at end
"""


class Gone(Exception):
    pass


class Vanisher:
    """One client: says everything a client says, and with some probability at each step nothing more."""

    def __init__(self, test, number):
        self.test, self.random = test, random.Random("%d %d" % (SEED, number))
        self.number, self.sent = number, 0
        self.acknowledged = []
        self.vanishes = 0.06

    def close(self):
        with contextlib.suppress(OSError):
            if self.random.random() < 0.5:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif self.random.random() < 0.5:
                self.socket.shutdown(socket.SHUT_WR)
                time.sleep(self.random.random() * 0.05)
        with contextlib.suppress(OSError):
            if self.lines:
                self.lines.close()  # as long as there are such, the socket stays open
        self.socket.close()

    def say(self, data):
        if self.random.random() < self.vanishes:
            if self.random.random() < 0.5:
                self.socket.sendall(data)
            elif data:
                self.socket.sendall(data[:self.random.randrange(len(data))])
            raise Gone
        self.socket.sendall(data)

    def hear(self):
        if self.random.random() < self.vanishes:
            time.sleep(self.random.random() * 0.05)
            raise Gone
        while True:
            line = self.lines.readline()
            if not line:
                raise Gone
            if line[3:4] != b"-":
                return line.decode()

    def ask(self, text):
        self.say(text.encode() + b"\r\n")
        return self.hear()

    def secure(self):
        self.socket = self.test.tls.wrap_socket(self.socket)
        self.lines = self.socket.makefile("rb")

    def open(self):
        kind = self.random.choice(("mx", "mx", "submission", "submissions"))
        self.socket = socket.create_connection((self.test.server.address, self.test.server.ports[kind]), 10)
        self.lines = self.socket.makefile("rb")
        if kind == "submissions":
            self.secure()
        self.hear()
        if kind == "mx" and self.random.random() < 0.3:
            self.ask("XCLIENT ADDR=192.0.2.%d NAME=x%d.test" % (self.random.randrange(9), self.number))
        self.ask("EHLO x%d.test" % self.number)
        if kind == "submission" or (kind == "mx" and self.random.random() < 0.2):
            self.ask("STARTTLS")
            self.secure()
            self.ask("EHLO x%d.test" % self.number)
        if kind != "mx":
            word = PASSWORD if self.random.random() < 0.9 else "salah"
            self.ask("AUTH PLAIN " + base64.b64encode(("\0%s\0%s" % (self.test.lama, word)).encode()).decode())

    def content(self):
        self.sent += 1
        mark = "%d-%d-%s" % (self.number, self.sent, "berhenti" if self.test.ending else "jalan")
        lines = ["Subject: tanda " + mark, "", "Halo"] + ["x" * 70] * self.random.choice((0, 3, 2000))
        return mark, "".join(line + "\r\n" for line in lines).encode()

    def end(self, mark, data):
        self.say(data)
        if self.hear().startswith("250 2.0.0 Ok: queued"):
            self.acknowledged.append(mark)

    def message(self):
        envelope = ["MAIL FROM:<%s>" % self.test.lama] + ["RCPT TO:<%s>" % self.test.lama] * self.random.choice((1, 1, 2))
        mark, data = self.content()
        if self.random.random() < 0.3:
            self.say("".join(line + "\r\n" for line in envelope).encode())
            replies = [self.hear() for _ in envelope]
        else:
            replies = [self.ask(line) for line in envelope]
        if not replies[0].startswith("250") or not replies[1].startswith("250"):
            self.ask("RSET")
        elif self.random.random() < 0.5:
            half = len(data) // 2
            self.say(b"BDAT %d\r\n%sBDAT %d LAST\r\n" % (half, data[:half], len(data) - half))
            self.hear()
            self.end(mark, data[half:])
        elif self.ask("DATA").startswith("354"):
            self.end(mark, data + b".\r\n")

    def session(self):
        self.socket = self.lines = None
        try:
            self.open()
            for _ in range(self.random.choice((1, 2, 4))):
                self.message()
            self.ask("QUIT")
        except (Gone, OSError, ssl.SSLError, ValueError):
            pass
        if self.socket:
            self.close()

    def run(self):
        while not self.test.over.is_set():
            self.session()


class Vanishing(Case):
    @classmethod
    def setUpClass(cls):
        cls.random = random.Random(SEED)
        cls.over = threading.Event()
        cls.ending = False
        cls.stack = contextlib.ExitStack()
        script = {stage: cls.answer for stage in "CHMRTLNB"}
        script["E"] = cls.answer_end
        milters = [cls.stack.enter_context(Milter(script, options=options))
                   for options in (m.MUTE_HEADER, m.NO_CONNECT | m.NO_HELO)]
        policy = cls.stack.enter_context(PolicyServer(cls.decide))
        cls.server = cls.stack.enter_context(Instance(
            "satu.test", "127.0.0.2", kinds=("mx", "submission", "submissions", "pop3"),
            sections=SECTIONS % (milters[0].spec, milters[1].spec, policy.socket),
            settings={"smtpd_workers": 1, "xclient_hosts": "127.0.0.0/8", "greet_pause": "10ms", "networks": "203.0.113.0/24",
                      "exempt_clients": "127.0.0.0/8"}))
        cls.lama = cls.server.add_user("lama")
        cls.tls = cls.server.tls_context()

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    @classmethod
    def pause(cls):
        if cls.random.random() < 0.3:
            time.sleep(cls.random.choice((0.002, 0.02, 0.1)))

    @classmethod
    def answer(cls, conversation):
        cls.pause()
        if cls.random.random() < 0.01:
            raise EOFError
        return cls.random.choices(([m.proceed()], [m.accept()], [m.reject()], [m.reply("451 4.7.9 nanti")], [m.shut_down()], None),
                                  (200, 5, 2, 2, 1, 1))[0]

    @classmethod
    def answer_end(cls, conversation):
        cls.pause()
        if cls.random.random() < 0.02:
            raise EOFError
        changes = [packet for packet in (m.add("X-Tambah", "1"), m.insert(0, "X-Atas", "2"), m.body(b"Lain\n"),
                                         m.sender("<lain@satu.test>"), m.progress())
                   if cls.random.random() < 0.2]
        return changes + cls.random.choices(([m.proceed()], [m.reject()], [m.reply("554 5.7.9 tidak")]), (20, 1, 1))[0]

    @classmethod
    def decide(cls, request):
        cls.pause()
        return cls.random.choices(("DUNNO", "PREPEND X-Kata: ya", "450 4.7.1 nanti", None, 2), (100, 10, 3, 2, 1))[0]

    def kill_some(self):
        """Those that hold nobody's message; each comes back."""
        for pid, title in self.server.processes().items():
            if re.search(r"smtpd: (guard|connector)|authd: ", title) and self.random.random() < 0.3:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def crowd(self, first):
        self.over.clear()
        clients = [Vanisher(self, first + i) for i in range(CLIENTS)]
        threads = [threading.Thread(target=client.run, daemon=True) for client in clients]
        for thread in threads:
            thread.start()
        return clients, threads

    def disperse(self, threads):
        self.over.set()
        for thread in threads:
            thread.join(30)
            self.assertFalse(thread.is_alive(), "a client waits without end")

    def assert_nobody_died(self):
        """But those whom we killed."""
        self.assertNotRegex(self.server.log(), r"was killed by signal (?!9\b)|ERROR: AddressSanitizer|runtime error:")

    def wait_acknowledged(self, clients):
        wait_for(lambda: sum(len(client.acknowledged) for client in clients) > 5, "some letters to be acknowledged", 60)

    def assert_arrived(self, clients):
        wanted = {mark for client in clients for mark in client.acknowledged}
        self.assertGreater(len(wanted), 5)

        def marks():
            return re.findall(r"(?mi)^Subject: tanda (\S+)\r$", "".join(x.decode("latin-1") for x in self.server.letters(self.lama)))
        wait_for(lambda: wanted <= set(marks()), "all that was acknowledged", 60)
        found = marks()
        self.assertEqual(len(found), len(set(found)), "a letter arrived twice")

    @staticmethod
    def sizes(directory):
        for name in os.listdir(directory):
            with contextlib.suppress(FileNotFoundError):
                yield os.path.getsize(os.path.join(directory, name))

    def workers(self):
        return [pid for pid, title in self.server.processes().items() if re.search("smtpd: worker", title)]

    def test_what_is_acknowledged_arrives_whoever_vanishes(self):
        print("MERPATI_SEED=%d" % SEED)
        workers = self.workers()
        clients, threads = self.crowd(0)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            time.sleep(1)
            self.kill_some()
        self.wait_acknowledged(clients)
        self.disperse(threads)
        self.assert_nobody_died()
        self.assertEqual(workers, self.workers())
        self.assert_arrived(clients)
        incoming = os.path.join(self.server.directory, "spool", "incoming")
        if os.access(incoming, os.R_OK):
            wait_for(lambda: not any(self.sizes(incoming)), "an empty queue", 60)

        # The end, while all of that goes on.
        type(self).ending = True
        clients, threads = self.crowd(CLIENTS)
        time.sleep(2)
        self.wait_acknowledged(clients)
        self.server.stop()
        self.disperse(threads)
        self.assert_nobody_died()
        self.server.start()
        self.assert_arrived(clients)


class Places(Case):
    def test_programs_of_this_host_leave_places_to_others(self):
        with Instance("satu.test", "127.0.0.2", kinds=("mx",),
                      settings={"greet_pause": 0, "smtpd_workers": 1, "smtpd_clients_per_worker": 4}) as server:
            path = os.path.join(server.directory, "run", "submit")
            local = []
            for _ in range(6):
                local.append(socket.socket(socket.AF_UNIX))
                local[-1].connect(path)
                local[-1].settimeout(10)
            self.assertTrue(local[0].recv(100).startswith(b"220 "))
            self.assertTrue(local[1].recv(100).startswith(b"220 "))
            with server.smtp("mx", timeout=5) as client:
                self.assertEqual(250, client.noop()[0])
                local[2].settimeout(0.3)
                self.assertRaises(socket.timeout, local[2].recv, 100)
                local[0].close()
                local[2].settimeout(10)
                self.assertTrue(local[2].recv(100).startswith(b"220 "))
            for s in local:
                s.close()


class Ending(Case):
    def test_the_end_comes_while_a_filter_thinks(self):
        for stage, said in (("C", b""), ("H", b"EHLO x.test\r\n"), ("R", b"EHLO x.test\r\nMAIL FROM:<>\r\nRCPT TO:<lama@satu.test>\r\n"),
                            ("E", b"EHLO x.test\r\nMAIL FROM:<>\r\nRCPT TO:<lama@satu.test>\r\nBDAT 6 LAST\r\n\r\nHi\r\n")):
            with self.subTest(stage), Milter(delay={stage: 1.0}) as milter, Instance(
                    "satu.test", "127.0.0.2", kinds=("mx", "pop3"), settings={"greet_pause": 0},
                    sections="[filter satu]\nkind = milter\nsocket = %s\n" % milter.spec) as server:
                server.add_user("lama")
                client = socket.create_connection((server.address, server.ports["mx"]), 10)
                client.sendall(said)
                wait_for(lambda: milter.heard(stage), "the question")
                server.stop()
                replies = b""
                while piece := client.recv(4096):
                    replies += piece
                client.close()
                self.assertNotIn(b"queued", replies)
                if stage != "C":
                    self.assertRegex(replies, rb"421 4\.3\.2 [^\n]*\r\n$")
                self.assertNotRegex(server.log(), "killed by signal|ERROR: AddressSanitizer|runtime error:")


if __name__ == "__main__":
    unittest.main()
