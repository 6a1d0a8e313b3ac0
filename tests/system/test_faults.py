"""A spool that is full, read-only, broken, damaged, copied, or littered, and a clock that leaps: what queued makes of it."""

import contextlib
import errno
import glob
import json
import os
import random
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import threading
import time
import unittest
from unittest import mock

from accidents import FULL, Accidents
from suite import ROOT, Case, Instance, letter
from test_queue import (DEFERRED, DELIVERED, FAILED, NOBODY, QueueCase, crc32c, new_id, queue_file, read)

SENT = (DELIVERED, "2.0.0", "250 ok")
LATER = (DEFERRED, "4.2.0", "450 4.2.0 later")
REFUSED = (FAILED, "5.1.1", "550 5.1.1 no")
DAY = 86400


def answers(address):
    """By how the address begins."""
    return REFUSED if address.startswith("tak") else LATER if address.startswith("nanti") else SENT


class FaultCase(QueueCase):
    def faulty(self, settings="retry = 1h\n", **words):
        """A queue, and the accidents that can befall it."""
        accidents = Accidents()
        q = self.queue(settings, environment=accidents.environment, **words)
        self.addCleanup(accidents.close)
        return q, accidents

    def own(self, q, path):
        if q.root:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)

    def place(self, q, place, content, name=None):
        """Puts a file of these bytes into the spool of a queue."""
        name = name or new_id()
        with open(q.spool(place, name), "wb") as f:
            f.write(content)
        self.own(q, f.name)
        return name

    def recipients(self, q):
        """{recipient: how often it was delivered to, by the worker's jobs}"""
        count = {}
        for job in q.workers[-1].jobs:
            for address in job[3]:
                count[address] = count.get(address, 0) + 1
        return count


class Disk(FaultCase):
    """Each step of a message's way meets a disk that takes nothing; when it does again, mail goes on without a restart."""

    def test_at_every_step_mail_waits_for_the_disk(self):
        notice = r": a notification could not be written|cannot create active/|cannot make a file durable"
        rows = [  # what fails, how, which recipients, what the log says
            ("rename", errno.ENOSPC, ["a@dua.test"], r"cannot move %s from incoming to active"),
            ("rename", errno.EROFS, ["nanti@dua.test"], r"cannot move %s from active to deferred"),
            ("mkdir", errno.ENOSPC, ["nanti@dua.test"], r"cannot move %s from active to deferred"),
            ("write", errno.ENOSPC, ["a@dua.test", "nanti@dua.test"], r"cannot append to %s"),
            ("sync", errno.EIO, ["a@dua.test", "nanti@dua.test"], r"%s: the results could not be made durable"),
            ("remove", errno.EROFS, ["a@dua.test"], r"cannot remove active/%s"),
            ("create", errno.ENOSPC, ["tak@dua.test"], notice),
            ("write", errno.ENOSPC, ["tak@dua.test"], notice),
            ("sync", errno.EIO, ["tak@dua.test"], notice),
        ]
        running = []
        for kind, errnum, recipients, line in rows:
            q, accidents = self.faulty()
            broken = threading.Event()
            worker = q.worker(lambda a, broken=broken: broken.wait(30) and answers(a))
            if "incoming to" in line:
                accidents.fail(kind, errnum)
            name = q.put("baru@satu.test", recipients)
            if "incoming to" not in line:
                q.wait(lambda: worker.jobs, "a job")
                accidents.fail(kind, errnum)
            broken.set()
            running.append((q, accidents, name, recipients, line % name if "%s" in line else line))
        for q, accidents, name, recipients, line in running:
            q.wait_log(line)
            self.assertEqual(q.where(name), ["incoming" if "incoming to" in line else "active"], line)
            accidents.clear()
        for q, _, name, recipients, line in running:
            if "nanti@dua.test" in recipients:
                q.wait_where(name, "deferred")
                shown = json.loads(q.command("show", "--json", name))
                self.assertEqual([r["state"] for r in shown["recipients"]],
                                 ["waiting" if "nanti" in r else "delivered" for r in recipients], line)
                path, = glob.glob(q.spool("deferred", "*", name))
                self.assertEqual(read(path).count(b"\ndeferred "), 1, line)
            else:
                q.wait_gone(name)
            if recipients == ["tak@dua.test"]:
                found = q.wait_log(name + ": sender non-delivery notification: (\\S+)")
                q.wait_gone(found.group(1))
                self.assertEqual(len(re.findall(name + ": sender", q.log())), 1)
            told = self.recipients(q)
            self.assertEqual({a: told[a] for a in recipients}, dict.fromkeys(recipients, 1), line)

    def test_a_full_disk_costs_few_words_and_all_goes_on_afterwards(self):
        """Hundreds that cannot be moved: neither are all of them tried for ever, nor is each told of."""
        q, accidents = self.faulty("retry = 1s\n")
        broken = threading.Event()
        q.worker(lambda a: LATER if not broken.is_set() else SENT)
        names = [q.put("baru@satu.test", ["a%d@dua.test" % i], poke=i == 99) for i in range(100)]
        q.wait(lambda: len(glob.glob(q.spool("deferred", "*", "*"))) + len(os.listdir(q.spool("active"))) == 100, "all of them")
        accidents.fail_all(FULL, errno.ENOSPC)
        broken.set()
        q.wait(lambda: len(re.findall("No space left", q.log())) >= 2, "the full disk")
        time.sleep(3)
        # At first each of them may meet it, in two steps.
        self.assertLess(len(re.findall("No space left", q.log())), 300)
        accidents.clear()
        for name in names:
            q.wait_gone(name, 40)


