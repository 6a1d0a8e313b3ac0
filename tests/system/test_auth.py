"""authd as its clients see it: the Dovecot authentication and master protocols, socketmap, `merpati user`."""

import base64
import json
import os
import signal
import socket
import statistics
import subprocess
import threading
import time
import unittest

from suite import PASSWORD, Case, Instance, needs_root, wait_for

ALIASES = """# what /etc/aliases may hold
postmaster: baru
semua: baru, lama@satu.test,
    jauh@else.test
pipa: "|/bin/true"
info@satu.test: lama
"""


class Lines:
    """A connection that speaks lines."""

    def __init__(self, instance, name):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(os.path.join(instance.directory, "run", name))
        self.file = self.socket.makefile("rb")

    def send(self, line):
        self.socket.sendall(line.encode() + b"\n")

    def line(self):
        return self.file.readline().decode().rstrip("\n")

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


class Sasl(Lines):
    def __init__(self, instance):
        super().__init__(instance, "sasl")
        self.id = 0
        self.hello = []
        while not self.hello or self.hello[-1] != "DONE":
            self.hello.append(self.line())
        self.cookie = next(line.split("\t")[1] for line in self.hello if line.startswith("COOKIE"))
        self.send("VERSION\t1\t2")
        self.send("CPID\t%d" % os.getpid())

    def line(self):
        """The next one that is not of a new list of mechanisms."""
        line = super().line()
        while self.hello and self.hello[-1] == "DONE" and line.startswith(("MECH", "DONE")):
            line = super().line()
        return line

    def begin(self, mechanism, response=None, remote="192.0.2.1"):
        self.id += 1
        words = ["AUTH", str(self.id), mechanism, "service=imap", "secured", "lip=127.0.0.1", "rip=" + remote]
        if response is not None:
            words.append("resp=" + base64.b64encode(response).decode())
        self.send("\t".join(words))

    def answer(self, response):
        self.send("CONT\t%d\t%s" % (self.id, base64.b64encode(response).decode()))
        return self.line()

    def plain(self, user, password, remote="192.0.2.1"):
        self.begin("PLAIN", ("\0%s\0%s" % (user, password)).encode(), remote)
        return self.line()


class Map:
    def __init__(self, instance):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(os.path.join(instance.directory, "run", "map"))
        self.bytes = b""

    def send(self, name, key):
        request = ("%s %s" % (name, key)).encode()
        self.socket.sendall(b"%d:%s," % (len(request), request))

    def reply(self):
        while True:
            length, colon, rest = self.bytes.partition(b":")
            if colon and len(rest) > int(length):
                self.bytes = rest[int(length) + 1:]
                return rest[:int(length)].decode()
            more = self.socket.recv(65536)
            if not more:
                raise EOFError
            self.bytes += more

    def ask(self, name, key):
        self.send(name, key)
        return self.reply()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


def redeem(instance, exchange, cookie, pid=None):
    with Lines(instance, "master") as master:
        master.send("VERSION\t1\t1")
        master.send("REQUEST\t5\t%d\t%d\t%s" % (pid or os.getpid(), exchange, cookie))
        for _ in range(10):
            line = master.line()
            if not line.startswith(("VERSION", "SPID")):
                return line
    return None


class Authd(Case):
    settings = {"auth_failure_delay": "0"}

    def setUp(self):
        self.server = Instance("satu.test", "127.0.0.2", settings=self.settings)
        os.makedirs(self.server.directory, exist_ok=True)
        with open(os.path.join(self.server.directory, "aliases"), "w") as f:
            f.write(ALIASES)
        self.server.__enter__()
        self.addCleanup(self.server.__exit__, None, None, None)
        self.baru = self.server.add_user("baru")
        self.lama = self.server.add_user("lama")

    def authd_processes(self, role):
        return [pid for pid, words in self.server.processes().items() if words.startswith("authd: " + role)]


