"""POP3 against Maildirs of the tests' own making: by poplib, curl, openssl and raw sockets."""

import glob
import hashlib
import os
import poplib
import shutil
import socket
import ssl
import subprocess
import time
import unittest

from suite import PASSWORD, Case, Instance, wait_for

LETTERS = [
    b"Subject: satu\n\nbaris\n.titik\n..\n.\nakhir\n",
    b"Subject: dua\nX-Panjang: " + b"x" * 900 + b"\n\n" + b"isi\n" * 20000,
    b"Subject: tiga\n\ntanpa akhir",
    b"\n",
    b"From: a@b\nSubject: delapan bit\n\n\xc3\xa9\xff\x80\n",
]


def wire(text):
    return text.replace(b"\n", b"\r\n")


class Pop3(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Instance("satu.test", "127.0.0.2", settings={
            "pop3_timeout": "10m", "pop3_linger": "1s", "auth_scram": "never"})
        cls.server.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def setUp(self):
        self.name = "u%x" % (time.monotonic_ns() // 1000)
        self.user = self.server.add_user(self.name)
        self.maildir = os.path.join(self.server.directory, "mail", "satu.test", self.name, "Maildir")

    def put(self, letters, folder="new"):
        """Files as a foreign program would have delivered them."""
        path = self.maildir
        for part in ("", "cur", "new", "tmp"):
            os.makedirs(os.path.join(path, part), mode=0o700, exist_ok=True)
        for i, letter in enumerate(letters):
            with open(os.path.join(path, folder, "%d.M%dP1.host" % (1700000000 + i, i)), "wb") as f:
                f.write(letter)
        if os.getuid() == 0 and not self.server.user:
            subprocess.run(["chown", "-R", "_vmail:_vmail", os.path.dirname(os.path.dirname(path))], check=True)

    def files(self):
        return sorted(glob.glob(self.maildir + "/new/*") + glob.glob(self.maildir + "/cur/*"))

    def pop(self, tls=True):
        if tls:
            client = poplib.POP3_SSL(self.server.address, self.server.ports["pop3s"], timeout=20,
                                     context=self.server.tls_context())
        else:
            client = poplib.POP3(self.server.address, self.server.ports["pop3"], timeout=20)
        client.user(self.user)
        client.pass_(PASSWORD)
        return client

    def raw(self):
        s = socket.create_connection((self.server.address, self.server.ports["pop3"]), 20)
        return s, s.makefile("rb")

    def test_an_account_without_a_maildir_has_no_mail(self):
        client = self.pop()
        self.assertEqual(client.stat(), (0, 0))
        self.assertEqual(client.list()[1], [])
        client.quit()

    def test_letters_come_as_they_are(self):
        self.put(LETTERS)
        for tls in (True, False):
            client = self.pop(tls)
            self.assertEqual(client.stat()[0], len(LETTERS))
            sizes = [int(line.split()[1]) for line in client.list()[1]]
            found = [b"\r\n".join(client.retr(i + 1)[1]) + b"\r\n" for i in range(len(LETTERS))]
            expected = [wire(letter) + (b"" if letter.endswith(b"\n") else b"\r\n") for letter in LETTERS]
            self.assertEqual(sorted(found), sorted(expected))
            self.assertEqual(sorted(sizes), sorted(len(wire(letter)) for letter in LETTERS))
            client.quit()

    def test_top_ends_where_it_should(self):
        self.put(LETTERS[:1])
        client = self.pop()
        self.assertEqual(client.top(1, 0)[1], [b"Subject: satu", b""])
        self.assertEqual(client.top(1, 2)[1], [b"Subject: satu", b"", b"baris", b".titik"])
        client.quit()

    def test_uidl_survives_flags_a_copy_and_a_restart_of_the_session(self):
        self.put(LETTERS)
        client = self.pop()
        uidl = client.uidl()[1]
        self.assertEqual(len(set(line.split()[1] for line in uidl)), len(LETTERS))
        client.quit()
        # another program reads one, and the whole tree is moved away and back as a copy
        new = sorted(glob.glob(self.maildir + "/new/*"))[0]
        os.rename(new, self.maildir + "/cur/" + os.path.basename(new).split(":")[0] + ":2,S")
        subprocess.run(["cp", "-a", self.maildir, self.maildir + ".b"], check=True)
        shutil.rmtree(self.maildir)
        os.rename(self.maildir + ".b", self.maildir)
        time.sleep(1.5)  # past pop3_linger
        client = self.pop()
        self.assertEqual(client.uidl()[1], uidl)
        client.quit()

    def test_deletes_at_quit_only(self):
        self.put(LETTERS)
        client = self.pop()
        client.dele(1)
        client.dele(2)
        client.close()
        self.assertEqual(len(self.files()), len(LETTERS))
        client = wait_for(self.pop_if_free, "the lock of the broken session")
        self.assertEqual(client.stat()[0], len(LETTERS))
        client.dele(1)
        client.rset()
        client.dele(2)
        self.assertEqual(len(self.files()), len(LETTERS))
        client.quit()
        self.assertEqual(len(self.files()), len(LETTERS) - 1)

    def pop_if_free(self):
        try:
            return self.pop()
        except poplib.error_proto as e:
            self.assertIn(b"[IN-USE]", e.args[0])
            return None

    def test_an_idle_imap_client_hears_of_a_removal(self):
        self.put(LETTERS)
        imap = self.server.imap(self.user)
        imap.select("INBOX")
        imap.send(b"a IDLE\r\n")
        self.assertTrue(imap.readline().startswith(b"+"))
        client = self.pop()
        client.dele(2)
        client.quit()
        imap.sock.settimeout(5)  # less than imap_poll
        self.assertEqual(imap.readline().strip(), b"* 2 EXPUNGE")
        imap.send(b"DONE\r\n")
        imap.readline()
        imap.shutdown()

    def test_one_session_at_a_time(self):
        self.put(LETTERS)
        first = self.pop()
        self.assertIsNone(self.pop_if_free())
        first.quit()
        self.pop().quit()  # at once after the reply to QUIT

    def test_stls_and_capabilities(self):
        client = poplib.POP3(self.server.address, self.server.ports["pop3"], timeout=20)
        self.assertIn("STLS", client.capa())
        client.stls(context=self.server.tls_context())
        capabilities = client.capa()
        self.assertNotIn("STLS", capabilities)
        self.assertEqual(sorted(capabilities["SASL"]), ["LOGIN", "PLAIN"])
        for name in ("TOP", "UIDL", "PIPELINING", "RESP-CODES", "USER"):
            self.assertIn(name, capabilities)
        client.user(self.user)
        client.pass_(PASSWORD)
        self.assertEqual(sorted(client.capa()["SASL"]), ["LOGIN", "PLAIN"])
        client.quit()

    def test_a_wrong_password_is_told_apart(self):
        client = poplib.POP3_SSL(self.server.address, self.server.ports["pop3s"], timeout=30,
                                 context=self.server.tls_context())
        client.user(self.user)
        with self.assertRaises(poplib.error_proto) as caught:
            client.pass_("salah")
        self.assertIn(b"[AUTH]", caught.exception.args[0])
        client.close()

    def test_stls_with_commands_behind_it_ends_the_session(self):
        s, f = self.raw()
        f.readline()
        s.sendall(b"STLS\r\nUSER x\r\n")
        rest = f.read()
        self.assertNotIn(b"password", rest)
        s.close()

    def test_pipelined_login_and_commands(self):
        self.put(LETTERS[:1])
        s, f = self.raw()
        s.sendall(b"USER %s\r\nPASS %s\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n" % (
            self.user.encode(), PASSWORD.encode()))
        text = f.read()
        self.assertTrue(text.startswith(b"+OK satu.test"), text)
        self.assertIn(b"+OK 1 %d\r\n" % len(wire(LETTERS[0])), text)
        self.assertIn(b"\r\n..titik\r\n...\r\n..\r\nakhir\r\n.\r\n", text)
        self.assertTrue(text.endswith(b"+OK Deleted; bye\r\n"), text)
        self.assertEqual(self.files(), [])
        s.close()

    def test_half_a_connection_gets_all_replies(self):
        self.put(LETTERS)
        s, f = self.raw()
        s.sendall(b"USER %s\r\nPASS %s\r\nRETR 1\r\nRETR 2\r\nRETR 3\r\nSTAT\r\n" % (self.user.encode(), PASSWORD.encode()))
        s.shutdown(socket.SHUT_WR)
        self.assertTrue(f.read().endswith(b"\r\n+OK %d %d\r\n" % (len(LETTERS), sum(len(wire(x)) for x in LETTERS))))
        s.close()

    def test_auth_login_and_plain(self):
        s, f = self.raw()
        f.readline()
        s.sendall(b"AUTH LOGIN\r\n")
        self.assertTrue(f.readline().startswith(b"+ "))
        s.sendall(b"*\r\n")
        self.assertTrue(f.readline().startswith(b"-ERR"))
        s.close()
        for mechanism in ("PLAIN", "LOGIN"):
            done = subprocess.run(["curl", "-sS", "-k", "--max-time", "20", "-u", self.user + ":" + PASSWORD, "--login-options",
                                   "AUTH=" + mechanism, "pop3s://%s:%d/" % (self.server.address, self.server.ports["pop3s"])],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_large_letter_under_tls_comes_whole(self):
        letter = b"Subject: besar\n\n" + b"".join(b".%d\n" % i for i in range(1000000))
        self.put([letter])
        out = subprocess.run(["curl", "-sS", "-k", "--max-time", "60", "-u", self.user + ":" + PASSWORD,
                              "pop3s://%s:%d/1" % (self.server.address, self.server.ports["pop3s"])],
                             stdout=subprocess.PIPE, check=True).stdout
        self.assertEqual(hashlib.sha256(out).hexdigest(), hashlib.sha256(wire(letter)).hexdigest())

    def test_a_client_that_does_not_read_holds_up_nobody(self):
        self.put([b"Subject: besar\n\n" + b"x" * 70 + b"\n"] + [b"\n" + b"isi\n" * 2000000])
        s, f = self.raw()
        s.sendall(b"USER %s\r\nPASS %s\r\nRETR 1\r\nRETR 2\r\n" % (self.user.encode(), PASSWORD.encode()))
        time.sleep(0.5)
        other = self.server.add_user(self.name + "b")
        client = poplib.POP3(self.server.address, self.server.ports["pop3"], timeout=5)
        client.user(other)
        client.pass_(PASSWORD)
        client.quit()
        s.sendall(b"QUIT\r\n")
        self.assertTrue(f.read().endswith(b"\r\n.\r\n+OK Bye\r\n"))
        s.close()

    def test_many_letters_are_listed_and_removed(self):
        self.put([b"Subject: %d\n\nisi\n" % i for i in range(3000)])
        client = self.pop()
        self.assertEqual(len(client.list()[1]), 3000)
        self.assertEqual(len(client.uidl()[1]), 3000)
        client.quit()
        s, f = self.raw()
        s.sendall(b"USER %s\r\nPASS %s\r\n" % (self.user.encode(), PASSWORD.encode()) +
                  b"".join(b"DELE %d\r\n" % (i + 1) for i in range(2999)) + b"QUIT\r\n")
        self.assertTrue(f.read().endswith(b"+OK Deleted; bye\r\n"))
        s.close()
        self.assertEqual(len(self.files()), 1)

    def test_tls_1_2_and_1_3_but_nothing_older(self):
        for version, works in ((ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_1, False)):
            context = self.server.tls_context()
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
            try:
                client = poplib.POP3_SSL(self.server.address, self.server.ports["pop3s"], timeout=20, context=context)
                client.quit()
                self.assertTrue(works, version)
            except ssl.SSLError:
                self.assertFalse(works, version)

    def test_the_end_of_the_server_is_told(self):
        self.put(LETTERS)
        client = self.pop(tls=False)
        self.server.stop()
        with self.assertRaises(poplib.error_proto) as caught:
            client.noop()
        self.assertIn(b"[SYS/TEMP]", caught.exception.args[0])
        client.close()
        self.server.start()


if __name__ == "__main__":
    unittest.main()