class Intake(Case):
    def test_smtpd_refuses_for_now_as_long_as_the_spool_takes_nothing(self):
        accidents = Accidents()
        self.addCleanup(accidents.close)
        with mock.patch.dict(os.environ, accidents.environment), Instance("satu.test", "127.0.0.2", tls=False) as server:
            baru = server.add_user("baru")
            for kind, errnum, lines in (("create", errno.ENOSPC, 10), ("create", errno.EROFS, 10), ("write", errno.EDQUOT, 10),
                                        ("write", errno.ENOSPC, 5000), ("write", errno.EIO, 5000)):
                accidents.fail(kind, errnum)
                with self.subTest(kind=kind, errnum=errnum, lines=lines), server.smtp() as client:
                    with self.assertRaises(smtplib.SMTPDataError) as refused:
                        client.sendmail(baru, [baru], letter(baru, baru, "penuh", ["x" * 60] * lines))
                    self.assertEqual(refused.exception.smtp_code, 452 if errnum in (errno.ENOSPC, errno.EDQUOT) else 451)
                accidents.clear()
            with server.smtp() as client:
                client.sendmail(baru, [baru], letter(baru, baru, "lega"))
            found, = server.wait_letters(baru)
            self.assertIn(b"Subject: lega", found)


class Killed(FaultCase):
    def processes(self, q, role):
        out = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(q.process.pid)], stdout=subprocess.PIPE,
                             text=True, check=False)
        return [int(line.split()[0]) for line in out.stdout.splitlines() if role in line]

    def test_a_notification_outlives_the_process_that_writes_it(self):
        q, _ = self.faulty()
        q.worker(answers)
        first, = q.wait(lambda: self.processes(q, "bounce"), "the bounce process")
        os.kill(first, signal.SIGSTOP)
        name = q.put("baru@satu.test", ["tak@dua.test"])
        q.wait(lambda: len(os.listdir(q.spool("active"))) == 2, "the notification's file")
        os.kill(first, signal.SIGKILL)
        found = q.wait_log(name + ": sender non-delivery notification: (\\S+)")
        q.wait_gone(name)
        q.wait_gone(found.group(1))
        self.assertEqual(self.recipients(q), {"tak@dua.test": 1, "baru@satu.test": 1})

    def test_what_was_rerouted_and_is_returned_leaves_queued_alive(self):
        q, _ = self.faulty("retry = 1h\n[route lain]\nrelay = relay.tiga.test\n")
        over = threading.Event()
        worker = q.worker(lambda a: answers(a) if len(worker.jobs) != 2 or over.wait(60) else SENT)
        name = q.put("baru@satu.test", ["nanti@dua.test"])
        q.wait_where(name, "deferred")
        q.command("reroute", "--to", "lain", name)
        q.wait(lambda: len(worker.jobs) == 2, "the try by another route")
        for reason in ("one", "two", "three"):
            q.command("bounce", "--reason", reason, name)
        over.set()
        q.wait_gone(name)
        found = q.wait_log(name + ": sender non-delivery notification: (\\S+)")
        q.wait_gone(found.group(1))
        self.assertIn(b"three", worker.content[found.group(1)])
        self.assertNotIn("killed", q.log())