class Passwords(Authd):
    def test_plain_and_login_are_offered_and_work(self):
        with Sasl(self.server) as sasl:
            self.assertIn("MECH\tPLAIN\tplaintext", sasl.hello)
            self.assertIn("MECH\tLOGIN\tplaintext", sasl.hello)
            self.assertEqual(sasl.plain(self.baru, PASSWORD), "OK\t1\tuser=" + self.baru)
            self.assertEqual(sasl.plain(self.baru.upper(), PASSWORD), "OK\t2\tuser=" + self.baru)
            self.assertTrue(sasl.plain(self.baru, PASSWORD + "x").startswith("FAIL\t3"))
            sasl.begin("LOGIN")
            self.assertEqual(sasl.line(), "CONT\t4\t" + base64.b64encode(b"Username:").decode())
            self.assertEqual(sasl.answer(self.lama.encode()), "CONT\t4\t" + base64.b64encode(b"Password:").decode())
            self.assertEqual(sasl.answer(PASSWORD.encode()), "OK\t4\tuser=" + self.lama)
            sasl.begin("CRAM-MD5")
            self.assertTrue(sasl.line().startswith("FAIL\t5"))

    def test_nobody_acts_as_somebody_else(self):
        with Sasl(self.server) as sasl:
            sasl.begin("PLAIN", ("%s\0%s\0%s" % (self.lama, self.baru, PASSWORD)).encode())
            self.assertTrue(sasl.line().startswith("FAIL"))

    def test_a_login_is_told_to_a_parent_once(self):
        with Sasl(self.server) as sasl:
            self.assertTrue(sasl.plain(self.baru, PASSWORD).startswith("OK"))
            self.assertEqual(redeem(self.server, 1, "0" * 32), "NOTFOUND\t5")
            self.assertEqual(redeem(self.server, 1, sasl.cookie, pid=1), "NOTFOUND\t5")
            self.assertEqual(redeem(self.server, 2, sasl.cookie), "NOTFOUND\t5")
            found = redeem(self.server, 1, sasl.cookie)
            self.assertTrue(found.startswith("USER\t5\t%s\tuid=" % self.baru), found)
            self.assertIn("\tmail=%s/mail/satu.test/baru/Maildir" % self.server.directory, found)
            self.assertEqual(redeem(self.server, 1, sasl.cookie), "NOTFOUND\t5")

    def test_refusals_take_the_same_time_whatever_was_wrong(self):
        with Sasl(self.server) as sasl:
            for user in (self.baru, "tidak-ada@satu.test", "x@else.test", "root"):
                times = []
                for i in range(15):
                    begin = time.monotonic()
                    self.assertTrue(sasl.plain(user, "salah%d" % i, "192.0.2.%d" % i).startswith("FAIL"))
                    times.append(time.monotonic() - begin)
                print("%-22s %5.1f ms" % (user, statistics.median(times) * 1000), end="  ", flush=True)

    def test_what_breaks_the_protocol_is_closed_and_the_others_go_on(self):
        with Sasl(self.server) as good:
            for rubbish in (b"VERSION\t2\t0\n", b"AUTH\t1\tPLAIN\n", b"CPID\tx\n", b"x" * 20000):
                with Lines(self.server, "sasl") as bad:
                    bad.socket.sendall(rubbish)
                    with self.subTest(rubbish[:20]), self.assertRaises((EOFError, ConnectionError)):
                        while bad.file.read(1) or self.raise_eof():
                            pass
            self.assertTrue(good.plain(self.baru, PASSWORD).startswith("OK"))

    @staticmethod
    def raise_eof():
        raise EOFError

    def test_many_log_in_at_once(self):
        failed = []

        def run():
            with Sasl(self.server) as sasl:
                for _ in range(20):
                    if not sasl.plain(self.baru, PASSWORD).startswith("OK"):
                        failed.append(1)

        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failed, [])


