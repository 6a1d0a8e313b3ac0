"""As root every program has a uid of its own and a sandbox that holds: the live processes are made to try."""

import glob
import os
import pwd
import re
import subprocess
import unittest

from suite import BIN, Case, Dns, Instance, letter, needs_root, wait_for

TRY_OPEN = os.path.join(os.path.dirname(BIN), "system", "try_open")


def status_of(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


@needs_root()
class Sandbox(Case):
    @classmethod
    def setUpClass(cls):
        cls.dns = Dns()
        cls.dns.__enter__()
        cls.dns.add("antah.test", "A", "127.0.0.9")  # nobody listens there
        cls.server = Instance("satu.test", "127.0.0.2", cls.dns, settings={"retry": "1h", "relay_port": 1})
        cls.server.__enter__()
        cls.lama = cls.server.add_user("lama")
        # a letter that stays in the queue, a Maildir, and sessions that are logged in
        with cls.server.smtp() as client:
            client.sendmail(cls.lama, [cls.lama], letter(cls.lama, cls.lama))
            client.sendmail(cls.lama, ["x@antah.test"], letter(cls.lama, "x@antah.test"))
        cls.server.wait_letters(cls.lama)
        cls.imap = cls.server.imap(cls.lama)
        cls.imap.select("INBOX")
        cls.pop = cls.server.pop(cls.lama)
        wait_for(cls.queued_files, "a letter in the queue")

    @classmethod
    def tearDownClass(cls):
        cls.pop.quit()
        cls.imap.logout()
        cls.server.__exit__(None, None, None)
        cls.dns.__exit__()

    @classmethod
    def queued_files(cls):
        return [p for p in glob.glob(os.path.join(cls.server.directory, "spool", "**"), recursive=True)
                if os.path.isfile(p) and "lock" not in os.path.basename(p)]

    def sandboxed(self):
        """{pid: (title, uid name)} of all processes that are not root's."""
        found = {}
        for pid, title in self.server.processes().items():
            uid = int(status_of(pid)["Uid"].split()[0])
            if uid != 0:
                found[pid] = (title, pwd.getpwuid(uid).pw_name)
        return found

    def test_each_program_has_its_own_uid(self):
        owners = {name for _, name in self.sandboxed().values()}
        for name in ("_smtpd", "_queue", "_remote", "_deliver", "_auth", "_login", "_key"):
            self.assertIn(name, owners)

    def test_every_process_that_is_not_root_is_boxed_in(self):
        for pid, (title, name) in self.sandboxed().items():
            status = status_of(pid)
            self.assertEqual(status["NoNewPrivs"], "1", (title, name))
            self.assertEqual(status["Seccomp"], "2", (title, name))
            self.assertEqual(int(status["CapEff"], 16), 0, (title, name))
            self.assertEqual(int(status["CapPrm"], 16), 0, (title, name))
            uids = set(status["Uid"].split())
            self.assertEqual(len(uids), 1, (title, name))
            self.assertNotIn("0", status["Gid"].split(), (title, name))
            self.assertNotIn("0", status["Groups"].split(), (title, name))

    def try_open(self, pid, paths):
        out = subprocess.run([TRY_OPEN, str(pid)] + paths, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(out.returncode, 0, out.stderr)
        return out.stdout.splitlines()

    def test_no_network_facing_process_can_open_what_is_not_its_own(self):
        maildirs = glob.glob(os.path.join(self.server.directory, "mail/satu.test/lama/Maildir/*/*"))
        self.assertTrue(maildirs)
        paths = ["/etc/shadow", self.server.key, os.path.join(self.server.directory, "users"), maildirs[0]]
        paths += self.queued_files()[:1]
        facing = ("_smtpd", "_remote", "_deliver", "_auth", "_login")
        tried = set()
        for pid, (title, name) in self.sandboxed().items():
            if name not in facing:
                continue
            tried.add(name)
            for path in paths:
                for line in self.try_open(pid, [path]):
                    self.assertNotRegex(line, r": opened$", "%s (%s)" % (title, name))
                    self.assertRegex(line, r": (killed|E\w+)$")
                if not os.path.exists("/proc/%d" % pid):
                    break
        self.assertEqual(tried, set(facing))

    def test_the_guard_opens_no_file_not_even_its_own(self):
        pids = [pid for pid, (title, _) in self.sandboxed().items() if re.search(r"smtpd: guard$", title)]
        self.assertEqual(len(pids), 1)
        memory = os.path.join(self.server.directory, "cache", "guard")
        self.assertEqual(os.stat(memory).st_mode & 0o777, 0o600)
        for path in [memory, "/etc/resolv.conf", os.path.join(self.server.directory, "spool", "incoming")]:
            for line in self.try_open(pids[0], [path]):
                self.assertRegex(line, r": (killed|E\w+)$")
            if not os.path.exists("/proc/%d" % pids[0]):
                break

    def test_the_process_that_asks_web_servers_reaches_its_own_two_directories_only(self):
        pids = [pid for pid, (title, _) in self.sandboxed().items() if re.search(r"remote: policy$", title)]
        self.assertEqual(len(pids), 1)
        for name in ("mta-sts", "tlsrpt"):
            st = os.stat(os.path.join(self.server.directory, "cache", name))
            self.assertEqual((st.st_mode & 0o777, pwd.getpwuid(st.st_uid).pw_name), (0o700, "_remote"))
        for path in [os.path.join(self.server.directory, "cache", "guard"), "/etc/resolv.conf", "/etc/passwd"]:
            for line in self.try_open(pids[0], [path]):
                self.assertRegex(line, r": (killed|E\w+)$")
            if not os.path.exists("/proc/%d" % pids[0]):
                break

    def test_a_session_process_reaches_its_own_mail_only(self):
        other = self.server.add_user("lain")
        with self.server.smtp() as client:
            client.sendmail(other, [other], letter(other, other))
        self.server.wait_letters(other)
        theirs = glob.glob(os.path.join(self.server.directory, "mail/satu.test/lain/Maildir/*/*"))
        for pid, (title, name) in self.sandboxed().items():
            if name == "_vmail" and re.search(r"lama", title):
                for path in ["/etc/shadow", self.server.key] + theirs[:1] + self.queued_files()[:1]:
                    for line in self.try_open(pid, [path]):
                        self.assertNotRegex(line, r": opened$", title)

    def test_the_parents_hold_no_network_connection(self):
        """What runs as root parses nothing: none of its descriptors is an accepted connection."""
        for pid, title in self.server.processes().items():
            if status_of(pid)["Uid"].split()[0] != "0":
                continue
            inodes = {m.group(1) for link in glob.glob("/proc/%d/fd/*" % pid)
                      for m in [re.match(r"socket:\[(\d+)\]", os.readlink(link))] if m}
            with open("/proc/net/tcp") as f:
                established = {line.split()[9] for line in f.readlines()[1:] if line.split()[3] == "01"}
            self.assertFalse(inodes & established, title)


if __name__ == "__main__":
    unittest.main()