class Clock(FaultCase):
    def test_a_clock_that_leaps_changes_no_waiting(self):
        """A day forth, and back: nothing is given up or tried for it, and what waits a few seconds waits as long."""
        queues = []
        for leap in (DAY, -DAY):
            q, accidents = self.faulty("retry = 4s 1h\nexpire = 3d\ndelay_warning = 2d\n")
            worker = q.worker(lambda a: LATER)
            names = [q.put("baru@satu.test", ["a%d@dua.test" % i]) for i in range(3)]
            for name in names:
                q.wait_where(name, "deferred")
            accidents.leap(leap)
            names.append(q.put("baru@satu.test", ["a3@dua.test"]))  # whose time is of the new clock
            queues.append((leap, q, accidents, worker, names))
        for leap, q, accidents, worker, names in queues:
            q.wait_log("the clock was set %s by [0-9]+ s" % ("forward" if leap > 0 else "back"))
            # The second try comes, and now they wait for an hour.
            q.wait(lambda: q.log().count("status=deferred") == 8, "the second tries")
            for name in names:
                q.wait_where(name, "deferred")
            accidents.leap(0)
            q.wait_log("the clock was set %s by [0-9]+ s" % ("back" if leap > 0 else "forward"))
            new = q.put("baru@satu.test", ["baru@tiga.test"])
            q.wait_log(new + ": to=<baru@tiga.test>.*status=deferred")
            self.assertEqual([q.where(name) for name in names], [["deferred"]] * 4)
            self.assertEqual(len(worker.jobs), 9, worker.jobs)
            self.assertNotIn("notification", q.log())
            # They are found where they are, whatever time that is.
            worker.answer = lambda a: SENT
            q.command("retry", "all")
            for name in names:
                q.wait_gone(name)

    def test_the_clock_leaps_while_queued_is_away(self):
        queues = []
        for leap in (DAY, -DAY):
            q, accidents = self.faulty("retry = 1h\n")
            worker = q.worker(lambda a: LATER)
            name = q.put("baru@satu.test", ["a@dua.test"])
            q.wait_where(name, "deferred")
            q.stop(kill=True)
            worker.close()
            accidents.leap(leap)
            q.start()
            q.worker()
            queues.append((q, name))
        for q, name in queues:
            q.wait_gone(name)


