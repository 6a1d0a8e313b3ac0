"""deliver: LMTP into Maildirs, with the real processes; what it says about each recipient, and what survives."""

import glob
import os
import random
import signal
import socket
import subprocess
import threading
import time
import unittest

from suite import Case, Instance, letter, needs_root, wait_for

SENDER = "baru@satu.test"


class Lmtp:
    """A client that reads each reply by itself, as smtplib's does not."""

    def __init__(self, instance):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(30)
        self.socket.connect(os.path.join(instance.directory, "run", "lmtp"))
        self.file = self.socket.makefile("rb")
        self.greeting = self.reply()
        self.command("LHLO client.test")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.file.close()
        self.socket.close()

    def reply(self):
        while True:
            line = self.file.readline()
            if not line.endswith(b"\r\n"):
                raise ConnectionError("the connection ended: %r" % line)
            if line[3:4] == b" ":
                return line.decode().strip()

    def command(self, line):
        self.socket.sendall(line.encode() + b"\r\n")
        return self.reply()

    def send(self, recipients, message, sender=SENDER):
        """{recipient: its last reply}; pipelined."""
        lines = ["MAIL FROM:<%s>" % sender] + ["RCPT TO:<%s>" % r for r in recipients] + ["DATA"]
        self.socket.sendall("".join(line + "\r\n" for line in lines).encode())
        if not self.reply().startswith("250"):
            raise AssertionError("the sender was refused")
        replies = {r: self.reply() for r in recipients}
        accepted = [r for r in recipients if replies[r].startswith("250")]
        if not self.reply().startswith("354"):
            return replies
        stuffed = message.replace(b"\r\n.", b"\r\n..")
        if stuffed.startswith(b"."):
            stuffed = b"." + stuffed
        self.socket.sendall(stuffed + b".\r\n")
        for recipient in accepted:
            replies[recipient] = self.reply()
        return replies


def maildir(instance, user):
    return os.path.join(instance.directory, "mail", instance.domain, user, "Maildir")


def files(instance, user):
    return sorted(glob.glob(maildir(instance, user) + "/new/*") + glob.glob(maildir(instance, user) + "/cur/*"))


def content(path):
    """As it is on the wire."""
    with open(path, "rb") as f:
        return f.read().replace(b"\n", b"\r\n")


