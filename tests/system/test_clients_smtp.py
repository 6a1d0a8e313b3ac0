"""Real clients of SMTP and LMTP with their options; of each what arrived is compared with what was sent."""

import os
import re
import shutil
import smtplib
import socket
import subprocess
import tempfile
import unittest

from suite import Case, Instance, letter, wait_for, without_trace


def run(*words, input=None, env=None, ok=(0,)):
    done = subprocess.run([str(w) for w in words], input=input, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60)
    if done.returncode not in ok:
        raise AssertionError("%s: status %d\n%s" % (" ".join(map(str, words)), done.returncode,
                                                   done.stdout.decode(errors="replace")))
    return done.stdout.decode(errors="replace")


class ClientCase(Case):
    """A user of its own for each test, and a letter in a file."""

    kinds = ("mx", "submission", "submissions", "pop3")
    options = {}

    @classmethod
    def setUpClass(cls):
        cls.server = Instance("satu.test", "127.0.0.2", kinds=cls.kinds, **cls.options)
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__, None)
        cls.count = 0

    def setUp(self):
        type(self).count += 1
        self.user = self.server.add_user("lama%d" % self.count)
        self.work = tempfile.mkdtemp(prefix="mc", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.work)
        self.sent = letter("baru@satu.test", self.user, lines=["Halo", ".", "..dua", "", "ekor", ""])
        self.file = os.path.join(self.work, "letter")
        with open(self.file, "wb") as f:
            f.write(self.sent)

    def arrived(self, count=1):
        """The letters of this test, each the one that was sent (some clients cut or add empty lines at the end)."""
        found = self.server.wait_letters(self.user, count)
        self.assertEqual(len(found), count)
        for m in found:
            self.assertEqual(self.sent.rstrip(), without_trace(m).rstrip())
        return found


class Lmtp(ClientCase):
    kinds = ("mx", "pop3", "lmtp")

    @classmethod
    def setUpClass(cls):
        directory = tempfile.mkdtemp(prefix="m", dir="/tmp")
        cls.options = {"directory": directory,
                       "sections": "\n[listener tetangga]\nkind = lmtp\npath = %s/lmtp.sock\n" % directory}
        super().setUpClass()
        cls.path = directory + "/lmtp.sock"

    def test_smtplib_over_tcp(self):
        with smtplib.LMTP(self.server.address, self.server.ports["lmtp"], timeout=20) as client:
            self.assertEqual(client.sendmail("baru@satu.test", [self.user, "tiada@satu.test"], self.sent),
                             {"tiada@satu.test": (550, b"5.1.1 There is no such user here")})
        found = self.arrived()[0]
        self.assertIn(b"Return-Path: <baru@satu.test>\r\nDelivered-To: %s\r\n" % self.user.encode(), found)

    def test_smtplib_over_a_unix_socket(self):
        with smtplib.LMTP(self.path) as client:
            self.assertEqual(client.sendmail("baru@satu.test", [self.user], self.sent), {})
        self.arrived()

    def test_swaks_over_tcp_and_a_unix_socket(self):
        where = ["--server", self.server.address, "--port", self.server.ports["lmtp"]]
        for words in (where, where + ["--pipeline"], ["--socket", self.path]):
            run("swaks", "--protocol", "LMTP", *words, "--lhlo", "tetangga.test", "--from", "baru@satu.test", "--to",
                self.user, "--data", "@" + self.file)
        self.arrived(3)

    def test_each_recipient_has_its_own_reply(self):
        other = self.server.add_user("lagi%d" % self.count)
        text = run("swaks", "--protocol", "LMTP", "--server", self.server.address, "--port", self.server.ports["lmtp"],
                   "--from", "", "--to", "%s,%s" % (self.user, other), "--data", "@" + self.file)
        self.assertEqual(len(re.findall(r"(?m)^<-  250 2\.0\.0 Delivered to the mailbox", text)), 2)
        self.arrived()

    def test_the_socket_in_run_directory_is_still_our_own(self):
        with self.server.smtp() as client:
            client.sendmail("baru@satu.test", [self.user], self.sent)
        self.server.wait_log(r"to=<%s>, relay=lmtp, .*status=sent" % self.user)
        self.assertEqual(os.stat(os.path.join(self.server.directory, "run", "lmtp")).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o666)
        self.arrived()


class LmtpStrangers(Case):
    def test_lmtp_from_outside_of_networks_is_refused(self):
        with Instance("satu.test", "127.0.0.2", kinds=("mx", "lmtp"), settings={"networks": "10.0.0.0/8"}) as server:
            with socket.create_connection((server.address, server.ports["lmtp"]), timeout=20) as client:
                self.assertEqual(client.makefile("rb").read(), b"554 5.7.1 Access denied\r\n")
            server.wait_log(r"NOQUEUE: reject: CONNECT from unknown\[127\.0\.0\.1\]: 554 5\.7\.1 .*proto=LMTP")

    def test_without_an_address_lmtp_is_on_loopback_only(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with Instance("satu.test", "127.0.0.2", kinds=("mx",),
                      sections="\n[listener lmtp]\nport = %d\n" % port) as server:
            out = run("ss", "-Hltn", "sport", "=", ":%d" % port)
            self.assertEqual(sorted(line.split()[3] for line in out.splitlines()),
                             ["127.0.0.1:%d" % port, "[::1]:%d" % port] if "[::1]" in out else ["127.0.0.1:%d" % port])
            with smtplib.LMTP("127.0.0.1", port) as client:
                self.assertEqual(client.ehlo("x")[0], 250)
            self.assertTrue(wait_for(lambda: server.process.poll() is None, "the server"))


if __name__ == "__main__":
    unittest.main()