class Debris(FaultCase):
    """What does not belong there."""

    def newer(self, *arguments, version=9):
        whole = queue_file(*arguments)
        head = b"merpati-queue %02d" % version + whole[16:71]
        return head + b"%08x\n" % crc32c(head) + whole[80:]

    def test_no_files_in_the_place_of_files(self):
        q, _ = self.faulty()
        q.stop()
        bad = {}
        for place in ("incoming", "active"):
            for kind in ("fifo", "link", "socket", "directory", "full directory"):
                name = new_id()
                path = q.spool(place, name)
                if kind == "fifo":
                    os.mkfifo(path)
                elif kind == "link":
                    os.symlink("/etc/passwd", path)
                elif kind == "socket":
                    with socket.socket(socket.AF_UNIX) as s:
                        s.bind(path)
                else:
                    os.mkdir(path)
                if kind == "full directory":
                    with open(os.path.join(path, "x"), "w"):
                        pass
                self.own(q, path)
                with contextlib.suppress(NotImplementedError):
                    os.utime(path, (1, 1), follow_symlinks=False)
                bad[name] = kind
        for name in (".", "README", "4jcNPN5V6vzZXDM", "4jcNPN5V6vzZXDMR.tmp", "4acNPN5V6vzZXDMR"):
            if name != ".":
                with open(q.spool("active", name), "w"), open(q.spool("incoming", name), "w"):
                    pass
        os.mkdir(q.spool("deferred", "20261131T000000Z"))
        with open(q.spool("deferred", "20200101T000000Z"), "w"):
            pass
        good = self.place(q, "incoming", queue_file("baru@satu.test", ["a@dua.test"]))
        q.start()
        worker = q.worker(answers)
        q.wait_gone(good)
        for name, kind in bad.items():
            if kind.endswith("directory"):
                q.wait(lambda: os.path.lexists(q.spool("corrupt", name)), "a %s to be in corrupt" % kind)
            else:
                q.wait(lambda: not q.where(name) or q.where(name) == ["corrupt"], "a %s to be gone" % kind)
        self.assertEqual([job[3] for job in worker.jobs], [["a@dua.test"]])
        self.assertEqual(sorted(os.listdir(q.spool("active"))), sorted(os.listdir(q.spool("incoming"))))
        self.assertEqual(len(os.listdir(q.spool("active"))), 4)

    def test_a_newer_version_is_left_alone_and_told_of(self):
        q, _ = self.faulty()
        worker = q.worker(answers)
        new = self.place(q, "incoming", self.newer("baru@satu.test", ["a@dua.test"]))
        held = self.place(q, "hold", self.newer("baru@satu.test", ["b@dua.test"]))
        q.poker.sendto(new.encode() + b"\n", q.run("poke"))
        q.wait_log(new + r": written by a newer Merpati \(version 9 of the format; this program reads up to \d+\): left in active")
        self.assertEqual(json.loads(q.command("show", "--json", new))["problem"], "newer")
        self.assertIn("written by a newer Merpati, which alone can read it", q.command("show", new))
        self.assertIn("(written by a newer Merpati)", q.command("list"))
        self.assertIn("newer Merpati", q.command("why", new))
        q.command("release", held)
        q.wait_where(held, "active")
        q.stop()
        q.start()
        q.wait(lambda: q.log().count(new + ": written by a newer Merpati") == 2, "the words of the next start")
        self.assertEqual(q.where(new), ["active"])
        q.command("hold", new)
        self.assertEqual(q.where(new), ["hold"])
        q.command("delete", held)
        self.assertEqual(q.where(held), [])
        self.assertEqual(worker.jobs, [])

    @unittest.skipUnless(os.getuid() == 0, "files of somebody else need root")
    def test_files_that_cannot_be_read_are_named_and_wait(self):
        q, _ = self.faulty()
        q.worker(answers)
        strange = new_id()
        for place, name in (("incoming", strange), ("incoming", new_id()), ("active", new_id())):
            with open(q.spool(place, name), "wb") as f:
                f.write(queue_file("baru@satu.test", ["a@dua.test"]))
            os.chmod(f.name, 0)
        good = q.put("baru@satu.test", ["b@dua.test"])
        q.wait_gone(good)
        q.poker.sendto(strange.encode() + b"\n", q.run("poke"))
        q.wait_log("cannot open incoming/.*: Permission denied")
        os.chown(q.spool("incoming", strange), NOBODY, NOBODY)
        os.chmod(q.spool("incoming", strange), 0o600)
        q.poker.sendto(strange.encode() + b"\n", q.run("poke"))
        q.wait_gone(strange)
        self.assertEqual(len(re.findall("cannot open incoming/.*: Permission denied", q.log())), 1)

    def test_what_was_cut_to_nothing_is_kept_for_the_postmaster(self):
        q, _ = self.faulty()
        q.worker(answers)
        name = q.put("baru@satu.test", ["nanti@dua.test"])
        q.wait_where(name, "deferred")
        path, = glob.glob(q.spool("deferred", "*", name))
        os.truncate(path, 0)
        q.command("retry", name)
        q.wait_where(name, "corrupt")