class Deliver(Case):
    @classmethod
    def setUpClass(cls):
        cls.instance = Instance("dua.test", "127.0.0.1", kinds=("imap",))
        cls.instance.__enter__()
        for user in ("lama", "lain", "banyak", "pindah", "baris"):
            cls.instance.add_user(user)

    @classmethod
    def tearDownClass(cls):
        cls.instance.__exit__(None)

    def send(self, recipients, message):
        with Lmtp(self.instance) as client:
            return client.send(["%s@dua.test" % r for r in recipients], message)

    def fresh(self, user, before):
        return [f for f in files(self.instance, user) if f not in before]

    def test_a_letter_arrives_as_it_was_sent(self):
        sent = letter(SENDER, "lama@dua.test", lines=("Halo!", ".", "..titik", "", "d\u00e9lapan bit"))
        before = files(self.instance, "lama")
        self.assertEqual({"lama@dua.test": "250 2.0.0 Delivered to the mailbox"},
                         self.send(["lama"], sent))
        path, = self.fresh("lama", before)
        found = content(path)
        self.assert_same_letter(sent, found)
        self.assertTrue(found.startswith(b"Return-Path: <%s>\r\nDelivered-To: lama@dua.test\r\n" % SENDER.encode()))
        self.assertIn(",S=%d,W=%d,u=" % (os.path.getsize(path), len(found)), path)
        self.assertEqual(0o600, os.stat(path).st_mode & 0o7777)
        for directory in (maildir(self.instance, "lama"), os.path.dirname(path)):
            self.assertEqual(0o700, os.stat(directory).st_mode & 0o7777)

    def test_each_recipient_has_its_own_reply(self):
        replies = self.send(["lama", "tidak.ada", "lain"], letter(SENDER, "lama@dua.test"))
        self.assertTrue(replies["lama@dua.test"].startswith("250 "))
        self.assertTrue(replies["tidak.ada@dua.test"].startswith("550 5.1.1 "))
        self.assertTrue(replies["lain@dua.test"].startswith("250 "))

    def test_further_addresses_of_one_account_are_links(self):
        for size in (10, 3_000_000):
            before = files(self.instance, "lama"), files(self.instance, "lain")
            sent = letter(SENDER, "lama@dua.test", lines=("x" * 70,) * (size // 72 + 1))
            replies = self.send(["lama", "lain", "lama+arsip", "lama+lagi"], sent)
            self.assertEqual(4, sum(r.startswith("250 ") for r in replies.values()), replies)
            mine, others = self.fresh("lama", before[0]), self.fresh("lain", before[1])
            self.assertEqual((3, 1), (len(mine), len(others)))
            self.assertEqual({3}, {os.stat(f).st_nlink for f in mine})
            self.assertEqual(1, os.stat(others[0]).st_nlink)
            self.assert_same_letter(sent, content(mine[0]))
            self.assert_same_letter(sent, content(others[0]))
            self.assertNotIn(b"lama+", content(others[0]).split(b"\r\n\r\n")[0])

    def test_many_recipients_in_one_transaction(self):
        recipients = ["banyak+%d" % i for i in range(200)]
        replies = self.send(recipients, letter(SENDER, "banyak@dua.test", lines=("x" * 70,) * 600))
        self.assertEqual({"250 2.0.0 Delivered to the mailbox"}, set(replies.values()))
        self.assertEqual(200, len(files(self.instance, "banyak")))

    def test_a_loop_is_cut(self):
        before = files(self.instance, "lama")
        message = b"delivered-to: LAMA@dua.test\r\n" + letter(SENDER, "lama@dua.test")
        replies = self.send(["lama", "lain"], message)
        self.assertTrue(replies["lama@dua.test"].startswith("554 5.4.6 "))
        self.assertTrue(replies["lain@dua.test"].startswith("250 "))
        self.assertEqual([], self.fresh("lama", before))

    def test_a_maildir_that_was_moved_is_made_anew(self):
        self.assertTrue(self.send(["pindah"], letter(SENDER, "x"))["pindah@dua.test"].startswith("250 "))
        os.rename(maildir(self.instance, "pindah"), maildir(self.instance, "pindah") + ".old")
        first = self.send(["pindah"], letter(SENDER, "x"))["pindah@dua.test"]
        self.assertTrue(first.startswith("451 "), first)
        wait_for(lambda: self.send(["pindah"], letter(SENDER, "x"))["pindah@dua.test"].startswith("250 "), "a new Maildir")
        self.assertEqual(1, len(files(self.instance, "pindah")))

    def test_two_messages_on_one_connection_and_an_abandoned_one(self):
        before = files(self.instance, "lain")
        with Lmtp(self.instance) as client:
            client.send(["lain@dua.test"], letter(SENDER, "x"))
            for line in ("MAIL FROM:<>", "RCPT TO:<lain@dua.test>", "RSET"):
                self.assertTrue(client.command(line).startswith("250"))
            client.send(["lain@dua.test"], letter(SENDER, "x"), sender="")
        found = self.fresh("lain", before)
        self.assertEqual(2, len(found))
        self.assertIn(b"Return-Path: <>\r\n", b"".join(content(f) for f in found))

    # -- the program for other MTAs

    def run_one(self, *words, input=b""):
        return subprocess.run([self.instance.program("deliver"), "-c", self.instance.conf] + list(words), input=input,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                              # a process in its sandbox cannot be searched for leaks
                              env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))

    def test_one_message_on_standard_input(self):
        before = files(self.instance, "baris")
        text = b"From baru Tue Nov 24 10:00:00 2026\nSubject: a\n\nx\n.\ny\n"
        done = self.run_one("-d", "baris@dua.test", "-f", SENDER, "-a", "baris+x@dua.test", input=text)
        self.assertEqual(0, done.returncode, done.stderr)
        path, = self.fresh("baris", before)
        with open(path, "rb") as f:
            self.assertEqual(b"Return-Path: <baru@satu.test>\nDelivered-To: baris+x@dua.test\n" + text.split(b"\n", 1)[1],
                             f.read())

    def test_exit_statuses_are_those_of_sysexits(self):
        self.assertEqual(67, self.run_one("-d", "tidak.ada@dua.test", input=b"a: b\n\nc\n").returncode)
        self.assertEqual(64, self.run_one("-d", "baris@dua.test", "more").returncode)
        self.assertEqual(64, self.run_one("-f", "x").returncode)
        self.assertEqual(69, self.run_one("-d", "baris@dua.test", input=b"Delivered-To: baris@dua.test\n\nc\n").returncode)
        missing = subprocess.run([self.instance.program("deliver"), "-c", "/nonexistent", "-d", "x"],
                                 stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.assertEqual(75, missing.returncode)


class Faults(Case):
    def load(self, instance, users, acknowledged, stop):
        """Sends numbered letters, each until it is acknowledged; notes those that were."""
        client, number = None, 0
        who = threading.get_ident() % 100000
        while not stop.is_set():
            number += 1
            name = "%d-%d" % (who, number)
            message = letter(SENDER, "x", subject=name, lines=("x" * 70,) * random.choice((1, 10, 2000)))
            user = random.choice(users)
            while not stop.is_set():
                try:
                    client = client or Lmtp(instance)
                    reply = client.send([user + "@dua.test"], message)[user + "@dua.test"]
                    if reply.startswith("250"):
                        acknowledged.append((user, name))
                        break
                    if not reply.startswith("4"):
                        raise AssertionError("refused for good: " + reply)
                except (ConnectionError, OSError):
                    if client:
                        client.__exit__()
                    client = None
                time.sleep(0.01)
        if client:
            client.__exit__()

    def test_killed_processes_lose_nothing_that_was_acknowledged(self):
        users = ["u%d" % i for i in range(4)]
        with Instance("dua.test", "127.0.0.1", kinds=("imap",)) as instance:
            for user in users:
                instance.add_user(user)
            acknowledged, stop = [], threading.Event()
            threads = [threading.Thread(target=self.load, args=(instance, users, acknowledged, stop)) for _ in range(6)]
            for thread in threads:
                thread.start()
            kills = 0
            while kills < 100:
                time.sleep(random.uniform(0.005, 0.05))
                victims = [pid for pid, words in instance.processes().items()
                           if words.startswith(("deliver: writer", "deliver: front", "deliver: parent"))
                           and (kills % 10 == 0 or not words.startswith("deliver: parent"))]
                if victims:
                    try:
                        os.kill(random.choice(victims), signal.SIGKILL)
                        kills += 1
                    except ProcessLookupError:
                        pass
            count = len(acknowledged)
            wait_for(lambda: len(acknowledged) > count + 20, "deliveries after the last kill")
            stop.set()
            for thread in threads:
                thread.join()
            subjects = {user: [] for user in users}
            for user in users:
                for path in files(instance, user):
                    head = content(path).split(b"Subject: ", 1)[1]
                    subjects[user].append(head.split(b"\r\n", 1)[0].decode())
                uids = [path.rsplit(",u=", 1)[1].split(".")[0] for path in files(instance, user)]
                self.assertEqual(len(uids), len(set(uids)), "a UID was given twice")
            for user, name in acknowledged:
                times = subjects[user].count(name)
                self.assertGreaterEqual(times, 1, "%s for %s was acknowledged and is lost" % (name, user))
            doubles = sum(len(s) - len(set(s)) for s in subjects.values())
            self.assertLessEqual(doubles, kills * 6)
            self.assertGreater(len(acknowledged), 100)

    @needs_root("a small file system")
    def test_a_full_disk_is_452_and_no_loss(self):
        with Instance("dua.test", "127.0.0.1", kinds=("imap",)) as instance:
            for user in ("sempit", "lapang"):
                instance.add_user(user)
            home = os.path.join(instance.directory, "mail", "dua.test", "sempit")
            os.makedirs(home)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k,mode=0700,uid=%d" % os.stat(
                os.path.join(instance.directory, "mail")).st_uid, "none", home], check=True)
            subprocess.run(["chown", "-R", "--reference=" + os.path.join(instance.directory, "mail"),
                            os.path.join(instance.directory, "mail", "dua.test")], check=True)
            try:
                accepted, replies = 0, {}
                with Lmtp(instance) as client:
                    for _ in range(100):
                        replies = client.send(["sempit@dua.test", "lapang@dua.test"],
                                              letter(SENDER, "x", lines=("x" * 70,) * 300))
                        self.assertTrue(replies["lapang@dua.test"].startswith("250 "))
                        if not replies["sempit@dua.test"].startswith("250 "):
                            break
                        accepted += 1
                self.assertTrue(replies["sempit@dua.test"].startswith("452 4.3.1 "), replies)
                self.assertEqual(accepted, len(files(instance, "sempit")))
                self.assertEqual(accepted + 1, len(files(instance, "lapang")))
                os.unlink(files(instance, "sempit")[0])
                with Lmtp(instance) as client:
                    replies = client.send(["sempit@dua.test"], letter(SENDER, "x"))
                self.assertTrue(replies["sempit@dua.test"].startswith("250 "), replies)
            finally:
                subprocess.run(["umount", "-l", home], check=False)

    def test_too_much_at_a_time_is_to_be_tried_again(self):
        with Instance("dua.test", "127.0.0.1", kinds=("imap",), settings={"deliver_memory": "2M"}) as instance:
            instance.add_user("lama")
            with Lmtp(instance) as big, Lmtp(instance) as other:
                for line in ("MAIL FROM:<>", "RCPT TO:<lama@dua.test>", "DATA"):
                    big.command(line)
                big.socket.sendall(b"a: b\r\n\r\n" + b"x" * 70 * 20000 + b"\r\n")
                time.sleep(0.3)
                reply = other.send(["lama@dua.test"], letter(SENDER, "x", lines=("x" * 70,) * 20000))["lama@dua.test"]
                self.assertTrue(reply.startswith("452 4.3.1 "), reply)
                big.socket.sendall(b".\r\n")
                self.assertTrue(big.reply().startswith("250 "))
                reply = other.send(["lama@dua.test"], letter(SENDER, "x", lines=("x" * 70,) * 60000))["lama@dua.test"]
                self.assertTrue(reply.startswith("552 5.3.4 "), reply)

    @needs_root("becoming an ordinary user")
    def test_an_ordinary_user_can_run_it(self):
        with Instance("dua.test", "127.0.0.1", kinds=("imap",), user="nobody",
                      settings={"virtual_user": "nobody"}) as instance:
            instance.add_user("lama")
            with Lmtp(instance) as client:
                sent = letter(SENDER, "x")
                self.assertTrue(client.send(["lama@dua.test"], sent)["lama@dua.test"].startswith("250 "))
            path, = files(instance, "lama")
            self.assert_same_letter(sent, content(path))

    @needs_root("several uids")
    def test_other_users_may_not_use_the_socket(self):
        with Instance("dua.test", "127.0.0.1", kinds=("imap",)) as instance:
            path = os.path.join(instance.directory, "run", "lmtp")
            os.chmod(path, 0o666)
            done = subprocess.run(["setpriv", "--reuid", "nobody", "--clear-groups", "python3", "-c",
                                   "import socket; s = socket.socket(socket.AF_UNIX); s.connect(%r); print(s.recv(100))" % path],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
            self.assertNotIn(b"220", done.stdout)
            instance.wait_log("may not use the socket lmtp")

    def test_writers_come_and_go_within_their_limit(self):
        with Instance("dua.test", "127.0.0.1", kinds=("imap",),
                      settings={"deliver_writers": 2, "deliver_linger": "1s"}) as instance:
            users = ["u%d" % i for i in range(6)]
            for user in users:
                instance.add_user(user)
            with Lmtp(instance) as client:
                for user in users * 2:
                    reply = client.send([user + "@dua.test"], letter(SENDER, "x"))[user + "@dua.test"]
                    self.assertTrue(reply.startswith(("250 ", "451 ")), reply)
            for user in users:
                def accepted():
                    with Lmtp(instance) as client:
                        return client.send([user + "@dua.test"], letter(SENDER, "x"))[user + "@dua.test"].startswith("250")
                wait_for(accepted, "a writer for " + user)
            wait_for(lambda: not any(words.startswith("deliver: writer") for words in instance.processes().values()),
                     "writers without work to end")


if __name__ == "__main__":
    unittest.main()
