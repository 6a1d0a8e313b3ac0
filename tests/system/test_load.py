"""Thousands who only wait, a thousand who send a byte a second, and one who has a letter: who pays for whom.

10,000 sessions need as many descriptors, which root may have; where there are fewer the test says how many it took.
"""

import os
import re
import resource
import socket
import statistics
import struct
import sys
import threading
import time
import unittest

import suite
from suite import Instance, letter, wait_for

IDLE = 10000
IDLE_TLS = 1000
DRIBBLERS = 1000
SPARE = 400  # descriptors for all else


def descriptors(wanted):
    """Raises the limit as far as it goes, and returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted and os.getuid() == 0:
        hard = wanted
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


class LoadTest(suite.Case):
    @classmethod
    def setUpClass(cls):
        limit = descriptors(IDLE + IDLE_TLS + DRIBBLERS + SPARE)
        share = min(1.0, (limit - SPARE) / (IDLE + IDLE_TLS + DRIBBLERS))
        cls.idle, cls.idle_tls, cls.dribblers = (int(share * n) for n in (IDLE, IDLE_TLS, DRIBBLERS))
        if share < 1:
            sys.stderr.write("descriptors are limited to %d: %d idle sessions, %d under TLS, %d that dribble\n" % (
                limit, cls.idle, cls.idle_tls, cls.dribblers))
        cls.server = Instance("satu.test", "127.0.0.2", settings={"smtpd_workers": 2, "smtpd_clients_per_worker": 15000})
        cls.server.__enter__()
        cls.lama = cls.server.add_user("lama")

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    # -- sessions

    def connect(self, number):
        s = socket.socket()
        s.settimeout(30)
        s.bind(("127.%d.%d.%d" % (1 + number // 4000, number % 4000 // 250, 1 + number % 250), 0))
        s.connect((self.server.address, self.server.ports["mx"]))
        return s

    def reply(self, s):
        got = b""
        while not re.search(rb"(?:^|\n)\d{3} [^\n]*\n\Z", got):
            more = s.recv(4096)
            self.assertTrue(more, "closed after %r" % got)
            got += more
        return got

    def ask(self, s, command, code):
        s.sendall(command + b"\r\n")
        reply = self.reply(s)
        self.assertTrue(reply.startswith(code), reply)

    def session(self, number):
        s = self.connect(number)
        self.assertTrue(self.reply(s).startswith(b"220"))
        self.ask(s, b"EHLO [127.0.0.9]", b"250")
        return s

    def session_tls(self, number, context):
        s = self.session(number)
        self.ask(s, b"STARTTLS", b"220")
        s = context.wrap_socket(s)
        self.ask(s, b"EHLO [127.0.0.9]", b"250")
        return s

    def dribbler(self, number):
        """Every other one in the midst of a letter."""
        s = self.session(number)
        if number % 2:
            for command, code in ((b"MAIL FROM:<a@b.test>", b"250"), (b"RCPT TO:<lama@satu.test>", b"250"), (b"DATA", b"354")):
                self.ask(s, command, code)
        return s

    # -- the server's side

    def workers(self):
        return [pid for pid, title in self.server.processes().items() if "smtpd: worker" in title]

    def memory_kib(self, workers):
        """Of their own; whoever may not look closer than anybody finds that too."""
        total = 0
        for pid in workers:
            with open("/proc/%d/statm" % pid) as f:
                resident, shared = (int(n) for n in f.read().split()[1:3])
            total += (resident - shared) * resource.getpagesize() // 1024
        return total

    def connections(self):
        """Those that smtpd has not closed, by the kernel's list."""
        end = "%08X:%04X" % (struct.unpack("=I", socket.inet_aton(self.server.address))[0], self.server.ports["mx"])
        with open("/proc/net/tcp") as f:
            rows = [line.split() for line in f]
        return sum(row[1] == end and row[3] not in ("06", "0A") and row[9] != "0" for row in rows[1:])

    def descriptors(self, workers):
        if os.getuid() != 0:
            return 0  # a process in a sandbox shows them to root only; connections() is for all
        return sum(len(os.listdir("/proc/%d/fd" % pid)) for pid in workers)

    def delivery_s(self, number):
        """How long it takes from connect to the Maildir."""
        path = os.path.join(self.server.directory, "mail", "satu.test", "lama", "Maildir", "new")
        before = len(os.listdir(path)) if os.path.isdir(path) else 0
        begin = time.monotonic()
        with self.server.smtp() as client:
            client.sendmail("a@b.test", [self.lama], letter("a@b.test", self.lama, "Beban %d" % number))
        wait_for(lambda: os.path.isdir(path) and len(os.listdir(path)) > before, "the letter")
        return time.monotonic() - begin

    # -- all at once

    def test_many_who_wait_cost_little_and_delay_nobody(self):
        workers = self.workers()
        for i in range(20):
            self.session(i).close()
        alone_s = statistics.median(self.delivery_s(i) for i in range(5))
        time.sleep(0.5)
        descriptors_before, memory_before = self.descriptors(workers), self.memory_kib(workers)
        sessions = [self.session(i) for i in range(self.idle)]
        plain = (self.memory_kib(workers) - memory_before) / self.idle
        self.assertLess(plain, 4.0, "KiB a session")
        context = self.server.tls_context()
        memory = self.memory_kib(workers)
        sessions += [self.session_tls(i, context) for i in range(self.idle_tls)]
        self.assertLess((self.memory_kib(workers) - memory) / self.idle_tls, 25.0, "KiB a session under TLS")
        slow = [self.dribbler(i) for i in range(self.dribblers)]
        loaded_s = self.while_they_dribble(slow)
        self.assertLess(loaded_s, max(5.0, 3 * alone_s), "a letter took %.3f s alone" % alone_s)
        held = self.memory_kib(workers) - memory_before
        for s in sessions[::2]:  # the others just vanish
            self.ask(s, b"QUIT", b"221")
        for s in sessions + slow:
            s.close()
        self.assert_nothing_is_left(workers, descriptors_before, memory_before, held)

    def while_they_dribble(self, slow):
        """The median time of a delivery while each of `slow` sends a byte a second."""
        over = threading.Event()
        sent = [0]

        def dribble():
            for tick in range(10 ** 6):
                for s in slow[tick % 10::10]:
                    s.send(b"x" if (tick // 10) % 60 else b"\r\n")
                    sent[0] += 1
                if over.wait(0.1):
                    return
        thread = threading.Thread(target=dribble)
        thread.start()
        try:
            time.sleep(1)
            times = []
            for i in range(5):
                times.append(self.delivery_s(i))
                time.sleep(0.5)
        finally:
            over.set()
            thread.join()
        self.assertGreater(sent[0], 2 * len(slow))
        return statistics.median(times)

    def assert_nothing_is_left(self, workers, descriptors, memory_kib, held_kib):
        wait_for(lambda: self.connections() == 0, "connections to be closed")
        wait_for(lambda: self.descriptors(workers) <= descriptors, "descriptors to be closed")
        # What malloc keeps in pieces is less than a tenth.
        wait_for(lambda: self.memory_kib(workers) - memory_kib < held_kib / 10, "memory to be given back")
        self.assertEqual(os.listdir(os.path.join(self.server.directory, "spool", "incoming")), [])
        self.assertEqual(self.workers(), workers, "the same processes all the time")
        self.delivery_s(0)


if __name__ == "__main__":
    unittest.main()