class Guesses(Authd):
    settings = {"auth_failure_delay": "1s", "auth_failure_delay_max": "2s"}

    def test_who_guesses_waits_longer_and_longer_and_others_do_not(self):
        with Sasl(self.server) as sasl:
            times = []
            for i in range(3):
                begin = time.monotonic()
                self.assertTrue(sasl.plain(self.baru, "tebak%d" % i).startswith("FAIL"))
                times.append(time.monotonic() - begin)
            self.assertLess(times[0], 0.9)
            self.assertGreaterEqual(times[2], 1.5)
            begin = time.monotonic()
            self.assertTrue(sasl.plain(self.baru, PASSWORD, "192.0.2.2").startswith("OK"))
            self.assertLess(time.monotonic() - begin, 0.9)
            begin = time.monotonic()
            self.assertTrue(sasl.plain(self.baru, PASSWORD).startswith("OK"))
            self.assertGreaterEqual(time.monotonic() - begin, 1)

    def test_the_same_wrong_password_again_is_one_guess(self):
        with Sasl(self.server) as sasl:
            for _ in range(6):
                begin = time.monotonic()
                self.assertTrue(sasl.plain(self.baru, "lama").startswith("FAIL"))
            self.assertLess(time.monotonic() - begin, 1.9)


class LookUps(Authd):
    def test_the_maps_answer(self):
        mail = self.server.directory + "/mail/satu.test/baru"
        with Map(self.server) as m:
            for name, key, expected in (
                    ("recipient", "baru@satu.test", "OK local"),
                    ("recipient", "Baru+Folder@SATU.test", "OK local"),
                    ("recipient", "semua@satu.test", "OK alias"),
                    ("recipient", "info@satu.test", "OK alias"),
                    ("recipient", "postmaster@satu.test", "OK alias"),
                    ("recipient", "tidak-ada@satu.test", "NOTFOUND "),
                    ("recipient", "baru@else.test", "NOTFOUND "),
                    ("alias", "semua@satu.test", "OK baru@satu.test,lama@satu.test,jauh@else.test"),
                    ("alias", "info+x@satu.test", "OK lama@satu.test"),
                    ("alias", "baru@satu.test", "NOTFOUND "),
                    ("uid", "0", "OK root"),
                    ("uid", "4000000000", "NOTFOUND "),
                    ("uid", "x", "NOTFOUND "),
                    ("account", "../../etc/passwd", "NOTFOUND "),
                    ("rubbish", "x", "PERM there is no such map")):
                with self.subTest(name + " " + key):
                    self.assertEqual(m.ask(name, key), expected)
            self.assertRegex(m.ask("account", "baru+x@satu.test"),
                             "^OK user=baru@satu.test\tuid=[1-9][0-9]*\tgid=[1-9][0-9]*\thome=%s\tmail=%s/Maildir$"
                             % (mail, mail))

    def test_mail_for_a_broken_alias_waits_and_the_log_says_where_it_is(self):
        with Map(self.server) as m:
            self.assertTrue(m.ask("recipient", "pipa@satu.test").startswith("TEMP "))
            self.assertTrue(m.ask("alias", "pipa@satu.test").startswith("TEMP "))
        self.server.wait_log("aliases:5: commands and files are not supported")

    def test_answers_come_in_order_however_many_questions(self):
        with Map(self.server) as m:
            for i in range(3000):
                m.send("recipient", "baru@satu.test" if i % 3 else "x@satu.test")
            for i in range(3000):
                self.assertEqual(m.reply(), "OK local" if i % 3 else "NOTFOUND ")

    def test_a_killed_checker_costs_nobody_an_answer(self):
        with Map(self.server) as m, Sasl(self.server) as sasl:
            for _ in range(5):
                for pid in self.authd_processes("checker"):
                    os.kill(pid, signal.SIGKILL)
                self.assertEqual(m.ask("recipient", "baru@satu.test"), "OK local")
                self.assertTrue(sasl.plain(self.baru, PASSWORD).startswith("OK"))

    def test_a_reload_lets_idle_clients_go_and_serves_them_again(self):
        with Map(self.server) as m:
            self.assertEqual(m.ask("recipient", "baru@satu.test"), "OK local")
            before = set(self.authd_processes("front"))
            self.server.process.send_signal(signal.SIGHUP)
            self.assertEqual(m.socket.recv(1), b"")
        wait_for(lambda: not before & set(self.authd_processes("front")), "the old front to end")
        with Map(self.server) as m:
            self.assertEqual(m.ask("recipient", "baru@satu.test"), "OK local")

    @needs_root()
    def test_strangers_may_try_passwords_but_not_ask_who_is_who(self):
        program = ("import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"
                   "s.sendall(b'24:recipient baru@satu.test,')\nprint(s.recv(100))\n")

        def as_nobody(name):
            return subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "python3", "-c",
                                   program, os.path.join(self.server.directory, "run", name)],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout

        self.assertNotIn(b"OK", as_nobody("map"))
        self.assertEqual(as_nobody("master"), b"")
        self.assertIn(b"VERSION\\t1\\t2", as_nobody("sasl"))


