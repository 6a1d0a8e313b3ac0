"""sendmail, mailq, newaliases as programs use them."""

import os
import pwd
import re
import subprocess
import unittest

from suite import Case, Instance, letter, wait_for

EX_USAGE, EX_UNAVAILABLE, EX_TEMPFAIL, EX_CONFIG = 64, 69, 75, 78


class Sendmail(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Instance("satu.test", "127.0.0.2", settings={"retry": "1h"})
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__, None)
        cls.baru = cls.server.add_user("baru")
        cls.lama = cls.server.add_user("lama")
        cls.me = "%s@satu.test" % pwd.getpwuid(os.getuid()).pw_name

    def send(self, *words, input, check=True):
        return self.server.sendmail(*words, input=input, check=check)

    def arrived(self, mark, count=1, user="lama"):
        def found():
            letters = [m for m in self.server.letters(user + "@satu.test") if mark in m]
            return letters if len(letters) >= count else None
        return wait_for(found, "%d letters with %r" % (count, mark))

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
                         "-B", "8BITMIME", "-h", "lama", input="Subject: pilihan\n\né\n".encode(), check=False)
        # -h takes no value here; what follows is the recipient
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
        self.assertRegex(listed, r"(?m)^[0-9A-Za-z]{16}[* ] +\d+ \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d  %s$" % self.me)
        self.assertRegex(listed, r"-- 1 Kbytes in 1 Request\.\n$")
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
