"""The tutorial's case: accounts made with adduser, which log in with their system passwords."""

import os
import secrets
import subprocess
import unittest

from suite import Case, Instance, letter, needs_root

NAMES = ("mptbaru", "mptlama")


@needs_root("making system users")
class SystemUsers(Case):
    def setUp(self):
        self.password = secrets.token_hex(12)
        for name in NAMES:
            subprocess.run(["userdel", "-r", name], stderr=subprocess.DEVNULL, check=False)
            subprocess.run(["adduser", "--quiet", "--disabled-password", "--gecos", "", name], check=True,
                           stdout=subprocess.DEVNULL)
        subprocess.run(["chpasswd"], input="".join("%s:%s\n" % (n, self.password) for n in NAMES).encode(), check=True)

    def tearDown(self):
        for name in NAMES:
            subprocess.run(["userdel", "-r", name], stderr=subprocess.DEVNULL, check=False)

    def test_baru_writes_to_lama_and_is_answered(self):
        with Instance("satu.test", "127.0.0.2", accounts="system") as server:
            baru, lama = ("%s@satu.test" % name for name in NAMES)
            for sender, recipient, user in ((baru, lama, NAMES[1]), (lama, baru, NAMES[0])):
                sent = letter(sender, recipient)
                server.submit(sender, [recipient], sent, self.password, login=sender.split("@")[0])
                self.assert_same_letter(sent, server.wait_letters(user, password=self.password)[0])
                client = server.imap(user, self.password)
                client.select("INBOX")
                self.assert_same_letter(sent, client.fetch("1", "(BODY.PEEK[])")[1][0][1])
                client.logout()
                home = os.path.expanduser("~" + user)
                self.assertEqual(os.stat(home + "/Maildir").st_uid, os.stat(home).st_uid)

    def test_a_wrong_password_and_root_do_not_log_in(self):
        with Instance("satu.test", "127.0.0.2", accounts="system") as server:
            for user, password in ((NAMES[0], "salah"), ("root", "apa saja"), ("_smtpd", "")):
                with self.assertRaises(Exception) as refused:
                    server.imap(user, password)
                self.assertIn("AUTHENTICATIONFAILED", str(refused.exception))


if __name__ == "__main__":
    unittest.main()
