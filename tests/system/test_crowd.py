"""Thousands of clients that do nothing, and some that do next to nothing, beside one that sends a letter."""

import contextlib
import glob
import os
import re
import resource
import socket
import threading
import time
import unittest

from suite import Case, Instance, letter, wait_for

IDLE, DRIBBLING = 10000, 1000
DESCRIPTORS = IDLE + DRIBBLING + 500
KIB_A_PLAIN_SESSION, KIB_A_TLS_SESSION = 4, 25


def raise_limit():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard >= DESCRIPTORS or os.getuid() == 0:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, DESCRIPTORS), max(hard, DESCRIPTORS)))
        return True
    return False


class Dribblers:
    """Clients in the middle of a message, of which each sends a byte a second."""

    def __init__(self, address, count, envelope):
        self.sockets = [socket.create_connection(address, 20) for _ in range(count)]
        for s in self.sockets:
            s.recv(200)
            s.sendall(envelope)
        self.stopping = threading.Event()
        self.rounds = 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping.wait(1):
            for s in self.sockets:
                s.send(b"x")
            self.rounds += 1

    def close(self):
        self.stopping.set()
        self.thread.join()
        for s in self.sockets:
            s.close()


class Crowd(Case):
    @classmethod
    def setUpClass(cls):
        if not raise_limit():
            raise unittest.SkipTest("skipped: %d descriptors are too many for this user" % DESCRIPTORS)
        cls.server = Instance("satu.test", "127.0.0.2", settings={
            "smtpd_workers": 2, "smtpd_clients_per_worker": IDLE + DRIBBLING, "smtpd_timeout": "30m"})
        cls.server.__enter__()
        cls.lama = cls.server.add_user("lama")
        cls.address = (cls.server.address, cls.server.ports["mx"])
        cls.sent = 0

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def workers(self):
        return [pid for pid, title in self.server.processes().items() if re.search(r"smtpd: worker", title)]

    def kib(self):
        """The memory of all workers that is not shared."""
        total = 0
        for pid in self.workers():
            with open("/proc/%d/smaps_rollup" % pid) as f:
                total += sum(int(n) for n in re.findall(r"(?m)^Private_\w+: +(\d+) kB", f.read()))
        return total

    def connections(self):
        """How many TCP connections the workers have, however the clients see that."""
        inodes = set()
        for pid in self.workers():
            for link in glob.glob("/proc/%d/fd/*" % pid):
                with contextlib.suppress(OSError):
                    inodes.add(os.readlink(link))
        with open("/proc/net/tcp") as f:
            rows = [line.split() for line in f.readlines()[1:]]
        return sum("socket:[%s]" % row[9] in inodes for row in rows if row[3] != "0A")

    def assert_a_letter_is_not_held_up(self):
        began = time.monotonic()
        with self.server.smtp() as client:
            client.sendmail("a@b.test", [self.lama], letter("a@b.test", self.lama))
        Crowd.sent += 1
        found = "mail/satu.test/lama/Maildir/new/*"
        wait_for(lambda: len(glob.glob(os.path.join(self.server.directory, found))) == Crowd.sent, "the letter")
        self.assertLess(time.monotonic() - began, 5)

    def leftovers(self):
        return glob.glob(os.path.join(self.server.directory, "spool/incoming/*")) + self.server.queue()

    def test_ten_thousand_idle_and_a_thousand_dribbling_clients_hold_nobody_up(self):
        self.assert_a_letter_is_not_held_up()
        wait_for(lambda: not self.leftovers(), "the queue to be empty")
        wait_for(lambda: self.connections() == 0, "earlier connections to be closed")
        before = self.kib()
        idle = []
        for _ in range(IDLE):
            idle.append(socket.create_connection(self.address, 20))
            idle[-1].recv(200)
        self.assertLess((self.kib() - before) / IDLE, KIB_A_PLAIN_SESSION)
        dribblers = Dribblers(self.address, DRIBBLING, b"EHLO x.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<%s>\r\nDATA\r\n"
                              b"Subject: pelan\r\n\r\n" % self.lama.encode())
        for _ in range(5):
            self.assert_a_letter_is_not_held_up()
            time.sleep(0.5)
        self.assertGreater(dribblers.rounds, 1)
        dribblers.close()
        for s in idle:
            s.close()
        wait_for(lambda: self.connections() == 0, "all connections to be closed")
        self.assertEqual(self.leftovers(), [])
        self.assert_a_letter_is_not_held_up()

    def test_a_session_under_tls_that_waits_is_small(self):
        count, context = 300, self.server.tls_context()
        held = []

        def more():
            raw = socket.create_connection((self.server.address, self.server.ports["submissions"]), 20)
            held.append(context.wrap_socket(raw))
            held[-1].recv(200)

        for _ in range(20):  # what the first ones cost stays
            more()
        before = self.kib()
        for _ in range(count):
            more()
        self.assertLess((self.kib() - before) / count, KIB_A_TLS_SESSION)
        for s in held:
            s.close()


if __name__ == "__main__":
    unittest.main()
