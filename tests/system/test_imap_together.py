"""Many IMAP clients at once on one mailbox: whatever the others do, what each is told of it must make sense."""

import os
import random
import re
import threading
import time
import unittest

from suite import Case, Instance
from test_imap import MIXED, SIMPLE, Connection

SECONDS = float(os.environ.get("MERPATI_TOGETHER_SECONDS", "8"))


class Client:
    """Keeps what it was told: the messages by their numbers, with the UID where it is known."""

    def __init__(self, server, user, seed):
        self.server, self.user = server, user
        self.random = random.Random(seed)
        self.connect()

    def connect(self):
        self.connection = Connection(self.server, login=self.user)
        self.select()

    def select(self):
        self.uids = []
        self.take(self.connection.ok("SELECT INBOX"))

    def take(self, lines):
        for line in lines:
            match = re.match(rb"\* (\d+) (EXISTS|EXPUNGE|FETCH)", line)
            if match:
                self.note(int(match.group(1)), match.group(2), line)

    def note(self, number, what, line):
        if what == b"EXISTS":
            assert number >= len(self.uids), line
            self.uids += [None] * (number - len(self.uids))
            return
        assert 1 <= number <= len(self.uids), line
        if what == b"EXPUNGE":
            del self.uids[number - 1]
            return
        uid = re.search(rb"UID (\d+)", line)
        if uid:
            assert self.uids[number - 1] in (None, int(uid.group(1))), line
            self.uids[number - 1] = int(uid.group(1))

    def do(self, text):
        lines, reply = self.connection.command(text)
        self.take(lines)
        assert reply.startswith((b"OK", b"NO [EXPUNGEISSUED]")), (text, reply)
        known = [uid for uid in self.uids if uid]
        assert known == sorted(set(known)), known

    def idle(self):
        self.connection.send(b"i IDLE\r\n")
        while True:
            line = self.connection.response()
            if line == b"+ idling":
                break
            self.take([line])
        time.sleep(self.random.random() / 50)
        self.connection.send(b"DONE\r\n")
        self.take(self.connection.until(b"i")[0])

    def append(self):
        reply = self.connection.append(self.random.choice((SIMPLE, MIXED)), "INBOX",
                                       self.random.choice(("", "(\\Seen) ", "(kata%d) " % self.random.randrange(5))))
        assert reply.startswith(b"OK"), reply
        self.select()  # the helper dropped what was said besides

    def reconnect(self):
        self.connection.close()
        self.connect()

    def step(self):
        r, n = self.random, len(self.uids)
        if n < 5:
            return self.append()
        first = r.randint(1, n)
        numbers = "%d:%d" % (first, min(n, first + r.randrange(5)))
        if r.random() < 0.02:
            return self.reconnect()
        commands = (
            "NOOP", "CHECK", "FETCH %s (UID FLAGS)" % numbers, "EXPUNGE", "UID FETCH 1:* FLAGS",
            "STORE %s %sFLAGS%s (%s)" % (numbers, r.choice(("", "+", "-")), r.choice(("", ".SILENT")),
                                         r.choice(("\\Seen", "\\Deleted", "\\Flagged kata1", "kata2 kata3"))),
            "COPY %s INBOX" % numbers, "MOVE %s %s" % (numbers, r.choice(("INBOX", "Trash"))),
            "FETCH %s (ENVELOPE BODYSTRUCTURE BODY[2.HEADER] BODY[TEXT]<3.10>)" % numbers,
            "SEARCH %s" % r.choice(("TEXT lamat", "UNSEEN", "OR SUBJECT satu BODY polos", "NOT KEYWORD kata2")),
            "STATUS INBOX (MESSAGES UNSEEN)", "UID STORE 1:* +FLAGS.SILENT (\\Flagged)")
        r.choice((self.idle, self.append, lambda: self.do(r.choice(commands)), lambda: self.do(r.choice(commands))))()


class Together(Case):
    def test_five_clients_on_one_mailbox(self):
        seed = int(os.environ.get("MERPATI_SEED", random.getrandbits(32)))
        failures, clients = [], []

        def run(client, end):
            try:
                while time.monotonic() < end and not failures:
                    client.step()
            except Exception as e:
                failures.append("seed %d: %r" % (seed, e))

        with Instance("satu.test", "127.0.0.2") as server:
            user = server.add_user("lama")
            clients = [Client(server, user, seed + i) for i in range(5)]
            end = time.monotonic() + SECONDS
            threads = [threading.Thread(target=run, args=(c, end)) for c in clients]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual(failures, [])
            for c in clients:
                c.do("NOOP")
                c.do("FETCH 1:* UID")
            for c in clients:
                self.assertEqual(c.uids, clients[0].uids)
                c.connection.close()
            self.assertNotIn("error:", server.log())


if __name__ == "__main__":
    unittest.main()