class Damage(FaultCase):
    def kinds(self):
        """Files, who is still to get what they hold, from which sender, and what that is: fresh, changed by a filter, with
        history."""
        content, added = b"Subject: Halo\r\n\r\nw recipient 1:x, 00000000\r\nHalo!\r\n", b"DKIM-Signature: v=1;\r\n"
        stored = [read(os.path.join(ROOT, "tests", "unit", "queue-files", "version-%d" % version)) for version in (1, 3)]
        arguments = ("baru@satu.test", ["lama@dua.test", "tua@dua.test"], content + added)
        at = int(queue_file(*arguments)[17:27])
        closing = [("sender", b"lain@satu.test"), ("removed", b"0"), ("recipient", b"arsip@tiga.test", b"w "),
                   ("pieces", b"%d %d %d %d" % (at + len(content), len(added), at, len(content)))]
        return [(stored[0], {"lama@dua.test": "baru@satu.test", "tua@dua.test": "baru@satu.test"}, content),
                (queue_file(*arguments, closing=closing),
                 {"arsip@tiga.test": "lain@satu.test", "tua@dua.test": "lain@satu.test"}, added + content),
                # The last has failed already, unless the record of it was cut off.
                (stored[1], {"a@satu.test": "owner-semua@satu.test", "b@empat.test": "owner-semua@satu.test",
                             "tak@dua.test": "baru@satu.test"}, content)]

    def test_a_byte_changed_anywhere_costs_at_most_that_message(self):
        q, _ = self.faulty()
        q.stop()
        chance, damaged = random.Random(4), {}
        for text, senders, content in self.kinds():
            damaged[self.place(q, "active", text)] = (senders, content, True)
            for offset in range(chance.randrange(4), len(text), 4):
                changed = bytearray(text)
                if chance.random() < 0.8:
                    changed[offset] ^= chance.choice((1, 2, 4, 8, 16, 32, 64, 128, 255))
                else:
                    del changed[offset:]
                damaged[self.place(q, "active", bytes(changed))] = (senders, content, False)
        q.start()
        worker = q.worker(lambda a: SENT)
        good = q.put("baru@satu.test", ["baik@dua.test"])
        q.wait_gone(good)
        # Notifications of what the history says has failed come and go meanwhile.
        q.wait(lambda: not os.listdir(q.spool("active")), "all to be through")
        corrupt = set(os.listdir(q.spool("corrupt")))
        self.assertGreater(len(corrupt), len(damaged) / 2)
        self.assertLessEqual(corrupt, damaged.keys())
        for name, sender, _, recipients in worker.jobs:
            if name in damaged:
                senders, content, _ = damaged[name]
                self.assertEqual({a: sender for a in recipients}, {a: senders.get(a) for a in recipients}, name)
                self.assertEqual(worker.content[name], content, name)
        done = {name for name, (_, _, whole) in damaged.items() if whole}
        self.assertTrue(done.isdisjoint(corrupt))
        self.assertLessEqual(done, {job[0] for job in worker.jobs})
        for name in corrupt:
            self.assertIn(name + ": damaged (", q.log())
        self.assertEqual([q.command("list").count(" corrupt ")], [len(corrupt)])