class Users(Authd):
    def listed(self):
        lines = self.server.merpati("user", "list", "--json").stdout.splitlines()
        return {entry["user"]: entry for entry in map(json.loads, lines)}

    def test_users_are_added_changed_listed_and_removed(self):
        self.assertEqual(sorted(self.listed()), [self.baru, self.lama])
        with Sasl(self.server) as sasl:
            self.server.merpati("user", "passwd", self.baru, input="yang-baru\n")
            self.assertTrue(sasl.plain(self.baru, PASSWORD).startswith("FAIL"))
            self.assertTrue(sasl.plain(self.baru, "yang-baru", "192.0.2.9").startswith("OK"))
            self.server.merpati("user", "del", self.baru)
            self.assertTrue(sasl.plain(self.baru, "yang-baru", "192.0.2.9").startswith("FAIL"))
        self.assertEqual(sorted(self.listed()), [self.lama])
        for scheme, mark in (("scram", "{SCRAM-SHA-256}16384,"), ("yescrypt", "{YESCRYPT}$y$"), ("sha512", "{SHA512-CRYPT}$6$"), ("bcrypt", "{BLF-CRYPT}$2b$")):
            name = scheme + "@satu.test"
            self.server.merpati("user", "add", "--scheme", scheme, "--home", "/srv/x", name, input="rahasia\n")
            with open(os.path.join(self.server.directory, "users")) as f:
                self.assertIn("%s:%s" % (name, mark), f.read())
            with Sasl(self.server) as sasl:
                self.assertTrue(sasl.plain(name, "rahasia").startswith("OK"))
        self.assertEqual(self.listed()["bcrypt@satu.test"]["home"], "/srv/x")

    def test_mistakes_are_named(self):
        for words, status, text in (
                (("add", "baru@satu.test"), 65, "already"),
                (("add", "x@else.test"), 65, "no [domain else.test]"),
                (("add", "../x"), 65, "not fit"),
                (("passwd", "x@satu.test"), 65, "no user"),
                (("del", "x@satu.test"), 65, "no user"),
                (("add", "--uid", "0", "x@satu.test"), 65, "other than 0"),
                (("add",), 64, "usage"),
                (("whatever",), 64, "usage"),
                (("list", "x"), 64, "usage")):
            with self.subTest(" ".join(words)):
                done = self.server.merpati("user", *words, input="rahasia\n", check=False)
                self.assertEqual(done.returncode, status)
                self.assertIn(text, done.stderr)

    def test_concurrent_changes_are_all_kept(self):
        def run(i):
            self.server.add_user("u%d" % i)

        threads = [threading.Thread(target=run, args=(i,)) for i in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(self.listed()), 14)
        self.assertEqual(os.stat(os.path.join(self.server.directory, "users")).st_mode & 0o777, 0o640)

    def test_a_wrong_line_costs_only_itself(self):
        with open(os.path.join(self.server.directory, "users"), "a") as f:
            f.write("buruk@satu.test:{PLAIN}terbuka\n")
        self.server.wait_log(r"users:3: an unknown password scheme or malformed hash for .buruk@satu.test")
        with Sasl(self.server) as sasl:
            self.assertTrue(sasl.plain("buruk@satu.test", "terbuka").startswith("FAIL"))
            self.assertTrue(sasl.plain(self.baru, PASSWORD).startswith("OK"))


if __name__ == "__main__":
    unittest.main()
