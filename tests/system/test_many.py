"""`merpati queue` with a few thousand messages: what is listed in which order, orders by filter, progress on a terminal, ^C.
Played as in test_queue.py; for a million see tests/bench/million.py."""

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
import unittest

from suite import BIN, wait_for
from test_queue import DEFERRED, NOBODY, QueueCase, base, queue_file

COUNT = 1500
MINUTES = 5


def id_of(time_s, number):
    return base(time_s, 6) + base(number, 4) + "z" + base(number, 5, 51)


def has_handler(pid):
    """Of SIGINT: an order by filter has begun."""
    with open("/proc/%d/status" % pid) as f:
        caught = int(re.search(r"(?m)^SigCgt:\s+(\w+)$", f.read()).group(1), 16)
    return caught & 1 << (signal.SIGINT - 1)


def waiting(pipe):
    """Bytes that nobody has read yet."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


class Many(QueueCase):
    def fill(self, q, count=COUNT):
        """Every third is for hapus.test, the others for tinggal.test; {ID: (recipient, directory, size)}."""
        begin, found = int(time.time()) - 7200, {}
        for i in range(count):
            name, due = id_of(begin, i), (begin // 60 + 150 + i * 7 % MINUTES) * 60
            directory = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(due))
            recipient = "r%d@%s.test" % (i, "hapus" if i % 3 == 0 else "tinggal")
            content = b"Subject: surat\r\n\r\n" + b"x" * (i * 31 % 200) + b"\r\n"
            os.makedirs(q.spool("deferred", directory), mode=0o700, exist_ok=True)
            path = q.spool("deferred", directory, name)
            with open(path, "wb") as f:
                f.write(queue_file("u%d@satu.test" % (i % 10), [recipient], content, time_ms=begin * 1000))
            for p in (os.path.dirname(path), path) if q.root else ():
                os.chown(p, NOBODY, NOBODY)
            found[name] = (recipient, directory, len(content))
        return found

    def filled(self, settings="retry = 15m 6h\n", count=COUNT):
        q = self.queue(settings)
        q.stop()
        all_of_them = self.fill(q, count)
        q.start()
        q.command("sites")  # it answers
        return q, all_of_them

    @staticmethod
    def in_spool(q):
        return {name for _, _, names in os.walk(q.spool()) for name in names}

    @staticmethod
    def listed(q, *words):
        return [json.loads(line) for line in q.command("list", "--json", *words).splitlines()]

    def begin(self, q, *words, stderr, stdout=subprocess.PIPE):
        who = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if q.root else {}
        return subprocess.Popen([os.path.join(BIN, "merpati-queue")] + list(words), stdin=subprocess.DEVNULL, stdout=stdout,
                                stderr=stderr, env=dict(os.environ, MERPATI_CONF=q.conf), **who)

    @staticmethod
    def queue_process(q):
        def find():
            for entry in filter(str.isdigit, os.listdir("/proc")):
                with contextlib.suppress(OSError):
                    with open("/proc/%s/stat" % entry) as f:
                        parent = int(f.read().rpartition(")")[2].split()[1])
                    with open("/proc/%s/cmdline" % entry) as f:
                        if parent == q.process.pid and "queued: queue" in f.read():
                            return int(entry)
            return None
        return wait_for(find, "the process of the queue")

    @contextlib.contextmanager
    def halted(self, q):
        pid = self.queue_process(q)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def terminal(self):
        """(end to read, end for a program)"""
        ours, theirs = pty.openpty()
        try:
            yield ours, theirs
        finally:
            os.close(ours)

    @staticmethod
    def shown(ours):
        text = b""
        with contextlib.suppress(OSError):
            while True:
                text += os.read(ours, 65536)
        return text.decode()


class Lists(Many):
    def test_everything_is_listed_once_and_in_order(self):
        q, them = self.filled()
        listed = self.listed(q)
        self.assertEqual(sorted(m["queue_id"] for m in listed), sorted(them))
        directories = [them[m["queue_id"]][1] for m in listed]
        self.assertEqual(directories, sorted(directories))
        self.assertRegex(q.command("list"), r"\n%d messages, %d bytes\n\Z" % (COUNT, sum(m[2] for m in them.values())))
        # Sorted, whole and in part; the first ones of a list are the first of the queue.
        by_size = sorted(them, key=lambda name: (-them[name][2], name))
        self.assertEqual([m["queue_id"] for m in self.listed(q, "--sort", "size")], by_size)
        self.assertEqual([m["queue_id"] for m in self.listed(q, "--sort", "size", "--limit", "200")], by_size[:200])
        self.assertEqual([m["queue_id"] for m in self.listed(q, "--sort", "size", "--reverse", "--limit", "3")],
                         by_size[:-4:-1])
        self.assertEqual(self.listed(q, "--limit", "200"), listed[:200])
        chosen = self.listed(q, "--site", "hapus.test", "--sort", "recipient")
        self.assertEqual([m["recipients"][0]["address"] for m in chosen],
                         sorted(m[0] for m in them.values() if "hapus" in m[0]))
        stats = json.loads(q.command("stats", "--json"))
        self.assertEqual(stats["states"]["deferred"]["messages"], COUNT)
        self.assertEqual({d["domain"]: d["recipients"] for d in stats["domains"]},
                         {"hapus.test": (COUNT + 2) // 3, "tinggal.test": COUNT - (COUNT + 2) // 3})

    def test_progress_is_for_terminals_and_a_reader_that_leaves_ends_it(self):
        q, _ = self.filled()
        with self.terminal() as (ours, theirs):
            process = self.begin(q, "list", "--sort", "age", stderr=theirs)
            os.close(theirs)
            wait_for(lambda: waiting(process.stdout) > 20000, "the first lines")
            time.sleep(0.8)  # the pipe does not hold them all
            lines = process.stdout.read().decode().splitlines()
            self.assertEqual(process.wait(60), 0)
            process.stdout.close()
            progress = self.shown(ours)
        self.assertEqual(lines[-1].split()[:2], [str(COUNT), "messages,"])
        self.assertNotIn("\033", "".join(lines))
        self.assertRegex(progress, r"\A(\r\033\[K\d+ messages looked at, \d+ listed)+\r\033\[K\Z")
        process = self.begin(q, "list", stderr=subprocess.PIPE)
        self.assertTrue(os.read(process.stdout.fileno(), 100).startswith(b"ID "))
        process.stdout.close()
        self.assertEqual(process.stderr.read(), b"")
        process.stderr.close()
        process.wait(60)


class Orders(Many):
    def test_delete_by_filter_takes_just_those(self):
        q, them = self.filled()
        gone = {name for name, m in them.items() if "hapus" in m[0]}
        self.assertEqual(q.command("delete", "--site", "hapus.test", "--limit", "100"), "100 messages deleted\n")
        left = self.in_spool(q) & set(them)
        self.assertEqual(len(left), COUNT - 100)
        self.assertLessEqual(set(them) - left, gone)
        self.assertEqual(q.command("delete", "--site", "hapus.test"), "%d messages deleted\n" % (len(gone) - 100))
        self.assertEqual(self.in_spool(q) & set(them), set(them) - gone)
        self.assertEqual(q.command("delete", "--site", "hapus.test"), "0 messages deleted\n")
        # Into hold and back; what is there already is not counted.
        self.assertEqual(q.command("hold", "all"), "%d messages put on hold\n" % (COUNT - len(gone)))
        self.assertEqual(len(os.listdir(q.spool("hold"))), COUNT - len(gone))
        self.assertEqual(q.command("hold", "all"), "0 messages put on hold\n")

    def test_retry_by_filter_tries_each_once(self):
        q, them = self.filled("retry = 15m 6h\nexpire = 30d\ndelay_warning = 0\n", 400)
        worker = q.worker(lambda a: (DEFERRED, "4.2.0", "450 later"), capacity=50)
        self.assertEqual(q.command("retry", "--recipient", "@hapus.test"), "134 messages to be tried\n")
        mine = {name for name, m in them.items() if "hapus" in m[0]}
        q.wait(lambda: {job[0] for job in worker.jobs} == mine, "all to be tried")
        q.wait(lambda: not os.listdir(q.spool("active")), "all to be put off again")
        self.assertEqual(len(worker.jobs), len(mine))
        self.assertEqual(q.command("retry", "--state", "hold"), "0 messages to be tried\n")

    def test_progress_is_shown_and_the_count_is_told(self):
        q, them = self.filled()
        with self.terminal() as (ours, theirs):
            with self.halted(q):
                process = self.begin(q, "delete", "all", stderr=theirs)
                os.close(theirs)
                wait_for(lambda: has_handler(process.pid), "the command to be at it")
                time.sleep(0.8)
            said = process.stdout.read().decode()
            process.stdout.close()
            self.assertEqual(process.wait(60), 0)
            progress = self.shown(ours)
        self.assertEqual(said, "%d messages deleted\n" % COUNT)
        self.assertRegex(progress, r"\A(\r\033\[K\d+ messages looked at, \d+ deleted)+\r\033\[K\Z")
        self.assertEqual(self.in_spool(q) & set(them), set())

    def test_an_interrupted_order_tells_for_how_many_it_was_carried_out(self):
        q, them = self.filled()
        with self.halted(q):
            process = self.begin(q, "delete", "all", stderr=subprocess.DEVNULL)
            wait_for(lambda: has_handler(process.pid), "the command to be at it")
            process.send_signal(signal.SIGINT)
        said = process.stdout.read().decode()
        process.stdout.close()
        self.assertEqual(process.wait(60), 130)
        number = int(re.fullmatch(r"(\d+) messages? deleted; interrupted, the others are as they were\n", said).group(1))
        self.assertLess(number, COUNT)
        self.assertEqual(len(self.in_spool(q) & set(them)), COUNT - number)


if __name__ == "__main__":
    unittest.main()