class Copy(FaultCase):
    def test_a_copied_spool_goes_on_elsewhere(self):
        q, _ = self.faulty()
        begun = threading.Event()
        for _ in range(2):  # one of them will wait, and answer no questions then
            q.worker(lambda a: begun.wait(30) and SENT if a.startswith("sedang") else answers(a), capacity=1)
        deferred = q.put("baru@satu.test", ["nanti@dua.test"])
        held = q.put("baru@satu.test", ["nanti.juga@dua.test"])
        bad = self.place(q, "incoming", queue_file("baru@satu.test", ["x@dua.test"])[:-1] + b"x")
        q.poker.sendto(bad.encode() + b"\n", q.run("poke"))
        for name in (deferred, held):
            q.wait_where(name, "deferred")
        q.command("hold", held)
        q.wait_where(bad, "corrupt")
        q.wait_gone(q.put("baru@satu.test", ["dulu@tiga.test"]))  # both sites are known now
        active = q.put("baru@satu.test", ["sudah@tiga.test", "sedang@dua.test"])
        q.wait_where(active, "active")
        q.wait(lambda: b"\nd recipient 15:sudah@tiga.test," in read(q.spool("active", active)), "the record")
        q.stop(kill=True)
        begun.set()

        other, _ = self.faulty(hostname="lain.test")
        other.stop()
        shutil.rmtree(other.spool())
        subprocess.run(["cp", "-a", q.spool(), other.spool()], check=True)
        other.start()
        worker = other.worker(lambda a: SENT)
        other.wait_gone(active)
        self.assertEqual([other.where(name) for name in (deferred, held, bad)], [["deferred"], ["hold"], ["corrupt"]])
        other.command("retry", "all")
        other.command("release", held)
        other.wait_gone(deferred)
        other.wait_gone(held)
        self.assertEqual(sorted(job[3][0] for job in worker.jobs), ["nanti.juga@dua.test", "nanti@dua.test", "sedang@dua.test"])
        self.assertIn(bad, other.command("list"))


@unittest.skipUnless(os.getuid() == 0, "mounting a file system needs root")
class ReadOnly(FaultCase):
    def remount(self, q, how):
        """While somebody writes it cannot be made read-only."""
        q.wait(lambda: subprocess.run(["mount", "-o", "remount," + how, q.spool()], stderr=subprocess.DEVNULL,
                                      check=False).returncode == 0, "the spool to be " + how)

    def test_a_spool_that_was_read_only_for_a_while_goes_on(self):
        q, _ = self.faulty("retry = 3s\n", memory_spool="4m")
        broken = threading.Event()
        worker = q.worker(lambda a: (answers(a) if broken.wait(30) else LATER) if "sedang" in a else
                          SENT if broken.is_set() else LATER)
        deferred = q.put("baru@satu.test", ["dulu@dua.test"])
        q.wait_where(deferred, "deferred")
        jobs = len(worker.jobs)
        active = [q.put("baru@satu.test", r) for r in (["sedang@dua.test"], ["tak.sedang@dua.test"], ["nanti.sedang@dua.test"])]
        q.wait(lambda: len(worker.jobs) > jobs, "a job")
        self.remount(q, "ro")
        broken.set()
        q.wait_log("cannot (move|remove|append|create|open).*Read-only file system")
        q.wait_log("cannot move deferred/.* to active: Read-only file system")
        self.remount(q, "rw")
        new = q.put("baru@satu.test", ["baru@dua.test"])
        for name in (new, deferred, active[0], active[1]):
            q.wait_gone(name, 40)
        told = self.recipients(q)
        self.assertEqual([told[a] for a in ("sedang@dua.test", "tak.sedang@dua.test", "baru@dua.test")], [1, 1, 1])
        self.assertEqual(len(re.findall(active[1] + ": sender non-delivery notification", q.log())), 1)
        self.assertIn(q.where(active[2]), (["deferred"], ["active"], []))


if __name__ == "__main__":
    unittest.main()
