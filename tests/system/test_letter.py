"""A letter's way through the suite, as its users see it."""

import os
import re
import smtplib
import unittest

from suite import Case, Dns, Instance, letter, needs_root, two_instances, wait_for


class OneServer(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Instance("satu.test", "127.0.0.2")
        cls.server.__enter__()
        cls.baru = cls.server.add_user("baru")
        cls.lama = cls.server.add_user("lama")

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def setUp(self):
        client = self.server.pop(self.lama)
        for i in range(client.stat()[0]):
            client.dele(i + 1)
        client.quit()

    def test_a_letter_by_submission_is_read_by_pop_and_imap_byte_for_byte(self):
        sent = letter(self.baru, self.lama, lines=["Halo", ".", "..", ".x", "", "tab\tand trailing space ", ""])
        self.server.submit(self.baru, [self.lama], sent)
        self.assert_same_letter(sent, self.server.wait_letters(self.lama)[0])
        client = self.server.imap(self.lama)
        client.select("INBOX")
        _, answer = client.fetch("1", "(BODY.PEEK[] RFC822.SIZE)")
        client.logout()
        self.assert_same_letter(sent, answer[0][1])
        size = int(re.search(rb"RFC822\.SIZE (\d+)", answer[0][0] + answer[1]).group(1))
        self.assertEqual(size, len(answer[0][1]))

    def test_what_the_servers_add_names_the_way(self):
        with self.server.smtp() as client:
            client.sendmail(self.baru, [self.lama], letter(self.baru, self.lama))
        found = self.server.wait_letters(self.lama)[0].decode()
        head = found.split("\r\n\r\n")[0]
        self.assertRegex(head, r"(?m)^Return-Path: <baru@satu\.test>\r$")
        self.assertRegex(head, r"(?m)^Delivered-To: lama@satu\.test\r$")
        self.assertRegex(head, r"(?s)Received: from \S+ \(.*\[127\.0\.0\.\d+\]\).*by satu\.test.*with ESMTP.*id \w+")

    def test_an_eight_bit_letter_arrives_unchanged(self):
        sent = letter(self.baru, self.lama, lines=["Grüße aus Yogyakarta — ꦪꦺꦴꦒꦾ"])
        with self.server.smtp() as client:
            client.sendmail(self.baru, [self.lama], sent, mail_options=["BODY=8BITMIME"])
        self.assert_same_letter(sent, self.server.wait_letters(self.lama)[0])

    def test_a_large_letter_arrives_unchanged(self):
        sent = letter(self.baru, self.lama, lines=["%076d" % i for i in range(60000)])
        with self.server.smtp() as client:
            client.sendmail(self.baru, [self.lama], sent)
        self.assert_same_letter(sent, self.server.wait_letters(self.lama)[0])

    def test_a_sub_address_delivers_to_the_inbox(self):
        with self.server.smtp() as client:
            client.sendmail(self.baru, ["lama+milis@satu.test"], letter(self.baru, self.lama))
        self.assertEqual(len(self.server.wait_letters(self.lama)), 1)

    def test_an_unknown_recipient_is_refused_at_rcpt(self):
        with self.server.smtp() as client:
            with self.assertRaises(smtplib.SMTPRecipientsRefused) as refused:
                client.sendmail(self.baru, ["tiada@satu.test"], letter(self.baru, self.lama))
        code, text = refused.exception.recipients["tiada@satu.test"]
        self.assertEqual(code, 550)
        self.assertTrue(text.startswith(b"5.1.1 "), text)

    def test_submission_without_a_password_is_refused(self):
        with self.server.smtp("submission") as client:
            client.ehlo("client.test")
            code, text = client.mail(self.baru)
            if code == 250:
                code, text = client.rcpt("somebody@elsewhere.test")
            self.assertEqual(code, 530)

    def test_a_wrong_password_is_refused(self):
        with self.server.smtp("submissions") as client:
            with self.assertRaises(smtplib.SMTPAuthenticationError) as refused:
                client.login(self.baru, "salah")
            self.assertEqual(refused.exception.smtp_code, 535)

    def test_an_alias_reaches_everybody_it_names(self):
        aliases = os.path.join(self.server.directory, "aliases")
        with open(aliases + ".new", "w") as f:
            f.write("semua: baru, lama\npostmaster: lama\n")
        os.replace(aliases + ".new", aliases)
        with self.server.smtp() as client:
            client.sendmail("", ["semua@satu.test"], letter(self.baru, "semua@satu.test"))
        self.server.wait_letters(self.lama)
        self.assertIn("semua@satu.test", self.server.wait_letters(self.baru)[-1].decode())

    def test_sendmail_t_takes_recipients_from_the_header_and_hides_bcc(self):
        text = "From: baru@satu.test\nTo: lama@satu.test\nBcc: baru@satu.test\nSubject: lewat sendmail\n\nhalo\n"
        self.server.sendmail("-t", "-i", "-f", self.baru, input=text.encode())
        found = self.server.wait_letters(self.lama)[0]
        self.assertIn(b"\r\n\r\nhalo\r\n", found)
        self.assertNotIn(b"\r\nBcc:", found)
        self.assertIn(b"\r\nMessage-I", found)

    def test_the_maildir_is_private_and_its_names_carry_sizes_and_uid(self):
        with self.server.smtp() as client:
            client.sendmail(self.baru, [self.lama], letter(self.baru, self.lama))
        self.server.wait_letters(self.lama)
        maildir = os.path.join(self.server.directory, "mail", "satu.test", "lama", "Maildir")
        self.assertEqual(os.stat(maildir).st_mode & 0o7777, 0o700)
        names = os.listdir(maildir + "/new") + os.listdir(maildir + "/cur")
        self.assertEqual(len(names), 1)
        self.assertRegex(names[0], r"^\d+\.[^:]+\.[^:,]+,S=\d+,W=\d+,u=\d+\.\w{4}(:2,\w*)?$")
        for folder in ("new", "cur"):
            for name in os.listdir(os.path.join(maildir, folder)):
                size = os.stat(os.path.join(maildir, folder, name)).st_size
                self.assertIn(",S=%d," % size, name)


class TwoServers(Case):
    def test_mail_is_relayed_by_mx_and_answered(self):
        with Dns() as dns:
            satu, dua = two_instances(dns)
            with satu, dua:
                baru, lama = satu.add_user("baru"), dua.add_user("lama")
                sent = letter(baru, lama, "ke sana")
                satu.submit(baru, [lama], sent)
                self.assert_same_letter(sent, dua.wait_letters(lama)[0])
                answer = letter(lama, baru, "Re: ke sana")
                dua.submit(lama, [baru], answer)
                self.assert_same_letter(answer, satu.wait_letters(baru)[0])
                wait_for(lambda: not satu.queue() and not dua.queue(), "both queues to be empty")

    def test_a_refused_recipient_is_told_to_the_sender(self):
        with Dns() as dns:
            satu, dua = two_instances(dns)
            with satu, dua:
                baru = satu.add_user("baru")
                satu.submit(baru, ["tiada@dua.test"], letter(baru, "tiada@dua.test", "ke mana"))
                notice = satu.wait_letters(baru)[0].decode()
                self.assertRegex(notice, r"(?im)^Return-Path: <>\r$")
                self.assertRegex(notice, r"(?im)^Content-Type: multipart/report; *report-type=\"?delivery-status")
                self.assertRegex(notice, r"(?im)^Final-Recipient: rfc822; ?tiada@dua\.test\r$")
                self.assertRegex(notice, r"(?im)^Action: failed\r$")
                self.assertRegex(notice, r"(?im)^Status: 5\.1\.1\r$")
                self.assertRegex(notice, r"(?im)^Diagnostic-Code: smtp; ?550 5\.1\.1 ")
                self.assertIn("Subject: ke mana", notice)

    def test_for_the_null_sender_the_postmaster_is_told_and_nobody_else(self):
        with Dns() as dns:
            satu, dua = two_instances(dns, settings={"postmaster": "kepala@satu.test"})
            with satu, dua:
                kepala, baru = satu.add_user("kepala"), satu.add_user("baru")
                with satu.smtp() as client:
                    client.sendmail("", ["tiada@dua.test"], letter(baru, "tiada@dua.test"))
                notice = satu.wait_letters(kepala)[0].decode()
                self.assertRegex(notice, r"(?im)^Final-Recipient: rfc822; ?tiada@dua\.test\r$")
                wait_for(lambda: not satu.queue(), "the queue to be empty")
                self.assertEqual(satu.letters(baru), [])


class AsAnOrdinaryUser(Case):
    @needs_root("changing to an ordinary user")
    def test_everything_runs_as_one_ordinary_user(self):
        with Instance("satu.test", "127.0.0.2", user="nobody") as server:
            baru = server.add_user("baru")
            server.submit(baru, [baru], letter(baru, baru))
            self.assertEqual(len(server.wait_letters(baru)), 1)
            owners = {os.stat("/proc/%d" % pid).st_uid for pid in server.processes()}
            self.assertNotIn(0, owners)


if __name__ == "__main__":
    unittest.main()
