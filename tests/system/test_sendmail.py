"""sendmail, mailq, newaliases as programs use them."""

import glob
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

from suite import Case, Instance, letter, needs_root, wait_for

EX_USAGE, EX_DATAERR, EX_NOUSER, EX_UNAVAILABLE, EX_TEMPFAIL, EX_CONFIG = 64, 65, 67, 69, 75, 78


class Sendmail(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Instance("satu.test", "127.0.0.2", settings={"retry": "1h", "recipients_per_message": "100"})
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__, None)
        cls.baru = cls.server.add_user("baru")
        cls.lama = cls.server.add_user("lama")
        cls.me = "%s@satu.test" % pwd.getpwuid(os.getuid()).pw_name

    def send(self, *words, input, check=True):
        return self.server.sendmail(*words, input=input, check=check)

    def mailbox(self, user="lama"):
        """What is in the Maildir, in wire form: lines may be longer than poplib takes."""
        letters = []
        for path in glob.glob(os.path.join(self.server.directory, "mail/satu.test", user, "Maildir", "new", "*")):
            with open(path, "rb") as f:
                letters.append(f.read().replace(b"\n", b"\r\n"))
        return letters

    def arrived(self, mark, count=1, user="lama"):
        def found():
            letters = [m for m in self.mailbox(user) if mark in m]
            return letters if len(letters) >= count else None
        return wait_for(found, "%d letters with %r" % (count, mark))

    def assert_delivered(self, addresses):
        """Copies for one mailbox are one file: the log tells whom each was for."""
        missing = set(addresses)

        def done():
            missing.difference_update(re.findall(r" to=<([^>]*)>, relay=lmtp, .*status=sent", self.server.log()))
            return not missing
        wait_for(done, "deliveries")

    def body(self, message):
        return message.partition(b"\r\n\r\n")[2]

    def test_what_is_missing_in_the_header_is_added(self):
        self.send("-F", 'B. "A"', "lama", input=b"Subject: tambah\n\nhalo\n")
        message = self.arrived(b"Subject: tambah")[0].decode()
        self.assertIn('\r\nFrom: "B. \\"A\\"" <%s>\r\n' % self.me, message)
        self.assertRegex(message, r"\r\nDate: \w{3}, \d+ \w{3} \d{4} ")
        self.assertRegex(message, r"\r\nMessage-ID: <\S+@satu.test>\r\n")
        self.assertRegex(message, r"Return-Path: <%s>\r\n" % self.me)
        self.assertTrue(message.endswith("\r\n\r\nhalo\r\n"))

    def test_the_sender_is_whom_one_says(self):
        self.send("-f", "<>", "-i", "lama@satu.test", input=b"Subject: dari siapa\n\n.\nx\n")
        message = self.arrived(b"Subject: dari siapa")[0]
        self.assertIn(b"Return-Path: <>\r\n", message)
        self.assertEqual(self.body(message), b".\r\nx\r\n")
        self.send("-fsiapa@tiga.test", "lama", input=b"Subject: dari siapa lagi\n\n")
        self.assertIn(b"Return-Path: <siapa@tiga.test>\r\n", self.arrived(b"dari siapa lagi")[0])

    def test_a_lone_dot_ends_the_message_unless_told_otherwise(self):
        self.send("lama", input=b"Subject: titik\n\na\n..\n.b\n.\nc\n")
        self.assertEqual(self.body(self.arrived(b"Subject: titik\r")[0]), b"a\r\n..\r\n.b\r\n")
        for mark, option in (("i", "-i"), ("oi", "-oi")):
            self.send(option, "lama", input=b"Subject: titik-%s\n\na\n.\nc\n" % mark.encode())
            self.assertEqual(self.body(self.arrived(b"Subject: titik-%s\r" % mark.encode())[0]), b"a\r\n.\r\nc\r\n")

    def test_crlf_and_lf_arrive_alike(self):
        for mark, text in ((b"lf", b"Subject: akhir-lf\n\na\n\nb"), (b"crlf", b"Subject: akhir-crlf\r\n\r\na\r\n\r\nb\r\n")):
            self.send("lama", input=text)
            self.assertEqual(self.body(self.arrived(b"Subject: akhir-" + mark)[0]), b"a\r\n\r\nb\r\n")

    def test_recipients_come_from_the_header_and_the_command_line(self):
        self.send("-t", "baru", input=b"To: Lama <lama@satu.test>\nBcc: baru@satu.test\nSubject: dua-duanya\n\n")
        for user in ("lama", "baru"):
            message = self.arrived(b"Subject: dua-duanya", user=user)
            self.assertEqual(len(message), 1)
            self.assertNotIn(b"Bcc", message[0])

    def test_exit_codes_tell_what_happened(self):
        for words, text, status in (
                ([], b"x\n", EX_USAGE), (["-t"], b"Subject: x\n\n", EX_USAGE), (["-Q"], b"", EX_USAGE),
                (["-bd"], b"", EX_USAGE), (["-f", "not an address@", "lama"], b"x\n", EX_USAGE),
                (["lama"], b"Subject: nul\n\nx\0y\n", EX_UNAVAILABLE)):
            done = self.send(*words, input=text, check=False)
            self.assertEqual(done.returncode, status, (words, done.stderr))
            self.assertTrue(done.stderr)
        done = subprocess.run([self.server.program("sendmail"), "lama"], input=b"x\n", stderr=subprocess.PIPE,
                              env=dict(os.environ, MERPATI_CONF="/nonexistent"))
        self.assertEqual(done.returncode, EX_CONFIG)

    def test_an_unknown_recipient_comes_back_as_a_notification(self):
        self.send("-f", self.baru, "lama", "tiada", input=b"Subject: sebagian\n\n")
        self.arrived(b"Subject: sebagian")
        self.assertIn(b"Final-Recipient: rfc822; tiada@satu.test\r\n", self.arrived(b"Subject: sebagian", user="baru")[0])

    def test_options_of_sendmail_are_taken_without_complaint(self):
        done = self.send("-oem", "-odi", "-om", "-U", "-v", "-N", "failure", "-R", "hdrs", "-V", "x", "-O", "A=b",
                         "-B", "8BITMIME", "-h", "5", "lama", input="Subject: pilihan\n\né\n".encode(), check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.arrived(b"Subject: pilihan")

    def test_bs_speaks_smtp(self):
        text = "EHLO x\r\nMAIL FROM:<baru@satu.test>\r\nRCPT TO:<lama@satu.test>\r\nDATA\r\n"
        done = self.send("-bs", input=(text + "Subject: lewat bs\r\n\r\n..x\r\n.\r\nQUIT\r\n").encode())
        codes = re.findall(rb"(?m)^(\d{3}) ", done.stdout)
        self.assertEqual(codes, [b"220", b"250", b"250", b"250", b"354", b"250", b"221"])
        self.assertEqual(self.body(self.arrived(b"Subject: lewat bs")[0]), b".x\r\n")

    def test_a_large_message_is_streamed(self):
        line = b"0123456789abcdef" * 4 + b"\n"
        self.send("lama", input=b"Subject: besar\n\n" + line * 100000)
        self.assertEqual(self.body(self.arrived(b"Subject: besar")[0]), line.replace(b"\n", b"\r\n") * 100000)

    def test_bs_passes_everything_both_ways_at_once(self):
        # a client that does not read until it has written more than all buffers between hold
        count = 3000
        text = b"EHLO x\r\n" + b"MAIL FROM:<baru@satu.test>\r\nRCPT TO:<lama@satu.test>\r\nRSET\r\n" * count + b"QUIT\r\n"
        env = dict(os.environ, MERPATI_CONF=self.server.conf)
        with subprocess.Popen([self.server.program("sendmail"), "-bs"], env=env, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as client:
            writer = threading.Thread(target=lambda: (client.stdin.write(text), client.stdin.close()))
            writer.start()
            writer.join(1)
            out = client.stdout.read()
            writer.join()
            self.assertEqual(client.wait(), 0)
        self.assertEqual(len(re.findall(rb"(?m)^250 ", out)), 3 * count + 1)
        self.assertTrue(out.endswith(b"221 2.0.0 Bye\r\n"))

    def test_bs_tells_who_calls(self):
        text = b"HELO x\r\nMAIL FROM:<baru@satu.test>\r\nRCPT TO:<lama@satu.test>\r\nDATA\r\nSubject: siapa bs\r\n\r\n.\r\nQUIT\r\n"
        self.send("-bs", input=text)
        self.assertIn(b"from user %s)" % pwd.getpwuid(os.getuid()).pw_name.encode(), self.arrived(b"Subject: siapa bs")[0])

    def test_bv_sends_nothing_and_tells_of_each(self):
        before = len(self.mailbox())
        done = self.send("-bv", "lama+x", "x@dua.test", "tiada@satu.test", input=b"To: nobody@satu.test\n\n", check=False)
        self.assertEqual(done.returncode, EX_NOUSER)
        self.assertEqual(done.stdout.decode().splitlines(), [
            "lama+x@satu.test... deliverable: 250 2.1.5 <lama+x@satu.test> is a mailbox or an alias here",
            "x@dua.test... accepted, only sending shows more: 252 2.1.5 <x@dua.test> is for another host",
            "tiada@satu.test... undeliverable: 550 5.1.1 <tiada@satu.test> User unknown"])
        self.assertEqual(self.send("-bv", *("lama+%d" % i for i in range(1000)), input=b"").stdout.count(b"deliverable"), 1000)
        done = self.send("-bv", "-t", input=b"Cc: Lama <lama@satu.test>\n\nx\n")
        self.assertTrue(done.stdout.startswith(b"lama@satu.test... "))
        self.assertEqual(len(self.mailbox()), before)

    def test_v_tells_what_smtpd_said(self):
        done = self.send("-v", "lama", input=b"Subject: v\n\n")
        self.assertRegex(done.stdout, rb"^lama@satu\.test\.\.\. 250 2\.0\.0 Ok: queued as [0-9A-Za-z]{16}\n$")

    def test_the_header_names_recipients_in_every_way(self):
        self.send("-t", "-i", input=b"To: kelompok: Lama <lama+a@satu.test>,\n\t\"B, A\" (satu (dua)) <lama+b@satu.test>;,\n"
                  b"  , lama+c\nCC: undisclosed-recipients:;\nbcc: lama+d (bukan, begini)\nSubject: segala cara\n\nx\n")
        found = self.arrived(b"Subject: segala cara", 4)
        self.assert_delivered("lama+%s@satu.test" % c for c in "abcd")
        for m in found:
            self.assertNotIn(b"bcc", m.lower())

    def test_of_a_resent_message_the_resent_fields_count(self):
        self.send("-t", input=b"Resent-To: lama+r@satu.test\nResent-Bcc: lama+s@satu.test\nResent-From: baru@satu.test\n"
                  b"From: x@y.test\nTo: baru@satu.test\nSubject: diteruskan\n\n")
        found = self.arrived(b"Subject: diteruskan", 2)
        self.assert_delivered(["lama+r@satu.test", "lama+s@satu.test"])
        self.assertNotIn(b"Resent-Bcc", found[0] + found[1])
        self.assertFalse([m for m in self.mailbox("baru") if b"diteruskan" in m])

    def test_what_is_no_address_in_the_header_is_told_and_the_others_are_sent_to(self):
        done = self.send("-t", input=b"To: lama@satu.test, x@bad..domain\nSubject: sebagian alamat\n\n", check=False)
        self.assertEqual(done.returncode, EX_DATAERR)
        self.assertIn(b"x@bad..domain", done.stderr)
        self.arrived(b"Subject: sebagian alamat")

    def test_long_lines_and_eight_bits_pass_as_they_are(self):
        body = b"x" * 200000 + b"\n" + bytes(range(1, 10)) + bytes(range(128, 256)) + b"\n"
        self.send("lama", input=b"Subject: panjang\n\n" + body)
        self.assertEqual(self.body(self.arrived(b"Subject: panjang")[0]), body.replace(b"\n", b"\r\n"))

    def test_a_first_line_that_is_no_field_begins_the_body(self):
        self.send("lama", input=b"\x7fbiner" + b"tanpa-titik-dua" * 100000 + b"\nSubject: bukan\n")
        message = wait_for(lambda: [m for m in self.mailbox() if b"\x7fbiner" in m], "the letter")[0]
        self.assertTrue(self.body(message).startswith(b"\x7fbinertanpa-titik-dua"))
        self.assertNotIn(b"Subject", message.partition(b"\r\n\r\n")[0])

    def test_a_header_without_end_is_refused(self):
        done = self.send("-t", input=b"To: lama\n" + b"X: y\n" * 250000, check=False)
        self.assertEqual(done.returncode, EX_DATAERR)
        self.assertIn(b"header is larger", done.stderr)

    def test_more_recipients_than_go_in_a_transaction_all_get_it(self):
        self.send("-t", input=b"Subject: ramai\nBcc: " + b",\n ".join(b"lama+%d@satu.test" % i for i in range(250)) + b"\n\nhalo\n")
        found = self.arrived(b"Subject: ramai", 250)
        self.assert_delivered("lama+%d@satu.test" % i for i in range(250))
        self.assertEqual({self.body(m) for m in found}, {b"halo\r\n"})
        self.assertEqual(len({re.search(rb"\n\tid (\w+);", m).group(1) for m in found}), 3)

    def queued(self, *words, input):
        """The queue file of a message that cannot leave."""
        before = set(glob.glob(self.server.directory + "/spool/deferred/*/*"))
        self.send(*words, input=input)
        found = wait_for(lambda: set(glob.glob(self.server.directory + "/spool/deferred/*/*")) - before, "the deferral").pop()
        with open(found, "rb") as f:
            text = f.read()
        self.server.merpati("queue", "delete", os.path.basename(found))
        return text

    def test_the_body_is_declared_as_it_is(self):
        for words, body, declared in ((["-i"], b"ascii", False), (["-i"], b"\xe9", True), (["-B8BITMIME"], b"x", True),
                                      (["-B7BIT"], b"\xe9", False), (["-o8"], b"x", True)):
            text = self.queued(*words, "x@[127.0.0.99]", input=b"Subject: isi\n\n%s\n" % body)
            self.assertEqual(b"\nbody 8:8BITMIME," in text, declared, (words, body))

    def test_wishes_for_notifications_go_into_the_queue(self):
        with self.server.smtp() as client:
            client.ehlo()
            if not client.has_extn("dsn"):
                self.skipTest("skipped: smtpd does not offer DSN")
        text = self.queued("-N", "success,delay", "-R", "hdrs", "-V", "kiriman+1 dua", "x@[127.0.0.99]", input=b"Subject: dsn\n\n")
        self.assertIn(b"\nret 4:HDRS,", text)
        self.assertIn(b"\nenvid 13:kiriman+1 dua,", text)
        self.assertIn(b"\nnotify 13:SUCCESS,DELAY,", text)
        self.assertIn(b"\nnotify 5:NEVER,", self.queued("-Nnever", "x@[127.0.0.99]", input=b"Subject: dsn\n\n"))

    @needs_root()
    def test_it_needs_no_privilege(self):
        done = subprocess.run(["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--no-new-privs", "--",
                               self.server.program("sendmail"), "-t"], input=b"To: lama@satu.test\nSubject: tanpa hak\n\n",
                              env={"MERPATI_CONF": self.server.conf}, stderr=subprocess.PIPE)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        message = self.arrived(b"Subject: tanpa hak")[0]
        self.assertIn(b"from user nobody)", message)
        self.assertIn(b"Return-Path: <nobody@satu.test>", message)

    # -- programs

    def test_cron_and_php_call_it_so(self):
        self.send("-FCronDaemon", "-i", "-B8BITMIME", "-oem", "lama", input=b"From: root (Cron Daemon)\nTo: lama\n"
                  b"Subject: Cron <x@y> waktu\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n\n.\nhalo\n")
        self.assertEqual(self.body(self.arrived(b"<x@y> waktu")[0]), b".\r\nhalo\r\n")
        self.send("-t", "-i", "-f", "www@satu.test", input=b"To: lama@satu.test\r\nSubject: php\r\nFrom: w@satu.test\r\n\r\na\r\n.\r\nb")
        message = self.arrived(b"Subject: php")[0]
        self.assertEqual(self.body(message), b"a\r\n.\r\nb\r\n")
        self.assertIn(b"Return-Path: <www@satu.test>", message)

    @unittest.skipUnless(os.path.exists("/usr/lib/git-core/git-send-email"), "skipped: no git send-email")
    def test_git_send_email(self):
        work = tempfile.mkdtemp(prefix="mg", dir="/tmp")
        self.addCleanup(shutil.rmtree, work)
        env = dict(os.environ, HOME=work, MERPATI_CONF=self.server.conf, GIT_CONFIG_NOSYSTEM="1", GIT_AUTHOR_NAME="Baru É",
                   GIT_AUTHOR_EMAIL=self.baru, GIT_COMMITTER_NAME="Baru", GIT_COMMITTER_EMAIL=self.baru)

        def git(*words):
            done = subprocess.run(["git", "-C", work] + list(words), env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.assertEqual(done.returncode, 0, done.stdout)
        git("init", "-q")
        for i in range(2):
            with open(os.path.join(work, "f"), "a") as f:
                f.write(".\n..\nbaris %d\n" % i)
            git("add", "f")
            git("commit", "-qm", "tambalan %d" % i)
        git("format-patch", "-q", "--root", "-o", "out")
        git("-c", "sendemail.sendmailCmd=" + self.server.program("sendmail"), "send-email", "--from", self.baru, "--to",
            "lama@satu.test", "--cc", self.baru, "--quiet", "--confirm=never", "out")
        found = self.arrived(b"Subject: [PATCH ", 2)
        self.assertIn(b"+..\r\n+baris 0\r\n", found[0] + found[1])
        self.assertEqual(len([m for m in self.mailbox("baru") if b"[PATCH" in m]), 2)

    @unittest.skipUnless(shutil.which("s-nail"), "skipped: no s-nail")
    def test_mailx(self):
        env = dict(os.environ, MERPATI_CONF=self.server.conf, MAILRC="/dev/null")
        subprocess.run(["s-nail", "-S", "v15-compat", "-S", "mta=" + self.server.program("sendmail"), "-S", "sendwait", "-r",
                        "baru@satu.test", "-s", "dari mailx", "-b", "baru@satu.test", "lama@satu.test"], input=b"halo\n~.\n",
                       env=env, check=True, stderr=subprocess.PIPE)
        self.assertIn(b"Return-Path: <baru@satu.test>", self.arrived(b"Subject: dari mailx")[0])
        self.arrived(b"Subject: dari mailx", user="baru")

    def test_the_queue_is_listed_and_flushed(self):
        env = dict(os.environ, MERPATI_CONF=self.server.conf)

        def run(name, *words):
            return subprocess.run([self.server.program(name)] + list(words), env=env, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        wait_for(lambda: run("mailq").stdout == "Mail queue is empty\n", "the queue to be empty")
        self.assertEqual(run("newaliases").returncode, 0)
        self.assertEqual(run("sendmail", "-bi").returncode, 0)
        self.send("x@[127.0.0.99]", input=b"Subject: antre\n\n")
        listed = wait_for(lambda: "x@[127.0.0.99]" in run("sendmail", "-bp").stdout and run("mailq").stdout, "mailq")
        self.assertRegex(listed, r"(?m)^[0-9A-Za-z]{16}[* ] +\d+ \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d %s$" % self.me)
        self.assertRegex(listed, r"\n-- 0 Kbytes in 1 Request\.\n$")
        self.server.wait_log(r"to=<x@\[127.0.0.99\]>.*status=deferred")
        before = self.server.log().count("to=<x@[127.0.0.99]>")
        self.assertEqual(run("sendmail", "-q").returncode, 0)
        wait_for(lambda: self.server.log().count("to=<x@[127.0.0.99]>") > before, "the try")
        for m in self.server.queue():
            self.server.merpati("queue", "delete", m["queue_id"])

    def test_without_mail_system_it_is_a_temporary_failure(self):
        with Instance("dua.test", "127.0.0.3", kinds=("mx",)) as other:
            other.stop()
            done = other.sendmail("lama", input=b"x\n", check=False)
            self.assertEqual(done.returncode, EX_TEMPFAIL)


if __name__ == "__main__":
    unittest.main()
