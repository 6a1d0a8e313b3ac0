"""Real clients, each letter compared byte by byte with what was sent."""

import imaplib
import os
import re
import shutil
import smtplib
import subprocess
import tempfile
import unittest

from suite import PASSWORD, Case, Instance, letter, wait_for, without_trace


def run(*words, input=None, env=None, ok=(0,)):
    done = subprocess.run(words, input=input, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    if done.returncode not in ok:
        raise AssertionError("%s: status %d\n%s\n%s" % (
            " ".join(words), done.returncode, done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace")))
    return done.stdout


class Clients(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Instance("satu.test", "127.0.0.2")
        cls.server.__enter__()
        cls.count = 0

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def setUp(self):
        Clients.count += 1
        self.user = self.server.add_user("lama%d" % Clients.count)
        self.work = tempfile.mkdtemp(prefix="mc", dir="/tmp")
        self.sent = letter("baru@satu.test", self.user, lines=["Halo", ".", "..dua", "", "— ekor", ""])
        self.file = os.path.join(self.work, "letter")
        with open(self.file, "wb") as f:
            f.write(self.sent)

    def tearDown(self):
        shutil.rmtree(self.work)

    def deliver(self, message=None):
        with self.server.smtp() as client:
            client.sendmail("baru@satu.test", [self.user], message or self.sent)
        return self.server.wait_letters(self.user)

    def url(self, scheme, kind, path=""):
        return "%s://%s:%d%s" % (scheme, self.server.address, self.server.ports[kind], path)

    # -- curl

    def curl(self, *words):
        return run("curl", "-sS", "--max-time", "30", "--cacert", self.server.certificate, *words)

    def test_curl_sends_by_smtp_with_starttls(self):
        self.server.add_user(self.user.replace("lama", "baru"))
        self.curl("--ssl-reqd", "-u", "%s:%s" % (self.user, PASSWORD), "--mail-from", self.user, "--mail-rcpt",
                  self.user, "-T", self.file, self.url("smtp", "submission"))
        self.assert_same_letter(self.sent, self.server.wait_letters(self.user)[0])

    def test_curl_sends_by_smtps(self):
        self.curl("-u", "%s:%s" % (self.user, PASSWORD), "--mail-from", self.user, "--mail-rcpt", self.user,
                  "-T", self.file, self.url("smtps", "submissions"))
        self.assert_same_letter(self.sent, self.server.wait_letters(self.user)[0])

    def test_curl_reads_by_pop3_and_pop3s(self):
        self.deliver()
        for scheme, kind, more in (("pop3", "pop3", ["--ssl-reqd"]), ("pop3s", "pop3s", [])):
            out = self.curl("-u", "%s:%s" % (self.user, PASSWORD), *more, self.url(scheme, kind, "/1"))
            self.assert_same_letter(self.sent, out)

    def test_curl_reads_by_imap_and_imaps(self):
        self.deliver()
        for scheme, kind, more in (("imap", "imap", ["--ssl-reqd"]), ("imaps", "imaps", [])):
            out = self.curl("-u", "%s:%s" % (self.user, PASSWORD), *more,
                            self.url(scheme, kind, "/INBOX;MAILINDEX=1"))
            self.assert_same_letter(self.sent, out)

    # -- swaks

    def swaks(self, kind, *words):
        return run("swaks", "--server", self.server.address, "--port", str(self.server.ports[kind]), "--to", self.user,
                   "--from", self.user, "--data", "@" + self.file, *words)

    def test_swaks_sends_plain_with_starttls_and_over_tls(self):
        self.swaks("mx")
        for mechanism in ("PLAIN", "LOGIN"):
            self.swaks("submission", "-tls", "--auth", mechanism, "--auth-user", self.user, "--auth-password", PASSWORD)
        self.swaks("submissions", "--tls-on-connect", "--auth-user", self.user, "--auth-password", PASSWORD)
        for found in self.server.wait_letters(self.user, 4):
            self.assertEqual(self.sent.rstrip(), without_trace(found).rstrip())

    def test_swaks_pipelines(self):
        self.swaks("mx", "--pipeline")
        self.assertEqual(self.sent.rstrip(), without_trace(self.server.wait_letters(self.user)[0]).rstrip())

    # -- fetchmail

    def fetchmail(self, protocol, kind):
        self.deliver()
        out = os.path.join(self.work, "out")
        rc = os.path.join(self.work, "rc")
        with open(rc, "w") as f:
            f.write('poll %s protocol %s port %d user "%s" password "%s" options sslproto "" fetchall no rewrite\n'
                    'mda "cat > %s"\n' % (self.server.address, protocol, self.server.ports[kind], self.user, PASSWORD, out))
        os.chmod(rc, 0o600)
        run("fetchmail", "-s", "-f", rc, "--pidfile", os.path.join(self.work, "pid"), "--invisible",
            env=dict(os.environ, HOME=self.work, FETCHMAILHOME=self.work))
        with open(out, "rb") as f:
            found = f.read().replace(b"\r\n", b"\n")
        found = re.sub(rb"\AReturn-Path:[^\n]*\n", b"", found)
        found = found[found.index(b"From: <baru"):]
        self.assertEqual(self.sent.replace(b"\r\n", b"\n").rstrip(), found.rstrip())
        wait_for(lambda: not self.server.letters(self.user), "fetchmail's deletion")

    def test_fetchmail_takes_the_mail_by_pop3(self):
        self.fetchmail("pop3", "pop3")

    def test_fetchmail_takes_the_mail_by_imap(self):
        self.fetchmail("imap", "imap")

    # -- mbsync

    def mbsync_files(self):
        found = {}
        for folder in ("new", "cur"):
            directory = os.path.join(self.work, "mail", "INBOX", folder)
            for name in os.listdir(directory):
                with open(os.path.join(directory, name), "rb") as f:
                    subject = re.search(rb"Subject: (\S+)", f.read()).group(1).decode()
                found[subject] = os.path.join(directory, name)
        return found

    def test_mbsync_twice_with_changes_on_both_sides(self):
        rc = os.path.join(self.work, "rc")
        with open(rc, "w") as f:
            f.write("IMAPAccount satu\nHost %s\nPort %d\nUser %s\nPass %s\nSSLType None\nAuthMechs PLAIN\n\n"
                    "IMAPStore far\nAccount satu\n\n"
                    "MaildirStore near\nPath %s/mail/\nInbox %s/mail/INBOX\nSubFolders Verbatim\n\n"
                    "Channel all\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Both\nExpunge Both\nSyncState *\n" % (
                        self.server.address, self.server.ports["imap"], self.user, PASSWORD, self.work, self.work))
        os.mkdir(os.path.join(self.work, "mail"))
        letters = {}
        for name in ("satu", "dua", "tiga"):
            letters[name] = letter("baru@satu.test", self.user, name)
            self.deliver(letters[name])
        self.server.wait_letters(self.user, 3)
        run("mbsync", "-c", rc, "all")
        near = self.mbsync_files()
        self.assertEqual(sorted(near), ["dua", "satu", "tiga"])
        for name, path in near.items():
            with open(path, "rb") as f:
                found = f.read().replace(b"\n", b"\r\n")
            self.assert_same_letter(letters[name], re.sub(rb"(?m)^X-TUID: .*\r\n", b"", found))
        # near: satu is deleted, dua is read, a letter of its own is added; far: tiga is flagged
        os.unlink(near["satu"])
        base = os.path.basename(near["dua"]).split(":")[0]
        os.rename(near["dua"], os.path.join(self.work, "mail/INBOX/cur", base + ":2,S"))
        own = letter(self.user, "draf@satu.test", "empat")
        with open(os.path.join(self.work, "mail/INBOX/cur/1.own.near:2,S"), "wb") as f:
            f.write(own.replace(b"\r\n", b"\n"))
        client = self.server.imap(self.user)
        client.select("INBOX")
        number = client.search(None, "SUBJECT", "tiga")[1][0]
        client.store(number, "+FLAGS", "\\Flagged")
        run("mbsync", "-c", rc, "all")
        client.noop()
        far = {}
        for n in client.search(None, "ALL")[1][0].split():
            # imaplib also keeps what NOOP said of changed flags; what was fetched is the tuple
            answer = next(a for a in client.fetch(n, "(FLAGS BODY.PEEK[])")[1] if isinstance(a, tuple))
            far[re.search(rb"Subject: (\S+)", answer[1]).group(1).decode()] = answer
        client.logout()
        self.assertEqual(sorted(far), ["dua", "empat", "tiga"])
        self.assertIn(b"\\Seen", far["dua"][0])
        self.assertEqual(own, re.sub(rb"(?m)^X-TUID: .*\r\n", b"", far["empat"][1]))
        self.assertIn("F", self.mbsync_files()["tiga"].split(":2,")[1])

    # -- mutt

    def test_mutt_reads_and_sends_in_batch(self):
        self.deliver()
        rc = os.path.join(self.work, "muttrc")
        out = os.path.join(self.work, "out")
        url = "imap://%s:%d/" % (self.server.address, self.server.ports["imap"])
        with open(rc, "w") as f:
            f.write('set folder="%s" imap_user="%s" imap_pass="%s" ssl_starttls=no ssl_force_tls=no\n'
                    'set spoolfile="%sINBOX" record="" copy=no from="%s" realname="" use_envelope_from=yes\n'
                    'set sendmail="%s -oi" confirmappend=no delete=yes mbox_type=mbox wait_key=no '
                    'pipe_decode=no header_cache=""\n' % (
                        url, self.user, PASSWORD, url, self.user, self.server.program("sendmail")))
        env = dict(os.environ, HOME=self.work, TERM="dumb", MERPATI_CONF=self.server.conf)
        run("mutt", "-F", rc, "-s", "dari mutt", self.user, input=b"halo dari mutt\n", env=env)
        found = [m for m in self.server.wait_letters(self.user, 2) if b"dari mutt" in m]
        self.assertIn(b"\r\n\r\nhalo dari mutt\r\n", found[0])
        pushed = '<pipe-message>cat > %s<enter><exit>' % out
        run("script", "-qec", "mutt -F %s -e 'push \"<first-entry>%s\"'" % (rc, pushed), "/dev/null", input=b"",
            env=dict(env, TERM="vt100"))
        with open(out, "rb") as f:
            self.assertEqual(without_trace(f.read()).replace(b"\r\n", b"\n").rstrip(),
                             self.sent.replace(b"\r\n", b"\n").rstrip())

    # -- python

    def test_smtplib_poplib_imaplib_over_tls(self):
        with self.server.smtp("submission") as client:
            client.starttls(context=self.server.tls_context())
            client.login(self.user, PASSWORD)
            client.sendmail(self.user, [self.user], self.sent)
        self.server.wait_letters(self.user)
        import poplib
        pop = poplib.POP3(self.server.address, self.server.ports["pop3"], timeout=20)
        pop.stls(context=self.server.tls_context())
        pop.user(self.user)
        pop.pass_(PASSWORD)
        self.assert_same_letter(self.sent, b"\r\n".join(pop.retr(1)[1]) + b"\r\n")
        uidl = pop.uidl()[1]
        pop.quit()
        pop = poplib.POP3_SSL(self.server.address, self.server.ports["pop3s"], timeout=20,
                              context=self.server.tls_context())
        pop.user(self.user)
        pop.pass_(PASSWORD)
        self.assertEqual(pop.uidl()[1], uidl)
        pop.quit()
        imap = imaplib.IMAP4(self.server.address, self.server.ports["imap"], timeout=20)
        imap.starttls(ssl_context=self.server.tls_context())
        imap.login(self.user, PASSWORD)
        imap.select("INBOX")
        self.assert_same_letter(self.sent, imap.fetch("1", "(BODY[])")[1][0][1])
        imap.logout()


if __name__ == "__main__":
    unittest.main()
